"""Interleaved rounds, and the tables of their medians and ratios."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

SETTLE_S = 0.15  # the kernel removes namespaces behind us; one contender's should not fall into the next one's time

Samples = dict[str, dict[str, list[float]]]


class Job(NamedTuple):
    """One thing to time for one contender. The jobs of a group are done in order."""

    contender: str
    measure: str
    timed: Callable[[], object]


class Aim(NamedTuple):
    """What a row's median should be at most, as a multiple of a peer's, or as it is if there is no peer.

    `word` is what that is called. Without a limit the multiple is said, and nothing judged.
    """

    column: str
    row: str
    peer: str
    limit: float | None
    word: str = "aim"


class Table(NamedTuple):
    """A comparison. Samples by row and column, those of one round at the same place of each list.

    The first row is what the others are multiples of. `units` are the columns'; a unit of "" has no ratio. `missing`
    names what was left out, and why; `notes` say what the figures do not.
    """

    title: str
    units: dict[str, str]
    samples: Samples
    aims: tuple[Aim, ...] = ()
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    intro: str = ""


class Curves(NamedTuple):
    """A plot: for each line its points, as [[x, y] …]."""

    file: str
    title: str
    x: str
    y: str
    lines: dict[str, list[list[float]]]
    logarithmic: str = ""  # of the axes x and y


class Part(NamedTuple):
    """All that one part of the benchmark has found; `measured` says when, and on what."""

    title: str
    text: tuple[str, ...]
    tables: tuple[Table, ...]
    plots: tuple[Curves, ...] = ()
    measured: str = ""


class Middle(NamedTuple):
    """A median, and by how much that of another run may differ; None where the rounds are too few to tell."""

    value: float
    noise: float | None

    @property
    def is_told(self) -> bool:
        """Whether it stands out of its own noise."""
        return self.noise is None or self.noise < self.value

    def agrees(self, other: "Middle") -> bool | None:
        """Tell whether two runs' medians are as near as the wider of their noises says; None if one is unknown."""
        if self.noise is None or other.noise is None:
            return None
        return abs(self.value - other.value) <= max(self.noise, other.noise)


FEWEST = 3  # rounds that tell anything of their noise
FLOOR = 0.05  # of a median: what differs between two runs and not within one, such as where code lies in memory
WIDTH, LOST = 6.0, 1.5  # found by trying: see tests/unit/harness/test_measure.py


def middle(values: Sequence[float]) -> Middle:
    """Return the median of rounds, and its noise.

    The noise is so wide that the medians of two runs, of as many rounds each, lie further apart in less than one case
    of a hundred, be the rounds normal, skewed, or spoilt now and then. Medians spread by 1.25 s/√n, two of them are √2
    times as far apart, and so few rounds know their own s badly; a tenth of them at either end is drawn in before.
    """
    found = statistics.median(values)
    if len(values) < FEWEST:
        return Middle(found, None)
    low, high = quantile(values, 0.1), quantile(values, 0.9)
    spread = statistics.stdev(min(max(value, low), high) for value in values)
    return Middle(found, max(FLOOR * abs(found), WIDTH * spread / math.sqrt(len(values) - LOST)))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Middle | None:
    """Return how many times `theirs` `ours` is, round by round; None where that has no meaning."""
    found = [one / other for one, other in zip(ours, theirs, strict=False) if other > 0]
    return middle(found) if found else None


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of all lie, between the two nearest ones if need be."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def interleave(jobs: Sequence[Sequence[Job]], rounds: int, settle_s: float = SETTLE_S) -> Samples:
    """Time every group of jobs once in each round, each round beginning with another group; return the times in ms.

    What a job returns by column, if it does, is measured too.
    """
    samples: Samples = {}
    for number in range(rounds):
        first = number % len(jobs)
        for group in [*jobs[first:], *jobs[:first]]:
            for job in group:
                started = time.perf_counter()
                more = job.timed()
                found: dict[str, Any] = {job.measure: (time.perf_counter() - started) * 1000}
                found |= more if isinstance(more, dict) else {}
                for column, value in found.items():
                    samples.setdefault(job.contender, {}).setdefault(column, []).append(float(value))
            time.sleep(settle_s)
    return {group[0].contender: samples[group[0].contender] for group in jobs if rounds}
