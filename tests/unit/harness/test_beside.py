"""Which tests are given to one process as a whole, and in what order: tests/beside.py."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import beside
from tests.checkout import ROOT


@pytest.mark.parametrize("file", beside.ALONE)
def test_what_is_given_alone_shares_nothing(file: str) -> None:
    """A fixture of its module would be made anew in each process."""
    text = (Path(ROOT) / file).read_text(encoding="utf-8")

    assert not re.search(r"fixture\(.*scope=", text)


def test_what_is_given_first_exists() -> None:
    assert [] == [file for file in beside.FIRST if not (Path(ROOT) / file).is_file()]


def test_the_longest_come_first_and_all_others_stay_in_their_order() -> None:
    names = ["tests/bpf/a.py::one", "tests/lab/test_demo.py::two", "tests/lab/a.py::three", "tests/lab/test_demo.py::x"]
    items: list[Any] = [SimpleNamespace(nodeid=name) for name in names]
    beside.ordered(items)

    assert [names[1], names[3], names[0], names[2]] == [item.nodeid for item in items]


@pytest.mark.parametrize(
    ("test", "scope"),
    [
        ("tests/lab/a.py::test_one[x::y]", "tests/lab/a.py"),
        ("tests/lab/test_demo.py::test_one[x::y]", "tests/lab/test_demo.py::test_one[x::y]"),
    ],
)
def test_a_file_is_given_as_a_whole_or_test_by_test(test: str, scope: str) -> None:
    assert scope == beside.given_with(test)
