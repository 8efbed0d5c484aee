"""A role's command line is read as argparse reads it, but mostly without argparse."""

import random

import pytest

from netlab import options, role_arguments
from tests.unit.test_imports import python
from tests.unit.test_options import OPTIONS

WORDS = (
    *("--target", "--count", "--sleep", "--service-port", "--service_port", "--back-up", "--nodes", "--policy"),
    *("--seed", "--verbose", "lb:80", "lb", "5", "0.5", "-3", "a", "two", "", "--count=5", "--", "-h", "--cou"),
)


def result(words: list[str], by_argparse: bool) -> object:
    """Return the options that are read, or the exit code."""
    with pytest.MonkeyPatch.context() as patch:
        if by_argparse:
            patch.setattr(role_arguments, "_plain", lambda *_: None)
        try:
            return vars(options.parse(OPTIONS, "A role.", words))
        except SystemExit as end:
            return end.code


def test_both_ways_read_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """Of command lines by chance, right and wrong, with what they print."""
    chance = random.Random(7)
    is_right = []
    for _ in range(500):
        words = [*chance.choice(([], ["--target", "lb:80"])), *chance.choices(WORDS, k=chance.randrange(5))]
        plain, printed = result(words, by_argparse=False), capsys.readouterr()
        whole = result(words, by_argparse=True)

        assert (whole, capsys.readouterr()) == (plain, printed), words
        is_right.append(role_arguments._plain(OPTIONS, words) is not None and isinstance(plain, dict))

    assert 20 < sum(is_right) < 200


def test_a_right_command_line_needs_no_argparse() -> None:
    """Which takes longer to load than the rest of a small role."""
    code = f"""
import sys
from netlab import options
print(options.parse({OPTIONS!r}, "A role.", ["--target", "lb:80", "--sleep", "1", "2", "--verbose"]).sleep)
print("argparse" in sys.modules)
"""

    assert python(code).splitlines() == ["[1.0, 2.0]", "False"]


def test_names_can_be_looked_for() -> None:
    """As in what argparse gives."""
    read = options.parse(OPTIONS, "A role.", ["--target", "lb:80"])

    assert ("target" in read, "nothing" in read) == (True, False)
