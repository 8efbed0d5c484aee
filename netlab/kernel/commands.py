"""Whether a command can be run, and the shell's exit codes where it cannot."""

import os
from collections.abc import Mapping

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
