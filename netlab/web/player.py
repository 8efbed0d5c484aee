"""Where one browser is in a history: live, or at a time of it that moves on or stands still; and what it is shown.

However much happens, a frame is small: what moves the same way is one sum, and of lines the last ones are shown.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from netlab.named_tuple import NamedTuple
from netlab.web.history import History
from netlab.web.moments import Move, Rate, Told

LATE_NS = 400_000_000  # live is shown so much later, so that what comes from several sources is in order
SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
_MOST_MOVES = 24  # in a frame, each on its own
_MOST_LINES = 12
_MOST_JUMP_NS = 2_000_000_000  # what is further back is not shown moving
Data = dict[str, Any]


class Shown(NamedTuple):
    """What moved in a frame: each move on its own with its time in the frame, or sums of many."""

    way: tuple[str, ...]
    kind: str
    number: int
    label: str
    after_ms: float


class Player:
    """Where a browser is. `now_ns` is CLOCK_MONOTONIC everywhere."""

    def __init__(self, history: History, is_live: bool) -> None:
        self._history = history
        self.is_live = is_live
        self.is_playing = is_live
        self.speed = 1.0
        self.ns = 0
        self._last_ns = 0  # when `frame` was called last
        self._is_new = True  # the next frame shows a state without a way to it
        self._rewritten = 0
        self._state, self._done, self._forgotten = history.at(0)[0], 0, history.forgotten

    def seek(self, ns: int) -> None:
        """Go to a time, and stay in the pace; it is not live any more."""
        self.is_live = False
        self.ns = min(max(ns, self._history.begin_ns), max(self._history.end_ns, self._history.begin_ns))
        self._is_new = True

    def seek_share(self, share: float) -> None:
        """Go to a time by its share of the history, from 0 to 1."""
        begin, end = self._history.begin_ns, self._history.end_ns
        self.seek(begin + round((end - begin) * min(max(share, 0.0), 1.0)))

    def go_live(self) -> None:
        """Show what happens now."""
        self.is_live = self.is_playing = True
        self.speed = 1.0
        self._is_new = True

    def toggle(self) -> None:
        """Play or stand still; what has been played to its end begins again."""
        self.is_playing = not self.is_playing
        if self.is_live:
            self.is_live = False
        elif self.is_playing and self.ns >= self._history.end_ns:
            self.seek(self._history.begin_ns)

    @property
    def rates(self) -> Mapping[str, Rate]:
        """The rates of interfaces NODE:INTERFACE at this time."""
        return self._state.rates

    @property
    def share(self) -> float:
        """How much of the history lies before this time, from 0 to 1."""
        begin, end = self._history.begin_ns, self._history.end_ns
        return min(max((self.ns - begin) / (end - begin), 0.0), 1.0) if end > begin else 1.0

    def frame(self, now_ns: int) -> Data:
        """Go on to this moment, and return what is shown then."""
        passed, self._last_ns = (now_ns - self._last_ns if self._last_ns else 0), now_ns
        before = self.ns
        if self.is_live:
            self.ns = now_ns - LATE_NS
        elif self.is_playing:
            self.ns = min(self.ns + round(passed * self.speed), self._history.end_ns)
            self.is_playing = self.ns < self._history.end_ns
        was_new = self._is_new
        moves, told = self._go_on(before)
        return {
            "ns": self.ns,
            "fresh": was_new,
            "share": self.share,
            "state": shown_state(self._state),
            "moves": [each._asdict() for each in shown_moves(moves, before, self.ns, self.speed)],
            "told": told[-_MOST_LINES:],
            "more": max(0, len(told) - _MOST_LINES),
        }

    def _go_on(self, before: int) -> tuple[list[Move], list[Told]]:
        history = self._history
        is_far = not -1 < self.ns - before < _MOST_JUMP_NS * max(self.speed, 1.0)
        if self._is_new or is_far or history.rewritten != self._rewritten:
            was_told = not (self._is_new or is_far)
            self._rewritten, self._is_new = history.rewritten, False
            self._forgotten = history.forgotten
            self._state, self._done = history.at(before if was_told else self.ns)
            if not was_told:
                return [], history.told(self.ns, _MOST_LINES)
        self._done = max(0, self._done - (history.forgotten - self._forgotten))
        self._forgotten = history.forgotten
        self._done, moves, told = history.go_on(self._state, self._done, self.ns)
        return moves, told


def shown_moves(moves: Sequence[Move], begin_ns: int, end_ns: int, speed: float) -> list[Shown]:
    """Return each move on its own, or, where there are many, one sum for each way and kind."""
    pace = 1e6 * max(speed, 0.01)
    if len(moves) <= _MOST_MOVES:
        return [
            Shown(each.way, each.kind, 1, each.label, round(max(0, min(each.ns, end_ns) - begin_ns) / pace, 1))
            for each in moves
        ]
    sums: defaultdict[tuple[tuple[str, ...], str], int] = defaultdict(int)
    for each in moves:
        sums[each.way, each.kind] += 1
    return [Shown(way, kind, count, "", 0.0) for (way, kind), count in sums.items()]


def shown_state(state: Any) -> Data:
    """Return a state as plain data of its own, which does not change with it."""
    return {
        "balancers": {
            key: {
                "free": dict(each.free),
                "capacity": dict(each.capacity),
                "depth": each.depth,
                "queue": each.queue,
                "counters": dict(each.counters),
            }
            for key, each in state.balancers.items()
        },
        "reasons": {key: dict(counts) for key, counts in state.reasons.items()},
        "rates": {end: list(rate) for end, rate in state.rates.items()},
        "processes": dict(state.processes),
        "links": dict(state.links),
    }
