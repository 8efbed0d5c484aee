"""Part B's claims on what is printed: for each packet a line that says what is asked, in its time, and true. Pure.

Each claim says which wordings it has taken. `lines` finds out what a wording is about.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from netlab.judge.claim import Claim, few, judged, unjudged
from netlab.judge.lines import (
    AFTER_NS,
    BEFORE_NS,
    DEQUEUED,
    FORWARDED,
    FREED,
    QUEUED,
    RECEIVED,
    Happened,
    Line,
    Told,
    Wording,
)
from netlab.named_tuple import NamedTuple

_AGREES = 0.5  # of a value's lines must agree before it is taken for what it should name; the rest are mistakes
_BURST_NS = 10_000_000  # a line so long after a packet may be about that one, although others have come since
_COUNT = re.compile(r"[0-9]{1,9}")
_HINT = "(what other wordings mean can be said: prints: in demo:, or --prints FILE)"


class Named(NamedTuple):
    """The value of a wording that names something, how many lines agree, and those that do not."""

    wording: Wording
    agree: int
    wrong: list[str]


def claims(told: Told, happened: Sequence[Happened], lost: int) -> list[Claim]:
    """Return the claims on a balancer's lines; `lost` lines were lost before they could be kept."""
    found = [_received(told, happened), _forwarded(told, happened)]
    found += [_only(told, happened, QUEUED, FORWARDED)] if any(each.kind == QUEUED for each in happened) else []
    found += [_freed(told, happened)]
    found += [_only(told, happened, DEQUEUED, FREED)] if any(each.kind == DEQUEUED for each in happened) else []
    return [_excused(claim, lost) for claim in found]


def _excused(claim: Claim, lost: int) -> Claim:
    if lost and claim.holds is False:
        return unjudged(claim.text, f"{lost} lines were lost before they could be kept; {claim.figures}", claim.id)
    return claim._replace(is_timed=True)


def uncovered(lines: Iterable[Line], moments: Sequence[int]) -> list[int]:
    """Return the moments that have no line of their own in their time."""
    times = sorted(line.ns for line in lines)
    found, at = [], 0
    for ns in moments:
        at = max(at, bisect_left(times, ns - BEFORE_NS))
        if at < len(times) and times[at] <= ns + AFTER_NS:
            at += 1
        else:
            found.append(ns)
    return found


def _received(told: Told, happened: Sequence[Happened]) -> Claim:
    text, name = "the program prints each request that it receives", "partb.print.received"
    moments = [each.ns for each in happened if each.kind not in (FREED, DEQUEUED)]
    decisions = told.of(FORWARDED, QUEUED)
    alone = [each for each in told.of(RECEIVED) if each not in decisions]
    is_enough = sum(len(each.lines) for each in alone) > _AGREES * len(moments)
    return _covered(text, name, alone if is_enough else [*alone, *decisions], [], moments, happened)


def _forwarded(told: Told, happened: Sequence[Happened]) -> Claim:
    text, name = "it prints to which server each request goes that leaves at once", "partb.print.forwarded"
    moments = [each.ns for each in happened if each.kind == FORWARDED]
    if not moments:
        return unjudged(text, "none left at once", name)
    wordings = told.of(FORWARDED, RECEIVED)
    found = _all(wordings, FORWARDED, _server_of) or _by_text(told.of(FORWARDED))
    if not found:
        return judged(text, [f"no line at such a request names its server, always in the same way {_HINT}"], "", name)
    lies = [
        f'"{line.text}", but this request waited'
        for best in found
        for line, at in zip(best.wording.lines, best.wording.at, strict=True)
        if at and at.kind == QUEUED and not any(0 <= line.ns - ns <= _BURST_NS for ns in moments)
    ]
    return _covered(text, name, *_taken(found, moments), moments, happened, lies)


def _freed(told: Told, happened: Sequence[Happened]) -> Claim:
    text, name = "it prints each completion, with the threads that are free now", "partb.print.freed"
    moments = [each.ns for each in happened if each.kind in (FREED, DEQUEUED)]
    if not moments:
        return unjudged(text, "no completion came", name)
    wordings = told.of(FREED)
    of_worker = _all(wordings, (FREED, DEQUEUED), lambda values: _counts(values, lambda at: at.free), "free")
    of_all = _all(wordings, (FREED, DEQUEUED), lambda values: _counts(values, lambda at: at.total), "free")
    found = max(of_worker, of_all, key=lambda each: sum(one.agree for one in each))
    if not found:
        return judged(text, [f"no line at a completion names the free threads {_HINT}"], "", name)
    return _covered(text, name, *_taken(found, moments), moments, happened)


def _taken(found: Sequence[Named], moments: Sequence[int]) -> tuple[list[Wording], list[str]]:
    """Return as many of the wordings as are needed, the best first, and what is wrong with their values."""
    taken: list[Named] = []
    left = len(moments) + 1
    for each in sorted(found, key=lambda each: -each.agree):
        lines = [line for one in (*taken, each) for line in one.wording.lines]
        if (missing := len(uncovered(lines, moments))) < left:
            taken, left = [*taken, each], missing
    return [each.wording for each in taken], [wrong for each in taken for wrong in each.wrong]


