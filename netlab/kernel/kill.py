"""Ends processes: by signal, within a deadline, and never the wrong one.

Signals go through pidfds, because a process id may be given to another process meanwhile.
"""

import os
import select
import signal
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial

from netlab.kernel import cgroups
from netlab.kernel.pids import environment, is_alive, is_ours, parent, start_ticks
from netlab.named_tuple import NamedTuple

GRACE_S = 2.0  # from SIGTERM to SIGKILL
_BATCH = 64  # processes waited for at once, each with a file descriptor
_LOOK_AGAIN_S = 0.1


class Stopped(NamedTuple):
    """What `stop_all` has found, as `PID (NAME)`: ended; spared, as they have called us; left, as they do not end."""

    ended: list[str]
    spared: list[str]
    left: list[str]


class Whose(NamedTuple):
    """How a lab's processes are recognized, wherever they have gone: any of these is enough.

    `namespaces`: the process is in one of the lab's network namespaces, given by device and inode number. `variable`:
    it was started with this in its environment (`NAME=value`), and is not in the host's network. `mark`: it sees the
    lab's own files in /etc, which are mounts with this source. `groups`: it is in one of these control groups.

    Any user can set the variable, and can make such mounts in a user namespace of his own. So the variable counts for
    root's processes only. The mark also counts for others in our user namespace, where only root mounts.
    """

    namespaces: Collection[tuple[int, int]]
    variable: str = ""
    mark: str = ""
    groups: Sequence[str] = ()

    def processes(self, host: "_Host") -> set[int]:
        """Return the lab's processes."""
        seen: dict[tuple[int, int], bool] = {}
        found = {int(name) for name in os.listdir("/proc") if name.isdigit() and self._knows(name, host, seen)}
        return found | {pid for pid in cgroups.members(self.groups) if _namespace(pid)}

    def has(self, pid: int, host: "_Host") -> bool:
        """Say whether a process is the lab's. A zombie belongs to no lab."""
        return self._knows(pid, host, {}) or (cgroups.has(self.groups, pid) and _namespace(pid) is not None)

    def _knows(self, pid: int | str, host: "_Host", seen: dict[tuple[int, int], bool]) -> bool:
        """Say whether a process shows that it is the lab's; each mount namespace is looked at once."""
        space = _namespace(pid)
        if space is None or space in self.namespaces:
            return space is not None
        mounts = _namespace(pid, "mnt") if self.mark else None
        if mounts and mounts not in host.mounts:
            if mounts not in seen:
                seen[mounts] = sees_files_of(pid, self.mark)
            if seen[mounts] and (_namespace(pid, "user") == host.users or is_ours(int(pid))):
                return True
        shows = bool(self.variable) and space not in host.networks and self.variable.encode() in environment(pid)
        return shows and is_ours(int(pid))


class _Host(NamedTuple):
    """The host's own namespaces, and our user namespace."""

    networks: Collection[tuple[int, int] | None]
    mounts: Collection[tuple[int, int] | None]
    users: tuple[int, int] | None


def stop_all(whose: Whose, deadline_s: float = 10.0) -> Stopped:
    """End every process of a lab: SIGTERM, 2 s later SIGKILL. This process and its ancestors are spared.

    It gives up when no process has ended for `deadline_s` seconds. ValueError if the host's own network namespace is
    given as the lab's.
    """
    # The second is the kernel's if its parent is nobody; in a container it may be the lab's.
    first = (1, 2) if parent(2) == 0 else (1,)
    networks, mounts = ({_namespace(pid, kind) for pid in (*first, "self")} - {None} for kind in ("net", "mnt"))
    host = _Host(networks, mounts, _namespace("self", "user"))
    if {_namespace(pid) for pid in first} & set(whose.namespaces):
        raise ValueError("the host's own network namespace is no lab's")
    ours = lineage()
    begun = time.monotonic()
    asked: dict[int, str] = {}
    killed: dict[int, int] = {}
    sent: set[tuple[int, int]] = set()
    ended, fewest = begun, 1 << 32
    while (found := whose.processes(host) - ours) and time.monotonic() < ended + deadline_s:
        if len(found) < fewest:
            ended, fewest = time.monotonic(), len(found)
        number = _demand(time.monotonic() - begun)
        for pid in found:
            asked.setdefault(pid, _name(pid))
            if number == signal.SIGKILL:
                killed.setdefault(pid, start_ticks(pid))
            if (pid, number) not in sent or number == signal.SIGKILL:
                sent.add((pid, number))
                _send_inside(pid, number, partial(whose.has, pid, host))
        _wait(list(found)[:_BATCH], _LOOK_AGAIN_S)
    _have_gone(killed, deadline_s)
    spared = [_name(pid) for pid in whose.processes(host) & ours]
    return Stopped([name for pid, name in asked.items() if pid not in found], spared, [asked[pid] for pid in found])


