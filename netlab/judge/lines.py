"""Printed lines as the judge reads them: a wording with values in it, and what each wording is about. Pure.

Nobody must use netlab's words. Lines of one wording differ only in their numbers and in the names of nodes. What a
wording is about is said by a pattern, or it follows from the moments at which its lines come: at requests that leave at
once or that wait, or at completions with or without a request that waits.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence

from netlab.named_tuple import NamedTuple

BEFORE_NS, AFTER_NS = 200_000, 100_000_000  # a line comes so long before what it is about at most, or after it
_NEAR_NS = 5_000_000  # a line may be about anything that happened so long before it: two processors print
_MOST_NEAR = 20
_MOST = 0.8  # of a wording's lines make it one about something
_SHARE = 0.5  # of all moments of a kind must have a line of a wording that is about them, too
RECEIVED, FORWARDED, QUEUED, FREED, DEQUEUED = "received", "forwarded", "queued", "freed", "dequeued"

# netlab's own wordings (docs/assignment.md).
OURS = (
    (RECEIVED, r"request #\d+ from \S+"),
    (FORWARDED, r"forward #\d+ to (?P<server>\S+), free \d+"),
    (QUEUED, r"queue #\d+, depth \d+"),
    (DEQUEUED, r"dequeue #\d+ to (?P<server>\S+), depth \d+"),
    (FREED, r"completion from (?P<server>\S+), free (?P<free>\d+), depth \d+"),
)


class Line(NamedTuple):
    """A line: when it was printed (CLOCK_MONOTONIC), where, and its text."""

    ns: int
    node: str
    text: str


class Happened(NamedTuple):
    """Something that a program met: when, what became of it, the worker, and the free threads that a line may name.

    `kind` is FORWARDED or QUEUED for a request, FREED or DEQUEUED for a completion, "" for what was lost. `free` are
    the worker's free threads about then, `total` those of all.
    """

    ns: int
    kind: str
    worker: str = ""
    free: frozenset[int] = frozenset()
    total: frozenset[int] = frozenset()


class Wording(NamedTuple):
    """The lines of one wording, each with its values, what happened last before it, and all it may be about."""

    text: str
    lines: tuple[Line, ...]
    values: tuple[Mapping[str, str], ...]
    at: tuple[Happened | None, ...]
    near: tuple[tuple[Happened, ...], ...]

    def share(self, *kinds: str) -> float:
        """Return how many of its lines came at things of these kinds, from 0 to 1."""
        return sum(each is not None and each.kind in kinds for each in self.at) / len(self.at)


class Fitting(NamedTuple):
    """What lines are about, a pattern of these, and for each line of a program its values, None if it does not fit."""

    kind: str
    pattern: str
    values: Sequence[Mapping[str, str] | None]


class Told(NamedTuple):
    """The wordings by what they are about; one may be about several things."""

    by: Mapping[str, tuple[Wording, ...]]

    def of(self, *kinds: str) -> list[Wording]:
        """Return the wordings about any of these."""
        found = {wording.text: wording for kind in kinds for wording in self.by.get(kind, ())}
        return list(found.values())


def read(
    lines: Sequence[Line], happened: Sequence[Happened], names: Iterable[str], patterns: Sequence[Fitting]
) -> Told:
    """Sort a program's lines; `names` are those of nodes. If a pattern fits any line, only patterns count."""
    ours = [fitting(kind, pattern, re.compile(pattern).search, (line.text for line in lines)) for kind, pattern in OURS]
    for known in (patterns, ours):
        if found := _by_patterns(lines, happened, known):
            return Told(found)
    value = re.compile("|".join([*sorted((re.escape(name) for name in names), key=len, reverse=True), r"\d+"]))
    groups: dict[str, list[Line]] = {}
    for line in sorted(lines):
        groups.setdefault(value.sub("#", line.text), []).append(line)
    wordings = [
        _wording(text, same, [dict(enumerate_values(value, each.text)) for each in same], happened)
        for text, same in groups.items()
    ]
    return Told(_by_moments(wordings, happened))


def fitting(kind: str, pattern: str, search: Callable[[str], re.Match[str] | None], texts: Iterable[str]) -> Fitting:
    """Return which of these texts a pattern fits, by its `search`."""
    return Fitting(kind, pattern, [_values(match) if (match := search(text)) else None for text in texts])


def enumerate_values(value: re.Pattern[str], text: str) -> Iterable[tuple[str, str]]:
    """Yield the values of a line by their places."""
    return ((str(at), found) for at, found in enumerate(value.findall(text)))


def _by_patterns(
    lines: Sequence[Line], happened: Sequence[Happened], patterns: Sequence[Fitting]
) -> dict[str, tuple[Wording, ...]]:
    found: dict[str, tuple[Wording, ...]] = {}
    for kind, pattern, values in patterns:
        fits = [(line, each) for line, each in zip(lines, values, strict=True) if each is not None]
        fits.sort(key=lambda fit: fit[0])
        if fits:
            wording = _wording(pattern, [line for line, _ in fits], [each for _, each in fits], happened)
            found[kind] = (*found.get(kind, ()), wording)
    return found


def _values(match: re.Match[str]) -> dict[str, str]:
    """Return a pattern's named groups, or, without such, all numbers of the line."""
    named = {key: text for key, text in match.groupdict().items() if text is not None}
    return named or {
        str(at): text for at, text in enumerate(match.groups() or re.findall(r"\d+", match.string)) if text
    }


def _wording(
    text: str, lines: Sequence[Line], values: Sequence[Mapping[str, str]], happened: Sequence[Happened]
) -> Wording:
    times = [each.ns - BEFORE_NS for each in happened]
    at, near = [], []
    for line in lines:
        place = bisect_right(times, line.ns) - 1
        is_in_time = place >= 0 and line.ns - happened[place].ns <= AFTER_NS
        first = max(bisect_left(times, line.ns - _NEAR_NS), place - _MOST_NEAR)
        at.append(happened[place] if is_in_time else None)
        near.append(tuple(happened[min(first, place) : place + 1]) if is_in_time else ())
    return Wording(text, tuple(lines), tuple(values), tuple(at), tuple(near))


def _by_moments(wordings: Iterable[Wording], happened: Sequence[Happened]) -> dict[str, tuple[Wording, ...]]:
    found: dict[str, tuple[Wording, ...]] = {}
    for wording in wordings:
        for kind in _about(wording, happened):
            found[kind] = (*found.get(kind, ()), wording)
    return found


def _about(wording: Wording, happened: Sequence[Happened]) -> list[str]:
    """Return what a wording is about: of one that comes at every request, only that these are received."""
    for first, second, both in ((FORWARDED, QUEUED, RECEIVED), (FREED, DEQUEUED, FREED)):
        lost = ("",) if both == RECEIVED else ()  # requests that were lost have been received
        if wording.share(first, second, *lost) < _MOST:
            continue
        counts = {kind: sum(each.kind == kind for each in happened) for kind in (first, second)}
        shares = {kind: wording.share(kind) * len(wording.lines) / (counts[kind] or 1) for kind in (first, second)}
        if not counts[first] or not counts[second] or min(shares.values()) > _SHARE:
            return [both, *(kind for kind in (first, second) if counts[kind] and not counts[_other(kind)])]
        return [both, first if wording.share(first) > wording.share(second) else second]
    return []


def _other(kind: str) -> str:
    return {FORWARDED: QUEUED, QUEUED: FORWARDED, FREED: DEQUEUED, DEQUEUED: FREED}[kind]
