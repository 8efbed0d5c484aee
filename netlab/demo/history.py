"""Replays a balancer's trace on a small model: the free threads of each backend, and the order of waiting requests.

The program decides under its lock and prints after it. So two CPUs can print in the opposite order of their decisions,
mostly within some µs. Each line is true of the moment of its decision; only its place may be wrong. `replay` puts the
lines into an order that the model accepts, if there is one. It takes the lines in the order of time. If one does not
fit, a few lines were printed late: this one, or others that come later. It searches places for these among the lines of
the last WINDOW_NS, and otherwise keeps the order of time. If there are none, the line contradicts the others. This is
recorded, and the model goes on with what the line says.

This cannot hide a mistake of the program. Almost every line has a count or the depth, which go up and down one by one.
So of two lines about the same count, only one can come next.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from netlab.demo.events import Completion, Dequeue, Drop, Forward, Ignored, Queue, Request
from netlab.named_tuple import NamedTuple
from netlab.supervise.logs import LogLine

WINDOW_NS = 10_000_000  # a CPU may be interrupted between its decision and the print
LATE = 4  # lines that may have been printed late around a line that does not fit
TRIES = 2000  # steps of the search for their places

Decision = Request | Forward | Queue | Dequeue | Drop | Completion | Ignored
Told = tuple[LogLine, Decision]

# What a line can contradict.
NUMBER = "number"  # requests are numbered one by one, and each is decided on once
FREE = "free"  # threads are taken and freed one by one, from none to the capacity
NEEDLESS = "needless"  # nothing is queued while a thread is free and nothing waits
ORDER = "order"  # the oldest goes first, and nothing overtakes those that wait
DEPTH = "depth"  # the queue grows and shrinks one by one


class Objection(NamedTuple):
    """Why a line cannot come next: what it contradicts, and what the model expects."""

    kind: str
    expected: str


class Contradiction(NamedTuple):
    """A line that fits nowhere, and one objection of the model."""

    line: LogLine
    event: Decision
    kind: str
    expected: str


class Step(NamedTuple):
    """A line in its place, and the state before it: how many of all threads were free, how many requests waited."""

    line: LogLine
    event: Decision
    free: int
    waiting: int


class Model:
    """The state of the balancer: at first all threads are free, and nothing waits."""

    def __init__(self, capacity: Mapping[str, int]) -> None:
        """`capacity` is in threads, by backend."""
        self.capacity = dict(capacity)
        self.free = dict(capacity)
        self.number = 0  # of the last request
        self.undecided: list[int] = []
        self.waiting: list[int] = []  # oldest first
        self.depth = 0  # len(waiting), unless a line has contradicted it

    def objections(self, event: Decision) -> Iterator[Objection]:
        """Yield why this event cannot come next; nothing if it can."""
        if isinstance(event, Request) and event.number != self.number + 1:
            yield Objection(NUMBER, f"request #{self.number + 1}")
        if isinstance(event, Forward | Queue | Drop) and event.number not in self.undecided:
            yield Objection(NUMBER, f"no decision on #{event.number}, which is not received or decided on already")
        if isinstance(event, Forward) and self.depth:
            yield Objection(ORDER, f"nothing to overtake the {self.depth} that wait")
        if isinstance(event, Forward | Dequeue | Completion | Ignored):
            yield from self._about_threads(event)
        if isinstance(event, Queue) and not self.depth and any(self.free.values()):
            yield Objection(NEEDLESS, f"#{event.number} to be forwarded: {self._all_free()}")
        if isinstance(event, Dequeue) and event.number not in self.waiting[:1]:
            yield Objection(ORDER, f"#{self.waiting[0]}, the oldest" if self.waiting else "nothing: none waits")
        if isinstance(event, Queue | Dequeue | Completion):
            depth = self.depth + isinstance(event, Queue) - isinstance(event, Dequeue)
            if event.depth != depth:
                yield Objection(DEPTH, f"depth {depth}")

    def _about_threads(self, event: Forward | Dequeue | Completion | Ignored) -> Iterator[Objection]:
        free, capacity = self.free.get(event.backend), self.capacity.get(event.backend, 0)
        if free is None:
            if not isinstance(event, Ignored):
                yield Objection(FREE, f"a backend, which {event.backend} is not")
        elif isinstance(event, Ignored):
            if free < capacity and "free" in event.why:
                yield Objection(FREE, f"free {free + 1}")
        elif isinstance(event, Completion):
            if event.free != free + 1 or event.free > capacity:
                yield Objection(FREE, f"free {free + 1} of {capacity}")
        elif not free:
            yield Objection(FREE, f"nothing for {event.backend}, which has no thread free")
        elif isinstance(event, Forward) and event.free != free - 1:
            yield Objection(FREE, f"free {free - 1}")

    def take(self, event: Decision) -> None:
        """Go to the state after an event, as the event says it."""
        if isinstance(event, Request):
            self.number = event.number
            self.undecided.append(event.number)
        if isinstance(event, Forward | Queue | Drop) and event.number in self.undecided:
            self.undecided.remove(event.number)
        if isinstance(event, Forward | Completion):
            self.free[event.backend] = event.free
        if isinstance(event, Queue):
            self.waiting.append(event.number)
        if isinstance(event, Dequeue):
            self.free[event.backend] = max(self.free.get(event.backend, 0) - 1, 0)
            if event.number in self.waiting:  # it was the oldest, so nothing waits before it
                del self.waiting[: self.waiting.index(event.number) + 1]
        if isinstance(event, Queue | Dequeue | Completion):
            self.depth = event.depth

    def after(self, events: Iterable[Decision]) -> "Model":
        """Return the state after these events; this one does not change."""
        model = Model(self.capacity)
        model.free, model.number, model.depth = dict(self.free), self.number, self.depth
        model.undecided, model.waiting = list(self.undecided), list(self.waiting)
        for event in events:
            model.take(event)
        return model

    def _all_free(self) -> str:
        return ", ".join(f"{name} has {free} free" for name, free in self.free.items() if free)


class History(NamedTuple):
    """What a balancer did, step by step; the lines that contradict those before them; and the state at the end."""

    steps: tuple[Step, ...]
    contradictions: tuple[Contradiction, ...]
    model: Model

    def of(self, *kinds: type[Decision]) -> list[Step]:
        """Return the steps of these kinds of event."""
        return [step for step in self.steps if isinstance(step.event, kinds)]


def replay(lines: Iterable[Told], capacity: Mapping[str, int]) -> History:
    """Replay one balancer's lines, which are in the order of time; `capacity` is in threads, by backend."""
    model = Model(capacity)
    steps: list[Step] = []
    contradictions: list[Contradiction] = []
    for line, event in _ordered(lines, capacity):
        contradictions += (Contradiction(line, event, *objection) for objection in model.objections(event))
        steps.append(Step(line, event, sum(model.free.values()), model.depth))
        model.take(event)
    return History(tuple(steps), tuple(contradictions), model)


