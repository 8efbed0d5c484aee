"""Patterns of `prints` are compared with lines in a child, each for a time."""

import pytest

from netlab.demo import matching
from netlab.judge.lines import Fitting


def test_each_pattern_says_what_it_finds_in_each_line() -> None:
    patterns = [("queued", r"waits: (?P<free>\d)"), ("freed", "done")]

    found = matching.compare(patterns, ["7 waits: 3", "done 5 of 9"])

    expected = [
        Fitting("queued", r"waits: (?P<free>\d)", [{"free": "3"}, None]),
        Fitting("freed", "done", [None, {"0": "5", "1": "9"}]),
    ]
    assert (expected, "") == found


def test_a_pattern_that_takes_too_long_is_named_with_its_line() -> None:
    patterns = [("received", "a"), ("queued", "(a+)+$")]

    fits, why = matching.compare(patterns, ["short", "a" * 60 + "b"], cpu_s=0.05)

    assert not fits
    assert f"the pattern '(a+)+$' of `queued` takes too long on '{'a' * 60}b': write a simpler one" == why


def test_a_child_that_ends_or_hangs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "_PATIENCE_S", 0.2)
    assert (
        "have not been compared with 1 line in 0.2 s" in matching.compare([("queued", "(a+)+$")], ["a" * 60 + "b"])[1]
    )

    monkeypatch.setattr(matching, "_PATIENCE_S", 60.0)
    assert "could not be compared with the lines: " in matching.compare([("queued", "(")], ["a"])[1]


def test_without_patterns_there_is_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(matching, "subprocess")

    assert ([], "") == matching.compare([], ["a"])
