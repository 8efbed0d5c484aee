"""What options of verbs mean, as text."""

import time
from argparse import ArgumentTypeError

import pytest

from netlab.cli.values import moment, pattern

HOUR_NS = 3600 * 10**9


@pytest.mark.parametrize(
    ("text", "ago_s"), [("0", 0), ("10", 10), ("1.5s", 1.5), ("250ms", 0.25), ("5m", 300), ("2h", 7200)]
)
def test_a_time_ago(text: str, ago_s: float) -> None:
    before = time.time_ns()
    found = moment(text)

    assert before <= found + int(ago_s * 1e9) <= time.time_ns()


@pytest.mark.parametrize("hours", [1, 23])
def test_a_time_of_day_is_of_the_last_24_hours(hours: int) -> None:
    then_s = time.time() - hours * 3600
    text = time.strftime("%H:%M:%S", time.localtime(then_s))

    assert int(then_s) * 10**9 == moment(text)
    assert int(then_s) * 10**9 + 250_000_000 == moment(f"{text}.25")


@pytest.mark.parametrize(
    "text", ["", "noon", "-5", "1d", "25:00", "12:60", "12:00:00.", "\uff11\uff12:00", "1e3", "9" * 12]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match=r"expected a time ago, as 10s, 5m or 2h, or of day, as 16:59"):
        moment(text)


def test_a_pattern_is_compiled_or_refused() -> None:
    assert pattern("a.c").search("xabc")
    with pytest.raises(ArgumentTypeError, match=r"expected a regular expression, found '\[': unterminated"):
        pattern("[")
