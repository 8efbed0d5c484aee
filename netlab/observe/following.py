"""Follows a lab: what is in its logs, what the supervisor tells, and what is watched only while somebody reads.

All of it comes in the order of time. Each event is told some 30 ms after its stamp, so that what comes from elsewhere
can still be put before it.
"""

import json
import os
import select
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Protocol

from netlab import paths
from netlab.errors import NetlabError
from netlab.observe import event_lines, events
from netlab.observe.events import Event
from netlab.record import store
from netlab.record.model import LabRecord
from netlab.supervise import logs, schema, talk
from netlab.supervise.log_reader import OF_KERNEL, File
from netlab.supervise.logs import LogLine

_SETTLE_NS = 30_000_000  # an event is told this long after its stamp, unless the machine is overloaded
_LOOK_S = 0.25  # how often `until` is asked, and whether a lab without a supervisor is still there
_DOWN_S = 10.0  # `down` has ended the supervisor, and soon removes the lab
_FOREVER_S = 1e6


class Source(Protocol):
    """What is watched while somebody reads. `fd` can be read when there is something; `due` is when to look anyway."""

    fd: int
    due: float

    def take(self) -> list[Event]:
        """Return what has come, without waiting."""

    def renew(self, lab: LabRecord) -> None:
        """Watch the nodes that the lab has now."""

    def close(self) -> None:
        """Watch no more."""


def follow(
    lab: LabRecord, processes: Sequence[str], interval_s: float, until: Callable[[], bool] | None, *, links: bool = True
) -> Iterator[Event]:
    """Yield all events as `events.read` does. Without `links`, nothing but logs and the supervisor is read."""
    with ExitStack() as held:
        files = held.enter_context(logs.opened(lab.folder, processes, trace=True, events=True))
        supervisor = held.enter_context(_supervisor(lab))
        yield from (events.of(lab, line) for line in logs.merged(files))
        if supervisor:
            _watch(supervisor)
        sources = _sources(lab, interval_s, held) if links else []
        rest = list(logs.merged(files))  # it was printed meanwhile; the supervisor may tell some of it again
        yield from _Followed(lab, processes, supervisor, sources, rest, files).read(until)
    if (supervisor is None or supervisor.is_over) and not (until and until()) and not goes_down(lab):
        raise NetlabError(f"the supervisor of {lab.lab} has ended, and nobody tells events any more: netlab status")


def is_down(lab: LabRecord) -> bool:
    """Say whether the lab is removed."""
    return not os.path.exists(f"{lab.folder}/{paths.RECORD}")


def goes_down(lab: LabRecord) -> bool:
    """Say whether a lab whose supervisor has ended is being removed."""
    ends = time.monotonic() + _DOWN_S
    while not is_down(lab) and time.monotonic() < ends:
        time.sleep(_LOOK_S / 10)
    return is_down(lab)


@contextmanager
def _supervisor(lab: LabRecord) -> "Iterator[talk.Talk | None]":
    """Yield a connection; None for a lab that has no supervisor, and no work for one."""
    if not lab.has_work and not os.path.exists(f"{lab.folder}/{paths.SOCKET}"):
        yield None
        return
    with talk.to(lab.folder) as supervisor:
        yield supervisor


def _watch(supervisor: talk.Talk) -> None:
    try:
        supervisor.ask("watch", kinds=schema.LOGGED)
    except NetlabError:
        if not supervisor.is_over:  # else the lab has just been removed, and that is the end
            raise


def _sources(lab: LabRecord, interval_s: float, held: ExitStack) -> list[Source]:
    from netlab.observe.link_watch import LinkWatch

    sources: list[Source] = [LinkWatch(lab)]
    held.callback(sources[0].close)
    if interval_s:
        from netlab.observe.rates import Rates

        sources.append(Rates(lab, interval_s))
        held.callback(sources[1].close)
    return sources


