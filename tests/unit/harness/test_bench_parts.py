"""What the parts of the benchmark make of what they measure."""

from functools import partial

import pytest

from tests.bench import bringup, ready
from tests.bench.compare import GONE, UP, compare
from tests.bench.contenders import Contender
from tests.bench.measure import Table


def star(*times_ms: float) -> Table:
    return Table("A star", {}, {bringup.NETLAB: {UP: list(times_ms), GONE: list(times_ms)}})


def test_what_a_leaf_costs_is_that_of_a_star_and_that_of_each_more() -> None:
    """What does not depend on the leaves is in the former only."""
    found = bringup.per_leaf({4: star(90, 90), 50: star(150, 150), 200: star(300, 300), 1000: star(1100, 1100)})
    ours = {row: columns[f"{bringup.NETLAB}, {UP}"] for row, columns in found.samples.items()}

    assert {
        "50 leaves": [3.0, 3.0],
        "200 leaves": [1.5, 1.5],
        "1,000 leaves": [1.1, 1.1],
        "the 150 from 50 to 200": [1.0, 1.0],
        "the 800 from 200 to 1,000": [1.0, 1.0],
    } == ours


def test_what_cannot_be_avoided_is_the_longer_of_nodes_and_program_and_then_the_roles() -> None:
    samples = {
        ready.OURS: {UP: [400.0], ready.ROLES: [150.0]},
        ready.FIRST: {UP: [1000.0], ready.ROLES: [160.0]},
        ready.NODES: {UP: [200.0]},
        **{
            name: {UP: [value], "CPU": [1.0]}
            for name, value in zip(ready.ALONE, (170.0, 800.0, 50.0, 10.0), strict=True)
        },
    }
    found = ready.with_sums(samples)

    assert {ready.SUM: [350.0], ready.FIRST_SUM: [960.0], ready.ROLES: [150.0]} == {
        name: found[name][UP] for name in (ready.SUM, ready.FIRST_SUM, ready.ROLES)
    }
    assert {UP} == set(found[ready.VERIFIED])


def test_who_takes_too_long_takes_part_in_the_first_rounds_only(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    monkeypatch.setattr("tests.bench.compare.once", lambda field: {UP: float(len(taken))})
    fields = [Contender(name, dict, lambda: None, partial(taken.append, name)) for name in ("one", "slow")]
    found = compare(fields, 3, {"slow": 1})

    assert [3, 1] == [len(found[name][UP]) for name in ("one", "slow")]
    assert taken == ["one"], "a single round is not tried before"
