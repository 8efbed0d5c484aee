"""In the supervisor: checks again and again whether processes are ready, and which are late."""

import time
from typing import TYPE_CHECKING

from netlab.supervise import signs
from netlab.supervise.child import Child, Inherited
from netlab.supervise.loop import Loop

if TYPE_CHECKING:
    from netlab.supervise.probes import Try

_FIRST_S, _LONGEST_S, _GROWS = 0.01, 0.3, 1.5  # from one probe to the next
_TRY_S = 5.0  # for a probe that takes a while
_NEVER = float("inf")


class Watch:
    """Probes again and again whether a process is ready; `until` is when it is late, `why` what is missing."""

    def __init__(self, child: Child, patience_s: float, inherited: Inherited, loop: Loop) -> None:
        now = time.monotonic()
        self.child = child
        self.patience_s = child.ready.within or patience_s
        self.until = now + self.patience_s if self.patience_s else _NEVER
        self._seen = ""  # what the last look has found missing
        self._inherited = inherited
        self._loop = loop
        self._pause_s = _FIRST_S
        self._next = now + _FIRST_S if child.ready.is_looked_for else _NEVER
        self._trying: Try | None = None

    @property
    def why(self) -> str:
        """Return what is missing."""
        return self._seen or self.child.ready.missing()

    @property
    def due(self) -> float:
        """Return when something is due (CLOCK_MONOTONIC in seconds)."""
        return 0.0 if self._trying and self._trying.result is not None else min(self.until, self._next)

    @property
    def is_trying(self) -> bool:
        """Whether a probe is running that takes a while."""
        return self._trying is not None

    def is_ready(self, now: float) -> bool:
        """Probe, if it is time; say whether the process is ready."""
        if self._trying:
            if self._trying.result is None and now >= self._next:
                self._trying.cancel()
            return self._trying.result is not None and self._has_seen(self._trying.result)
        return now >= self._next and self._look(now)

    def cancel(self) -> None:
        """Stop probing."""
        if self._trying:
            self._trying.cancel()
            self._trying = None

    def _look(self, now: float) -> bool:
        from netlab.supervise import probes

        match self.child.ready.kind:
            case signs.PORT:
                return self._has_seen(probes.port(self.child))
            case signs.FILE:
                return self._has_seen(probes.file(self.child))
            case signs.COMMAND:
                self._trying = probes.CommandTry(self.child, self._inherited, self._loop)
            case signs.HTTP:
                self._trying = probes.HttpTry(self.child, self._loop)
        self._next = now + _TRY_S
        return False

    def _has_seen(self, why: str) -> bool:
        self.cancel()
        self._seen = why
        self._next = time.monotonic() + self._pause_s
        self._pause_s = min(self._pause_s * _GROWS, _LONGEST_S)
        return not why


class Watches:
    """All processes that are not ready yet."""

    def __init__(self, inherited: Inherited, loop: Loop) -> None:
        self._inherited = inherited
        self._loop = loop
        self._all: dict[Child, Watch] = {}
        self._trying: list[Watch] = []  # those with a running probe
        self._soonest = _NEVER  # nothing is due before this time: it saves a look at hundreds of watches

    @property
    def due(self) -> float:
        """Return when something may be due (CLOCK_MONOTONIC in seconds), infinity if nothing is."""
        return min([self._soonest, *(watch.due for watch in self._trying)])

    def add(self, child: Child, patience_s: float) -> None:
        """Watch a process that was started. It is late after `patience_s` seconds (0: never), or after its own time."""
        watch = self._all[child] = Watch(child, patience_s, self._inherited, self._loop)
        self._soonest = min(self._soonest, watch.due)

    def drop(self, child: Child) -> None:
        """Stop watching a process."""
        if watch := self._all.pop(child, None):
            watch.cancel()

    def why(self, child: Child) -> str:
        """Return what is missing for a process to be ready, "" if that is not known."""
        return self._all[child].why if child in self._all else ""

    def look(self) -> tuple[list[Child], list[tuple[Child, str]]]:
        """Probe where it is time; return the processes that are ready, and those that have become late, with why."""
        now = time.monotonic()
        ready: list[Child] = []
        late: list[tuple[Child, str]] = []
        if now < self.due:
            return ready, late
        for child, watch in self._all.items():
            if watch.due <= now and watch.is_ready(now):
                ready.append(child)
            elif watch.until <= now:
                watch.until = _NEVER
                late.append((child, said_late(child, watch)))
        self._trying = [watch for watch in self._all.values() if watch.is_trying]
        self._soonest = min((watch.due for watch in self._all.values()), default=_NEVER)
        return ready, late


def said_late(child: Child, watch: Watch) -> str:
    """Return the part of a message that says that a process is late."""
    if child.ready.is_said:
        return f"has not said READY within {watch.patience_s:g} s"
    return f"is not ready within {watch.patience_s:g} s: {watch.why}"
