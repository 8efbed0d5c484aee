"""`apply` makes of one lab what `up` would have made of another file."""

import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from netlab.lab import bring_up, changing
from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.changed import Data, planned, seen, settled, topologies
from tests.lab.lab import LAB

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

PAIRS = int(os.environ.get("NETLAB_PAIRS", "8"))


def quiet(_: str) -> None:
    """Say nothing."""


def up(data: Data) -> None:
    assert bring_up.up(planned(data), PATIENCE_S, quiet)


def down() -> None:
    bring_up.down(LAB, quiet)


def difference(one: object, other: object, where: str = "") -> list[str]:
    """Return where two things that can be seen differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = dict.fromkeys((*one, *other))
        return [text for key in keys for text in difference(one.get(key), other.get(key), f"{where} {key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            text for at, pair in enumerate(zip(one, other, strict=True)) for text in difference(*pair, f"{where} {at}")
        ]
    if isinstance(one, list) and isinstance(other, list):
        return [f"{where}: only {[x for x in one if x not in other]} → {[x for x in other if x not in one]}"]
    return [] if one == other else [f"{where}: {one} → {other}"]


@settings(
    max_examples=PAIRS,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate],
)
@given(one=topologies(), other=topologies())
def test_a_lab_becomes_what_up_would_have_made(one: Data, other: Data) -> None:
    """Interfaces, addresses, routes, sysctls, files, names, records and processes are equal."""
    try:
        up(other)
        expected = settled(LAB)
        down()
        up(one)
        changing.apply(planned(other), PATIENCE_S, quiet)
        eventually(lambda: _is_as(expected), "the lab is as one that was made so", 3)
    except AssertionError:
        raise AssertionError("\n".join(difference(expected, seen(LAB)))) from None
    finally:
        down()


def _is_as(expected: Data) -> bool:
    return seen(LAB) == expected
