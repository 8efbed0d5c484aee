"""Part A's claims on what is printed: by the program, the client and the server, in any wording. Pure.

A line is about a segment if it has the segment's number or its data in it, in its time.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from netlab.judge.claim import Claim, judged, unjudged
from netlab.judge.lines import BEFORE_NS, Line
from netlab.judge.parta import Segment, Traffic
from netlab.named_tuple import NamedTuple

_PROGRAM_NS, _OTHERS_NS = 100_000_000, 500_000_000  # a line comes so long after its segment at most
_EARLY_NS = 200_000_000  # a client may print before it sends
_SIGNED = 1 << 31
_LONG = 4  # a number with fewer digits may stand for many things


class Said(NamedTuple):
    """What was printed: by the program, the client and the server."""

    program: Sequence[Line] = ()
    client: Sequence[Line] = ()
    server: Sequence[Line] = ()
    lost: int = 0


def claims(traffic: Traffic, printed: Said) -> list[Claim]:
    """Return the claims on what was printed."""
    found = [
        _each_is_printed(traffic, printed.program),
        _verdicts_are_told(traffic, printed.program),
        _client_prints(traffic, printed.client),
        _server_prints(traffic, printed.server),
    ]
    if not printed.lost:
        return [claim._replace(is_timed=True) for claim in found]
    why = f"{printed.lost} lines were lost before they could be kept"
    return [unjudged(claim.text, why, claim.id) if claim.holds is False else claim for claim in found]


def _each_is_printed(traffic: Traffic, lines: Sequence[Line]) -> Claim:
    text, name = "the program prints each segment with data, with its sequence number", "parta.print.program"
    if not traffic.data:
        return unjudged(text, "no segment with data was sent", name)
    found = _about(traffic.data, lines, BEFORE_NS, _PROGRAM_NS, with_data=False)
    wrong = [f"no line with the number of {segment}" for segment, line in found if line is None]
    return judged(text, wrong, f"{len(found)} of {len(found)}", name)


def _verdicts_are_told(traffic: Traffic, lines: Sequence[Line]) -> Claim:
    text, name = "and says truly whether it drops the segment or lets it pass", "parta.print.verdict"
    told = _lines_with_verdicts(traffic.data, lines)
    kinds = {segment.passed for segment, _ in told}
    if len(kinds) < len((True, False)):
        return unjudged(text, "no line on a dropped one, or none on one that passed", name)
    words = {passed: [_words(each, segment) for segment, each in told if segment.passed == passed] for passed in kinds}
    both = set(words[True]) & set(words[False])
    few = min(both, key=lambda each: min(words[True].count(each), words[False].count(each)), default="")
    wrong = [
        f'"{line}", as of those that {"are dropped" if segment.passed else "pass"}, but {segment}'
        for segment, line in told
        if both
        and _words(line, segment) == few
        and words[segment.passed].count(few) <= words[not segment.passed].count(few)
    ]
    shown = [f'"{next(iter(dict.fromkeys(words[passed])))}"' for passed in (True, False)]
    return judged(text, wrong, f"passed: {shown[0]}; dropped: {shown[1]}", name)


def _lines_with_verdicts(segments: Sequence[Segment], lines: Sequence[Line]) -> list[tuple[Segment, str]]:
    """Return the segments with a line of each that seems to say what becomes of it.

    Of several with the segment's number, such as one on an acknowledgement before it, that is the line whose wording
    comes at those that pass much more often than at those that are dropped, or much less often.
    """
    left, near = sorted(lines), []
    times = [line.ns for line in left]
    for segment in segments:
        first = bisect_left(times, segment.packet.ns - BEFORE_NS)
        last = bisect_right(times, segment.packet.ns + _PROGRAM_NS)
        near.append([at for at in range(first, last) if _has(left[at].text, segment, with_data=False)])
    shares: dict[str, dict[bool, float]] = {}
    for passed in (True, False):
        same = [(segment, found) for segment, found in zip(segments, near, strict=True) if segment.passed == passed]
        for segment, found in same:
            for words in {_words(left[at].text, segment) for at in found}:
                share = shares.setdefault(words, {True: 0.0, False: 0.0})
                share[passed] += 1 / len(same)
    told, taken = [], set()
    for segment, found in zip(segments, near, strict=True):
        free = [at for at in found if at not in taken]
        if free:
            said = [shares[_words(left[at].text, segment)] for at in free]
            best = free[max(range(len(free)), key=lambda at: abs(said[at][True] - said[at][False]))]
            taken.add(best)
            told.append((segment, left[best].text))
    return told


def _words(text: str, segment: Segment) -> str:
    """Return a line without the numbers that say which segment it is; short numbers may be its verdict."""
    packet = segment.packet
    known = {str(packet.seq), str(_signed(packet.seq)), str(packet.source_port), str(packet.target_port)}
    return re.sub(r"-?\d+", lambda each: "#" if each[0] in known or len(each[0]) > _LONG - 1 else each[0], text)


def _client_prints(traffic: Traffic, lines: Sequence[Line]) -> Claim:
    text, name = "the client prints what it sends", "parta.print.client"
    if not traffic.data:
        return unjudged(text, "it has sent nothing", name)
    first = list({(each.packet.source_port, each.packet.seq): each for each in reversed(traffic.data)}.values())
    found = _about(sorted(first, key=_ns), lines, _EARLY_NS, _OTHERS_NS, with_data=True)
    wrong = [f"no line with the number or the data of {segment}" for segment, line in found if line is None]
    return judged(text, wrong, f"{len(found)} of {len(found)}", name)


def _server_prints(traffic: Traffic, lines: Sequence[Line]) -> Claim:
    text, name = "the server prints what comes to it", "parta.print.server"
    came = [each for each in traffic.data if each.passed]
    if not came:
        return unjudged(text, "nothing has come to it", name)
    holes: dict[int, int] = {}
    for each in traffic.data:
        if not each.passed:
            holes.setdefault(each.packet.source_port, each.packet.ns)
    found = _about(came, lines, BEFORE_NS, _OTHERS_NS, with_data=True)
    missing = [segment for segment, line in found if line is None]
    wrong = [
        f"no line with the number or the data of {each}"
        for each in missing
        if each.packet.ns < holes.get(each.packet.source_port, each.packet.ns + 1)
    ]
    behind = f"; TCP has kept {len(missing)} behind the first that was lost" if missing else ""
    return judged(text, wrong, f"{len(came) - len(missing)} of {len(came)}{behind}", name)


def _about(
    segments: Iterable[Segment], lines: Sequence[Line], before_ns: int, after_ns: int, *, with_data: bool
) -> list[tuple[Segment, Line | None]]:
    """Return for each segment a line of its own that is about it."""
    left = sorted(lines)
    found: list[tuple[Segment, Line | None]] = []
    for segment in segments:
        ns = segment.packet.ns
        near = [line for line in left if ns - before_ns <= line.ns <= ns + after_ns]
        line = next((line for line in near if _has(line.text, segment, with_data=with_data)), None)
        if line:
            left.remove(line)
        found.append((segment, line))
    return found


def _has(text: str, segment: Segment, *, with_data: bool) -> bool:
    seq = segment.packet.seq
    numbers = {int(each) for each in re.findall(r"-?\d{1,20}", text)}
    if numbers & {seq, _signed(seq)} or f"{seq:x}" in re.findall(r"[0-9a-f]+", text.lower()):
        return True
    data = segment.packet.data.decode("latin-1").strip()
    return with_data and bool(data) and re.search(rf"(?<!\w){re.escape(data)}(?!\w)", text) is not None


def _signed(number: int) -> int:
    """Return a number of 32 bits as a program prints it that takes it for a signed one."""
    return number - 2 * _SIGNED if number >= _SIGNED else number


def _ns(segment: Segment) -> int:
    return segment.packet.ns
