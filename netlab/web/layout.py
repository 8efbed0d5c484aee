"""Places the nodes of a lab on a plane: few crossings first, then no link through a node, then little room. Pure.

Small trees are drawn from left to right, as in the drawings of topologies. Other labs are laid out in several ways by
igraph, from seeds that are the same on every run, and the best one is taken.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from netlab.named_tuple import NamedTuple
from netlab.web import leaves
from netlab.web.cost import Link, Point, Room, cost, crossings

_Places = list[Point]
_ASPECT = 1.6  # width to height of a window
_MOST_IN_A_COLUMN = 12
_SEEDS = 6
_BEST_OF = 3  # ways, by their crossings, that are drawn out
_SCALES = (1.3, 2.0, 3.0, 4.5, 7.0)  # of links to nodes
_ROUNDS = 60
_MANY = 300  # nodes or links; with more, one way is tried, as crossings are counted by pairs


class Layout(NamedTuple):
    """The middle of each node in pixels, from 0; width and height of the whole; how often links cross."""

    places: Mapping[str, Point]
    width: float
    height: float
    crossings: int


def place(nodes: Sequence[str], links: Iterable[tuple[str, str]], room: Room) -> Layout:
    """Return where the nodes of a lab are drawn; parts without a link between them are placed beside each other."""
    numbers = {name: at for at, name in enumerate(nodes)}
    pairs = sorted({(min(ends), max(ends)) for a, b in links if len(ends := {numbers[a], numbers[b]}) == 2})
    parts = []
    for members in _parts(len(nodes), pairs):
        own = {number: at for at, number in enumerate(members)}
        inner = [(own[a], own[b]) for a, b in pairs if a in own]
        parts.append((members, *_best(len(members), inner, room)))
    places, width, height = _beside(parts, room)
    crossings = sum(found for _, _, found in parts)
    return Layout({name: places[at] for name, at in numbers.items()}, width, height, crossings)


def _parts(count: int, links: Sequence[Link]) -> list[list[int]]:
    """Return the groups of nodes between which there is a way, each in the order of the file."""
    neighbours = _neighbours(links)
    seen: set[int] = set()
    found = []
    for first in range(count):
        if first in seen:
            continue
        group, todo = {first}, [first]
        while todo:
            new = [each for each in neighbours[todo.pop()] if each not in group]
            group.update(new)
            todo += new
        seen |= group
        found.append(sorted(group))
    return found


def _neighbours(links: Iterable[Link]) -> "defaultdict[int, list[int]]":
    found: defaultdict[int, list[int]] = defaultdict(list)
    for a, b in links:
        found[a].append(b)
        found[b].append(a)
    return found


def _best(count: int, links: Sequence[Link], room: Room) -> tuple[_Places, int]:
    """Return the places of the nodes of a connected part, and how often its links cross."""
    if count == 1:
        return [(0.0, 0.0)], 0
    if len(links) == count - 1 and (tree := _from_left_to_right(count, links, room)):
        return tree, 0
    degrees = [len(found) for _, found in sorted(_neighbours(links).items())]
    if max(degrees) == count - 1 == len(links):
        return _star(count, degrees.index(count - 1), room), 0
    if max(count, len(links)) > _MANY:
        places = _apart(_scaled(_quick(count, links), links, room, 2.0), room)
        return places, crossings(places, links)
    raw = sorted(_ways(count, links), key=lambda places: crossings(places, links))
    drawn = [each for places in raw[:_BEST_OF] for each in _drawn(places, links, room)]
    places = leaves.mended(min(drawn, key=lambda each: each[0])[1], links, room)
    return places, crossings(places, links)


def _drawn(raw: _Places, links: Sequence[Link], room: Room) -> Iterator[tuple[float, _Places]]:
    """Yield a way in several sizes, each with its cost, up to the first that is not worth less than a larger one."""
    before = math.inf
    for by in _SCALES:
        places = _apart(_scaled(raw, links, room, by), room)
        now = cost(places, links, room)
        yield now, places
        if now > before:
            return
        before = now


def _star(count: int, hub: int, room: Room) -> _Places:
    """Return the places of a star: the hub in the middle, and the others around it on as many rings as they need."""
    places: _Places = [(0.0, 0.0)]
    ring = 1.5
    while len(places) < count:
        wide, high = ring * room.width * 1.15, ring * room.height * 1.6
        here = min(count - len(places), int(math.pi * (wide + high) / math.hypot(room.width, room.height)))
        turns = [2 * math.pi * (at + ring % 1) / here for at in range(here)]
        places += [(wide * math.cos(turn), high * math.sin(turn)) for turn in turns]
        ring += 0.85
    places[0], places[hub] = places[hub], places[0]
    return places


def _from_left_to_right(count: int, links: Sequence[Link], room: Room) -> _Places | None:
    """Return the places of a tree in columns: every node in the middle of those behind it; None if it is too high."""
    neighbours = _neighbours(links)
    root = next((each for each in range(count) if len(neighbours[each]) == 1), 0)
    depth, order = {root: 0}, [root]
    for node in order:
        new = [each for each in sorted(neighbours[node]) if each not in depth]
        depth.update((each, depth[node] + 1) for each in new)
        order += new
    columns = Counter(depth.values())
    rows = _rows(root, neighbours, depth)
    if max(*columns.values(), len(columns), *rows.values()) > _MOST_IN_A_COLUMN:
        return None
    return [(depth[each] * 2.1 * room.width, rows[each] * 1.25 * room.height) for each in range(count)]


def _rows(root: int, neighbours: Mapping[int, list[int]], depth: Mapping[int, int]) -> dict[int, float]:
    """Return the row of each node: ends get one row after the other, in the order of the file."""
    rows: dict[int, float] = {}
    after: list[tuple[int, bool]] = [(root, False)]
    free = 0
    while after:
        node, is_done = after.pop()
        behind = [each for each in sorted(neighbours[node]) if depth[each] > depth[node]]
        if is_done:
            rows[node] = (rows[behind[0]] + rows[behind[-1]]) / 2
        elif behind:
            after.append((node, True))
            after += [(each, False) for each in reversed(behind)]
        else:
            rows[node] = free
            free += 1
    return rows


def _ways(count: int, links: Sequence[Link]) -> Iterator[_Places]:
    """Yield places by several of igraph's ways, in no unit."""
    import igraph

    graph = igraph.Graph(count, list(links))
    degrees = graph.degree()
    igraph.set_random_number_generator(random.Random(1))  # noqa: S311 - a drawing keeps no secret
    if len(links) == count - 1:
        yield _stretched(graph.layout_reingold_tilford_circular(root=[degrees.index(max(degrees))]))
    yield _stretched(graph.layout_kamada_kawai())
    yield _stretched(graph.layout_mds())
    if count <= _MOST_IN_A_COLUMN:
        yield _stretched(graph.layout_circle())
    for seed in range(_SEEDS):
        igraph.set_random_number_generator(random.Random(seed))  # noqa: S311 - the same
        yield _stretched(graph.layout_fruchterman_reingold())


