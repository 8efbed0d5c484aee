"""How numbers of things, and many things, are said."""

import pytest

from netlab import words


@pytest.mark.parametrize(("number", "said"), [(0, "0 nodes"), (1, "1 node"), (2, "2 nodes")])
def test_one_is_no_several(number: int, said: str) -> None:
    assert said == words.count(number, "node")
    assert said.replace("node", "process").replace("processs", "processes") == words.count(number, "process", "es")


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, ""), (1, "n0"), (4, "n0, n1, n2, n3"), (5, "n0, n1, n2, n3 and 1 more"), (99, "n0, n1, n2, n3 and 95 more")],
)
def test_of_many_the_first_are_named(count: int, said: str) -> None:
    assert said == words.few([f"n{number}" for number in range(count)])
