"""How many threads were free and how many requests waited at each moment of a story. Pure."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping

from netlab.judge.balanced import Arrival, Completion, Request, Story
from netlab.named_tuple import NamedTuple

Happening = Request | Arrival | Completion


class State(NamedTuple):
    """How many threads of all workers are free, how many requests wait, and the oldest of these."""

    free: int
    waiting: int = 0
    oldest: Request | None = None


class Moment(NamedTuple):
    """What happened, the states before and after it, and the requests that each worker has in hand after it."""

    ns: int
    what: Happening
    before: State
    after: State
    in_hand: Mapping[str, int]


class Waste(NamedTuple):
    """A time in which the oldest request waited although a thread was free.

    `came_to_it` says that a thread was free already when the request came; otherwise one became free later.
    """

    begin_ns: int
    ns: int
    request: Request
    came_to_it: bool
    state: State


def moments(story: Story) -> Iterator[Moment]:
    """Replay a story. Requests that were lost on the way do not wait."""
    threads = story.facts.threads
    waits = story.served.keys() | story.stuck
    in_hand = dict.fromkeys(threads, 0)
    waiting: OrderedDict[int, Request] = OrderedDict()
    state = State(sum(threads.values()))
    happenings: list[Happening] = [*story.requests, *story.arrivals, *story.completions]
    for what in sorted(happenings, key=lambda each: each.ns):
        if isinstance(what, Request):
            waiting.update({what.number: what} if what.number in waits else {})
        elif isinstance(what, Arrival):
            in_hand[what.worker] += 1
            waiting.pop(what.request.number if what.request else 0, None)
        else:
            in_hand[what.worker] = max(in_hand[what.worker] - 1, 0)
        free = sum(max(count - in_hand[name], 0) for name, count in threads.items())
        before, state = state, State(free, len(waiting), next(iter(waiting.values()), None))
        yield Moment(what.ns, what, before, state, dict(in_hand))


def wastes(replayed: list[Moment], until_ns: int) -> Iterator[Waste]:
    """Yield every time in which the oldest request waited although a thread was free.

    Only the oldest counts: those behind it may be on their way, one after the other.
    """
    found_free = {each.what.number for each in replayed if isinstance(each.what, Request) and each.before.free}
    begun: Waste | None = None
    for moment in replayed:
        oldest = moment.after.oldest if moment.after.free else None
        if begun and begun.request != oldest:
            yield begun._replace(ns=moment.ns - begun.begin_ns)
            begun = None
        if oldest and not begun:
            begun = Waste(moment.ns, 0, oldest, oldest.number in found_free, moment.after)
    if begun:
        yield begun._replace(ns=max(until_ns - begun.begin_ns, 0))
