"""What links do to packets, and what was counted, as data."""

from netlab.named_tuple import NamedTuple
from netlab.topology.impairment import Impairment


class LinkCounts(NamedTuple):
    """Packets of one direction since it was led through the middle: see network.impairments.Counters."""

    carried: int
    lost: int
    doubled: int
    corrupted: int
    overtaken: int
    delayed_now: int
    dropped_by_queue: int
    dropped_by_delay: int


class DirectionStats(NamedTuple):
    """What one end of a link sends: who (node and interface) to whom, and what happens to it, also in words.

    `impairment` is None, and so are `counts`, if the link is led through no middle: it carries all packets at once.
    `counts` are None, too, if they cannot be read.
    """

    sender: tuple[str, str]
    receiver: tuple[str, str]
    does: str
    impairment: Impairment | None = None
    counts: LinkCounts | None = None


class LinkStats(NamedTuple):
    """A link: what it is called, whether it was set down, both its directions, and why something cannot be read."""

    link: str
    is_down: bool
    directions: tuple[DirectionStats, ...]
    problems: tuple[str, ...] = ()