def _quick(count: int, links: Sequence[Link]) -> _Places:
    """Return places by the way of igraph that is fast with a thousand nodes."""
    import igraph

    graph = igraph.Graph(count, list(links))
    igraph.set_random_number_generator(random.Random(1))  # noqa: S311 - a drawing keeps no secret
    return _stretched(graph.layout_fruchterman_reingold())


def _stretched(points: Iterable[Sequence[float]]) -> _Places:
    """Return points turned so that they are wider than high, and stretched to the form of a window, twice at most.

    A straight line stays one, so nothing crosses more than before.
    """
    places = [(each[0], each[1]) for each in points]
    width, height = _size(places)
    if height > width:
        places, width, height = [(y, x) for x, y in places], height, width
    factor = min(2.0, max(0.5, _ASPECT * height / width)) if width and height else 1.0
    return [(x * factor, y) for x, y in places]


def _size(places: Sequence[Point]) -> tuple[float, float]:
    across, down = [x for x, _ in places], [y for _, y in places]
    return max(across) - min(across), max(down) - min(down)


def _scaled(places: _Places, links: Sequence[Link], room: Room, by: float) -> _Places:
    """Return places scaled so that a link has on average so many times the length of a node's room."""
    lengths = [math.dist(places[a], places[b]) for a, b in links]
    factor = by * (room.width + room.height) / 2 * len(lengths) / (sum(lengths) or 1.0)
    return [(x * factor, y * factor) for x, y in places]


def _apart(places: _Places, room: Room) -> _Places:
    """Return places moved as little as possible until no two nodes touch, or nearly so."""
    moved = [[x, y] for x, y in places]
    for _ in range(_ROUNDS):
        order = sorted(range(len(moved)), key=lambda each: moved[each][0])
        touched = False
        for at, one in enumerate(order):
            for other in order[at + 1 :]:
                if moved[other][0] - moved[one][0] >= room.width:
                    break
                touched |= _push(moved[one], moved[other], room)
        if not touched:
            break
    return [(x, y) for x, y in moved]


def _push(one: list[float], other: list[float], room: Room) -> bool:
    """Move two nodes from each other where they touch, the shorter way; say whether they did."""
    across, down = other[0] - one[0], other[1] - one[1]
    over_x, over_y = room.width - abs(across), room.height - abs(down)
    if over_x <= 0 or over_y <= 0:
        return False
    axis, by = (0, math.copysign(over_x, across)) if over_x < over_y else (1, math.copysign(over_y, down))
    one[axis] -= by * 0.51
    other[axis] += by * 0.51
    return True


def _beside(parts: Sequence[tuple[list[int], _Places, int]], room: Room) -> tuple[dict[int, Point], float, float]:
    """Return all places with the parts in rows, largest first, and width and height of the whole."""
    sized = sorted(((*_size(points), members, points) for members, points, _ in parts), key=lambda each: -each[1])
    limit = max(
        max(each[0] for each in sized) + room.width,
        math.sqrt(_ASPECT * sum((each[0] + room.width) * (each[1] + room.height) for each in sized)),
    )
    found: dict[int, Point] = {}
    left = top = widest = row = 0.0
    for width, height, members, points in sized:
        if left and left + width + room.width > limit + 1:
            left, top, row = 0.0, top + row, 0.0
        x, y = min(each[0] for each in points), min(each[1] for each in points)
        for number, point in zip(members, points, strict=True):
            found[number] = (left + room.width / 2 + point[0] - x, top + room.height / 2 + point[1] - y)
        left, row = left + width + room.width, max(row, height + room.height)
        widest = max(widest, left)
    return found, widest, top + row
