"""Which process is it? An id is given to another process one day; an id with a start time is not."""

import os
import time

from netlab.named_tuple import NamedTuple

PID_NAMESPACE = "/proc/self/ns/pid"
_KERNEL_THREAD = 0x00200000  # PF_KTHREAD in linux/sched.h
_EXEC_S, _EXEC_INTERVAL_S = 1.0, 0.001
_CHILDREN = "/proc/{}/task/{}/children"


class Family(NamedTuple):
    """A process among others: its parent, its session, and when it was started (start_ticks)."""

    parent: int
    session: int
    start_ticks: int


def start_ticks(pid: int) -> int:
    """Return when a process was started, in clock ticks since boot; 0 if there is none that we may see."""
    fields = _stat(pid)
    return int(fields[19]) if fields else 0


def parent(pid: int) -> int:
    """Return the id of a process's parent; 0 if there is none that we may see."""
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def family(pid: int) -> Family | None:
    """Return whose child a process is; None if it has ended, or if we may not see it."""
    fields = _stat(pid)
    is_alive = bool(fields) and fields[0] not in (b"Z", b"X")
    return Family(int(fields[1]), int(fields[3]), int(fields[19])) if is_alive else None


def is_alive(pid: int, ticks: int) -> bool:
    """Say whether the process that was started at that time has not ended; a zombie has ended.

    If /proc hides other users' processes, any process with that id counts.
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
    """Say whether a process is root's or this user's, by all of its user ids.

    A process that a user has started from a setuid file is not: the user has chosen its arguments.
    """
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            uids = next((line.split()[1:] for line in file if line.startswith(b"Uid:")), [])
    except OSError:
        return False
    return bool(uids) and {int(uid) for uid in uids} <= {0, os.geteuid()}


def is_stopped(pid: int) -> bool:
    """Say whether a process is stopped, by a signal or by its tracer, and so does nothing."""
    fields = _stat(pid)
    return bool(fields) and fields[0] in (b"T", b"t")


def has_started_another(pid: int, ticks: int) -> bool:
    """Say whether the process that was started at that time has a child that runs another program than it runs.

    A kernel that lists no children (CONFIG_PROC_CHILDREN) cannot tell, and then any process counts.
    """
    if not os.path.exists(_CHILDREN.format(*[os.getpid()] * 2)):
        return is_alive(pid, ticks)
    try:
        with open(_CHILDREN.format(pid, pid), "rb") as file:
            children = file.read().split()
        own = os.stat(f"/proc/{pid}/exe")
        others = [os.stat(f"/proc/{int(child)}/exe") for child in children]
    except OSError:  # one of them has ended
        return False
    return start_ticks(pid) == ticks and any(not os.path.samestat(own, other) for other in others)


def environment(pid: int | str) -> list[bytes]:
    """Return the variables, `NAME=value`, that a process was started with; [] if it has ended or we may not read them.

    While a process replaces its program (execve(2)) it has none for a moment: then we look again.
    """
    until = time.monotonic() + _EXEC_S
    try:
        while True:
            with open(f"/proc/{pid}/environ", "rb") as file:
                found = file.read()
            if found or _has_no_environment(int(pid)) or time.monotonic() > until:
                return found.split(b"\0")
            time.sleep(_EXEC_INTERVAL_S)
    except OSError:
        return []


def _has_no_environment(pid: int) -> bool:
    """Say whether a process has no variables, and not only none at this moment."""
    fields = _stat(pid)
    if not fields or fields[0] in (b"Z", b"X") or int(fields[6]) & _KERNEL_THREAD:
        return True
    start, end = fields[47:49]  # of the environment in memory; 0 until the kernel has put it there
    return start == end != b"0"


def _stat(pid: int) -> list[bytes]:
    """Return the fields of /proc/PID/stat from the third on (proc(5)); the name before them may contain anything."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []
