"""Processes of a lab, from outside: start its supervisor and wait for the roles, stop them all, see what runs.

The only user of psutil. What the supervisor does is in `supervisor`; `talk` speaks to one of a lab that stands.
"""

import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from netlab import paths
from netlab.errors import NetlabError
from netlab.kernel.kill import GRACE_S, end, have_ended, open_pidfd
from netlab.kernel.pids import is_alive, is_stopped
from netlab.named_tuple import NamedTuple
from netlab.supervise import lab_cgroup
from netlab.supervise.identity import SUPERVISOR_BOOT, find_supervisor, supervisors

if TYPE_CHECKING:
    from netlab.record import facts
    from netlab.supervise import state
    from netlab.supervise.job import Setup, Start
    from netlab.supervise.readiness import Readiness

STOP_DEADLINE_S = 2 * GRACE_S + 1  # what a supervisor needs when a role is stubborn
_READ_BYTES = 1 << 16
# Signals that the caller may ignore, but the supervisor must not: SIGCHLD tells it that children end, others stop it.
_TO_DEFAULT = (signal.SIGTERM, signal.SIGCHLD, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_SETTLE_S, _SETTLE_INTERVAL_S = 0.1, 0.01


class Connection:
    """A supervisor that this process has started: its process id, and the pipes to it and from it (-1 once closed).

    `move` is putting it into the lab's control group.
    """

    def __init__(self, lab: str, folder: str, pid: int, hears: int, says: int, move: lab_cgroup.Move) -> None:
        self.lab = lab
        self.folder = folder
        self.pid = pid
        self.hears = hears
        self.says = says
        self.move = move

    def hang_up(self) -> None:
        """Close the pipes."""
        if self.hears >= 0:
            os.close(self.hears)
            os.close(self.says)
            self.hears = self.says = -1


class Process(NamedTuple):
    """What a process is doing; `process` is its key (paths.process_key), `role` is set by callers with the record.

    `state` is `not started`, `starting` (no READY yet), `running`, `stopped` (as by SIGSTOP), `paused` (on request),
    `exited` (with `code`), `killed` (by the signal `code`), `gone` (it has ended in the background, where its exit code
    is not known), `restarting` (it has ended, and starts again by itself in a moment) or `lost` (it has ended after its
    supervisor died, so its exit code is not known). `started_ns` and `ended_ns` are CLOCK_MONOTONIC, or 0.
    `cpu_percent` is of one CPU, the average since the start; it, `rss_bytes` and `threads` are None if they cannot be
    read. `stopped_by_request` says that a request has stopped the process. `restarts` counts how often it has started
    again by itself, in a row; `exhausted` says that this has reached its limit. `late` says why it is not ready in
    time. `since` is when it has started, or ended, in seconds of the epoch, 0 for never; `command` is what it was
    planned to be, not yet wrapped; both are set as `role` is. `cut_off_after` is how many bytes its log holds, if its
    output is therefore read no more, else 0.
    """

    node: str
    process: str
    state: str
    pid: int = 0
    code: int = 0
    argv: tuple[str, ...] = ()
    started_ns: int = 0
    ended_ns: int = 0
    cpu_percent: float | None = None
    rss_bytes: int | None = None
    threads: int | None = None
    stopped_by_request: bool = False
    role: str = ""
    restarts: int = 0
    exhausted: bool = False
    late: str = ""
    since: float = 0
    command: tuple[str, ...] = ()
    cut_off_after: int = 0


def spawn(lab: str, folder: str, lock_fd: int) -> Connection:
    """Start the lab's supervisor, which waits for its job; `keep` or `abandon` it in the end.

    The lab stays locked, even if this process is killed, until its folder says who the supervisor is.
    """
    import fcntl

    lock = fcntl.fcntl(lock_fd, fcntl.F_DUPFD_CLOEXEC, 4)  # above the descriptors that the supervisor gets below
    job_end, hears = os.pipe()
    says, progress_end = os.pipe()
    # Isolated and without the site module: it starts in two thirds of the time and needs nothing from there.
    argv = [sys.executable, "-IS", "-c", SUPERVISOR_BOOT, paths.IMPORTED_FROM, folder]
    ends = ((job_end, 0), (progress_end, 1), (progress_end, 2), (lock, 3))
    actions = [(os.POSIX_SPAWN_DUP2, fd, at) for fd, at in ends]
    try:
        pid = os.posix_spawn(
            argv[0], argv, os.environ, file_actions=actions, setsid=True, setsigmask=(), setsigdef=_TO_DEFAULT
        )
    finally:
        for fd in (job_end, progress_end, lock):
            os.close(fd)
    return Connection(lab, folder, pid, hears, says, lab_cgroup.join(lab, folder, pid))


def start(
    supervisor: Connection,
    starts: "Sequence[Start]",
    trace: bool,
    deadline_s: float,
    tell: Callable[[dict[str, Any]], None] = lambda _: None,
    setups: "Sequence[Setup]" = (),
    **more: Any,
) -> None:
    """Have the nodes set up, the processes started in their order, and return when every one is there.

    A process is there when it has said READY or, where none is awaited, once it has been started and has not
    ended at once. `tell` gets what happens: {"kind": "started", …}, and so on, as in docs/supervisor.md. NetlabError,
    with the last lines of the one to blame, when a process ends before it is READY, or before all are there though it
    may not, or when they are not all there after `deadline_s` seconds; so too when a command of a setup fails, or takes
    longer than that. Everything is stopped then. `more` is what else job.encoded takes.
    """
    from netlab.supervise import job
    from netlab.supervise.readiness import Readiness

    awaited = Readiness(starts, deadline_s)
    supervisor.move.wait()  # before it starts anything
    with suppress(BrokenPipeError), open(supervisor.hears, "wb", closefd=False) as pipe:
        pipe.write(job.encoded(supervisor.lab, trace, deadline_s, setups, starts, **more))
    for event in _events(supervisor, awaited):
        if blame := awaited.hear(event):
            raise _failure(supervisor, *blame)
        if awaited.is_over:
            return
        if event["kind"] != "complete":
            tell(event)
    if blame := awaited.late():
        raise _failure(supervisor, *blame)


def keep(supervisor: Connection) -> None:
    """Send the supervisor `keep`: from here on the lab stays, also if this process ends."""
    try:
        os.write(supervisor.hears, b"keep\n")
    except BrokenPipeError:
        raise NetlabError(f"the supervisor of the lab {supervisor.lab} has died") from None
    finally:
        supervisor.hang_up()


def abandon(supervisor: Connection) -> None:
    """Have the supervisor stop everything that it has started, and wait until it has ended. May be called twice."""
    supervisor.hang_up()
    supervisor.move.wait()
    if not supervisor.pid:
        return
    pidfd = os.pidfd_open(supervisor.pid)  # our own child: the id is its own until we have waited for it
    end([pidfd], STOP_DEADLINE_S)
    os.close(pidfd)
    with suppress(ChildProcessError):  # where the caller ignores SIGCHLD, the kernel has reaped it
        os.waitpid(supervisor.pid, os.WNOHANG)
    supervisor.pid = 0


def _events(supervisor: Connection, awaited: "Readiness") -> Iterator[dict[str, Any]]:
    """Yield what the supervisor says, as long as it is awaited; NetlabError when it dies."""
    rest, complaint = b"", b"killed?"
    poll = select.poll()
    poll.register(supervisor.says, select.POLLIN)
    while (left := awaited.until - time.monotonic()) > 0:
        if not poll.poll(min(left, 1e6) * 1000):
            continue
        data = os.read(supervisor.says, _READ_BYTES)
        if not data:
            raise NetlabError(
                f"the supervisor of the lab {supervisor.lab} has died: {complaint.decode(errors='replace')}"
            )
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"{"):
                yield json.loads(line)
            elif line:
                complaint = line  # of a traceback, the last line counts


