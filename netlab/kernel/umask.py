"""The umask: netlab's own while it works, and the caller's in whatever it starts for the caller."""

import os

_OWN = 0o022
_callers: int | None = None


def take() -> None:
    """Let this process make nothing that others could write to, whatever the caller's umask is."""
    global _callers  # noqa: PLW0603 - as there is one umask for the whole process
    _callers = os.umask(_OWN)


def callers() -> int:
    """Return the umask of whoever has called netlab."""
    if _callers is not None:
        return _callers
    os.umask(now := os.umask(_OWN))
    return now


def give_back() -> None:
    """Restore the caller's umask, before this process becomes another program."""
    os.umask(callers())