class _Followed:
    """What is read of a lab from now on; `rest` are lines that were printed while the reading began."""

    def __init__(
        self,
        lab: LabRecord,
        processes: Sequence[str],
        supervisor: talk.Talk | None,
        sources: Sequence[Source],
        rest: list[LogLine],
        files: list[File],
    ) -> None:
        self._lab, self._supervisor, self._sources, self._files = lab, supervisor, sources, files
        self._order = {key: at for at, key in enumerate(processes)}
        self._told = Counter(map(_known_by, rest))
        self._waiting = [events.of(lab, line) for line in rest]
        self._poll = select.poll()
        for fd in (*([supervisor.fileno()] if supervisor else []), *(each.fd for each in sources if each.fd >= 0)):
            self._poll.register(fd, select.POLLIN)

    def read(self, until: Callable[[], bool] | None) -> Iterator[Event]:
        """Yield events as they come, until the supervisor has ended, the lab is gone, or `until()`."""
        while True:
            is_over = self._is_over() or (until is not None and until())
            settled_ns = 1 << 63 if is_over else time.monotonic_ns() - _SETTLE_NS
            self._waiting.sort(key=self._place)
            ready = sum(event.ns <= settled_ns for event in self._waiting)
            yield from self._waiting[:ready]
            del self._waiting[:ready]
            if is_over:
                return
            self._wait(settled_ns, looks=until is not None or not self._supervisor)
            self._take()

    def _is_over(self) -> bool:
        return self._supervisor.is_over if self._supervisor else is_down(self._lab)

    def _wait(self, settled_ns: int, *, looks: bool) -> None:
        """Wait until there is something to do."""
        wait_s = (self._waiting[0].ns - settled_ns) / 1e9 if self._waiting else _FOREVER_S
        due = min((each.due for each in self._sources), default=float("inf"))
        wait_s = min(wait_s, due - time.monotonic(), _LOOK_S if looks else _FOREVER_S)
        if not (self._supervisor and self._supervisor.has_come):
            self._poll.poll(max(0.0, wait_s) * 1000)

    def _take(self) -> None:
        """Take what has come from everywhere."""
        for line in map(_line, self._supervisor.take()) if self._supervisor else logs.merged(self._files):
            known = _known_by(line)
            if self._told[known]:
                self._told[known] -= 1
                continue
            self._waiting.append(events.of(self._lab, line))
            if line.stream == "applied":
                self._lab = store.read(self._lab.lab)
                for source in self._sources:
                    source.renew(self._lab)
        for source in self._sources:
            self._waiting += source.take()

    def _place(self, event: Event) -> tuple[int, int]:
        last = len(self._order)
        return event.ns, last if event.stream in OF_KERNEL else self._order.get(event.source, last)


def _known_by(line: LogLine) -> LogLine:
    """Return what a line is known by, whether it comes from a log or from the supervisor."""
    return line._replace(data="")


def _line(event: talk.Message) -> LogLine:
    """Return an event of the supervisor as a line, as it is in the log."""
    ns, kind = event["ns"], event["kind"]
    data = json.dumps(event["data"]) if "data" in event else ""
    match kind:
        case "line" | "note":
            stream = event.get("stream", "note")
            return LogLine(ns, event["process"], stream, event["text"], event.get("cut", False), data)
        case "trace":
            return LogLine(ns, event["program"] or event["node"], kind, event["text"])
        case "event":
            return event_lines.raw(event)
        case "lost":
            missing = (
                f"{event['count']} lines are missing here, as this reader was too slow: netlab timeline shows them"
            )
            return LogLine(ns, "", "missed", missing, False, json.dumps({"count": event["count"]}))
    about = {name: value for name, value in event.items() if name not in ("kind", "ns", "text", "data")}
    known = {
        "xdp": (event.get("program") or event.get("node", ""), "xdp", json.dumps(about)),
        "overrun": ("", "lost", json.dumps(about)),
    }
    source, stream, data = known.get(kind, (event.get("about") or "", kind, data))
    return LogLine(ns, source, stream, event["text"], False, data)