def _failure(supervisor: Connection, process: str, what: str) -> NetlabError:
    """Stop everything, so that the log is complete, and return the error with its last lines."""
    from netlab.supervise import logs

    abandon(supervisor)
    return NetlabError(f"{process} {what}{logs.last_words(supervisor.folder, process)}" if process else what)


def stop_supervisor(folder: str) -> bool:
    """Have the lab's supervisor stop its processes and end; say whether there was one.

    If it does not end in time, it is killed, and its processes with it. The same is done to supervisors of earlier labs
    that had this folder. All of them share one deadline.
    """
    found = dict.fromkeys([find_supervisor(folder), *supervisors(folder)])
    pidfds = [pidfd for pid, ticks in found if pid and (pidfd := _open_living(pid, ticks)) >= 0]
    try:
        end(pidfds, STOP_DEADLINE_S)
    finally:
        for pidfd in pidfds:
            os.close(pidfd)
    return bool(pidfds)


def _open_living(pid: int, ticks: int) -> int:
    """Return a descriptor of the process that was started at that time, -1 if it has ended."""
    pidfd = open_pidfd(pid)
    if pidfd >= 0 and (not is_alive(pid, ticks) or have_ended([pidfd], 0)):
        os.close(pidfd)
        return -1
    return pidfd


