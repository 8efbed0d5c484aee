"""A sequence diagram in plain text: nodes side by side, time downwards, packets as arrows.

It is drawn from the packets alone, so that it does not matter whose programs and roles are played.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from netlab.demo.evidence import Evidence
from netlab.judge import balanced, parta, partb
from netlab.judge.balanced import Arrival, Request, Story
from netlab.judge.facts import Balancing, Dropping
from netlab.judge.played import Play, shown
from netlab.judge.speakers import seconds
from netlab.judge.threads import Moment
from netlab.named_tuple import NamedTuple

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
    """Return the picture of how a play began: of part B the life of a few requests, of part A the first segments."""
    rows = list(_rows(evidence))[:_ROWS]
    seen = {name for row in rows for name in (row.source, row.target)}
    nodes = [name for name in evidence.lab.nodes if name in seen]
    if not rows:
        return ""
    head = " " * 14 + "".join(f"{name:^{_WIDTH}}" for name in nodes).rstrip()
    begin_ns = min(rows[0].ns, evidence.begin_ns or rows[0].ns)
    return "\n".join([head, *(f"{(row.ns - begin_ns) / 1e6:>10.3f} ms {_line(row, nodes)}" for row in rows)])


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
    match evidence.facts:
        case Balancing() as facts:
            yield from _requests(partb.played(balanced.tell(evidence.packets, facts, evidence.until_ns)))
        case Dropping() as facts:
            yield from _segments(parta.tell(evidence.packets, facts))
        case None:
            pass


def _segments(traffic: parta.Traffic) -> Iterator[Row]:
    """Yield each segment, and what became of it."""
    client, server = traffic.facts.client, traffic.facts.server
    for segment in traffic.segments:
        data = segment.packet.data
        what = shown(data) if data else segment.what
        parity = "even" if segment.is_even else "odd"
        yield Row(segment.packet.ns, client, server, f"seq {segment.packet.seq} {what}")
        if not segment.passed:
            yield Row(segment.packet.ns, server, server, f"✗ {what}, {parity}: dropped")
        elif data:
            yield Row(segment.packet.ns, server, server, f"{what}, {parity}: arrives")


def _requests(play: Play) -> Iterator[Row]:
    """Yield the life of a few requests: sent, waiting or not, at a worker, done."""
    waited = {each.number for each in play.waited}
    balancer = play.story.facts.balancer
    done = _done(play.story)
    followed = _followed(play, waited, done)
    for moment in play.moments:
        what, ns = moment.what, moment.ns
        if isinstance(what, Request):
            if what.number in followed:
                yield Row(ns, play.story.facts.client, balancer, f"#{what.number} {shown(what.packet.data)}")
            if what.number in followed & waited:
                yield Row(ns, balancer, balancer, f"#{what.number} waits, depth {moment.after.waiting}")
        elif isinstance(what, Arrival):
            if what.request and what.request.number in followed:
                yield Row(ns, balancer, what.worker, f"#{what.request.number}, {_free(play, moment, what.worker)}")
        elif (number := done.get((what.worker, ns))) in followed:
            yield Row(ns, what.worker, balancer, f"#{number} done, {_free(play, moment, what.worker)}")


def _free(play: Play, moment: Moment, worker: str) -> str:
    return f"{max(play.story.facts.threads[worker] - moment.in_hand[worker], 0)} free"


def _followed(play: Play, waited: set[int], done: Mapping[tuple[str, int], int]) -> set[int]:
    """Return the first requests that do not wait, the first that does, and the one whose end lets that one go."""
    served = sorted(play.story.served)
    followed = {*[each for each in served if each not in waited][:_REQUESTS]}
    for number in [each for each in served if each in waited][:1]:
        arrival = play.story.served[number]
        before = [ns for worker, ns in done if worker == arrival.worker and ns <= arrival.ns]
        followed |= {number, *(done[arrival.worker, ns] for ns in before[-1:])}
    return followed


def _done(story: Story) -> dict[tuple[str, int], int]:
    """Return which request is done when a worker says so, by worker and moment.

    Completions do not name requests. The request that should have been done first is taken for the first: it has come
    first, and asks for least time.
    """
    found = {}
    for worker in story.facts.threads:
        ends = sorted(_ends(each for each in story.arrivals if each.worker == worker))
        moments = [each.ns for each in story.completions if each.worker == worker]
        found.update({(worker, ns): number for ns, (_, number) in zip(moments, ends, strict=False)})
    return found


def _ends(arrivals: Iterable[Arrival]) -> Iterator[tuple[float, int]]:
    """Yield when requests should be done, and their numbers."""
    for each in arrivals:
        yield each.ns + (seconds(each.packet.data) or 0) * 1e9, each.request.number if each.request else 0
