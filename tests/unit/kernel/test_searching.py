"""Searches for regular expressions end in time."""

import re
import signal
import warnings

import pytest

from netlab.kernel.searching import Searcher, TookTooLong, compiled, shown

HARMFUL, TEXT = r"(a+)+$", "a" * 60 + "b"


def test_a_search_that_would_take_for_ever_is_given_up() -> None:
    before = signal.getsignal(signal.SIGVTALRM)
    searcher = Searcher(HARMFUL, 0.02)

    with pytest.raises(TookTooLong):
        searcher.search(TEXT)
    with pytest.raises(TookTooLong):
        searcher.search("a")

    assert searcher.gave_up
    assert before == signal.getsignal(signal.SIGVTALRM)
    assert (0.0, 0.0) == signal.getitimer(signal.ITIMER_VIRTUAL)


def test_the_time_is_for_all_searches_together() -> None:
    searcher = Searcher(r"(a+)+$", 0.2)

    def search_again_and_again() -> None:
        for _ in range(10_000):
            assert searcher.search("a" * 16 + "b") is None

    with pytest.raises(TookTooLong):
        search_again_and_again()


def test_an_ordinary_search_finds_what_re_finds() -> None:
    searcher = Searcher(r"port (?P<port>\d+)", 5.0)
    found = searcher.search("at port 80")

    assert found
    assert {"port": "80"} == found.groupdict()
    assert searcher.search("at no port") is None
    assert not searcher.gave_up


@pytest.mark.parametrize("pattern", ["(", "(" * 5000 + ")" * 5000, "a{99999999999999}"])
def test_what_cannot_be_compiled_is_one_kind_of_error(pattern: str) -> None:
    with pytest.raises(re.error):
        compiled(pattern)


def test_a_doubtful_pattern_warns_nobody() -> None:
    """The supervisor's stderr is read by `up`."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        assert compiled("[[a]").search("[")


def test_a_pattern_is_shown_as_it_was_written() -> None:
    assert r"'\d+ \(all\)\n'" == shown("\\d+ \\(all\\)\n")