def _only(told: Told, happened: Sequence[Happened], kind: str, other: str) -> Claim:
    """Return the claim that something is printed that happens at some packets only."""
    texts = {
        QUEUED: ("it prints each request that has to wait", "partb.print.queued"),
        DEQUEUED: ("it prints each request that has waited, when it leaves", "partb.print.dequeued"),
    }
    text, name = texts[kind]
    moments = [each.ns for each in happened if each.kind == kind]
    wordings = told.of(kind)
    if not wordings:
        wordings = [each for each in told.of(RECEIVED, FREED) if _tells_apart(each, kind, other)]
    if not wordings:
        what = "has to wait" if kind == QUEUED else "leaves after it has waited"
        return judged(text, [f"no wording comes only when a request {what} {_HINT}"], "", name)
    return _covered(text, name, wordings, [], moments, happened)


def _tells_apart(wording: Wording, kind: str, other: str) -> bool:
    """Say whether a value of a wording is always the same at one kind of thing, and never that at the other kind."""
    for key in wording.values[0]:
        found: dict[str, set[str]] = {kind: set(), other: set()}
        for values, at in zip(wording.values, wording.at, strict=True):
            if at and at.kind in found:
                found[at.kind].add(values.get(key, ""))
        if found[kind] and not found[kind] & found[other] and 1 in map(len, found.values()):
            return True
    return False


def _covered(
    text: str,
    name: str,
    wordings: Sequence[Wording],
    wrong: list[str],
    moments: Sequence[int],
    happened: Sequence[Happened],
    more: Iterable[str] = (),
) -> Claim:
    """Return the claim that each of these moments has a line of these wordings."""
    if not moments:
        return unjudged(text, "there was nothing to print", name)
    lines = [line for wording in wordings for line in wording.lines]
    begin = happened[0].ns if happened else 0
    missing = [f"no line in the time of what came at {(ns - begin) / 1e6:.1f} ms" for ns in uncovered(lines, moments)]
    took = few((f'"{wording.text}"' for wording in wordings), 3) or "no wording"
    figures = f"{len(moments) - len(missing)} of {len(moments)}; taken: {took}"
    claim = judged(text, [*wrong, *more, *missing], figures, name)
    return claim if claim.holds else claim._replace(figures=f"{figures}; {claim.figures}")


class Pair(NamedTuple):
    """A value, what happened last before its line, all that the line may be about, and the line."""

    value: str
    at: Happened
    near: tuple[Happened, ...]
    line: Line


Pairs = list[Pair]


def _all(
    wordings: Iterable[Wording],
    kinds: str | tuple[str, ...],
    check: Callable[[Pairs], tuple[int, list[str]]],
    group: str = "server",
) -> list[Named]:
    """Return the wordings of which a value agrees with what happened, each with the value that agrees best."""
    best = (_best(wording, kinds, check, group) for wording in wordings)
    return [each for each in best if each]


def _best(
    wording: Wording, kinds: str | tuple[str, ...], check: Callable[[Pairs], tuple[int, list[str]]], group: str
) -> Named | None:
    """Return the value of a wording that agrees best with what happened; None if none does at all."""
    found: list[Named] = []
    named = [key for key in wording.values[0] if key == group]
    for key in named or wording.values[0]:
        pairs = list(_pairs(wording, key, kinds))
        agree, wrong = check(pairs)
        if pairs and agree > _AGREES * len(pairs):
            found.append(Named(wording, agree, wrong))
    return max(found, key=lambda each: (each.agree, -len(each.wrong)), default=None)


def _by_text(wordings: Sequence[Wording]) -> list[Named]:
    """Return wordings that name the server by their text, if each worker has one of its own: "sent to the left one"."""
    pairs = [
        Pair(wording.text, at, near, line)
        for wording in wordings
        for line, at, near in zip(wording.lines, wording.at, wording.near, strict=True)
        if at and at.kind == FORWARDED
    ]
    agree, wrong = _server_of(pairs)
    is_one_each = len(wordings) > 1 and agree > _AGREES * len(pairs)
    return [Named(each, 0, wrong if each is wordings[0] else []) for each in wordings] if is_one_each else []


def _pairs(wording: Wording, key: str, kinds: str | tuple[str, ...]) -> Iterator[Pair]:
    for line, values, at, near in zip(wording.lines, wording.values, wording.at, wording.near, strict=True):
        if at and at.kind in kinds and key in values:
            yield Pair(values[key], at, tuple(each for each in near if each.kind in kinds), line)


def _server_of(pairs: Pairs) -> tuple[int, list[str]]:
    """Compare the names of servers: each worker has one name, and no two have the same."""
    seen: dict[str, Counter[str]] = {}
    for value, at, _, _ in pairs:
        seen.setdefault(at.worker, Counter())[value] += 1
    usual = {worker: counts.most_common(1)[0][0] for worker, counts in seen.items()}
    if len(set(usual.values())) < len(usual):
        return 0, []
    wrong = [
        f'"{line.text}", but it came to {at.worker}, elsewhere called {usual[at.worker]}'
        for value, at, near, line in pairs
        if value not in {usual.get(each.worker) for each in near}
    ]
    return len(pairs) - len(wrong), wrong


def _counts(pairs: Pairs, expected: Callable[[Happened], frozenset[int]]) -> tuple[int, list[str]]:
    """Compare counts of free threads."""
    wrong = []
    for value, _, near, line in pairs:
        right = frozenset().union(*map(expected, near))
        if not _COUNT.fullmatch(value) or int(value) not in right:
            wrong.append(f'"{line.text}", but {" or ".join(map(str, sorted(right)))} were free')
    return len(pairs) - len(wrong), wrong
