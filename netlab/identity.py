"""Which process is it? Its id goes to another process one day; its id and its start time together do not."""

import os


def start_ticks(pid: int) -> int:
    """Return when a process was started, in clock ticks since boot (field 22 of /proc/PID/stat, see proc(5)).

    0 where there is no such process, or none that we may see. A zombie is still there.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()  # the name before it may hold anything
    except OSError:
        return 0
    return int(fields[19])


def parent(pid: int) -> int:
    """Return the id of a process's parent, 0 where there is none or none that we may see."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:
        return 0


def is_alive(pid: int, ticks: int) -> bool:
    """Say whether the process that was started at that time is still there.

    Where /proc hides other users' processes, a process of that id counts as the one.
    """
    if now := start_ticks(pid):
        return now == ticks
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        pass
    return False
