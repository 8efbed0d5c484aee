"""What a partition cuts and divides, and what links are called."""

import pytest

from netlab.topology.link_names import Ends, called, find
from netlab.topology.partition import REST, Cut, cut


def star(*words: str) -> list[Ends]:
    """Return links, each written as A-B; the K-th of a node is ethK."""
    counts: dict[str, int] = {}

    def port(node: str) -> str:
        counts[node] = counts.get(node, -1) + 1
        return f"eth{counts[node]}"

    return [Ends(a, port(a), b, port(b)) for a, b in (word.split("-") for word in words)]


def names(found: Cut) -> list[str]:
    return [f"{each.a}-{each.b}" for each in found.links]


def test_links_between_groups_are_cut() -> None:
    """Nodes in no group are one more: the rest."""
    links = star("a-b", "b-c", "c-d", "a-c")

    assert ["b-c", "a-c"] == names(cut([["a", "b"], ["c", "d"]], links, ()))
    assert ["a-b", "a-c"] == names(cut([["a"]], links, ()))
    assert ["a-b", "b-c", "c-d", "a-c"] == names(cut([["a"], ["b"], ["c"]], links, ()))


def test_a_switch_between_groups_is_divided() -> None:
    found = cut([["a", "b"], ["c"]], star("a-s", "s-b", "c-s", "d-s"), ["s"])

    assert [] == names(found)
    assert {"s": {0: ("eth0", "eth1"), 1: ("eth2",), REST: ("eth3",)}} == found.divided


def test_a_switch_in_a_group_is_of_it() -> None:
    """Written, or because all its other links lead there; the switch behind it is between the groups then."""
    links = star("a-s", "b-s", "s-t", "t-c", "t-d")

    assert ["s-t"] == names(cut([["a", "b", "s"], ["c", "d", "t"]], links, ["s", "t"]))
    for groups in ([["a", "b", "s"], ["c", "d"]], [["a", "b"], ["c", "d"]]):
        assert {"t": {0: ("eth0",), 1: ("eth1", "eth2")}} == cut(groups, links, ["s", "t"]).divided
    mixed = cut([["a"], ["c", "d"]], links, ["s", "t"])
    assert {"s": {0: ("eth0",), REST: ("eth1",), 1: ("eth2",)}} == mixed.divided


def test_two_switches_between_the_same_groups_are_unclear() -> None:
    """The link between them would carry packets of both."""
    links = star("a-s", "b-s", "s-t", "t-c", "t-d")

    assert ["s-t"] == [f"{each.a}-{each.b}" for each in cut([["a", "c"], ["b", "d"]], links, ["s", "t"]).unclear]
    assert () == cut([["a", "c", "s"], ["b", "d"]], links, ["s", "t"]).unclear


@pytest.mark.parametrize(
    ("word", "meant"),
    [("a-b", ["a:eth0"]), ("b-a", ["a:eth0"]), ("b:eth0", ["a:eth0"]), ("a-c", ["a:eth1", "c:eth1"]), ("a:eth9", [])],
)
def test_a_link_has_several_names(word: str, meant: list[str]) -> None:
    """By its nodes in either order, or by either end; nodes with several links need an interface."""
    links = star("a-b", "a-c", "c-a")

    assert meant == [each.name for each in find(word, links)]
    assert ["a-b", "a:eth1", "c:eth1"] == [called(each, links) for each in links]
