"""Every interleaving of a few CPUs at threads that are lent to them, and mutants that show that faults are found."""

import pytest

from tests.bpf import interleavings_deposits as first_design
from tests.bpf.interleavings import CAPACITY, Cpu, Shard, World, faults, lease, worlds

pytestmark = pytest.mark.root  # as all that tests the balancer
BEGINNINGS = (
    (Shard(2, 0),),
    (Shard(1, 0), Shard(1, 0)),
    (Shard(0, 1), Shard(1, 0)),
    (Shard(0, 2),),
    (Shard(1, 1),),
)
TWO = (("aa", "ca"), ("ac", "ca"), ("aac", "rca"), ("ac", "sr"), ("as", "rca"), ("aaa", "cc"))
THREE = (("a", "a", "c"), ("a", "c", "r"))
MUTANTS = (
    "deposits what it does not have",
    "stale word",
    "decides without gathering",
    "gathers in two steps",
    "lends while something waits",
    "keeps what it lends",
)


def first_fault(*mutants: str) -> str:
    """Return the first fault in any interleaving of any play, or nothing."""
    for world in worlds(*TWO, *THREE, shards=BEGINNINGS):
        assert sum(each.free + each.taken for each in world.shards) == CAPACITY
        fault, _ = faults(lease, world, frozenset(mutants))
        if fault:
            return fault
    return ""


def test_no_interleaving_loses_doubles_strands_or_overtakes() -> None:
    """Free and taken threads are the capacity at every moment, and nothing waits beside a free thread in the end."""
    assert first_fault() == ""


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_caught(mutant: str) -> None:
    """Each of the steps that the proof needs is needed."""
    assert first_fault(mutant) != ""


def of_the_first_design(*plays: tuple[str, ...]) -> str:
    """Return the first fault of the design that was not taken, or nothing."""
    for play in plays:
        for free, taken in (((2, 0), 0), ((1, 1), 0), ((0, 0), 2), ((1, 0), 1), ((0, 1), 1)):
            shards = tuple(Shard(each) for each in (*free, 0)[: len(play)])
            world = World(tuple(Cpu(each) for each in play), shards, taken=taken)
            fault, _ = faults(first_design.deposits, world, frozenset(), first_design.kept)
            if fault:
                return fault
    return ""


def test_the_first_design_strands_where_the_queue_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """And only there, of arrivals and completions."""
    plays = (("ac", "ca"), ("aca", "cac"), ("aaa", "cc"), ("a", "a", "c"), ("aa", "c", "c"), ("aa", "a", "c"))
    monkeypatch.setattr(first_design, "ROOM", 9)
    assert of_the_first_design(*plays) == ""

    monkeypatch.setattr(first_design, "ROOM", 1)
    assert of_the_first_design(*plays) != ""


@pytest.mark.parametrize("other", ["a", "c"])
def test_a_report_makes_threads_in_the_first_design(other: str) -> None:
    """Between the two changes of an arrival or a completion a thread is in neither count."""
    assert of_the_first_design((other, "r")) != ""