def _have_gone(killed: Mapping[int, int], deadline_s: float) -> None:
    """Wait until these processes, given with the times of their starts, have ended.

    The first process of a PID namespace has no namespaces any more while it waits for the others in its own to end.
    """
    until = time.monotonic() + deadline_s
    while (there := [pid for pid, ticks in killed.items() if is_alive(pid, ticks)]) and time.monotonic() < until:
        _wait(there[:_BATCH], _LOOK_AGAIN_S)


def _demand(age_s: float) -> int:
    """Return the signal for processes that are still there after so many seconds."""
    if age_s < GRACE_S / 2:
        return signal.SIGTERM
    # Interactive shells ignore SIGTERM.
    return signal.SIGHUP if age_s < GRACE_S else signal.SIGKILL


def sees_files_of(pid: int | str, mark: str) -> bool:
    """Say whether a process sees files of the lab with this mark in the place of the host's.

    `ip netns exec` mounts some over those in /etc; a node with files of its own has more, and overlays.
    """
    try:
        with open(f"/proc/{pid}/mountinfo", "rb") as file:
            lines = file.read().split(b"\n")
    except OSError:  # it has ended
        return False
    source, overlay = f" - tmpfs {mark} ".encode(), f" - overlay {mark} ".encode()
    return any(
        overlay in line or (source in line and line.split()[3].startswith((b"/etc/", b"/own/"))) for line in lines
    )


def _namespace(pid: int | str, kind: str = "net") -> tuple[int, int] | None:
    try:
        status = os.stat(f"/proc/{pid}/ns/{kind}")
    except OSError:  # it has ended
        return None
    return status.st_dev, status.st_ino


def lineage() -> set[int]:
    """Return this process and all its ancestors."""
    pids, pid = set(), os.getpid()
    while pid:
        pids.add(pid)
        pid = parent(pid)
    return pids


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return f"{pid} ({file.read().strip()})"
    except OSError:
        return str(pid)


def _send_inside(pid: int, number: int, is_ours: Callable[[], bool]) -> None:
    """Signal a process if it is still the lab's."""
    pidfd = open_pidfd(pid)
    if pidfd < 0:
        return
    try:
        if is_ours():  # asked once more, because the pidfd now holds the id
            send(pidfd, number)
    finally:
        os.close(pidfd)


def _wait(pids: Sequence[int], timeout_s: float) -> None:
    """Wait until all of these have ended, `timeout_s` at most."""
    pidfds = [pidfd for pid in pids if (pidfd := open_pidfd(pid)) >= 0]
    try:
        have_ended(pidfds, timeout_s)
    finally:
        for pidfd in pidfds:
            os.close(pidfd)


def signal_name(number: int) -> str:
    """Return the name of a signal, such as SIGKILL."""
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def open_pidfd(pid: int) -> int:
    """Return a descriptor that means exactly this process while it is open, -1 if there is no such process."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return -1


def send(pidfd: int, number: int) -> None:
    """Send a signal to a process; if it is stopped, let it go on, so that it gets the signal now."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, number)
        signal.pidfd_send_signal(pidfd, signal.SIGCONT)


def end(pidfds: Sequence[int], deadline_s: float) -> None:
    """Send SIGTERM to all, and SIGKILL at the deadline; return when they have ended, or when they do not end."""
    for number, patience_s in ((signal.SIGTERM, deadline_s), (signal.SIGKILL, GRACE_S)):
        for pidfd in pidfds:
            send(pidfd, number)
        if have_ended(pidfds, patience_s):
            return


def have_ended(pidfds: Sequence[int], timeout_s: float) -> bool:
    """Wait until all of these processes have ended; False if they have not in that time."""
    deadline = time.monotonic() + timeout_s
    poll = select.poll()
    for pidfd in pidfds:
        poll.register(pidfd, select.POLLIN)
    waiting = set(pidfds)
    while waiting:
        for pidfd, _ in poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            poll.unregister(pidfd)
            waiting.discard(pidfd)
        if waiting and time.monotonic() >= deadline:
            return False
    return True
