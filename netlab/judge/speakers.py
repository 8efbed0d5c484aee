"""Part B's claims on what client and workers print: each request with its sleep time, and the total slept. Pure.

A line is about a request if it has the request's data in it, in its time. Any wording is right.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from netlab.judge.balanced import Story
from netlab.judge.claim import Claim, judged, unjudged
from netlab.judge.lines import Line
from netlab.judge.played import named
from netlab.words import count

_BEFORE_NS, _AFTER_NS = 200_000_000, 500_000_000  # a line and its packet are so far from each other at most
_WORKER_NS = 600_000_000_000  # a worker that gets more than it has threads for prints some later
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_UNITS = (1, 1_000, 1_000_000)  # seconds, milliseconds, microseconds
_NEAR, _NEAR_S = 0.02, 0.05  # by which a printed total may differ: rounding, and the time that a sleep really takes


def client_prints(story: Story, lines: Sequence[Line], netlabs: int) -> Claim:
    """Return the claim on the client's lines; `netlabs` requests were sent by netlab, behind the client's own."""
    text, name = "the client prints each request with its sleep time", "partb.print.client"
    own = story.requests[: len(story.requests) - netlabs] if netlabs else story.requests
    if not own:
        return unjudged(text, "the client has sent nothing itself", name)
    missing = _missing(((each.ns, each.key, f"of {named(each)}") for each in own), lines)
    return judged(text, missing, f"{len(own)} of {len(own)}", name, is_timed=True)


def workers_print(story: Story, lines: Mapping[str, Sequence[Line]]) -> list[Claim]:
    """Return the claims on the workers' lines, by worker."""
    return [_each_request(story, lines), _the_total(story, lines)]


def _each_request(story: Story, lines: Mapping[str, Sequence[Line]]) -> Claim:
    text, name = "each worker prints each request that it gets, with its sleep time", "partb.print.worker"
    if not story.arrivals:
        return unjudged(text, "nothing came to a worker", name)
    missing = []
    for worker in story.facts.threads:
        got = [each for each in story.arrivals if each.worker == worker and each.request and not each.again]
        about = ((each.ns, each.request.key, f"at {worker} of {named(each.request)}") for each in got if each.request)
        missing += _missing(about, lines.get(worker, ()), _WORKER_NS)
    return judged(text, missing, count(len(story.arrivals), "request"), name, is_timed=True)


def _the_total(story: Story, lines: Mapping[str, Sequence[Line]]) -> Claim:
    text, name = "each worker prints the total time that it has slept", "partb.print.slept"
    wrong, right = [], []
    for worker in story.facts.threads:
        asked = [seconds(each.packet.data) for each in story.arrivals if each.worker == worker]
        if not asked:
            continue
        if None in asked:
            return unjudged(text, "what was asked for is no number of seconds", name)
        total = sum(each for each in asked if each is not None)
        printed = [float(found) for line in lines.get(worker, ()) for found in _NUMBER.findall(line.text)[:100]]
        room = max(_NEAR * total, _NEAR_S)
        if any(abs(each / unit - total) <= room for each in printed for unit in _UNITS):
            right.append(f"{worker} {total:.3f} s")
        else:
            wrong.append(f"no line of {worker} has {total:.3f} s, the sum of what it was asked for")
    if not wrong and not right:
        return unjudged(text, "nothing came to a worker", name)
    return judged(text, wrong, ", ".join(right), name)


def _missing(about: Iterable[tuple[int, bytes, str]], lines: Sequence[Line], after_ns: int = _AFTER_NS) -> list[str]:
    """Return what has no line of its own with its data, in its time."""
    left = list(lines)
    missing = []
    for ns, key, what in about:
        words = key.decode("ascii", "backslashreplace")
        in_time = ((at, line) for at, line in enumerate(left) if -_BEFORE_NS <= line.ns - ns <= after_ns)
        fits = (at for at, line in in_time if words in line.text and _has_word(line.text, words))
        found = next(fits, None)
        if found is None:
            missing.append(f"no line {what}")
        else:
            del left[found]
    return missing


def _has_word(text: str, words: str) -> bool:
    """Say whether a text has this, and not only as a part of a longer number."""
    return re.search(rf"(?<![\d.]){re.escape(words)}(?!\d|\.\d)", text) is not None


def seconds(data: bytes) -> float | None:
    """Return how long a request asks to sleep; None if its data are no number of seconds."""
    text = data.strip(b" \0\t\r\n").decode("ascii", "replace")
    return float(text) if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text) else None
