"""Interleaved rounds, and the tables of their medians and ratios."""

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
    """What a row's median should be at most, as a multiple of a peer's; `word` is what that is called."""

    column: str
    row: str
    peer: str
    limit: float
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
    """All that one part of the benchmark has found."""

    title: str
    text: tuple[str, ...]
    tables: tuple[Table, ...]
    plots: tuple[Curves, ...] = ()


class Ratio(NamedTuple):
    """A median of the rounds' ratios, and how far nine in ten of the rounds' lie from it at most."""

    value: float
    noise: float


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio | None:
    """Return how many times `theirs` `ours` is, round by round; None where that has no meaning."""
    found = [one / other for one, other in zip(ours, theirs, strict=False) if other > 0]
    if not found:
        return None
    middle = statistics.median(found)
    return Ratio(middle, quantile([abs(each - middle) for each in found], 0.9))


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
