"""How a command runs in a node of a lab that stands: its argv, and what it finds in its environment."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netlab import paths
from netlab.errors import NetlabError, UsageError
from netlab.record import store

if TYPE_CHECKING:
    from netlab.runtime.base import Command, Runtime


def runtime_of(data: Mapping[str, Any]) -> "Runtime":
    """Return the runtime that a lab lives in."""
    if data["runtime"] == "docker":
        from netlab.runtime.docker import Docker

        return Docker(data["lab"], data["folder"], data["nodes"], shared(data), lambda node: environment(data, node))
    from netlab.runtime.netns import Netns

    limits = {name: node["limits"] for name, node in data["nodes"].items() if any(node["limits"].values())}
    return Netns(data["lab"], data["folder"], limits=limits)


def runtimes_left(lab: str, folder: str) -> "list[Runtime]":
    """Return the runtimes in which something of a lab may be left: all where the record is lost."""
    try:
        return [runtime_of(store.read(lab))]
    except NetlabError:
        from netlab.runtime.docker import Docker
        from netlab.runtime.netns import Netns

        return [Netns(lab, folder), Docker(lab, folder)]


def shared(data: Mapping[str, Any]) -> list[str]:
    """Return what nodes with files of their own see of this host: netlab's modules, the lab's roles and its folder.

    A folder right below / is not shared: a container has its own /tmp, /etc and so on. A role there is, as a file.
    """
    running = (node["process"]["argv"] for node in data["nodes"].values() if node["process"] and node["role"])
    roles = [role for argv in running for role in argv[1:2]]
    folders = dict.fromkeys(role if _is_top(os.path.dirname(role)) else os.path.dirname(role) for role in roles)
    home = home_of(data)
    return [paths.PACKAGE, *folders, *(() if _is_top(home) else (home,))]


def _is_top(folder: str) -> bool:
    return os.path.dirname(folder) == "/"


def environment(data: Mapping[str, Any], node: str) -> dict[str, str]:
    """Return the variables that every process of a node has beside those of its caller."""
    return {
        "NETLAB_LAB": data["lab"],
        "NETLAB_NODE": node,
        "NETLAB_NODE_FILE": f"{data['folder']}/{paths.RECORD}",
        **data["nodes"][node]["env"],
    }


def process(data: Mapping[str, Any], node: str, more: Sequence[str] = ()) -> tuple[list[str], dict[str, str]]:
    """Return argv, not yet wrapped, and variables of a node's own role or command; `more` goes behind its arguments.

    A role runs under netlab's own interpreter, or the one of its node's image, and finds netlab's modules. UsageError
    when the node has neither.
    """
    about = data["nodes"][node]["process"]
    if about is None:
        raise UsageError(f"{node} has neither a role nor a command to run")
    argv, variables = [*about["argv"], *more], environment(data, node)
    if about["awaits_ready"]:
        if not runtime_of(data).has_files:
            argv[0] = sys.executable
        there = variables.get("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
        variables["PYTHONPATH"] = paths.IMPORTED_FROM + (os.pathsep + there if there else "")
        variables["PYTHONUNBUFFERED"] = "1"
    return argv, variables


def command(data: Mapping[str, Any], node: str, argv: Sequence[str]) -> "Command":
    """Return how a command runs in a node; NetlabError where the node is not there any more."""
    runtime, lab = runtime_of(data), data["lab"]
    if not os.path.exists(runtime.netns_path(node)):
        raise NetlabError(f"{node} has no namespace: the lab {lab} is not whole; netlab down --lab {lab}")
    return runtime.wrap(node, argv)


def home_of(data: Mapping[str, Any]) -> str:
    """Return the folder that the lab's processes start in: their topology's, where its other paths begin too."""
    folder = os.path.dirname(data["topology"])
    return folder if os.path.isdir(folder) else "/"


def shell(data: Mapping[str, Any]) -> list[str]:
    """Return the argv of an interactive shell; bash says in its prompt where it is."""
    settings = f"{data['folder']}/{paths.BASHRC}"
    if runtime_of(data).has_files:  # and perhaps no bash
        return ["sh", "-c", 'command -v bash >/dev/null && exec bash --rcfile "$0"; exec sh', settings]
    program = os.environ.get("SHELL") or "/bin/sh"
    return [program, "--rcfile", settings] if os.path.basename(program) == "bash" else [program]
