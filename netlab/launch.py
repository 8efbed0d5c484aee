"""How a command runs in a node of a lab that stands: its argv, and what it finds in its environment."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from netlab.errors import HostError, NetlabError, UsageError

if TYPE_CHECKING:
    from netlab.runtime import Runtime

NO_COMMAND = "no such command"
_PACKAGE_PARENT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def runtime_of(data: Mapping[str, Any]) -> "Runtime":
    """Return the runtime that a lab lives in."""
    from netlab.runtime.netns import Netns

    limits = {name: node["limits"] for name, node in data["nodes"].items() if any(node["limits"].values())}
    return Netns(data["lab"], data["folder"], limits=limits)


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


def missing(data: Mapping[str, Any]) -> list[str]:
    """Return the nodes of a lab whose namespaces somebody has taken away, or their names."""
    runtime = runtime_of(data)
    lost = []
    for node in data["nodes"]:
        try:
            runtime.wrap(node, ())
            here = os.stat(runtime.netns_path(node)).st_dev != os.stat(data["folder"]).st_dev
        except (NetlabError, OSError):
            here = False
        if not here:
            lost.append(node)
    return lost


def enter(data: Mapping[str, Any], node: str, argv: Sequence[str], variables: Mapping[str, str]) -> NoReturn:
    """Become a command in a node: terminal, signals and exit code are then its own.

    One that is not there ends this process with exit code 127, one that cannot be executed with 126, as in a shell.
    """
    import signal

    runtime = runtime_of(data)
    lab = data["lab"]
    if not os.path.exists(runtime.netns_path(node)):
        raise NetlabError(f"{node} has no namespace: the lab {lab} is not whole; netlab down --lab {lab}")
    found = {**os.environ, **variables}
    if problem := cannot_run(argv[0], found):
        print(f"netlab: {argv[0]}: {problem}", file=sys.stderr)
        sys.exit(127 if problem == NO_COMMAND else 126)
    wrapped = runtime.wrap(node, argv)
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python, and by whom it becomes
        signal.signal(ignored, signal.SIG_DFL)
    try:
        os.execvpe(wrapped[0], wrapped, found)
    except FileNotFoundError:
        raise HostError(f"{wrapped[0]} is not installed; on Debian: apt-get install iproute2") from None


def cannot_run(command: str, variables: Mapping[str, str], folder: str = "") -> str:
    """Return why a command cannot be run from `folder` (by default, the current one): "" if it can."""
    if "/" in command:
        path = os.path.join(folder, command)
        if not os.path.exists(path):
            return NO_COMMAND
        return "" if os.access(path, os.X_OK) and not os.path.isdir(path) else "cannot be executed"
    folders = variables.get("PATH", os.defpath).split(os.pathsep)
    return "" if command and any(os.access(f"{each}/{command}", os.X_OK) for each in folders) else NO_COMMAND


def home_of(data: Mapping[str, Any]) -> str:
    """Return the folder that the lab's processes start in: their topology's, where its other paths begin too."""
    folder = os.path.dirname(data["topology"])
    return folder if os.path.isdir(folder) else "/"


def shell(data: Mapping[str, Any]) -> list[str]:
    """Return the argv of an interactive shell; bash says in its prompt where it is."""
    program = os.environ.get("SHELL") or "/bin/sh"
    return [program, "--rcfile", f"{data['folder']}/bashrc"] if os.path.basename(program) == "bash" else [program]
