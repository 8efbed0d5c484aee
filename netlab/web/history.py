"""What has happened in a lab, in the order of time, and the state at any time of it. Pure.

Moments may come late, and in any order. The oldest are forgotten where there are too many: the state before the first
one that is left is kept.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter

from netlab.web.moments import Moment, Move, Told
from netlab.web.state import State, Where

_EVERY = 500  # moments from one kept state to the next
_NS = attrgetter("ns")


class History:
    """The moments of a lab; `limit` is how many are kept."""

    def __init__(self, where: Where, first: State, limit: int = 200_000) -> None:
        self._where = where
        self._limit = limit
        self._moments: list[Moment] = []
        self._states = [first]  # before the moments 0, _EVERY, 2 * _EVERY …
        self.forgotten = 0  # moments
        self.rewritten = 0  # how often a moment came that belongs before `shown_ns`
        self.shown_ns = 0  # the latest time that anybody was shown

    def __len__(self) -> int:
        return len(self._moments)

    @property
    def begin_ns(self) -> int:
        """The time of the first moment, 0 if there is none."""
        return self._moments[0].ns if self._moments else 0

    @property
    def end_ns(self) -> int:
        """The time of the last moment, 0 if there is none."""
        return self._moments[-1].ns if self._moments else 0

    def add(self, moments: Iterable[Moment]) -> None:
        """Take moments into their places."""
        for moment in moments:
            if not self._moments or moment.ns >= self._moments[-1].ns:
                self._moments.append(moment)
                continue
            at = bisect_right(self._moments, moment.ns, key=_NS)
            self._moments.insert(at, moment)
            del self._states[at // _EVERY + 1 :]
            self.rewritten += moment.ns <= self.shown_ns
        while len(self._moments) > self._limit:
            self._forget()

    def _forget(self) -> None:
        if len(self._states) < 2:
            self._state_before(_EVERY)
        del self._moments[:_EVERY]
        del self._states[0]
        self.forgotten += _EVERY

    def place(self, ns: int) -> int:
        """Return how many moments are at this time or before it."""
        return bisect_right(self._moments, ns, key=_NS)

    def at(self, ns: int) -> tuple[State, int]:
        """Return the state at a time, the caller's own, and how many moments that are left have made it."""
        count = self.place(ns)
        return self._state_before(count), count

    def go_on(self, state: State, done: int, until_ns: int) -> tuple[int, list[Move], list[Told]]:
        """Bring a state that `done` moments have made to a later time: how many then, what moves, and what is told."""
        count = self.place(until_ns)
        moves, told = [], []
        for moment in self._moments[done:count]:
            move = state.take(moment, self._where)
            if move:
                moves.append(move)
            if isinstance(moment, Told):
                told.append(moment)
        self.shown_ns = max(self.shown_ns, until_ns)
        return max(count, done), moves, told

    def told(self, until_ns: int, count: int, nodes: Sequence[str] = ()) -> list[Told]:
        """Return the last lines up to a time, of some nodes or of all."""
        return list(self._backwards(until_ns, count, nodes))[::-1]

    def _backwards(self, until_ns: int, count: int, nodes: Sequence[str]) -> Iterator[Told]:
        for at in range(self.place(until_ns) - 1, -1, -1):
            moment = self._moments[at]
            if count == 0:
                return
            if isinstance(moment, Told) and (not nodes or moment.node in nodes):
                count -= 1
                yield moment

    def _state_before(self, count: int) -> State:
        """Return the state before a moment, by its place; and keep states on the way."""
        known = min(count // _EVERY, len(self._states) - 1)
        state = self._states[known].copy()
        for at in range(known * _EVERY, count):
            if at % _EVERY == 0 and at // _EVERY == len(self._states):
                self._states.append(state.copy())
            state.take(self._moments[at], self._where)
        if count % _EVERY == 0 and count // _EVERY == len(self._states):
            self._states.append(state.copy())
        return state
