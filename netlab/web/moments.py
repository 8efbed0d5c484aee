"""What a view of a lab learns, each at its time (CLOCK_MONOTONIC): lines, counts, rates, states of links. Pure data.

A lab that is up and a saved run are told in the same moments, so the state at a time is worked out in one way.
"""

from collections.abc import Mapping

from netlab.demo.events import Event
from netlab.named_tuple import NamedTuple

REQUEST, QUEUED, DEQUEUED, COMPLETION, DROPPED, PASSED = (
    *("request", "queued", "dequeued"),
    *("completion", "dropped", "passed"),
)


class Told(NamedTuple):
    """A line of a log or of the trace, or what has happened, in words; and its event, if it is one of a demo.

    `source` is the key of a process or a program. `life` is the state that a process is in from now on, "" for no news.
    """

    ns: int
    source: str
    node: str
    stream: str
    text: str
    event: Event | None = None
    life: str = ""


class BalancerCounts(NamedTuple):
    """What a balancer has counted, as `netlab stats` shows it: threads by backend, and counters by name."""

    free: Mapping[str, int]
    capacity: Mapping[str, int]
    queue_depth: int
    queue_capacity: int
    counters: Mapping[str, int]


class Counted(NamedTuple):
    """What programs have counted: balancers by key, and packets by key and reason."""

    ns: int
    balancers: Mapping[str, BalancerCounts]
    reasons: Mapping[str, Mapping[str, int]]


class Rate(NamedTuple):
    """What an interface sends and receives, by second; `lost` are packets that it has dropped, and errors."""

    tx_packets: float
    rx_packets: float
    tx_bit: float
    rx_bit: float
    lost: float = 0.0


class Rated(NamedTuple):
    """The rate of an interface NODE:INTERFACE."""

    ns: int
    end: str
    rate: Rate


class Linked(NamedTuple):
    """The state of an interface NODE:INTERFACE: `up`, `down`, `no carrier` or `gone`."""

    ns: int
    end: str
    state: str


Moment = Told | Counted | Rated | Linked


class Move(NamedTuple):
    """Something that moves through nodes at a time: a request, a completion, or a segment that a program has judged.

    A way of one node only is something that ends there. `label` is a number or a short word.
    """

    ns: int
    way: tuple[str, ...]
    kind: str
    label: str = ""
