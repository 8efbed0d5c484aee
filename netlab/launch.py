"""How a command runs in a node of a lab that stands: its argv, and what it finds in its environment."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from netlab.errors import HostError, NetlabError, UsageError

if TYPE_CHECKING:
    from netlab.runtime import Runtime

_PACKAGE_PARENT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def runtime_of(data: Mapping[str, Any]) -> "Runtime":
    """Return the runtime that a lab lives in."""
    from netlab.runtime.netns import Netns

    return Netns(data["lab"], data["folder"])


def environment(data: Mapping[str, Any], node: str) -> dict[str, str]:
    """Return the variables that every process of a node has beside those of its caller."""
    return {
        "NETLAB_LAB": data["lab"],
        "NETLAB_NODE": node,
        "NETLAB_NODE_FILE": f"{data['folder']}/lab.json",
        **data["nodes"][node]["env"],
    }


def process(data: Mapping[str, Any], node: str, more: Sequence[str] = ()) -> tuple[list[str], dict[str, str]]:
    """Return argv, not yet wrapped, and variables of a node's own role or command; `more` goes behind its arguments.

    A role runs under netlab's own interpreter and finds netlab's modules. UsageError when the node has neither.
    """
    about = data["nodes"][node]["process"]
    if about is None:
        raise UsageError(f"{node} has neither a role nor a command to run")
    argv, variables = [*about["argv"], *more], environment(data, node)
    if about["awaits_ready"]:
        argv[0] = sys.executable
        there = variables.get("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
        variables["PYTHONPATH"] = _PACKAGE_PARENT + (os.pathsep + there if there else "")
        variables["PYTHONUNBUFFERED"] = "1"
    return argv, variables


def enter(data: Mapping[str, Any], node: str, argv: Sequence[str], variables: Mapping[str, str]) -> NoReturn:
    """Become a command in a node: terminal, signals and exit code are then its own.

    A command that is not there ends this process with exit code 127, as in a shell.
    """
    runtime = runtime_of(data)
    if not os.path.exists(runtime.netns_path(node)):
        lab = data["lab"]
        raise NetlabError(f"{node} has no namespace: the lab {lab} is not whole; netlab down --lab {lab}")
    found = {**os.environ, **variables}
    if not _is_there(argv[0], found):
        print(f"netlab: {argv[0]}: no such command", file=sys.stderr)
        sys.exit(127)
    wrapped = runtime.wrap(node, argv)
    try:
        os.execvpe(wrapped[0], wrapped, found)
    except FileNotFoundError:
        raise HostError(f"{wrapped[0]} is not installed; on Debian: apt-get install iproute2") from None


def _is_there(command: str, variables: Mapping[str, str]) -> bool:
    if "/" in command:
        return os.path.exists(command)
    folders = variables.get("PATH", os.defpath).split(os.pathsep)
    return any(os.access(os.path.join(folder, command), os.X_OK) for folder in folders)
