"""Links as they are set, and what was counted in each of their directions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from netlab.errors import NetlabError
from netlab.lab import named_links
from netlab.named_tuple import NamedTuple
from netlab.network import impairments
from netlab.network.impairments import Counters
from netlab.paths import MIDDLE
from netlab.record import impaired
from netlab.topology import impairment_words
from netlab.topology.impairment import Impairment

if TYPE_CHECKING:
    from netlab.lab.standing import Standing
    from netlab.record.impaired import Direction


class DirectionStats(NamedTuple):
    """What one end of a link sends: who (node and interface) to whom, and what happens to it, also in words.

    `impairment` is None, and so are `counters`, if the link is led through no middle: it carries all packets at once.
    `counters` are None, too, if they cannot be read.
    """

    sender: tuple[str, str]
    receiver: tuple[str, str]
    does: str
    impairment: Impairment | None = None
    counters: Counters | None = None


class LinkStats(NamedTuple):
    """A link: what it is called, whether it was set down, both its directions, and why something cannot be read."""

    link: str
    is_down: bool
    directions: tuple[DirectionStats, ...]
    problems: tuple[str, ...] = ()


def read(
    lab: "Standing", words: Sequence[str] = (), sender: str = "", *, led_only: bool = False
) -> tuple[LinkStats, ...]:
    """Return the link that is meant, or all; with `led_only` those that are led through the middle."""
    directions = impaired.directions(lab.record, impaired.read(lab.record))
    links = [named_links.find(directions, words)] if words else named_links.all_links(directions)
    found = []
    for link in links:
        if led_only and not link[0].sends:
            continue
        meant = named_links.side(link, sender) if sender else link
        found.append(_link(lab, link, meant))
    return tuple(found)


def _link(lab: "Standing", link: named_links.Link, meant: "Sequence[Direction]") -> LinkStats:
    problems: tuple[str, ...] = ()
    counters: list[Counters | None] = [None] * len(meant)
    if link[0].sends:
        try:
            netns = lab.runtime.netns_path(MIDDLE)
            counters = [*impairments.read_directions(netns, [(each.source, each.target) for each in meant])]
        except (NetlabError, OSError) as error:
            problems = (f"what it has counted cannot be read: {error}",)
    ways = tuple(_direction(each, counted) for each, counted in zip(meant, counters, strict=True))
    return LinkStats(named_links.called(link), link[0].is_down, ways, problems)


def _direction(direction: "Direction", counters: Counters | None) -> DirectionStats:
    does = impairment_words.words(direction.sends) if direction.sends else "nothing"
    return DirectionStats(direction.sender, direction.receiver, does, direction.sends, counters)