def _ordered(lines: Iterable[Told], capacity: Mapping[str, int]) -> Iterator[Told]:
    """Yield the lines in an order that the model accepts, as far as there is one."""
    pending = list(lines)
    recent: list[Told] = []  # their order may still change
    before, now = Model(capacity), Model(capacity)  # before the recent lines, and after them
    while pending:
        first = pending.pop(0)
        while recent and first[0].ns - recent[0][0].ns > WINDOW_NS:
            before.take(recent[0][1])
            yield recent.pop(0)
        if not any(now.objections(first[1])):
            recent.append(first)
            now.take(first[1])
        elif order := _reordered(before, around := [*recent, first, *pending], len(recent) + 1):
            recent = [around[at] for at in order]
            pending = [each for at, each in enumerate(around) if at not in order]
            now = before.after(event for _, event in recent)
        else:  # a contradiction: nothing is moved across it
            yield from [*recent, first]
            recent = []
            now.take(first[1])
            before = now.after(())
    yield from recent


def _reordered(model: Model, lines: Sequence[Told], count: int) -> tuple[int, ...]:
    """Return an order, by place, in which the first `count` lines fit, with later lines that they need.

    It has as few late lines as possible. A line is late if it is taken before others that were printed earlier, at most
    a window before. The result is empty if there is no such order.
    """
    return next((order for late in range(1, LATE + 1) if (order := _search(model, lines, count, late))), ())


def _search(model: Model, lines: Sequence[Told], count: int, late: int) -> tuple[int, ...]:
    """Return such an order with so many late lines; first try to keep the order of time as long as possible."""
    path = [_Fork((), model, _choices((), model, lines, late), late)]
    tries = TRIES
    while path and tries:
        at = next(path[-1].choices, None)
        if at is None:
            path.pop()
            continue
        tries -= 1
        taken = (*path[-1].taken, at)
        if set(taken).issuperset(range(count)):
            return taken
        left = path[-1].late - any(before not in taken for before in range(at))
        model = path[-1].model.after([lines[at][1]])
        path.append(_Fork(taken, model, _choices(taken, model, lines, left), left))
    return ()


class _Fork(NamedTuple):
    """A state of the search: the lines taken, by place; the model after them; what may be next; late lines left."""

    taken: tuple[int, ...]
    model: Model
    choices: Iterator[int]
    late: int


def _choices(taken: tuple[int, ...], model: Model, lines: Sequence[Told], late: int) -> Iterator[int]:
    """Yield which lines may be next, by place: the first one that is left, and late ones if any are allowed."""
    first = next(at for at in range(len(lines)) if at not in taken)
    for at in range(first, len(lines) if late else first + 1):
        line, event = lines[at]
        if line.ns - lines[first][0].ns > WINDOW_NS:
            return
        if at not in taken and not any(model.objections(event)):
            yield at
