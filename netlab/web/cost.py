"""How bad a drawing of nodes and links is. Pure."""

import math
from collections import Counter
from collections.abc import Sequence

from netlab.named_tuple import NamedTuple

Point = tuple[float, float]
Link = tuple[int, int]


class Room(NamedTuple):
    """What a node takes with the gap around it, in pixels."""

    width: float
    height: float


def cost(places: Sequence[Point], links: Sequence[Link], room: Room) -> float:
    """Return how bad a drawing is: by crossings, nodes over each other, links through nodes, and room."""
    across, down = [x for x, _ in places], [y for _, y in places]
    width, height = max(across) - min(across), max(down) - min(down)
    area = (width + room.width) * (height + room.height) / (len(places) * room.width * room.height)
    return 8 * crossings(places, links) + 6 * _touching(places, room) + _covered(places, links, room) + 2 * area


def crossings(places: Sequence[Point], links: Sequence[Link]) -> int:
    """Return how many pairs of links cross, drawn as straight lines; ends in common are no crossing."""
    found = 0
    for at, (a, b) in enumerate(links):
        p, q = places[a], places[b]
        found += sum(
            c not in (a, b) and d not in (a, b) and do_cross(p, q, places[c], places[d]) for c, d in links[at + 1 :]
        )
    return found


def do_cross(p: Point, q: Point, r: Point, s: Point) -> bool:
    """Say whether the lines from p to q and from r to s cross."""
    return _side(p, q, r) * _side(p, q, s) < 0 and _side(r, s, p) * _side(r, s, q) < 0


def _side(p: Point, q: Point, r: Point) -> float:
    return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])


def _touching(places: Sequence[Point], room: Room) -> int:
    """Return how many pairs of nodes are so near that hardly a gap is left."""
    order = sorted(places)
    found = 0
    for at, (x, y) in enumerate(order):
        for other, below in order[at + 1 :]:
            if other - x >= 0.85 * room.width:
                break
            found += abs(below - y) < 0.85 * room.height
    return found


def _covered(places: Sequence[Point], links: Sequence[Link], room: Room) -> float:
    """Return how bad it is that links run through nodes; where one of them has one link only, it is mended later."""
    degrees = Counter(end for link in links for end in link)
    found = 0.0
    for a, b in links:
        (x, y), (to_x, to_y) = places[a], places[b]
        length = math.hypot(to_x - x, to_y - y) or 1.0
        across, down = (to_x - x) / length, (to_y - y) / length
        near = (abs(down) * room.width + abs(across) * room.height) / 3  # half of what a box without its gap shows
        for each, (px, py) in enumerate(places):
            along = (px - x) * across + (py - y) * down
            if each not in (a, b) and 0 < along < length and abs((px - x) * down - (py - y) * across) < near:
                found += 0.3 if 1 in (degrees[a], degrees[b], degrees[each]) else 5
    return found
