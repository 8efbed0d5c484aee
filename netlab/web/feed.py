"""Reads a lab that is up, in threads: what happens in it, and, while somebody looks, what its programs count."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from netlab.errors import NetlabError
from netlab.lab.standing import Standing
from netlab.observe import events, stats
from netlab.observe.events import Event
from netlab.record import shapes
from netlab.record.model import LabRecord
from netlab.web import saved
from netlab.web.moments import Counted, Linked, Moment, Rate, Rated, Told

_INTERVAL_S = 1.0  # of rates
_COUNTS_S = 0.5
_MOST = 50_000  # moments that wait; the rest is counted
LIVE, DOWN = "", "down"


class Feed:
    """What happens in a lab, from its beginning on; the constructor touches nothing."""

    def __init__(self, record: LabRecord, is_watched: Callable[[], bool]) -> None:
        self.record = record
        self.state = LIVE  # DOWN, or why nothing more is told
        self.has_changed = False  # the lab was changed by `apply`
        self._is_watched = is_watched
        self._heard: deque[Moment] = deque()
        self._missed = 0
        self._over = threading.Event()
        work = (self._read, self._count)
        self._threads = [threading.Thread(target=each, name="netlab-web", daemon=True) for each in work]

    def start(self) -> None:
        """Begin to read."""
        for each in self._threads:
            each.start()

    def stop(self) -> None:
        """End the threads; each is over within a second."""
        self._over.set()
        for each in self._threads:
            each.join(timeout=3.0)

    def take(self) -> list[Moment]:
        """Return what has come."""
        found = [self._heard.popleft() for _ in range(len(self._heard))]
        if self._missed:
            missed, self._missed = self._missed, 0
            text = f"{missed:,} events are missing here: too many at once; netlab timeline shows lines"
            found.append(Told(time.monotonic_ns(), "", "", "lost", text))
        return found

    def _put(self, moment: Moment) -> None:
        if len(self._heard) < _MOST:
            self._heard.append(moment)
        else:
            self._missed += 1

    def _read(self) -> None:
        try:
            for event in events.read(self.record, follow=True, interval_s=_INTERVAL_S, until=self._over.is_set):
                if moment := moment_of(event):
                    self._put(moment)
                if isinstance(moment, Linked):
                    self._put(Told(event.ns, event.node, event.node, event.kind, event.text))
                self.has_changed |= event.kind == "applied"
            self.state = DOWN
        except (NetlabError, OSError) as error:
            self.state = str(error)

    def _count(self) -> None:
        before: Counted | None = None
        standing, record = Standing(self.record), self.record
        while not self._over.wait(_COUNTS_S) and self.state == LIVE:
            if not self._is_watched():
                continue
            if record is not self.record:
                standing, record = Standing(self.record), self.record
            try:
                now = saved.counted(time.monotonic_ns(), shapes.plain(stats.read(standing)))
            except (NetlabError, OSError):  # the lab is being removed
                continue
            if before is None or now[1:] != before[1:]:
                self._put(now)
            before = now


_LIVES = {
    **dict.fromkeys(("started", "ready", "resumed", "followed"), "running"),
    **{each: each for each in ("exited", "failed", "paused", "restarting")},
}


def moment_of(event: Event) -> Moment | None:
    """Return an event of a lab as a moment; None for what is shown in another way."""
    fields: Any = event.fields
    match event.kind:
        case "counts":
            return None
        case "rates":
            names = ("tx_packets_s", "rx_packets_s", "tx_bits_s", "rx_bits_s", "lost_s")
            return Rated(event.ns, f"{event.node}:{fields['interface']}", Rate(*(fields[name] for name in names)))
        case "link":
            return Linked(event.ns, f"{event.node}:{fields['interface']}", fields["state"])
    return saved.told(event.ns, event.source, event.stream, event.text, _LIVES.get(event.kind, ""), event.data)
