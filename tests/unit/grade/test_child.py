"""A lab with more threads than the exercise has would make its claims easy."""

import pytest

from netlab.grade.child import other_lab
from tests.unit.judge.synthetic import facts


@pytest.mark.parametrize(
    ("expects", "said"),
    [
        ({"workers": 3, "threads": 2}, ""),
        ({}, ""),
        ({"workers": 3, "threads": 5}, "threads: 2, not 5"),
        ({"workers": 4, "threads": 2}, "workers: 3, not 4"),
    ],
)
def test_another_lab_than_the_exercises_fails_a_claim(expects: dict[str, int], said: str) -> None:
    found = other_lab(facts(), expects)

    assert said == (found.figures.partition(";")[0] if found else "")
