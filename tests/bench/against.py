"""Two runs of the benchmark side by side: which ratios differ by more than their noise explains."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tests.bench.measure import Middle, Part
from tests.bench.page import number, ratios, times


class Pair(NamedTuple):
    """One ratio as two runs have found it."""

    place: str
    ours: Middle
    theirs: Middle

    @property
    def is_apart(self) -> bool:
        return self.ours.agrees(self.theirs) is False


def told(part: Part) -> Iterator[tuple[str, Middle]]:
    """Yield all ratios of a part that it says: where, and what."""
    for table in part.tables:
        for (row, column), found in ratios(table).items():
            if found.is_told:
                yield f"{table.title} | {row} | {column}", found


def pairs(ours: Mapping[str, Part], theirs: Mapping[str, Part]) -> list[Pair]:
    """Return the ratios that both runs say, and of which both know their noise."""
    found = []
    for name, part in ours.items():
        known = dict(told(theirs[name])) if name in theirs else {}
        both = [Pair(f"{name} | {place}", ratio, known[place]) for place, ratio in told(part) if place in known]
        found += [pair for pair in both if pair.ours.agrees(pair.theirs) is not None]
    return found


def report(ours: Mapping[str, Part], theirs: Mapping[str, Part], file: str) -> str:
    """Return what agrees with an earlier run, kept in a file, and each ratio that does not."""
    found = pairs(ours, theirs)
    apart = [pair for pair in found if pair.is_apart]
    text = [f"Against {file}: of {len(found)} ratios {len(found) - len(apart)} agree within noise"]
    text += [
        f"- {pair.place}: {times(pair.ours)}, there {times(pair.theirs)}; "
        f"apart by {number(abs(pair.ours.value - pair.theirs.value))}"
        for pair in apart
    ]
    return "\n".join(text)
