"""Whether a command can be run, and running it with the exit codes of a shell where it cannot."""

import os
import signal
from collections.abc import Mapping, Sequence
from typing import NoReturn

from netlab.console import say

NO_COMMAND = "no such command"
CANNOT = "cannot be executed"
EXIT_CODES = {"": 0, CANNOT: 126, NO_COMMAND: 127}


def problem(command: str, variables: Mapping[str, str], folder: str = "") -> str:
    """Return why a command cannot be run from `folder` (by default, the current one): "" if it can."""
    if "/" in command:
        path = os.path.join(folder, command)
        if not os.path.exists(path):
            return NO_COMMAND
        return "" if os.access(path, os.X_OK) and not os.path.isdir(path) else CANNOT
    folders = variables.get("PATH", os.defpath).split(os.pathsep)
    return "" if command and any(os.access(f"{each}/{command}", os.X_OK) for each in folders) else NO_COMMAND


def complain(command: str, variables: Mapping[str, str]) -> int:
    """Say why a command cannot be run here, and return the exit code that a shell would end with; 0 if it can."""
    wrong = problem(command, variables)
    if wrong:
        say(f"netlab: {command}: {wrong}")
    return EXIT_CODES[wrong]


def execute(argv: Sequence[str], variables: Mapping[str, str]) -> NoReturn:
    """Become a command, with these and no other variables; raises OSError where that fails."""
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python, and by whom it becomes
        signal.signal(ignored, signal.SIG_DFL)
    os.execvpe(argv[0], list(argv), dict(variables))
