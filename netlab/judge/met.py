"""What a balancer met and did, moment by moment, as its lines should tell it: from packets alone. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Container

from netlab.judge.balanced import Arrival, Completion, Request
from netlab.judge.lines import DEQUEUED, FORWARDED, FREED, QUEUED, Happened
from netlab.judge.played import Play
from netlab.judge.queueing import TOLERANCE_MS

_ABOUT_NS = 5_000_000  # within which a count may be that of another moment: two processors print


def happened(play: Play) -> list[Happened]:
    """Return everything that the balancer met, in the order of time."""
    waited = {each.number for each in play.waited}
    stuck = play.story.stuck
    taken = _completions_that_send(play, waited)
    found = []
    times = [each.ns for each in play.moments]
    for moment in play.moments:
        what = moment.what
        if isinstance(what, Request):
            arrival = play.story.served.get(what.number)
            found.append(Happened(what.ns, _kind(what, arrival, waited, stuck), arrival.worker if arrival else ""))
        elif isinstance(what, Completion):
            near = play.moments[bisect_left(times, what.ns - _ABOUT_NS) : bisect_right(times, what.ns + _ABOUT_NS)]
            most = play.story.facts.threads[what.worker]
            free = frozenset(max(most - each.in_hand[what.worker], 0) for each in near)
            total = frozenset(each.after.free for each in near)
            kind = DEQUEUED if what in taken else FREED
            found.append(Happened(what.ns, kind, what.worker, free, total))
    return found


def _kind(request: Request, arrival: Arrival | None, waited: Container[int], stuck: Container[int]) -> str:
    """Return what became of a request."""
    if arrival is None:
        return QUEUED if request.number in stuck else ""
    is_late = (arrival.ns - request.ns) / 1e6 > TOLERANCE_MS
    return QUEUED if request.number in waited or is_late else FORWARDED


def _completions_that_send(play: Play, numbers: Container[int]) -> set[Completion]:
    """Return the completions after which a request that waited has left: the last one before it, of its worker."""
    stacks: dict[str, list[Completion]] = {name: [] for name in play.story.facts.threads}
    found: set[Completion] = set()
    for moment in play.moments:
        what = moment.what
        if isinstance(what, Completion):
            stacks[what.worker].append(what)
        elif isinstance(what, Arrival) and what.request and not what.again and what.request.number in numbers:
            own = stacks[what.worker]
            latest = own or max(stacks.values(), key=lambda each: each[-1].ns if each else 0)
            if latest:
                found.add(latest.pop())
    return found