def supervisor_pid(folder: str) -> int:
    """Return the process id of the lab's supervisor, 0 if none is running."""
    pid, ticks = find_supervisor(folder)
    return pid if pid and is_alive(pid, ticks) else 0


def processes(folder: str) -> list[Process]:
    """Return what each process is doing that a supervisor was to start; needs no root."""
    from netlab.supervise import state

    settled = time.monotonic() + _SETTLE_S
    while True:
        there = supervisor_pid(folder)
        found = [_process(key, fate, bool(there)) for key, fate in state.read(folder).items()]
        # If a process has just ended, its supervisor, if it lives, is about to record that: read again.
        if not there or time.monotonic() > settled or not any(one.state == "lost" for one in found):
            return found
        time.sleep(_SETTLE_INTERVAL_S)


def unstarted(key: str) -> Process:
    """Return the state of a process that was never started."""
    return Process(paths.node_of(key), key, "not started")


def _process(key: str, fate: "state.Fate", is_watched: bool) -> Process:
    began, ended = fate.started, fate.ended
    if not began:
        return unstarted(key)
    known = Process(paths.node_of(key), key, "lost", began.pid, 0, began.argv, began.started_ns, restarts=fate.restarts)
    known = known._replace(cut_off_after=fate.cut.most if fate.cut else 0)
    if ended:
        how, code = _ending(ended)
        how = "restarting" if fate.restarting and is_watched else how
        restarts = fate.restarting.count if fate.restarting else fate.restarts
        known = known._replace(restarts=restarts, stopped_by_request=bool(fate.stop), exhausted=bool(fate.exhausted))
        return known._replace(state=how, code=code, ended_ns=ended.ended_ns)
    known = known._replace(late=fate.late.why if fate.late else "")
    waits = began.awaits_ready and not fate.ready
    if not is_alive(known.pid, began.start_ticks):
        return known
    now = "stopped" if is_stopped(known.pid) else "starting" if waits else "running"
    now = "paused" if fate.paused and (now == "stopped" or fate.paused.how == "frozen") else now
    return _measured(known._replace(state=now))


def _ending(ended: "facts.Ended") -> tuple[str, int]:
    """Return the state of a process that has ended, and its code."""
    from netlab.record.facts import Exited, Killed

    if isinstance(ended, Exited):
        return "exited", ended.exit
    return ("killed", ended.signal) if isinstance(ended, Killed) else ("gone", 0)


def _measured(process: Process) -> Process:
    """Add what psutil finds out about a running process."""
    import psutil

    try:
        found = psutil.Process(process.pid)
        with found.oneshot():
            times = found.cpu_times()
            life_s = max(time.monotonic_ns() - process.started_ns, 1) / 1e9
            return process._replace(
                cpu_percent=round(100 * (times.user + times.system) / life_s, 1),
                rss_bytes=found.memory_info().rss,
                threads=found.num_threads(),
            )
    except psutil.Error:  # it has just ended, or belongs to somebody whose processes we may not see
        return process
