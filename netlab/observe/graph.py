"""A lab as a drawing: nodes with what runs in them, links with addresses. Texts for Graphviz and for Mermaid.

Graphviz draws best, where it is installed. Mermaid needs nothing: many pages show its texts as pictures.
"""

import ipaddress
import os
import subprocess
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

from netlab.errors import HostError, NetlabError
from netlab.named_tuple import NamedTuple
from netlab.observe import palette
from netlab.record.model import InterfaceRecord, LabRecord, NodeRecord

DEADLINE_S = 60
_NODE, _SWITCH, _HOST = "node", "switch", "host"
_COLOURS = {_NODE: palette.NODES[0].light, _SWITCH: palette.QUIET.light, _HOST: palette.NODES[5].light}
_WITH_PROGRAM = palette.KERNEL.light
_WRONG = palette.BAD.light
_FONT = "Helvetica"
# How Graphviz lays it out, and where words stand beside links. Labs without circles go from left to right, or, where
# that would be too high, from a middle to all sides.
_MOST_IN_A_COLUMN = 12
_AS_STAR = "layout=twopi overlap=scale ranksep=3", ""
_AS_TREE = "layout=dot rankdir=LR ranksep=2.2 nodesep=0.8", "labeldistance=2.6"
_AS_NET = "layout=neato overlap=scale start=3", "labeldistance=2.2 len=3.2"


class Box(NamedTuple):
    """A node as it is drawn: lines of text below its name, and whether something in it is not as planned."""

    name: str
    kind: str
    lines: tuple[str, ...]
    has_program: bool
    is_bad: bool = False


class Tip(NamedTuple):
    """One end of a link: its node, and the lines that stand beside it."""

    node: str
    lines: tuple[str, ...]


class Line(NamedTuple):
    """A link as it is drawn; the lines of `label` stand in its middle; one that was set down is drawn broken."""

    a: Tip
    b: Tip
    label: tuple[str, ...]
    is_down: bool = False


class Drawing(NamedTuple):
    """All that is drawn of a lab."""

    title: str
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


def of(
    record: LabRecord,
    states: Mapping[str, Iterable[str]] = {},
    bad: Iterable[str] = (),
    down: Collection[str] = (),
) -> Drawing:
    """Return the drawing of a lab; `states` are words on the processes of nodes, `bad` nodes with a problem.

    `down` are links that were set down, each by the name of one of its ends, NODE:INTERFACE.
    """
    wrong = set(bad)
    boxes = tuple(
        Box(name, node.kind, tuple(_about(node, states.get(name))), bool(node.programs), name in wrong)
        for name, node in record.nodes.items()
    )
    return Drawing(record.lab, boxes, tuple(_lines(record, down)))


def _about(node: NodeRecord, states: Iterable[str] | None) -> Iterator[str]:
    for program in node.programs:
        yield f"{program.hook} {program.name}"
    if states is not None:
        yield from states
    else:
        yield from (_called(process.role, process.argv) for process in node.processes)
    yield from node.loopback


def _called(role: str, argv: tuple[str, ...]) -> str:
    return os.path.basename(role or (argv[0] if argv else ""))


def _lines(record: LabRecord, down: Collection[str]) -> Iterator[Line]:
    """Yield each link once."""
    seen: set[tuple[str, str]] = set()
    for name, node in record.nodes.items():
        for interface, port in node.interfaces.items():
            peer = record.nodes.get(port.peer)
            there = peer.interfaces.get(port.peer_interface) if peer else None
            if (name, interface) in seen or there is None or peer is None:
                continue
            seen.add((port.peer, port.peer_interface))
            is_down = f"{name}:{interface}" in down or f"{port.peer}:{port.peer_interface}" in down
            yield Line(
                _end(name, node, interface, port),
                _end(port.peer, peer, port.peer_interface, there),
                (*(["down"] if is_down else []), *_label(port, there)),
                is_down,
            )


def _end(name: str, node: NodeRecord, interface: str, port: InterfaceRecord) -> Tip:
    """Return an end: ports of switches have no address, so their names say little.

    Of several addresses those of IPv4 stand for all, because there is little room.
    """
    of_ipv4 = [address for address in port.addresses if ":" not in address]
    words = (interface, *map(_in_network, of_ipv4 or port.addresses))
    return Tip(name, () if node.kind == _SWITCH else (" ".join(words),))


def _in_network(address: str) -> str:
    """Return what tells an address from others of its network: `.1` of 10.0.0.1/24, `::1` of fd00::1/64."""
    host, _, length = address.partition("/")
    if "." in host:
        return f".{host.rpartition('.')[2]}" if length and int(length) >= 24 else host
    return f"::{host.rpartition('::')[2]}" if "::" in host else host


def _label(port: InterfaceRecord, there: InterfaceRecord) -> tuple[str, ...]:
    """Return the networks on a link, IPv4 first; the same addresses of a switch are known by its other ends."""
    networks = dict.fromkeys(str(ipaddress.ip_interface(each).network) for each in (*port.addresses, *there.addresses))
    return tuple(sorted(networks, key=lambda network: ":" in network))


# ---- Mermaid ---------------------------------------------------------------------------------------------------------


def mermaid(drawing: Drawing) -> str:
    """Return a Mermaid flow chart (https://mermaid.js.org/syntax/flowchart.html)."""
    ids = {box.name: f"n{at}" for at, box in enumerate(drawing.boxes)}
    shapes = {_NODE: ('["', '"]'), _SWITCH: ('(["', '"])'), _HOST: ('{{"', '"}}')}
    said = ["flowchart LR"]
    for box in drawing.boxes:
        before, after = shapes[box.kind]
        text = "<br/>".join([f"<b>{_html(box.name)}</b>", *map(_html, box.lines)])
        said.append(f"  {ids[box.name]}{before}{text}{after}")
    for line in drawing.lines:
        words = [" ".join(end.lines) for end in (line.a, line.b)]
        text = "<br/>".join(_html(part) for part in (*filter(None, words), *line.label))
        stroke = "-.-" if line.is_down else "---"
        said.append(f"  {ids[line.a.node]} {stroke}" + (f'|"{text}"| ' if text else " ") + ids[line.b.node])
    if down := [str(at) for at, line in enumerate(drawing.lines) if line.is_down]:
        said.append(f"  linkStyle {','.join(down)} stroke:{_WRONG}")
    for box in drawing.boxes:
        if box.is_bad:
            said.append(f"  style {ids[box.name]} stroke:{_WRONG},stroke-width:3px")
        elif box.has_program:
            said.append(f"  style {ids[box.name]} fill:{_filled(_WITH_PROGRAM)},stroke:{_WITH_PROGRAM},color:#000")
    return "\n".join(said) + "\n"


def _html(text: str) -> str:
    """Return a text as Mermaid takes it between quotes: its entities are written with # instead of &."""
    return text.replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")


# ---- Graphviz --------------------------------------------------------------------------------------------------------


def dot(drawing: Drawing) -> str:
    """Return a graph in Graphviz's language (https://graphviz.org/doc/info/lang.html), with its way to lay it out."""
    font = f'fontname="{_FONT}"'
    layout, of_links = _layout(drawing)
    shown = _without_words_at_hubs(drawing) if layout == _AS_STAR[0] else drawing
    said = [
        f"graph {_quoted(drawing.title)} {{",
        f"  graph [{layout} splines=true bgcolor=white {font} label={_quoted(drawing.title)} labelloc=t]",
        f'  node [shape=box style="filled,rounded" {font} fontsize=11]',
        f'  edge [{of_links} {font} fontsize=9 color="{palette.QUIET.light}" fontcolor="#333333"]',
        *map(_box, shown.boxes),
    ]
    for line in shown.lines:
        words = f"label={_lines_of(line.label)} taillabel={_lines_of(line.a.lines)} headlabel={_lines_of(line.b.lines)}"
        words += f' color="{_WRONG}" style=dashed' if line.is_down else ""
        said.append(f"  {_quoted(line.a.node)} -- {_quoted(line.b.node)} [{words}]")
    return "\n".join([*said, "}"]) + "\n"


def _layout(drawing: Drawing) -> tuple[str, str]:
    """Return how the lab is best laid out, and what links need for it."""
    if not _is_tree(drawing):
        return _AS_NET
    return _AS_STAR if max(_links_of(drawing).values(), default=0) > _MOST_IN_A_COLUMN else _AS_TREE


def _links_of(drawing: Drawing) -> Counter[str]:
    return Counter(end.node for line in drawing.lines for end in (line.a, line.b))


def _without_words_at_hubs(drawing: Drawing) -> Drawing:
    """Return a star whose links have no words: each node with few links has its interfaces and networks in its box."""
    links = _links_of(drawing)
    words: dict[str, list[str]] = {box.name: [] for box in drawing.boxes}
    for line in drawing.lines:
        for end in (line.a, line.b):
            if links[end.node] <= _MOST_IN_A_COLUMN:
                words[end.node] += [*end.lines, *line.label]
    boxes = tuple(
        box._replace(lines=(*box.lines, *(words[box.name] or [f"{links[box.name]} interfaces"])))
        for box in drawing.boxes
    )
    bare = tuple(
        line._replace(a=line.a._replace(lines=()), b=line.b._replace(lines=()), label=()) for line in drawing.lines
    )
    return Drawing(drawing.title, boxes, bare)


def _box(box: Box) -> str:
    border = _WITH_PROGRAM if box.has_program else _COLOURS[box.kind]
    fill, width = _filled(border), 1
    if box.is_bad:
        border, width = _WRONG, 3
    shape = ' shape=ellipse style="filled"' if box.kind == _SWITCH else ""
    colours = f'fillcolor="{fill}" color="{border}" penwidth={width}{shape}'
    return f"  {_quoted(box.name)} [label={_lines_of((box.name, *box.lines))} {colours}]"


def _filled(border: str) -> str:
    return palette.pale(border)


def render(text: str, form: str) -> bytes:
    """Return what Graphviz makes of a text, in a form such as svg or png; HostError if it is not installed."""
    try:
        done = subprocess.run(
            ["dot", f"-T{form}"], input=text.encode(), capture_output=True, check=False, timeout=DEADLINE_S
        )
    except FileNotFoundError:
        raise HostError(
            "Graphviz is not installed (on Debian: apt-get install graphviz); --format mermaid needs nothing"
        ) from None
    except subprocess.TimeoutExpired:
        raise NetlabError(f"Graphviz was not over after {DEADLINE_S} s: try --format mermaid") from None
    if done.returncode:
        raise NetlabError(f"Graphviz cannot draw it: {' '.join(done.stderr.decode(errors='replace').split())[:300]}")
    return done.stdout


def _is_tree(drawing: Drawing) -> bool:
    """Say whether there is one way at most between any two nodes: such a lab is best drawn from left to right."""
    groups = {box.name: box.name for box in drawing.boxes}

    def group(name: str) -> str:
        while groups[name] != name:
            name = groups[name]
        return name

    for line in drawing.lines:
        a, b = group(line.a.node), group(line.b.node)
        if a == b:
            return False
        groups[a] = b
    return True


def _lines_of(lines: Iterable[str]) -> str:
    return _quoted("\n".join(lines))


def _quoted(text: str) -> str:
    """Return a string of Graphviz's language, in which a line's end is a backslash and an n."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
