"""Where nodes are drawn."""

import itertools
import random

import pytest

from netlab.web import layout
from netlab.web.cost import Room, crossings

ROOM = Room(100, 50)
Links = list[tuple[str, str]]


def tree(count: int, seed: int) -> Links:
    chance = random.Random(seed)
    return [(f"n{at}", f"n{chance.randrange(max(0, at - 12), at)}") for at in range(1, count)]


def campus() -> Links:
    """Four routers in a ring, each with four switches of five hosts; one switch of each is at two routers."""
    links = [(f"r{at}", f"r{(at + 1) % 4}") for at in range(4)]
    for router, switch in itertools.product(range(4), range(4)):
        links.append((f"r{router}", f"s{router}{switch}"))
        links += [(f"s{router}{switch}", f"h{router}{switch}{host}") for host in range(5)]
    return links + [(f"r{(at + 1) % 4}", f"s{at}0") for at in range(4)]


def grid(side: int) -> Links:
    right = [(f"{x}.{y}", f"{x + 1}.{y}") for x in range(side - 1) for y in range(side)]
    return right + [(f"{x}.{y}", f"{x}.{y + 1}") for x in range(side) for y in range(side - 1)]


def placed(links: Links, nodes: list[str] | None = None) -> layout.Layout:
    names = nodes or list(dict.fromkeys(itertools.chain.from_iterable(links)))
    return layout.place(names, links, ROOM)


def touching(found: layout.Layout) -> list[tuple[str, str]]:
    """Return the pairs of nodes whose boxes, a quarter smaller than their rooms, lie over each other."""
    return [
        (one, other)
        for (one, (x, y)), (other, (u, v)) in itertools.combinations(found.places.items(), 2)
        if abs(x - u) < 0.75 * ROOM.width and abs(y - v) < 0.75 * ROOM.height
    ]


HUB = [("hub", f"h{at}") for at in range(99)]
RING = [(f"r{at}", f"r{(at + 1) % 20}") for at in range(20)] + [(f"r{at % 20}", f"h{at}") for at in range(80)]


@pytest.mark.parametrize(
    "links",
    [
        pytest.param([("a", "b")], id="two"),
        pytest.param(HUB, id="hub of 99"),
        pytest.param(RING, id="ring of 20 with 80 hosts"),
        pytest.param(tree(60, 1), id="tree of 60"),
        pytest.param(campus(), id="campus of 100"),
        pytest.param(grid(7), id="grid"),
    ],
)
def test_what_can_be_drawn_without_crossings_is(links: Links) -> None:
    """Labs of up to 100 nodes, as people build them, are drawn as a person would: nothing crosses, nothing touches."""
    found = placed(links)

    assert (0, []) == (found.crossings, touching(found))


def test_the_places_are_the_same_on_every_run() -> None:
    assert placed(grid(4)) == placed(grid(4))


def test_a_small_tree_is_drawn_from_left_to_right() -> None:
    """Client, balancer and workers are in columns, as in the drawing of topologies/partb.yml."""
    places = placed([("client", "lb"), *(("lb", f"w{at}") for at in range(3))]).places

    assert places["client"][0] < places["lb"][0] < places["w0"][0] == places["w1"][0] == places["w2"][0]
    assert places["w0"][1] < places["w1"][1] == places["lb"][1] == places["client"][1] < places["w2"][1]


def test_parts_without_a_link_between_them_lie_beside_each_other() -> None:
    """Also nodes without any link have a place of their own, and all of it is inside the drawing."""
    found = placed([("a", "b"), ("c", "d")], ["a", "b", "c", "d", "e"])

    assert [] == touching(found)
    assert all(0 <= x <= found.width and 0 <= y <= found.height for x, y in found.places.values())


def test_crossings_are_counted() -> None:
    """Two lines that cross are one crossing; lines with an end in common are none."""
    square = [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0)]

    assert (1, 0) == (crossings(square, [(0, 1), (2, 3)]), crossings(square, [(0, 1), (1, 2)]))
