"""A sequence diagram in plain text: nodes side by side, time downwards, packets as arrows."""

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from netlab.demo.events import (
    Arrived,
    Asked,
    Byte,
    Completion,
    Connected,
    Dequeue,
    EndOfFile,
    Event,
    Fin,
    Finished,
    Forward,
    Queue,
    Received,
    Segment,
)
from netlab.demo.evidence import Entry, Evidence
from netlab.paths import node_of

_WIDTH = 30  # characters from one node's line to the next
_ROWS = 40
_REQUESTS = 2  # shown from the first one on, and one that waits


class Row(NamedTuple):
    """One line of the picture: a packet from one node to another, or, with the same node twice, what happens there."""

    ns: int
    source: str
    target: str
    label: str


def draw(evidence: Evidence) -> str:
    """Return the picture of how a play began."""
    rows = list(_rows(evidence))[:_ROWS]
    seen = {name for row in rows for name in (row.source, row.target)}
    nodes = [name for name in evidence.lab.nodes if name in seen]
    if not rows:
        return ""
    head = " " * 14 + "".join(f"{name:^{_WIDTH}}" for name in nodes).rstrip()
    return "\n".join([head, *(f"{(row.ns - evidence.begin_ns) / 1e6:>10.3f} ms {_line(row, nodes)}" for row in rows)])


def _line(row: Row, nodes: Sequence[str]) -> str:
    """Return a row's lifelines with its arrow or remark."""
    at = [_WIDTH // 2 + index * _WIDTH for index in range(len(nodes))]
    line = [" "] * (_WIDTH * len(nodes))
    for column in at:
        line[column] = "│"
    source, target = at[nodes.index(row.source)], at[nodes.index(row.target)]
    if source == target:
        return _written("".join(line), source + 2, row.label).rstrip()
    low, high = min(source, target), max(source, target)
    line[low + 1 : high] = "─" * (high - low - 1)
    line[target + (-1 if target > source else 1)] = "►" if target > source else "◄"
    label = f" {row.label} "
    return _written("".join(line), low + 1 + (_WIDTH - 1 - len(label)) // 2, label).rstrip()


def _written(line: str, at: int, text: str) -> str:
    """Return a line with a text over it, cut if there is no room."""
    room = _WIDTH - 3
    text = text if len(text) <= room else f"{text[: room - 1]}…"
    return line[:at] + text + line[at + len(text) :]


def _rows(evidence: Evidence) -> Iterator[Row]:
    """Yield what the picture shows: of part B the life of a few requests, of part A everything from the beginning.

    A line may name what is no node: roles and programs print what they like.
    """
    followed = _Followed(evidence)
    servers = [name for name, node in evidence.lab.nodes.items() if node.programs]
    for entry in evidence.timeline:
        line, event = entry
        row = followed.row(entry) or (_segment_row(event, line.node, servers[0]) if servers else None)
        if row and {row[0], row[1]} <= evidence.lab.nodes.keys():
            yield Row(line.ns, *row)


def _segment_row(event: Event | None, node: str, server: str) -> tuple[str, str, str] | None:
    """Return who sends what to whom in an event of part A."""
    row = None
    match event:
        case Connected(isn=isn):
            row = node, node, f"connected, ISN {isn}"
        case Byte(data=data, seq=seq):
            row = node, server, f"seq {seq} {json.dumps(data)}"
        case Segment(seq=seq, what=what, verdict="drop"):
            row = node, node, f"✗ {seq} {what}: dropped"
        case Segment(seq=seq, what="odd"):
            row = node, node, f"{seq} odd: passes"
        case Arrived(data=data):
            row = node, node, f"{json.dumps(data)} arrives"
        case Fin(seq=seq):
            row = node, server, f"seq {seq} FIN"
        case EndOfFile():
            row = node, node, "end of file"
    return row


class _Followed:
    """The requests of part B that are shown from beginning to end, and how the witnesses' numbers belong together."""

    def __init__(self, evidence: Evidence) -> None:
        waits = [event.number for event in evidence.events(Queue)][:1]
        at_once = [event.number for event in evidence.events(Forward)][:_REQUESTS]
        self.numbers = {*at_once, *waits}
        self.balancer = node_of(next(iter(evidence.stats.balancers), ""))
        self.sent: dict[str, list[int]] = {}  # to each worker, in order: the worker's own numbers count these
        for _, event in evidence.timeline:
            if isinstance(event, Forward | Dequeue):
                self.sent.setdefault(event.backend, []).append(event.number)
        self.finished: dict[str, list[int]] = {}
        for line, finished in evidence.of(Finished):
            self.finished.setdefault(line.node, []).append(self.number(line.node, finished.number))
        self.numbers |= self._makes_room(evidence, waits)
        self.completed = dict.fromkeys(self.finished, 0)

    def _makes_room(self, evidence: Evidence, waits: list[int]) -> set[int]:
        """Return the request whose completion takes the first waiting request out of the queue."""
        completed = dict.fromkeys(self.finished, 0)
        for _, event in evidence.timeline:
            if isinstance(event, Completion) and event.backend in completed:
                completed[event.backend] += 1
            if isinstance(event, Dequeue) and event.number in waits:
                numbers = self.finished.get(event.backend, [])
                at = completed.get(event.backend, 0) - 1
                return {numbers[at]} if 0 <= at < len(numbers) else set()
        return set()

    def number(self, worker: str, own: int) -> int:
        """Return the balancer's number of a worker's own `own`-th request, 0 if it is not known."""
        sent = self.sent.get(worker, [])
        return sent[own - 1] if 0 < own <= len(sent) else 0

    def row(self, entry: Entry) -> tuple[str, str, str] | None:
        """Return who sends what to whom in a line, if it is about one of these requests."""
        line, event = entry
        node = line.node
        row = None
        match event:
            case Asked(number=number, data=data) if number in self.numbers:
                row = node, self.balancer, f'#{number} "{data}"'
            case Forward(number=number, backend=backend, free=free) if number in self.numbers:
                row = node, backend, f"#{number}, free {free}"
            case Queue(number=number, depth=depth) if number in self.numbers:
                row = node, node, f"#{number} waits, depth {depth}"
            case Dequeue(number=number, backend=backend, depth=depth) if number in self.numbers:
                row = node, backend, f"#{number}, depth {depth}"
            case Received(number=own, thread=thread) if (number := self.number(node, own)) in self.numbers:
                row = node, node, f"#{number}: thread {thread} sleeps"
            case Finished(number=own, thread=thread) if (number := self.number(node, own)) in self.numbers:
                row = node, node, f"#{number}: thread {thread} is done"
            case Completion(backend=backend, free=free):
                row = self._completion(node, backend, free)
        return row

    def _completion(self, node: str, backend: str, free: int) -> tuple[str, str, str] | None:
        at = self.completed.get(backend, 0)
        self.completed[backend] = at + 1
        numbers = self.finished.get(backend, [])
        known = at < len(numbers) and numbers[at] in self.numbers
        return (backend, node, f"#{numbers[at]} completed, free {free}") if known else None
