"""The one process that a lab leaves running beside its roles: their parent.

It starts every node's process once those it comes `after` are there, writes down what they print and how they end, and
collects the trace of the lab's programs. `client` starts it, in a session of its own, and talks to it:

    stdin     a JSON line, the job; then `keep` when `up` has done everything. If `up` ends before that, all stops
    stdout    JSON lines, what happens until then: started, ready, exited, failed, done
    fd 3      the lab's lock, held until the file `supervisor` in the lab's folder says who this is

The file `processes` there gets a JSON line for everything that happens to a process. The kernel kills the roles when
this process dies, so that none is ever left that nobody watches. It ends when every process has ended; with a trace
to collect, when it is told to. SIGTERM stops the roles and ends it. It has one thread, and imports little.
"""

import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import TracebackType
from typing import Any

from netlab import paths
from netlab.kernel import files, pids, syscalls, umask
from netlab.kernel.kill import GRACE_S, signal_name
from netlab.supervise import logs, state, trace
from netlab.supervise.child import Child, Inherited

LOCK_FD = 3
_READ_BYTES = 1 << 16
_STARTS_A_ROUND = 8  # between two looks at what those already running have to say
_READS_AT_ONCE = 64
_TRACE_REST_S = 0.01


class Supervisor:
    """Everything this process does once it has its job."""

    def __init__(self, job: dict[str, Any], inherited: Inherited) -> None:
        log_limit = logs.limit_for(len(job["starts"]) + bool(job["trace"]), os.curdir)
        self.children = [Child(start, os.curdir, log_limit) for start in job["starts"]]
        self.inherited = inherited
        self.trace = trace.Collector(os.curdir, job["lab"], log_limit) if job["trace"] else None
        self.startable: list[Child] = []
        self.missing = len(self.children)  # those that are not here yet
        self.heard = False  # the last of `up`
        self.stopping = 0.0  # when to lose patience
        self.killed = False
        self.trace_rests = 0.0  # until when, while nobody waits for it
        self.outbox = b""
        self.facts = state.Recorder()
        self.epoll = select.epoll()
        self.handlers: dict[int, Callable[[], object]] = {}

    def run(self) -> None:
        """Start, watch and write down, and return when nothing is left to do."""
        self._listen()
        self.facts.add(nodes=[child.node for child in self.children], ns=time.monotonic_ns())
        names = {child.node for child in self.children}
        for child in self.children:
            child.after &= names  # a node that starts nothing is there already
        self.startable = [child for child in self.children if not child.after]
        if not self.children:
            self._tell("done")
        while not self._finished():
            for _ in range(min(_STARTS_A_ROUND, len(self.startable))):
                self._start(self.startable.pop(0))
            for fd, _ in self.epoll.poll(self._timeout()):
                if fd in self.handlers:  # else one that was handled before it in this round has closed it
                    self.handlers[fd]()
            self._lose_patience()
            self._wake_trace()
            self.facts.retry()
        self._drain()

    # What happens to the children.

    def _start(self, child: Child) -> None:
        try:
            pidfd = child.start(self.inherited)
        except OSError as error:
            self._tell("failed", node=child.node, why=f"cannot be started: {error.strerror}")
            return
        began = {"start_ticks": pids.start_ticks(child.pid), "started_ns": child.started_ns}
        self.facts.add(node=child.node, pid=child.pid, **began, argv=child.argv, awaits_ready=child.awaits_ready)
        child.note(f"started as process {child.pid}")
        self._tell("started", node=child.node, pid=child.pid)
        for fd in child.pipes:
            self._watch(fd, partial(self._read, child, fd))
        self._watch(pidfd, partial(self._end, child, pidfd))
        if not child.awaits_ready:
            self._is_here(child)

    def _read(self, child: Child, fd: int) -> bool:
        """Take over what a pipe holds, but no more than lets others have their turn; say whether it was anything."""
        try:
            data = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return False
        if child.take(fd, data):
            now = time.monotonic_ns()
            self.facts.add(node=child.node, pid=child.pid, ready_ns=now)
            self._tell("ready", node=child.node, seconds=(now - child.started_ns) / 1e9)
            self._is_here(child)
        if not data:
            self._close(fd)
            del child.pipes[fd]
            self._reap(child)
        return bool(data)

    def _is_here(self, child: Child) -> None:
        """Let those start that have waited for this one alone."""
        child.here = True
        self.missing -= 1
        for other in self.children:
            if child.node in other.after:
                other.after.discard(child.node)
                if not other.after and not self.stopping:
                    self.startable.append(other)
        if not self.missing:
            self._tell("done")

    def _end(self, child: Child, pidfd: int) -> None:
        """Write down how a process has ended, after everything that it said before."""
        self._close(pidfd)
        for fd in list(child.pipes):
            _repeat(partial(self._read, child, fd))
        exited, code = child.result()
        how = {"exit" if exited else "signal": code}
        self.facts.add(node=child.node, pid=child.pid, ended_ns=time.monotonic_ns(), **how)
        child.note(f"exited with code {code}" if exited else f"killed by {signal_name(code)}")
        self._tell("exited" if child.here else "failed", node=child.node, **how)
        self._reap(child)

    def _reap(self, child: Child) -> None:
        if child.ended and not child.pipes:
            if self.stopping:
                child.signal(signal.SIGKILL)  # whoever of its group is left, in silence
            child.reap()

    # The end.

    def _stop(self) -> None:
        """Ask every process to end."""
        if not self.stopping:
            self.stopping = time.monotonic() + GRACE_S
            self.startable.clear()
            for child in self._living():
                child.signal(signal.SIGTERM)
                child.signal(signal.SIGCONT)  # a stopped process hears nothing

    def _lose_patience(self) -> None:
        """Kill those that have been asked to end, and have had their time."""
        if self.stopping and time.monotonic() >= self.stopping and not self.killed:
            self.killed = True
            self.stopping = time.monotonic() + GRACE_S
            for child in self._living():
                child.signal(signal.SIGKILL)

    def _timeout(self) -> float:
        """Return for how many seconds to wait for something to happen."""
        if self.startable:
            return 0
        due = [when for when in (self.stopping, self.trace_rests, self.facts.due) if when]
        return max(0.0, min(due) - time.monotonic()) if due else -1

    def _finished(self) -> bool:
        if self.killed:  # one who left the group may hold a pipe; a process inside the kernel may not die
            return all(child.ended for child in self._living()) or time.monotonic() >= self.stopping
        if self.stopping:
            return not any(self._living())
        return self.heard and not self.trace and not any(self._living())

    def _living(self) -> Iterator[Child]:
        return (child for child in self.children if child.pid and not child.reaped)

    def _drain(self) -> None:
        """Take over what is still to be read."""
        for child in self._living():
            for fd in list(child.pipes):
                _repeat(partial(self._read, child, fd))
                if fd in child.pipes:
                    child.take(fd, b"")
        if self.trace:
            _repeat(self.trace.read)

    # The other side, and what it waits for.

    def _listen(self) -> None:
        told, tell = os.pipe()
        for fd in (0, 1, told, tell):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(tell)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        self._watch(told, self._stop, select.EPOLLIN | select.EPOLLET)  # once is enough: nobody reads the pipe
        self._watch(0, self._hear)
        if self.trace:
            self._watch(self.trace.fd, self._read_trace)

    def _read_trace(self) -> None:
        """Take over the trace, and rest: a look at every line would cost a busy lab a quarter of a CPU."""
        if self.trace:
            _repeat(self.trace.read)
            self._forget(self.trace.fd)
            self.trace_rests = time.monotonic() + _TRACE_REST_S

    def _wake_trace(self) -> None:
        if self.trace and self.trace_rests and time.monotonic() >= self.trace_rests:
            self.trace_rests = 0.0
            self._watch(self.trace.fd, self._read_trace)

    def _hear(self) -> None:
        """Take the last word of `up`, `keep`, or its silence; nobody listens any more then."""
        kept, null = os.read(0, _READ_BYTES).startswith(b"keep"), os.open(os.devnull, os.O_RDWR)
        self.heard = True
        for fd in (0, 1):
            self._forget(fd)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.close(null)
        if not kept:
            self._stop()

    def _tell(self, event: str, **what: object) -> None:
        if not self.heard:
            self.outbox += json.dumps({"event": event, **what}).encode() + b"\n"
            self._say()

    def _say(self) -> None:
        """Write what fits into the pipe, and the rest when more does."""
        try:
            self.outbox = self.outbox[os.write(1, self.outbox) :]
        except BlockingIOError:
            pass
        except BrokenPipeError:  # stdin will say so too
            self.outbox = b""
        self._forget(1)
        if self.outbox:
            self._watch(1, self._say, select.EPOLLOUT)

    def _watch(self, fd: int, handler: Callable[[], object], events: int = select.EPOLLIN) -> None:
        self.epoll.register(fd, events)
        self.handlers[fd] = handler

    def _forget(self, fd: int) -> None:
        if self.handlers.pop(fd, None):
            self.epoll.unregister(fd)

    def _close(self, fd: int) -> None:
        self._forget(fd)
        os.close(fd)


