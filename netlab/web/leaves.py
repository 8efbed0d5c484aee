"""Moves nodes with one link only, such as hosts, around their neighbour, until no link runs through a node. Pure."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

from netlab.web.cost import Point, Room, do_cross

_TURNS = 16
_RINGS = (1.0, 1.5, 2.1, 2.8)  # of a node's room
_ROUNDS = 2
_OVER, _CROSSES, _NEAR, _THROUGH = 30, 20, 3, 2  # how bad it is: over a node, across a link, near a node, through one
_GAP = 0.8  # of the room: nearer is over


def mended(places: Sequence[Point], links: Sequence[tuple[int, int]], room: Room) -> list[Point]:
    """Return places in which each such node that is in the way of something stands where it is least so."""
    board = _Board(places, links, room)
    for _ in range(_ROUNDS):
        if not sum(board.move(leaf, hub) for leaf, hub in board.leaves):
            break
    return board.places


class _Board:
    """A drawing that is being changed."""

    def __init__(self, places: Sequence[Point], links: Sequence[tuple[int, int]], room: Room) -> None:
        self.places = list(places)
        self._room = room
        neighbours: defaultdict[int, list[int]] = defaultdict(list)
        for a, b in links:
            neighbours[a].append(b)
            neighbours[b].append(a)
        self.leaves = [(each, of[0]) for each, of in neighbours.items() if len(of) == 1 and len(neighbours[of[0]]) > 1]
        self._links = list(links)

    def move(self, leaf: int, hub: int) -> bool:
        """Move a node to where it is least in the way; say whether it was moved."""
        worst = self._cost(leaf, hub, self.places[leaf])
        if not worst:
            return False
        at = self.places[leaf]
        best = min(self._around(hub), key=lambda point: (self._cost(leaf, hub, point), math.dist(point, at)))
        if self._cost(leaf, hub, best) >= worst:
            return False
        self.places[leaf] = best
        return True

    def _around(self, hub: int) -> Iterator[Point]:
        x, y = self.places[hub]
        for ring in _RINGS:
            for turn in range(_TURNS):
                angle = 2 * math.pi * turn / _TURNS
                yield (
                    x + ring * self._room.width * math.cos(angle),
                    y + 1.6 * ring * self._room.height * math.sin(angle),
                )

    def _cost(self, leaf: int, hub: int, point: Point) -> int:
        width, height, from_hub = self._room.width, self._room.height, self.places[hub]
        cost = 0
        for each, (x, y) in enumerate(self.places):
            if each == leaf:
                continue
            if (far := max(abs(x - point[0]) / width, abs(y - point[1]) / height)) < 1:
                cost += _OVER if far < _GAP else _NEAR
            if each != hub and self._is_through((x, y), from_hub, point):
                cost += _THROUGH
        for a, b in self._links:
            if leaf in (a, b):
                continue
            p, q = self.places[a], self.places[b]
            cost += _THROUGH * self._is_through(point, p, q)
            cost += _CROSSES * (hub not in (a, b) and do_cross(p, q, from_hub, point))
        return cost

    def _is_through(self, box: Point, p: Point, q: Point) -> bool:
        """Say whether a link from p to q runs through the node at `box`."""
        across, down = q[0] - p[0], q[1] - p[1]
        length = math.hypot(across, down) or 1.0
        along = ((box[0] - p[0]) * across + (box[1] - p[1]) * down) / length
        near = (abs(down) * self._room.width + abs(across) * self._room.height) / (2.4 * length)
        return 0 < along < length and abs((box[0] - p[0]) * down - (box[1] - p[1]) * across) / length < near
