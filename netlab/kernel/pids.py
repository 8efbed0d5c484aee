"""Which process is it? Its id goes to another process one day; its id and its start time together do not."""

import os

PID_NAMESPACE = "/proc/self/ns/pid"


def start_ticks(pid: int) -> int:
    """Return when a process was started, in clock ticks since boot; 0 if there is none, or none that we may see."""
    fields = _stat(pid)
    return int(fields[19]) if fields else 0


def parent(pid: int) -> int:
    """Return the id of a process's parent; 0 if there is none, or none that we may see."""
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def is_alive(pid: int, ticks: int) -> bool:
    """Say whether the process that was started at that time has not ended; a zombie has.

    Where /proc hides other users' processes, a process of that id counts as the one.
    """
    if fields := _stat(pid):
        return int(fields[19]) == ticks and fields[0] not in (b"Z", b"X")
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        pass
    return False


def is_ours(pid: int) -> bool:
    """Say whether a process is root's, or whoever's we are, by all of its user ids.

    One that a user has started from a setuid file is not: what it was called with is the user's choice.
    """
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            uids = next((line.split()[1:] for line in file if line.startswith(b"Uid:")), [])
    except OSError:
        return False
    return bool(uids) and {int(uid) for uid in uids} <= {0, os.geteuid()}


def is_stopped(pid: int) -> bool:
    """Say whether a process has been stopped, by a signal or by who traces it, and so does nothing."""
    fields = _stat(pid)
    return bool(fields) and fields[0] in (b"T", b"t")


def _stat(pid: int) -> list[bytes]:
    """Return the fields of /proc/PID/stat from the third on (proc(5)); the name before them may hold anything."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []
