"""The timeline, and what is claimed of it, as lines for people and as data for programs."""

from collections.abc import Iterable, Iterator

from netlab.demo.evidence import Claim, Entry, Evidence
from netlab.record.model import LabRecord

# By what speaks: the kernel, and then the nodes in their order.
_KERNEL_COLOUR = 33
_NODE_COLOURS = (36, 32, 35, 34, 92, 95, 94, 96)
_GOOD, _BAD = 32, 31


class Timeline:
    """How the lines of one lab are written: who speaks, in which colour, and how wide."""

    def __init__(self, lab: LabRecord, painted: bool) -> None:
        carriers = [name for name, node in lab.nodes.items() if node.programs]
        self._kernels = {name: "kernel" if len(carriers) == 1 else f"kernel@{name}" for name in carriers}
        self._colours = {name: _NODE_COLOURS[at % len(_NODE_COLOURS)] for at, name in enumerate(lab.nodes)}
        self._width = max(map(len, [*lab.nodes, *self._kernels.values()]))
        self._painted = painted

    def who(self, entry: Entry) -> str:
        """Return who speaks in a line: a node, or the kernel."""
        line = entry.line
        if line.stream in ("trace", "lost"):
            return self._kernels.get(line.node, "kernel")
        return line.node

    def text(self, entry: Entry, begin_ns: int) -> str:
        """Return a line of the timeline, with the milliseconds since its first one."""
        who = self.who(entry)
        colour = self._colours.get(who, _KERNEL_COLOUR)
        name = paint(f"{who:<{self._width}}", colour, self._painted)
        return f"{(entry.line.ns - begin_ns) / 1e6:>11.3f} ms  {name}  {entry.line.text}"


def paint(text: str, colour: int, painted: bool) -> str:
    """Return text in a colour of the terminal."""
    return f"\x1b[{colour}m{text}\x1b[0m" if painted else text


def as_data(evidence: Evidence) -> Iterator[dict[str, object]]:
    """Yield the lines of the timeline as plain data, each with the name and the values of its event, if it is one."""
    for line, event in evidence.timeline:
        yield {
            "ms": (line.ns - evidence.begin_ns) / 1e6,
            "time_ns": line.ns + evidence.lab.clock_offset_ns,
            "monotonic_ns": line.ns,
            "node": line.node,
            "stream": line.stream,
            "text": line.text,
            "event": type(event).__name__ if event is not None else None,
            "values": event._asdict() if event is not None else None,
        }


def claim(one: Claim, painted: bool) -> str:
    """Return a claim as a line, with the figures behind it."""
    mark = paint("✓", _GOOD, painted) if one.holds else paint("✗", _BAD, painted)
    return f"{mark} {one.text}: {one.figures}"


def verdict(claims: Iterable[Claim]) -> str:
    """Return how many claims hold."""
    held = [one.holds for one in claims]
    return f"{sum(held)} of {len(held)} claims hold"
