"""How a command runs in a node of a lab that stands: its argv, and what it finds in its environment."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from netlab import paths
from netlab.errors import HostError, NetlabError, UsageError
from netlab.kernel import commands, umask
from netlab.lab.standing import Standing


def process(lab: Standing, node: str, more: Sequence[str] = ()) -> tuple[list[str], dict[str, str]]:
    """Return argv, not yet wrapped, and variables of a node's own role or command; `more` goes behind its arguments.

    A role runs under netlab's own interpreter, or the one of its node's image, and finds netlab's modules. UsageError
    when the node has neither.
    """
    process = lab.record.nodes[node].process
    if process is None:
        raise UsageError(f"{node} has neither a role nor a command to run")
    argv, variables = [*process.argv, *more], lab.record.variables(node)
    if process.awaits_ready:
        if not lab.runtime.has_files:
            argv[0] = sys.executable
        there = variables.get("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
        variables["PYTHONPATH"] = paths.IMPORTED_FROM + (os.pathsep + there if there else "")
        variables["PYTHONUNBUFFERED"] = "1"
    return argv, variables


def enter(lab: Standing, node: str, argv: Sequence[str], variables: Mapping[str, str]) -> NoReturn:
    """Become a command in a node: terminal, signals and exit code are then its own.

    One that is not there ends this process with exit code 127, one that cannot be executed with 126, as in a shell.
    """
    name = lab.record.lab
    if not os.path.exists(lab.runtime.netns_path(node)):
        raise NetlabError(f"{node} has no namespace: the lab {name} is not whole; netlab down --lab {name}")
    wrapped = lab.runtime.wrap(node, argv)
    umask.give_back()
    if wrapped.place:
        from netlab.runtime import entry

        entry.become(wrapped.place, wrapped.argv, variables)
    found = {**os.environ, **variables}
    if code := commands.complain(argv[0], found):
        sys.exit(code)
    try:
        commands.execute(wrapped.argv, found)
    except FileNotFoundError:
        raise HostError(f"{wrapped.argv[0]} is not installed; on Debian: apt-get install iproute2") from None


def shell(lab: Standing) -> list[str]:
    """Return the argv of an interactive shell; bash says in its prompt where it is."""
    settings = f"{lab.record.folder}/{paths.BASHRC}"
    if lab.runtime.has_files:  # and perhaps no bash
        return ["sh", "-c", 'command -v bash >/dev/null && exec bash --rcfile "$0"; exec sh', settings]
    program = os.environ.get("SHELL") or "/bin/sh"
    return [program, "--rcfile", settings] if os.path.basename(program) == "bash" else [program]
