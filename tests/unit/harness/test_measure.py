"""What the benchmark makes of what its jobs take, and of what they find."""

import math
import os
import random
from collections.abc import Callable, Sequence

import pytest

from tests.bench.against import pairs
from tests.bench.importing import by_package
from tests.bench.measure import Aim, Job, Middle, Part, Table, interleave, middle, quantile, ratio
from tests.bench.page import cell, judged, verdict

RUNS = 2000 if os.environ.get("SLOW") else 500  # of each kind; always the same ones
Draw = Callable[[random.Random], float]
DRAWS: dict[str, Draw] = {
    "normal": lambda draws: draws.gauss(1, 0.1),
    "skewed": lambda draws: math.exp(draws.gauss(0, 0.15)),
    "late": lambda draws: 1 + draws.expovariate(10),
    "spoilt now and then": lambda draws: draws.gauss(1, 0.05) * (3 if draws.random() < 0.1 else 1),
}


def share_apart(draw: Draw, rounds: int, of: Callable[[Sequence[float]], Middle]) -> float:
    """Return of how many pairs of runs that measure the same the medians lie further apart than either's noise."""
    draws = random.Random(rounds)
    runs = [of([draw(draws) for _ in range(rounds)]) for _ in range(2 * RUNS)]
    return sum(one.agrees(other) is False for one, other in zip(runs[::2], runs[1::2], strict=True)) / RUNS


@pytest.mark.parametrize("rounds", [3, 4, 5, 9, 15])
@pytest.mark.parametrize("draw", DRAWS)
def test_two_runs_of_the_same_agree_within_their_noise(draw: str, rounds: int) -> None:
    """Of two runs that measure the same, less than one pair in a hundred is further apart than the noise says."""
    assert share_apart(DRAWS[draw], rounds, middle) < 0.01


@pytest.mark.parametrize("rounds", [3, 4])
def test_how_far_rounds_lie_from_their_median_says_less_than_two_runs_differ(rounds: int) -> None:
    """The distance that nine in ten rounds keep, which once was printed as noise, is far too small for few rounds."""

    def distance(values: Sequence[float]) -> Middle:
        found = quantile(values, 0.5)
        return Middle(found, quantile([abs(value - found) for value in values], 0.9))

    assert share_apart(DRAWS["normal"], rounds, distance) > 0.05


def test_runs_that_differ_are_found() -> None:
    """What is a third more in another run of nine rounds is out of the noise."""
    draws = random.Random(1)
    one, other = ([draws.gauss(mean, 0.05) for _ in range(9)] for mean in (1.0, 1.33))

    assert middle(one).agrees(middle(other)) is False


def test_noise_is_never_nothing_and_of_two_rounds_unknown() -> None:
    assert middle([2.0, 2.0, 2.0]) == Middle(2.0, 0.1)
    assert middle([2.0, 3.0]) == Middle(2.5, None)
    assert middle([2.0, 3.0]).agrees(middle([2.5, 2.5, 2.5])) is None


def test_ratios_are_of_rounds() -> None:
    """A machine that becomes slower in the middle of a run does not change a ratio."""
    assert ratio([2, 2, 8, 8], [1, 1, 4, 4]) == Middle(2.0, 0.1)
    assert ratio([1], [0]) is None


def test_a_verdict_knows_of_noise() -> None:
    found = [judged(Middle(value, 0.1), 1.0) for value in (0.8, 0.95, 1.05, 1.2)]

    assert ["met", "within noise (met by the median)", "within noise (missed by the median)", "**missed**"] == found


def table(**rows: list[float]) -> Table:
    return Table("Stars", {"up": "ms"}, {name: {"up": values} for name, values in rows.items()})


def test_cells_begin_with_ratios_that_stand_out_of_their_noise() -> None:
    found = table(ours=[10, 10, 10], theirs=[30, 30, 30], lost=[1, 90, 10], once=[20])

    assert ["10.0 (10.0–10.0)", "**3.00×** ± 0.15 · 30.0 (30.0–30.0)", "**2.00×** ±? · 20.0"] == [
        cell(found, row, "up") for row in ("ours", "theirs", "once")
    ]
    assert cell(found, "lost", "up").startswith("×? · 10.0")


def test_aims_may_be_of_a_peer_or_of_the_figure_itself_and_have_no_limit() -> None:
    found = table(ours=[10, 10, 10], theirs=[30, 30, 30])

    assert [
        "- ours, up: 0.33 ± 0.017 times theirs; aim: at most 0.5: met",
        "- ours, up: 10.0 ± 0.50 ms; aim: at most 5: **missed**",
        "- theirs, up: 3.00 ± 0.15 times ours",
    ] == [
        verdict(found, Aim("up", "ours", "theirs", 0.5)),
        verdict(found, Aim("up", "ours", "", 5)),
        verdict(found, Aim("up", "theirs", "ours", None)),
    ]


def test_ratios_of_two_runs_are_compared_where_both_say_them() -> None:
    one = {"part": Part("Part", (), (table(ours=[1, 1, 1], theirs=[3, 3, 3], more=[5, 5, 5]),))}
    other = {"part": Part("Part", (), (table(ours=[1, 1, 1], theirs=[3.1, 3.1, 3.1], more=[6, 6, 6], new=[1]),))}
    found = pairs(one, other)

    assert {"part | Stars | theirs | up": False, "part | Stars | more | up": True} == {
        pair.place: pair.is_apart for pair in found
    }


def test_groups_take_turns_and_what_jobs_find_is_kept() -> None:
    """Each round begins with another group; a job may have figures of its own beside its time."""
    order: list[str] = []

    def up(name: str) -> dict[str, float]:
        order.append(name)
        return {"memory": float(len(order))}

    groups = [
        [Job("one", "up", lambda: up("one")), Job("one", "down", lambda: None)],
        [Job("two", "up", lambda: up("two"))],
    ]
    samples = interleave(groups, 2, settle_s=0)

    assert order == ["one", "two", "two", "one"]
    assert {name: set(found) for name, found in samples.items()} == {
        "one": {"up", "down", "memory"},
        "two": {"up", "memory"},
    }
    assert samples["one"]["memory"] == [1.0, 4.0]
    assert all(value >= 0 for value in samples["one"]["up"])


def test_imports_are_summed_by_package_from_what_python_prints() -> None:
    said = """\
import time: self [us] | cumulative | imported package
import time:       100 |        100 |   encodings.aliases
import time:       300 |        400 | encodings
netlab: something else
import time:        50 |         50 | json"""

    assert {"encodings": 400, "json": 50} == by_package(said)
