"""Nodes with one link only make room."""

from netlab.web import leaves
from netlab.web.cost import Room, crossings

ROOM = Room(10, 5)


def test_a_leaf_in_the_way_of_a_link_is_moved_around_its_neighbour() -> None:
    """Node 3 hangs at node 0, right on the link from 0 to 1."""
    places = [(0.0, 0.0), (60.0, 0.0), (120.0, 0.0), (30.0, 0.0)]
    links = [(0, 1), (1, 2), (0, 3)]
    found = leaves.mended(places, links, ROOM)

    assert places[:3] == found[:3]
    assert abs(found[3][1]) >= 5 or found[3][0] < 0
    assert 0 == crossings(found, links)


def test_a_leaf_that_is_in_nobodys_way_stays() -> None:
    places = [(0.0, 0.0), (60.0, 0.0), (120.0, 0.0), (0.0, 40.0)]

    assert places == leaves.mended(places, [(0, 1), (1, 2), (0, 3)], ROOM)


def test_leaves_over_each_other_part() -> None:
    found = leaves.mended([(0.0, 0.0), (30.0, 0.0), (30.0, 0.0)], [(0, 1), (0, 2)], ROOM)

    assert abs(found[1][0] - found[2][0]) >= 10 or abs(found[1][1] - found[2][1]) >= 5
