"""Which processes start again by themselves, when, and how often."""

import time

import pytest

from netlab.supervise import restarts
from netlab.supervise.restarts import Restarts


@pytest.mark.parametrize(
    ("when", "how", "stays", "expected"),
    [
        ("no", {"exit": 1}, True, False),
        ("always", {"exit": 0}, False, True),
        ("on-failure", {"exit": 0}, False, False),
        ("on-failure", {"exit": 0}, True, True),
        ("on-failure", {"exit": 3}, False, True),
        ("on-failure", {"signal": 9}, False, True),
        ("on-failure", {"gone": 1}, False, True),
    ],
)
def test_who_wants_to_start_again(when: str, how: dict[str, int], stays: bool, expected: bool) -> None:
    """A daemon whose end nobody has seen has not ended well; nor has a role that stays."""
    assert expected == restarts.wants(when, how, stays)


def test_pauses_grow_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    counted = Restarts()
    found = [counted.plan("a", 9, 0.1) for _ in range(10)]

    assert [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0] == [each.pause_s for each in found if each]
    assert found[-1] is None
    assert counted.waits("a")
    assert counted.due == now + 10.0


def test_a_good_run_and_a_request_let_counting_begin_anew() -> None:
    counted = Restarts()
    counted.plan("a", 1, 0)

    assert counted.plan("a", 1, 0) is None
    assert counted.plan("a", 1, restarts.STEADY_S) == restarts.Next(0.1, 1)
    counted.forget("a")
    assert not counted.waits("a")
    assert counted.plan("a", 1, 0) == restarts.Next(0.1, 1)


def test_each_comes_when_it_is_due_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    counted = Restarts()
    counted.plan("a", 5, 0)
    counted.plan("b", 5, 0)
    counted.plan("b", 5, 0)

    assert [] == counted.take_due()
    now[0] += 0.15
    assert ["a"] == counted.take_due()
    assert [] == counted.take_due()
    now[0] += 0.15
    assert ["b"] == counted.take_due()
    assert counted.due == float("inf")
