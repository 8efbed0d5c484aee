"""Links as they are set, and what was counted in each of their directions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from netlab.errors import NetlabError
from netlab.lab import link_state, named_links
from netlab.network import impairments
from netlab.observe.link_stats import DirectionStats, LinkCounts, LinkStats
from netlab.paths import MIDDLE
from netlab.record import impaired
from netlab.topology import impairment_words

if TYPE_CHECKING:
    from netlab.lab.standing import Standing
    from netlab.record.impaired import Direction


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
    counters: list[LinkCounts | None] = [None] * len(meant)
    if link[0].sends:
        try:
            netns = lab.runtime.netns_path(MIDDLE)
            found = impairments.read_directions(netns, [(each.source, each.target) for each in meant])
            counters = [LinkCounts(*each) for each in found]
        except (NetlabError, OSError) as error:
            problems = (f"what it has counted cannot be read: {error}",)
    ways = tuple(_direction(each, counted) for each, counted in zip(meant, counters, strict=True))
    return LinkStats(named_links.called(link), named_links.is_among(link, link_state.are_down(lab)), ways, problems)


def _direction(direction: "Direction", counters: LinkCounts | None) -> DirectionStats:
    does = impairment_words.words(direction.sends) if direction.sends else "nothing"
    return DirectionStats(direction.sender, direction.receiver, does, direction.sends, counters)
