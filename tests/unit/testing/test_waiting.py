"""Waiting for a condition."""

import pytest

from netlab.testing.waiting import eventually


def test_it_returns_as_soon_as_it_is_so() -> None:
    answers = iter([False, 0, "", "yes"])
    eventually(lambda: next(answers))

    assert [] == list(answers)


def test_the_deadline_says_what_was_waited_for() -> None:
    with pytest.raises(AssertionError, match=r"not so within 0\.02 s: a miracle"):
        eventually(lambda: False, "a miracle", 0.02)