def main(folder: str) -> None:
    """Say who this is, take the job and do it.

    All files are those of the folder that this process is in: when somebody removes it by hand and another lab takes
    its name, what is written here stays out of that one.
    """
    os.chdir(folder)
    os.closerange(LOCK_FD + 1, 1 << 20)  # whatever else `up` had inherited
    umask.take()
    nofile = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (nofile[1], nofile[1]))
    sys.excepthook = partial(_leave_word, paths.SUPERVISOR_LOG)
    files.write(paths.SUPERVISOR, json.dumps({"pid": os.getpid(), "start_ticks": pids.start_ticks(os.getpid())}))
    os.close(LOCK_FD)
    job = b""
    while part := os.read(0, 1 << 20):
        job += part
        if part.endswith(b"\n"):
            break
    else:
        return  # `up` has ended before it came to the roles
    syscalls.libc()  # loaded once here rather than in every child
    files.ensure_folder(paths.LOGS, files.FOR_GROUP)
    what = json.loads(job)
    Supervisor(what, Inherited(what["umask"], nofile)).run()


def _repeat(read: Callable[[], bool]) -> None:
    """Read on until there is nothing, or so much that somebody must be filling it as fast."""
    for _ in range(_READS_AT_ONCE):
        if not read():
            return


def _leave_word(path: str, kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    """Write down the error that ends this process, where `up` hears it and where it can be found later."""
    from traceback import format_exception

    text = "".join(format_exception(kind, error, where))
    sys.stderr.write(text)
    with open(path, "a", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o640)) as file:
        file.write(text)
