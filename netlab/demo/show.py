"""The timeline and the claims, as lines for people and as data for programs."""

from collections.abc import Iterable, Iterator

from netlab.demo.evidence import Claim, Entry, Evidence
from netlab.observe.painter import Painter
from netlab.record.model import LabRecord
from netlab.supervise.log_reader import OF_KERNEL


class Timeline:
    """The form of one lab's lines: who prints, in which colour, and how wide."""

    def __init__(self, lab: LabRecord, paint: Painter) -> None:
        carriers = [key for key, _ in lab.programs()]
        self._kernels = {key: "kernel" if len(carriers) == 1 else f"kernel@{key}" for key in carriers}
        self._numbers = {name: at for at, name in enumerate(lab.nodes)}
        self._width = max(map(len, [*lab.nodes, *self._kernels.values()]))
        self._paint = paint

    def who(self, entry: Entry) -> str:
        """Return who printed a line: a node, or the kernel."""
        line = entry.line
        if line.stream in OF_KERNEL:
            return self._kernels.get(line.source, "kernel")
        return line.node

    def text(self, entry: Entry, begin_ns: int) -> str:
        """Return a line of the timeline, with the milliseconds since the first line."""
        who = self.who(entry)
        wide = f"{who:<{self._width}}"
        name = self._paint.node(wide, self._numbers[who]) if who in self._numbers else self._paint.kernel(wide)
        return f"{(entry.line.ns - begin_ns) / 1e6:>11.3f} ms  {name}  {entry.line.text}"


def as_data(evidence: Evidence) -> Iterator[dict[str, object]]:
    """Yield the lines of the timeline as plain data, each with the name and the values of its event, if it is one."""
    for line, event in evidence.timeline:
        yield {
            "ms": (line.ns - evidence.begin_ns) / 1e6,
            "time_ns": line.ns + evidence.lab.clock_offset_ns,
            "monotonic_ns": line.ns,
            "node": line.node,
            "source": line.source,
            "stream": line.stream,
            "text": line.text,
            "event": type(event).__name__ if event is not None else None,
            "values": event._asdict() if event is not None else None,
        }


def claim(one: Claim, paint: Painter) -> str:
    """Return a claim as a line, with its figures."""
    return f"{_mark(one, paint)} {one.text}: {one.figures}"


def _mark(one: Claim, paint: Painter) -> str:
    return "–" if one.holds is None else paint.good("✓") if one.holds else paint.bad("✗")


def is_closer(one: Claim) -> bool:
    """Say whether a claim is on lines and maps that only netlab's own programs have."""
    return ".closer." in one.id


def claim_as_data(one: Claim) -> dict[str, object]:
    """Return a claim as plain data: `holds` is null if it cannot be judged."""
    return {"id": one.id, "text": one.text, "verdict": one.verdict, "holds": one.holds, "figures": one.figures}


def verdict(claims: Iterable[Claim]) -> str:
    """Return how many claims hold, of those that can be judged, and how many cannot."""
    held = [one.holds for one in claims]
    judged = [each for each in held if each is not None]
    left = f", {len(held) - len(judged)} cannot be judged" if len(held) > len(judged) else ""
    return f"{sum(judged)} of {len(judged)} claims hold{left}"


def all_hold(claims: Iterable[Claim]) -> bool:
    """Say whether no claim fails."""
    return all(one.holds is not False for one in claims)
