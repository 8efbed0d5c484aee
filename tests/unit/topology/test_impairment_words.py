"""Impairments in the words of a topology, and the seeds of directions."""

import pytest

from netlab.topology import impairment, impairment_words
from netlab.topology.impairment import PLAIN, Choice, Impairment
from netlab.topology.validate import impairments


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (PLAIN, "nothing"),
        (PLAIN._replace(seed=9), "nothing"),
        (Impairment(20_000_000, 1_500_000, seed=9), "delay 20ms, jitter 1.5ms, seed 9"),
        (Impairment(loss=Choice("independent", 100), rate=2_500_000), "loss 0.01%, rate 2.5mbit"),
        (Impairment(duplicate=Choice("every", every=10), seed=9), "duplicate every 10"),
        (Impairment(loss=Choice("numbers", numbers=(1, 2, 3, 4, 5, 6))), "loss numbers 1, 2, 3, 4, 5, …"),
        (
            Impairment(corrupt=Choice("gilbert-elliott", 0, 1000, 200_000, 1_000_000), queue_bytes=65_536),
            "corrupt gilbert-elliott p 0.1% r 20% bad 100% good 0%, queue 65.536kB",
        ),
    ],
)
def test_words_are_those_of_a_topology(found: Impairment, words: str) -> None:
    assert words == impairment_words.words(found)


@pytest.mark.parametrize("ns", [1, 999, 1_000, 1_234_567, 20_000_000, 1_500_000_000, 60 * 10**9])
def test_a_time_is_read_as_it_is_written(ns: int) -> None:
    """No digit is lost on the way to a person and back."""
    units = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}

    assert ns == impairments.amount(impairment_words.time(ns), units)


@pytest.mark.parametrize(
    "text", ["", "ms", "1", "1m", "-1ms", "1.ms", ".5ms", "1e3ms", "1_0ms", "\u0661ms", "0.0000001ms", "9" * 20 + "ms"]
)
def test_what_is_no_amount(text: str) -> None:
    assert impairments.amount(text, {"ms": 10**6}) is None


def test_a_written_seed_is_that_of_the_first_direction_alone() -> None:
    """Of replicas, too, each direction has another one; they stay the same, and neighbours have nothing in common."""
    seeds = [impairment.seed(7, copy, side) for copy in range(100) for side in (0, 1)]

    assert seeds[0] == 7
    assert len(seeds) == len(set(seeds))
    assert all(0 < each <= impairment.MAX_SEED for each in seeds)
    assert seeds[1] == 3336687647


def test_names_give_a_seed_that_stays() -> None:
    names = [f"n{number} eth0 hub eth{number}" for number in range(1000)]

    assert len({impairment.seed_named(each) for each in names}) == 1000
    assert impairment.seed_named("a eth0 b eth0") == 3499053823
