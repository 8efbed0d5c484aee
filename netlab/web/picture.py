"""What is drawn of a lab: nodes with what runs in them, links with what they do to packets; as plain data. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from netlab.observe import palette
from netlab.paths import process_key
from netlab.record.model import LabRecord, NodeRecord
from netlab.web import layout
from netlab.web.cost import Room
from netlab.web.player import SPEEDS

_MANY = 60  # nodes; with more they are drawn small
_BOX, _SMALL = (140.0, 54.0), (88.0, 30.0)
_ROOM, _SMALL_ROOM = Room(190, 122), Room(106, 48)
Data = dict[str, Any]


class End(tuple[str, str]):
    """One end of a link: node and interface."""

    __slots__ = ()

    def __str__(self) -> str:
        return ":".join(self)


def ends(record: LabRecord) -> list[tuple[End, End]]:
    """Return each link once, by its ends; the first is that of the first node."""
    found: list[tuple[End, End]] = []
    seen: set[End] = set()
    for node, about in record.nodes.items():
        for interface, port in about.interfaces.items():
            one, other = End((node, interface)), End((port.peer, port.peer_interface))
            if port.peer in record.nodes and one not in seen:
                seen.add(other)
                found.append((one, other))
    return found


def draw(record: LabRecord, version: int, is_live: bool, impaired: Mapping[str, str] = {}) -> Data:
    """Return the drawing; `impaired` says in words what links do to packets, by one of their ends."""
    links = ends(record)
    is_small = len(record.nodes) > _MANY
    names = list(record.nodes)
    placed = layout.place(names, [(a[0], b[0]) for a, b in links], _SMALL_ROOM if is_small else _ROOM)
    width, height = _SMALL if is_small else _BOX
    return {
        "name": record.lab,
        "version": version,
        "live": is_live,
        "compact": is_small,
        "box": {"w": width, "h": height},
        "width": placed.width,
        "height": placed.height,
        "crossings": placed.crossings,
        "speeds": SPEEDS,
        "nodes": [
            {"name": name, "x": round(x, 1), "y": round(y, 1), **_node(name, record.nodes[name])}
            for name, (x, y) in placed.places.items()
        ],
        "links": list(_links(links, impaired)),
    }


def _node(name: str, about: NodeRecord) -> Data:
    programs = [each.name for each in about.programs]
    roles = [_short(process.role or (process.argv[0] if process.argv else "")) for process in about.processes]
    words = [*(f"{each.hook} {each.name}" for each in about.programs), *roles]
    return {
        "kind": about.kind,
        "about": ", ".join(dict.fromkeys(words)) or ("" if about.kind == "node" else about.kind),
        "programs": programs,
        "processes": [process_key(name, each.name) for each in about.processes],
    }


def _short(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".py")


def _links(links: list[tuple[End, End]], impaired: Mapping[str, str]) -> Iterator[Data]:
    """Yield links; several between the same nodes are bent away from each other."""
    between = Counter(frozenset((a[0], b[0])) for a, b in links)
    drawn: Counter[frozenset[str]] = Counter()
    for a, b in links:
        pair = frozenset((a[0], b[0]))
        bend = drawn[pair] - (between[pair] - 1) / 2
        drawn[pair] += 1
        words = impaired.get(str(a)) or impaired.get(str(b)) or ""
        about = {"a": a[0], "ai": a[1], "b": b[0], "bi": b[1], "impaired": words}
        yield {"id": str(a), "bend": bend if a[0] < b[0] else -bend, **about}


def colours() -> str:
    """Return the palette as style sheets' variables, for light and for dark."""
    return f":root {{ {_variables(is_dark=False)} }} .body--dark {{ {_variables(is_dark=True)} }}"


def _variables(is_dark: bool) -> str:
    meant = {
        "good": palette.GOOD,
        "bad": palette.BAD,
        "doubtful": palette.DOUBTFUL,
        "quiet": palette.QUIET,
        "kernel": palette.KERNEL,
        "request": palette.NODES[0],
        "dequeued": palette.NODES[4],
    }
    ground, text = (palette.DARK, "#e6eaf0") if is_dark else (palette.LIGHT, "#1c232b")
    box = "#1f262e" if is_dark else "#f2f5f9"
    found = {name: colour.dark if is_dark else colour.light for name, colour in meant.items()}
    found |= {"ground": ground, "text": text, "box": box}
    return " ".join(f"--nl-{name}: {value};" for name, value in found.items())
