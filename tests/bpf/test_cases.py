"""The balancer's packet table, played: each case on each build that it is for, by BPF_PROG_TEST_RUN."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import NamedTuple

import pytest

from netlab.programs.maps import LoadedProgram
from tests.bpf.cases import BUILDS, INTERFACES, Case
from tests.bpf.rig import Rig, built
from tests.bpf.table import CASES

pytestmark = pytest.mark.root
WHAT = "cases of the balancer, those that differ in one field only counted as one"


@pytest.fixture(scope="module")
def builds(root: None) -> Iterator[Callable[[str], Rig]]:
    """The builds that cases are for, by their names.

    No parameter of a fixture, or one would be compiled for each case (pytest 9).
    """
    with ExitStack() as stack:
        yield cache(lambda name: stack.enter_context(built(BUILDS[name])))


class Seen(NamedTuple):
    """A balancer's state as cases speak of it."""

    free: tuple[int, ...]
    waiting: list[bytes]
    counters: dict[str, int]
    packets: dict[str, int]  # by their reasons, of both enums
    bytes: dict[str, int]
    asked: int  # requests that are not answered


def seen(rig: Rig) -> Seen:
    now, counts = rig.threads(), rig.all_counts()
    packets, size = ({name: count[place] for name, count in counts.items()} for place in (0, 1))
    return Seen(tuple(now.free), rig.waiting(), now.counters, packets, size, sum(rig.flows().values()))


def gained(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {name: value - before[name] for name, value in after.items() if value != before[name]}


def play(rig: Rig, case: Case) -> None:
    """Let a packet meet its state, and look at all that the table says."""
    case.before.arrange(rig)
    before, depth = seen(rig), case.before.depth
    assert (before.free, len(before.waiting)) == (case.before.free, depth if depth >= 0 else rig.size + 1 + depth)
    claim = rig.claim(*case.claims) if case.claims else b""
    out = claim or case.out
    with LoadedProgram.open(f"{rig.pins}/programs/{case.program}") as program, INTERFACES[case.interface](rig):
        run = program.test_run(claim or case.packet)
    after = seen(rig)
    counted = {case.reason: 1} if case.reason else {}
    joins = [case.joins] if case.joins else []

    assert (run.verdict, gained(before.packets, after.packets)) == (case.verdict, counted)
    assert run.packet == out
    assert gained(before.bytes, after.bytes) == {reason: len(out) for reason in counted}
    assert after.free == case.free
    assert after.waiting == before.waiting[case.leaves :] + joins
    assert gained(before.counters, after.counters) == case.gained
    assert after.asked - before.asked == case.asked


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_packet_leaves_and_changes_the_state_as_the_table_says(
    builds: Callable[[str], Rig], case: Case, distinct: dict[str, set[str]]
) -> None:
    """Verdict, bytes, the one reason with its bytes, threads, what waits, what is counted, what is to be answered."""
    for name in case.builds:
        try:
            play(builds(name), case)
        except AssertionError as error:
            error.add_note(f"by the build {name}")
            raise
    distinct[WHAT].add(case.sweep or case.name)
