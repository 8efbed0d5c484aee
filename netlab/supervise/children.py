"""All processes of a lab: their order of starting, their events, and how they are stopped."""

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from netlab.kernel import pids
from netlab.kernel.kill import GRACE_S, signal_name
from netlab.supervise import logs, state
from netlab.supervise.child import Child, Inherited, Printed
from netlab.supervise.loop import Loop, repeat
from netlab.supervise.stream import Stream

_READ_BYTES = 1 << 16
_STARTS_A_ROUND = 8  # between two looks at the output of running processes


class Refused(Exception):  # noqa: N818 - it is an answer: nothing has gone wrong
    """Why a request is not done, in words for whoever has asked."""


class Children:
    """The processes by name, and earlier runs of which something is left."""

    def __init__(
        self,
        starts: list[dict[str, Any]],
        inherited: Inherited,
        loop: Loop,
        stream: Stream,
        log: Callable[[str], logs.Writer],
    ) -> None:
        self._all = {start["process"]: Child(start, log(start["process"])) for start in starts}
        self._inherited = inherited
        self._loop = loop
        self._stream = stream
        self._facts = state.Recorder()
        self._past: list[Child] = []
        self._startable: deque[Child] = deque()
        self._stopping: list[Child] = []
        self._again: set[str] = set()  # to be started once they have been stopped
        self._first = {start["process"] for start in starts if start["autostart"]}
        self._missing = set(self._first)  # those of them that are not here yet
        self._is_leaving = False

    def begin(self) -> None:
        """Have those start that start by themselves, each once those before it are here."""
        self._facts.add(processes=list(self._all), ns=time.monotonic_ns())
        for child in self._all.values():
            child.after &= self._first  # one that does not start by itself is not waited for
            if child.name in self._first and not child.after:
                self._startable.append(child)
        if not self._missing:
            self._stream.tell("complete")

    def turn(self) -> None:
        """Do what is due: start some, take the next step of stopping some, record what had no room before."""
        for _ in range(min(_STARTS_A_ROUND, len(self._startable))):
            self._start(self._startable.popleft())
        now = time.monotonic()
        for child in [each for each in self._stopping if now >= each.patience]:
            if child.killed:  # nothing more can be done
                self._stopping.remove(child)
            else:
                self._kill(child)
        self._facts.retry()

    @property
    def due(self) -> float:
        """Return when something is due (CLOCK_MONOTONIC in seconds), infinity if nothing is."""
        if self._startable:
            return 0.0
        return min([self._facts.due or float("inf"), *(child.patience for child in self._stopping)])

    def drain(self) -> None:
        """Read everything that is still in the pipes."""
        for child in self._living():
            for fd in list(child.pipes):
                repeat(partial(self._read, child, fd))
                if fd in child.pipes:
                    self._take(child, fd, b"")

    # Requests; Refused says why one is not done.

    def start(self, name: str) -> None:
        """Start a process that does not run, without `after:`, when nothing of its old group is left."""
        child = self._known(name)
        if self._is_leaving:
            raise Refused("the lab is being removed")
        if self._runs(child) and not child.patience:
            raise Refused(f"{name} runs already: process {child.pid}")
        if child in self._startable:
            raise Refused(f"{name} is being started already")
        self._replace(child)

    def stop(self, name: str) -> None:
        """Ask a process to end, and kill it after its grace time, with what it has left behind."""
        child = self._known(name)
        if child in self._startable and child.name not in self._missing:
            self._startable.remove(child)
            return
        if not child.pid or child.reaped:
            raise Refused(f"{name} does not run")
        self._again.discard(name)
        self._facts.add(process=name, pid=child.pid, stop_ns=time.monotonic_ns())
        self._note(child, "asked to stop")
        self._stop(child)

    def restart(self, name: str) -> None:
        """Stop a process, if it runs, and start it when it has ended."""
        child = self._known(name)
        if self._runs(child) and not self._is_leaving:
            self._note(child, "asked to restart")
            self._replace(child)
        else:
            self.start(name)

    def signal(self, name: str, number: int) -> None:
        """Send a signal to a process and its group."""
        child = self._known(name)
        if not self._runs(child):
            raise Refused(f"{name} does not run")
        child.signal(number)

    def states(self) -> list[dict[str, object]]:
        """Return the state of each process."""
        return [child.state(child in self._startable) for child in self._all.values()]

    def log(self, name: str, lines: Sequence[Printed]) -> None:
        """Record what was printed by a process that somebody else has started in the place of this one."""
        child = self._known(name)
        self._stream.tell_lines(name, child.record(lines))

    def stop_all(self) -> None:
        """Ask every process to end, and start no more."""
        self._is_leaving = True
        self._startable.clear()
        self._again.clear()
        for child in self._living():
            self._stop(child)

    def have_ended(self) -> bool:
        """Say whether all have ended that can end, after they were told to.

        A process that has left the group may hold a pipe. A process inside the kernel may not die.
        """
        now = time.monotonic()
        return all(child.killed and (child.end or now >= child.patience) for child in self._living())

    # What happens to processes.

    def _known(self, name: str) -> Child:
        if name not in self._all:
            raise Refused(f"there is no process {name}; there are: {', '.join(list(self._all)[:20]) or 'none'}")
        return self._all[name]

    def _runs(self, child: Child) -> bool:
        return bool(child.pid) and not child.end

    def _note(self, child: Child, text: str) -> None:
        self._stream.tell_lines(child.name, child.note(text))

    def _replace(self, child: Child) -> None:
        """Stop what is left of a process, if anything, and start it."""
        if not child.pid or child.reaped or (child.killed and child.end):
            self._renew(child)
        else:
            self._again.add(child.name)
            self._stop(child)

    def _renew(self, child: Child) -> None:
        """Start a process that has run before, or has not run yet."""
        if child.pid:
            if not child.reaped:
                self._past.append(child)
            self._all[child.name] = child = child.successor()
        self._startable.append(child)

    def _start(self, child: Child) -> None:
        if child.pid:  # on request, while those before it were awaited
            return
        try:
            pidfd = child.start(self._inherited)
        except OSError as error:
            why = f"cannot be started: {error.strerror}"
            self._note(child, why)
            self._stream.tell("failed", process=child.name, why=why)
            return
        about = {"pid": child.pid, "awaits_ready": child.awaits_ready}
        began = {"start_ticks": pids.start_ticks(child.pid), "started_ns": child.started_ns}
        self._facts.add(process=child.name, **about, **began, argv=child.argv)
        self._note(child, f"{logs.STARTED}{child.pid}")
        self._stream.tell("started", child.started_ns, process=child.name, **about)
        for fd in child.pipes:
            self._loop.watch(fd, partial(self._read, child, fd))
        self._loop.watch(pidfd, partial(self._end, child, pidfd))
        if not child.awaits_ready:
            self._is_here(child)

    def _read(self, child: Child, fd: int) -> bool:
        """Read what a pipe holds, but no more than is fair to others; say whether there was anything."""
        try:
            data = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return False
        self._take(child, fd, data)
        if not data:
            self._loop.close(fd)
            del child.pipes[fd]
            self._reap(child)
        return bool(data)

    def _take(self, child: Child, fd: int, data: bytes) -> None:
        ready, lines = child.take(fd, data)
        self._stream.tell_lines(child.name, lines)
        if ready:
            now = time.monotonic_ns()
            self._facts.add(process=child.name, pid=child.pid, ready_ns=now)
            self._stream.tell("ready", now, process=child.name, pid=child.pid)
            self._is_here(child)

    def _is_here(self, child: Child) -> None:
        """Start the processes that have waited only for this one."""
        child.here = True
        if child.name not in self._missing:
            return
        self._missing.remove(child.name)
        for other in self._all.values():
            if child.name in other.after:
                other.after.discard(child.name)
                if other.name in self._first and not other.after and not other.pid and not self._is_leaving:
                    self._startable.append(other)
        if not self._missing:
            self._stream.tell("complete")

    def _end(self, child: Child, pidfd: int) -> None:
        """Record how a process has ended, after everything that it has printed."""
        self._loop.close(pidfd)
        for fd in list(child.pipes):
            repeat(partial(self._read, child, fd))
        how = child.result()
        now = time.monotonic_ns()
        self._facts.add(process=child.name, pid=child.pid, ended_ns=now, **how)
        text = f"exited with code {how['exit']}" if "exit" in how else f"killed by {signal_name(how['signal'])}"
        self._note(child, text)
        self._stream.tell("exited", now, process=child.name, pid=child.pid, **how)
        if child.killed:  # and with it all of its group, whoever else may hold its pipes
            self._go_on(child)
        self._reap(child)

    def _reap(self, child: Child) -> None:
        if child.end and not child.pipes and not child.reaped:
            if child.patience:
                child.signal(signal.SIGKILL)  # whoever is left of its group, without a message
            child.reap()
            for gone in (self._past, self._stopping):
                if child in gone:
                    gone.remove(child)
            self._go_on(child)

    # How processes are stopped.

    def _stop(self, child: Child) -> None:
        if not child.patience:
            self._stopping.append(child)
            child.patience = time.monotonic() + GRACE_S
            child.signal(signal.SIGTERM)
            child.signal(signal.SIGCONT)  # a stopped process gets no signal

    def _kill(self, child: Child) -> None:
        child.killed = True
        child.patience = time.monotonic() + GRACE_S
        child.signal(signal.SIGKILL)
        self._go_on(child)

    def _go_on(self, child: Child) -> None:
        """Start a process again that was to be stopped before, now that nothing of it runs."""
        if child.end and child.name in self._again and self._all[child.name] is child:
            self._again.discard(child.name)
            self._renew(child)

    def _living(self) -> Iterator[Child]:
        return (child for child in (*self._all.values(), *self._past) if child.pid and not child.reaped)
