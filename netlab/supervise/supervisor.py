"""The one process that a lab has besides its roles: their parent.

It starts every node's process when those in its `after` are there, records what they print and how they end, and
collects the trace of the lab's programs. `client` starts it, in a session of its own, and talks to it:

    stdin     a JSON line, the job; then `keep` when `up` has done everything. If `up` ends before that, all is stopped
    stdout    JSON lines, what happens to processes until then, as in `schema`
    fd 3      the lab's lock, held until the file `supervisor` in the lab's folder says which process this is

From the first start on it also listens on a socket in the lab's folder, for requests and for readers of events:
`listener`, `requests` and `stream`; docs/supervisor.md shows all of it.

The file `processes` there gets a JSON line for everything that happens to a process. When this process dies, the kernel
kills the roles and commands that it has started; `down` finds what these have put into the background. It stays until
SIGTERM, which stops the roles and ends it. It has one thread, and imports little.
"""

import json
import os
import resource
import signal
import sys
import time
from functools import cache, partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from netlab import paths
from netlab.kernel import files, pids, syscalls, umask
from netlab.supervise import logs, schema, trace_collector
from netlab.supervise.child import Inherited
from netlab.supervise.children import Children
from netlab.supervise.happening_log import HappeningLog
from netlab.supervise.listener import Listener
from netlab.supervise.loop import Loop, repeat
from netlab.supervise.refusal import Refused
from netlab.supervise.requests import Requests
from netlab.supervise.stream import Reader, Stream

if TYPE_CHECKING:
    from netlab.supervise.event_source import EventSource
    from netlab.supervise.middle import Middle
    from netlab.supervise.setups import Setups
    from netlab.supervise.xdp_collector import ErrorCollector

LOCK_FD = 3
_READ_BYTES = 1 << 16
_NO_LIMIT = 1 << 62  # bytes that may wait for `up`, which must get everything
_TRACE_REST_S = 0.01
_ENDINGS = (signal.SIGTERM, signal.SIGINT)


