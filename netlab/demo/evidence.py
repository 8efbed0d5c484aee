"""The evidence of a play: plain data, which needs no lab."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from netlab.demo.events import Event, Lost
from netlab.judge.claim import Claim, few
from netlab.judge.facts import Balancing, Dropping
from netlab.judge.packets import Packet
from netlab.named_tuple import NamedTuple
from netlab.observe.stats import LabStats
from netlab.record.model import LabRecord
from netlab.supervise.logs import LogLine

__all__ = ["Claim", "Entry", "Evidence", "Sockets", "closer", "few", "nothing_is_lost"]
_E = TypeVar("_E")


class Entry(NamedTuple):
    """A line of the timeline: when and where it was printed, and its event, if it is one."""

    line: LogLine
    event: Event | None


class Sockets(NamedTuple):
    """A node's TCP after the play, as its kernel counts it (/proc/net/snmp, /proc/net/tcp)."""

    retransmissions: int
    resets: int  # RSTs sent
    connections: int  # in any state but listening


class Evidence(NamedTuple):
    """Everything that is known in the end.

    It has the timeline in the order of time, the lab's record, the programs' counters (as `netlab stats` shows them),
    the nodes' TCP, and, by key, the programs' sources as they were compiled. `probes` has what became of packets that
    do not belong to the lab, sent to a node with a program, by kind of packet. `facts` are what the judge knows of the
    lab, `packets` what was seen on its links until `until_ns` (CLOCK_MONOTONIC). `is_cut` says that the
    play was not over in time. netlab itself has sent `netlabs` of the requests, the last ones.
    """

    timeline: list[Entry]
    lab: LabRecord
    stats: LabStats
    sockets: Mapping[str, Sockets]
    sources: Mapping[str, bytes]
    probes: Mapping[str, str]
    facts: Balancing | Dropping | None = None
    packets: Sequence[Packet] = ()
    until_ns: int = 0
    is_cut: bool = False
    netlabs: int = 0

    @property
    def begin_ns(self) -> int:
        """When the first line was printed, CLOCK_MONOTONIC."""
        return self.timeline[0].line.ns if self.timeline else 0

    def of(self, kind: type[_E]) -> Iterator[tuple[LogLine, _E]]:
        """Yield the events of one kind, each with its line."""
        for line, event in self.timeline:
            if isinstance(event, kind):
                yield line, event

    def events(self, kind: type[_E]) -> list[_E]:
        """Return the events of one kind."""
        return [event for _, event in self.of(kind)]


def closer(part: str, **claims: Claim) -> list[Claim]:
    """Return claims that look closer than packets can show, each with an id of its part and its name."""
    return [claim._replace(id=f"{part}.closer.{name}") for name, claim in claims.items()]


def nothing_is_lost(evidence: Evidence) -> Claim:
    """Return the claim without which the others prove little."""
    lost = sum(event.amount for event in evidence.events(Lost))
    figures = f"{lost} lost of {lost + len(evidence.timeline)} lines"
    return Claim("no line of the logs or of the trace is lost", bool(evidence.timeline) and not lost, figures)
