"""How a command runs in a node of a lab that stands: its argv and its environment."""

import os
import sys
from collections.abc import Sequence

from netlab import paths
from netlab.errors import NetlabError
from netlab.lab.standing import Standing
from netlab.record.model import ProcessRecord
from netlab.runtime.base import Command


def process(
    lab: Standing, node: str, process: ProcessRecord, more: Sequence[str] = ()
) -> tuple[list[str], dict[str, str]]:
    """Return argv, not yet wrapped, and variables of a process of a node; `more` goes behind its arguments.

    A role runs under netlab's own interpreter, or the one of its node's image, and finds netlab's modules.
    """
    argv, variables = [*process.argv, *more], {**lab.record.variables(node), **process.env}
    if process.awaits_ready:
        if not lab.runtime.has_files:
            argv[0] = sys.executable
        there = variables.get("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
        variables["PYTHONPATH"] = paths.IMPORTED_FROM + (os.pathsep + there if there else "")
        variables["PYTHONUNBUFFERED"] = "1"
    return argv, variables


def command(lab: Standing, node: str, argv: Sequence[str]) -> Command:
    """Return how a command runs in a node; NetlabError if the node does not exist any more."""
    name = lab.record.lab
    if not os.path.exists(lab.runtime.netns_path(node)):
        raise NetlabError(f"{node} has no namespace: the lab {name} is not whole; netlab down --lab {name}")
    return lab.runtime.wrap(node, argv)


def shell(lab: Standing) -> list[str]:
    """Return the argv of an interactive shell; the prompt of bash shows where it is."""
    settings = f"{lab.record.folder}/{paths.BASHRC}"
    if lab.runtime.has_files:  # which may have no bash
        return ["sh", "-c", 'command -v bash >/dev/null && exec bash --rcfile "$0"; exec sh', settings]
    program = os.environ.get("SHELL") or "/bin/sh"
    return [program, "--rcfile", settings] if os.path.basename(program) == "bash" else [program]
