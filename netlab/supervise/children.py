"""All processes of a lab: starts them in their order, handles their events, and does what requests demand."""

import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from netlab.supervise import logs, restarts
from netlab.supervise.background import Background
from netlab.supervise.child import Child, Inherited
from netlab.supervise.intake import Intake
from netlab.supervise.interference import Interference
from netlab.supervise.loop import Loop
from netlab.supervise.order import Order
from netlab.supervise.pipe import Printed
from netlab.supervise.refusal import Refused
from netlab.supervise.stops import Stops
from netlab.supervise.stream import Stream
from netlab.supervise.telling import Telling
from netlab.supervise.watches import Watches

_STARTS_A_ROUND = 8  # between two looks at the output of running processes


class Children:
    """The processes by name, and earlier runs that have left processes."""

    def __init__(
        self,
        inherited: Inherited,
        loop: Loop,
        stream: Stream,
        log: Callable[[str], logs.Writer],
    ) -> None:
        self._all: dict[str, Child] = {}
        self._log = log
        self._inherited = inherited
        self._loop = loop
        self._stream = stream
        self._tell = Telling(stream)
        self._patience_s = 0.0
        self.interference = Interference(self._running, self._tell)
        self._past: list[Child] = []
        self._startable: deque[Child] = deque()
        self._later: dict[str, dict[str, Any]] = {}  # what is to be started next in the place of a process
        self._background = Background(loop, self._tell, self._end, self._has_ended)
        self._stops = Stops(self._go_on)
        self._watches = Watches(inherited, loop)
        self._intake = Intake(loop, stream, self._is_ready, self._reap, self._tell.cut)
        self._restarts = restarts.Restarts()
        self._again: set[str] = set()  # to be started once they have been stopped
        self._order = Order(())
        self._is_leaving = False

    def begin(self, starts: Sequence[dict[str, Any]], patience_s: float) -> None:
        """Add processes, and start those that start by themselves, in their order; each has so long to be ready."""
        self._all.update({start["process"]: Child(start, self._log(start["process"])) for start in starts})
        self._patience_s, self._order = patience_s, Order(starts)
        self._tell.begun(start["process"] for start in starts)
        self._startable.extend(self._all[name] for name in self._order.first())
        if not self._order.missing:
            self._tell.complete()

    def turn(self) -> None:
        """Do what is due: start some, check whether others are ready, stop others, write what had no room before."""
        for name in self._restarts.take_due():
            self._replace(self._all[name])
        for _ in range(min(_STARTS_A_ROUND, len(self._startable))):
            self._start(self._startable.popleft())
        self._background.turn()
        ready, late = self._watches.look()
        for child in ready:
            self._tell.note(child, "ready", "ready", pid=child.pid)
            self._is_ready(child)
        for child, why in late:
            self._tell.late(child, why)
        self._stops.turn()
        self._tell.facts.retry()

    @property
    def due(self) -> float:
        """Return when something is due (CLOCK_MONOTONIC in seconds), infinity if nothing is."""
        if self._startable or self._background.waits:
            return 0.0
        facts = self._tell.facts.due or float("inf")
        return min(facts, self._stops.due, self._watches.due, self._restarts.due)

    def drain(self) -> None:
        """Read everything that is still in the pipes."""
        for child in self._living():
            self._intake.drain(child)

    def start(self, name: str) -> None:
        """Start a process that does not run, without `after:`, when nothing of its last run is left."""
        child = self._known(name)
        if self._is_leaving:
            raise Refused("the lab is being removed")
        if self._runs(child) and not child.patience:
            raise Refused(f"{name} runs already: process {child.pid}")
        if child in self._startable:
            raise Refused(f"{name} is being started already")
        self._restarts.forget(name)
        self._replace(child)

    def stop(self, name: str) -> None:
        """Ask a process to end, and kill it after its grace time, with what it has left behind."""
        child = self._known(name)
        if child in self._startable and child.name not in self._order.missing:
            self._startable.remove(child)
            return
        waited = self._restarts.waits(name)
        self._restarts.forget(name)
        if not child.pid or (child.end and child.reaped and not child.left()):
            if not waited:
                raise Refused(f"{name} does not run")
            self._tell.asked_to_stop(child)
        else:
            self._again.discard(name)
            self._tell.asked_to_stop(child)
            self._stops.stop(child)

    def restart(self, name: str) -> None:
        """Stop a process, if it runs, and start it when it has ended."""
        child = self._known(name)
        if child in self._startable and not self._is_leaving:
            return  # somebody else has asked, too: one new run serves both
        if self._runs(child) and not self._is_leaving:
            self._tell.note(child, "asked to restart")
            self._restarts.forget(name)
            self._replace(child)
        else:
            self.start(name)

    def forget(self, name: str) -> None:
        """Forget a process that has ended, and was stopped before; one that is not known is forgotten already."""
        child = self._all.get(name)
        if child and (child in self._startable or (child.pid and not child.end)):
            raise Refused(f"{name} runs still: process {child.pid}")
        if child:
            self._restarts.forget(name)
            self._again.discard(name)
            self._later.pop(name, None)
            self._past += [child] if child.pid and not child.reaped else []
            del self._all[name]
            self._tell.forgotten(name)

    def amend(self, start: dict[str, Any]) -> None:
        """Change what shows that a process is ready and when it starts again, from its next start or end on."""
        child = self._known(start["process"])
        child.restart, self._later[child.name] = tuple(start["restart"]), start

    def states(self) -> list[dict[str, object]]:
        """Return the state of each process."""
        return [self._state(child) for child in self._all.values()]

    def log(self, name: str, lines: Sequence[Printed]) -> None:
        """Record lines of a process that `netlab run` has started in the place of this one."""
        self._stream.tell_lines(name, self._known(name).record(lines))

    def stop_all(self) -> None:
        """Ask every process to end, and start no more."""
        self._is_leaving = True
        self._startable.clear()
        self._again.clear()
        self._restarts.clear()
        for child in self._living():
            self._watches.drop(child)
            self._stops.stop(child)

    def have_ended(self) -> bool:
        """Say whether all have ended that can end: a process that hangs inside the kernel may never end."""
        now = time.monotonic()
        return all(child.killed and (child.end or now >= child.patience) for child in self._living())

    def _known(self, name: str) -> Child:
        if name in self._all:
            return self._all[name]
        raise Refused(f"there is no process {name}; there are: {', '.join(list(self._all)[:20]) or 'none'}")

    def _running(self, name: str) -> Child:
        if not self._runs(child := self._known(name)):
            raise Refused(f"{name} does not run")
        return child

    def _runs(self, child: Child) -> bool:
        return bool(child.pid) and not child.end

    def _state(self, child: Child) -> dict[str, object]:
        found = child.state(child in self._startable)
        if self._restarts.waits(child.name):
            return {**found, "state": "restarting"}
        why = self._watches.why(child)
        return {**found, "why": why} if why and found["state"] == "starting" else found

    def _replace(self, child: Child) -> None:
        """Stop what an earlier run of a process has left, if anything, and then start it."""
        if not child.pid or (child.end and (child.reaped or child.killed) and not child.left()):
            self._renew(child)
        else:
            self._again.add(child.name)
            self._stops.stop(child)

    def _renew(self, child: Child) -> None:
        """Start a process that has run before, or has not run yet."""
        if child.pid:
            self._stops.forget(child)
            if not child.reaped:
                self._past.append(child)
                child.leave_group()
            later = self._later.pop(child.name, None)
            self._all[child.name] = child = Child(later, self._log(child.name)) if later else child.successor()
        self._startable.append(child)

    def _start(self, child: Child) -> None:
        if child.pid:  # on request, while those before it were awaited
            return
        try:
            pidfd = child.start(self._inherited)
        except OSError as error:
            self._tell.failed(child, f"cannot be started: {error.strerror}")
            return
        self._tell.started(child)
        self._intake.watch(child)
        self._loop.watch(pidfd, partial(self._end, child, pidfd))
        if not child.awaits_ready:
            self._is_here(child)
        else:
            self._watches.add(child, self._patience_s if child.name in self._order.missing else 0)

    def _is_ready(self, child: Child) -> None:
        self._watches.drop(child)
        self._tell.ready(child)
        self._is_here(child)

    def _is_here(self, child: Child) -> None:
        """Start the processes that have waited only for this one."""
        child.here = True
        if child.name not in self._order.missing:
            return
        behind = [self._all[name] for name in self._order.here(child.name)]
        self._startable.extend(other for other in behind if not other.pid and not self._is_leaving)
        if not self._order.missing:
            self._tell.complete()

    def _end(self, child: Child, pidfd: int) -> None:
        """Record how a process has ended, after everything that it has printed, unless it goes on in the background."""
        if child.is_followed and child.pid in child.left():
            return  # it was not the end of this one
        self._loop.close(pidfd)
        self._intake.read(child)
        how = child.result()
        if ("gone" in how or how == {"exit": 0}) and not child.patience and child.left():
            self._background.add(child)  # descriptors are opened between two turns
        else:
            self._has_ended(child)

    def _has_ended(self, child: Child) -> None:
        self._watches.drop(child)
        child.resume()  # what is left of it, and its next run, which has the same group
        when, at_most = child.restart
        is_free = not child.patience and not self._is_leaving and self._all.get(child.name) is child
        wanted = is_free and restarts.wants(when, child.end, child.stays)
        ran_s = time.monotonic() - child.started_ns / 1e9
        following = self._restarts.plan(child.name, at_most, ran_s) if wanted else None
        again = bool(following) or child.name in self._again
        self._tell.ended(child, child.end, asked=bool(child.patience), again=again)
        if following:
            self._tell.restarting(child, following, at_most)
        elif wanted:
            self._tell.exhausted(child, at_most)
        if child.is_followed:
            child.reap()
        if child.killed or child.is_followed:  # all of its group has ended, whoever else may hold its pipes
            self._go_on(child)
        self._reap(child)

    def _reap(self, child: Child) -> None:
        if child.end and not child.pipes and not child.reaped:
            if child.patience and not child.is_grouped:
                child.signal(signal.SIGKILL)  # every process that is left of its group, without a message
            child.reap()
            if child in self._past:
                self._past.remove(child)
            if not child.is_grouped:
                self._stops.forget(child)
            self._go_on(child)

    def _go_on(self, child: Child) -> None:
        """Start a process again that was to be stopped before, now that nothing of it runs."""
        if child.end and child.name in self._again and self._all.get(child.name) is child and not child.left():
            self._again.discard(child.name)
            self._renew(child)

    def _living(self) -> Iterator[Child]:
        """Yield every child that may have running processes."""
        known = (*self._all.values(), *self._past)
        return (child for child in known if child.pid and (not child.reaped or child.may_run_on()))