class Supervisor:
    """Everything that this process does after it has its job."""

    def __init__(self, job: dict[str, Any], inherited: Inherited) -> None:
        self.errors_in = job["errors"]
        of_programs = 2 * bool(job["trace"]) + bool(self.errors_in)  # prints, events, and errors of XDP
        limit = logs.limit_for(len(job["starts"]) + len(job["setups"]) + of_programs, os.curdir)

        @cache  # a node's setup and its process of the node's name have one log
        def log(name: str) -> logs.Writer:
            return logs.Writer(paths.log(os.curdir, name), limit)

        self.loop = Loop()
        self.stream = Stream(self.loop)
        self.log, self.inherited, self.job = log, inherited, job
        self.children = Children(inherited, self.loop, self.stream, log)
        self.events: EventSource | None = None
        self.log_limit, self.lab = limit, job["lab"]
        self.middle: Middle | None = None
        self.holder = job["middle"]  # what holds packets up on links, None in a lab without a middle
        self.happenings = HappeningLog(os.curdir, limit, self.stream.tell)
        does = (self._look_for_events, self._catch_up, self.happenings.write, self._take, self._care_for_links)
        requests = Requests(self.children, self.stream, *does)
        self.listener = Listener(job["lab"], self.loop, self.stream, requests)
        self.up = Reader(1, kinds=schema.LIFE, room=_NO_LIMIT)
        self.trace: trace_collector.Collector | None = None
        self.trace_rests = 0.0  # until when, while nobody waits for it
        self.errors: ErrorCollector | None = None
        self.setups: Setups | None = None
        self.has_begun = False
        self._prepare(job)
        self.is_leaving = False
        self.awaits_events = bool(job["events"])  # before anything runs that may bring them about

    def _prepare(self, job: dict[str, Any]) -> None:
        """Open the trace, if there is one now, and get ready to set nodes up."""
        if job["trace"] and not self.trace:
            self.trace = trace_collector.Collector(os.curdir, self.lab, self.log_limit, self.stream)
            self.loop.watch(self.trace.fd, self._read_trace)
        self.job, self.setups, self.errors_in = job, None, job["errors"]
        if job["setups"]:
            from netlab.supervise import setups

            about = (self.inherited, self.loop, self.stream, self.log, self._begin)
            self.setups = setups.Setups(job["setups"], job["deadline_s"], *about)

    def run(self) -> None:
        """Start, watch and record, and return when everything is stopped."""
        self._watch()
        if self.holder is not None:
            self._care_for_links().look(self.holder)
        if self.awaits_events:
            self._read_events().start(self._go_on)
        else:
            self._go_on()
        while not (self.is_leaving and self.children.have_ended()):
            if self.events:
                self.events.turn()
            if self.setups and not self.awaits_events:
                self.setups.turn()
            self.children.turn()
            if self.middle:
                self.middle.holder.turn()
            self._wake_trace()
            self._heed_errors()
            self.listener.wake()
            self.loop.turn(0.0 if self.stream.flush() else self._timeout())
        self.children.drain()
        self._catch_up()
        if self.errors:
            self.errors.move(at_all=True)
        if self.events:
            self.events.finish()
        if self.middle:
            self.middle.holder.finish()
        self.stream.flush()

    def _go_on(self) -> None:
        """Begin with what is to run, now that no event is missed."""
        self.awaits_events = False
        if not self.setups and not self.is_leaving:
            self._begin()

    def _read_events(self) -> "EventSource":
        """Return what reads the events of programs; a lab without such maps does without this module."""
        from netlab.supervise.event_source import EventSource

        self.events = self.events or EventSource(self.lab, self.log_limit, self.loop, self.stream)
        return self.events

    def _look_for_events(self) -> None:
        """Let it see which maps there are, after a new build of a program."""
        self._read_events().look()

    def _care_for_links(self) -> "Middle":
        """Return what takes care of links that are led through the middle; most labs do without this module."""
        from netlab.supervise.middle import Middle

        self.middle = self.middle or Middle(self.loop, partial(self.happenings.write, "fault"))
        return self.middle

    def _begin(self) -> None:
        """Start the processes, now that all nodes are set up."""
        self.setups = None
        self.children.begin(self.job["starts"], self.job["deadline_s"])
        self.children.turn()
        if not self.has_begun:
            self.listener.open()
        self.has_begun = True
        self._watch_errors()

    def _take(self) -> None:
        """Take from `apply` what has changed: processes that are gone or new, setups of new nodes, what is watched."""
        if self.setups:  # of an `apply` that was killed: there is one at a time
            self.setups.stop()
        try:
            with open(paths.TAKEN, "rb") as file:
                job = json.load(file)
        except (OSError, ValueError) as error:
            raise Refused(f"{paths.TAKEN} cannot be read: {error}") from None
        for name in job["forget"]:
            self.children.forget(name)
        for start in job["later"]:
            self.children.amend(start)
        self._prepare(job)
        if job["events"]:
            self._look_for_events()
        if not self.setups:
            self._begin()

    def _timeout(self) -> float:
        """Return for how many seconds to wait for events."""
        due = min(self.children.due, self.trace_rests or float("inf"), self.listener.rests or float("inf"))
        due = min(due, self.setups.due) if self.setups and not self.awaits_events else due
        due = min(due, self.errors.due) if self.errors else due
        due = min(due, self.events.due) if self.events else due
        due = min(due, self.middle.holder.due) if self.middle else due
        return max(0.0, due - time.monotonic()) if due < float("inf") else -1

    def _stop(self) -> None:
        """Ask every process to end, and end with the last one."""
        if not self.is_leaving:
            self.is_leaving = True
            if self.setups:
                self.setups.stop()
            self.children.stop_all()

    def _hear_signals(self, fd: int) -> None:
        """Read the numbers of signals; searches that take too long are ended by others."""
        if not set(_ENDINGS).isdisjoint(os.read(fd, _READ_BYTES)):
            self._stop()

    def _watch(self) -> None:
        told, tell = os.pipe()
        for fd in (0, 1, told, tell):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(tell)
        for number in _ENDINGS:
            signal.signal(number, lambda *_: None)
        self.loop.watch(told, partial(self._hear_signals, told))
        self.loop.watch(0, self._hear)
        self.stream.add(self.up)

    def _read_trace(self) -> None:
        """Read the trace, and rest: a look at every line would cost a busy lab a quarter of a CPU."""
        if self.trace:
            self._catch_up()
            self.loop.forget(self.trace.fd)
            self.trace_rests = time.monotonic() + _TRACE_REST_S

    def _catch_up(self) -> None:
        """Read what programs have printed until now, also while the trace rests: who asks then finds it in the logs."""
        if self.trace:
            repeat(self.trace.read)

    def _wake_trace(self) -> None:
        if self.trace and self.trace_rests and time.monotonic() >= self.trace_rests:
            self.trace_rests = 0.0
            self.loop.watch(self.trace.fd, self._read_trace)

    def _watch_errors(self) -> None:
        """Begin to read the errors of XDP, which wait until then, while the first processes start."""
        if self.errors:
            self.errors.know(self.errors_in)
        if self.errors or not self.errors_in:
            return
        from netlab.supervise import xdp_collector

        self.errors = xdp_collector.ErrorCollector(os.curdir, self.errors_in, self.log_limit, self.stream)
        self.loop.watch(self.errors.fd, self.errors.move)

    def _heed_errors(self) -> None:
        if self.errors:
            self.errors.heed_readers()
            if time.monotonic() >= self.errors.due:
                self.errors.move()

    def _hear(self) -> None:
        """Read `keep`, or end of file if `up` has died; then close the pipe."""
        kept, null = os.read(0, _READ_BYTES).startswith(b"keep"), os.open(os.devnull, os.O_RDWR)
        self.loop.forget(0)
        self.stream.remove(self.up)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.close(null)
        if not kept:
            self._stop()


def main(folder: str) -> None:
    """Record which process this is, take the job and do it.

    All files are in the folder that is this process's current one. If somebody removes it by hand and another lab takes
    its name, this process writes nothing there.
    """
    os.chdir(folder)
    os.closerange(LOCK_FD + 1, 1 << 20)  # whatever else was inherited from `up`
    umask.take()
    nofile = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (nofile[1], nofile[1]))
    sys.excepthook = partial(_record_error, paths.SUPERVISOR_LOG)
    files.write(paths.SUPERVISOR, json.dumps({"pid": os.getpid(), "start_ticks": pids.start_ticks(os.getpid())}))
    os.close(LOCK_FD)
    job = b""
    while part := os.read(0, 1 << 20):
        job += part
        if part.endswith(b"\n"):
            break
    else:
        return  # `up` has ended before it came to the roles
    syscalls.libc()  # loaded once here, and not in every child
    files.ensure_folder(paths.LOGS, files.FOR_GROUP)
    what = json.loads(job)
    Supervisor(what, Inherited(what["umask"], nofile)).run()


def _record_error(path: str, kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    """Record the error that ends this process, where `up` reads it and where it can be found later."""
    from traceback import format_exception

    text = "".join(format_exception(kind, error, where))
    sys.stderr.write(text)
    with open(path, "a", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o640)) as file:
        file.write(text)
