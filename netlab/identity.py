"""Which process is it? Its id goes to another process one day; its id and its start time together do not."""

import os


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


def _stat(pid: int) -> list[bytes]:
    """Return the fields of /proc/PID/stat from the third on (proc(5)); the name before them may hold anything."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []
