"""The state of a lab, by what was told."""

import pytest

from netlab.web import saved
from netlab.web.moments import (
    COMPLETION,
    DEQUEUED,
    DROPPED,
    PASSED,
    QUEUED,
    REQUEST,
    BalancerCounts,
    Counted,
    Linked,
    Move,
    Rate,
    Rated,
)
from netlab.web.state import State, Where
from tests.unit.web.records import PARTB, record

WHERE = Where(PARTB)


def after(*texts: str, state: State | None = None) -> tuple[State, list[Move]]:
    """Return the state after lines of the balancer's trace, a nanosecond apart, and what has moved."""
    found = state or State()
    moves = (found.take(saved.told(ns, "lb", "trace", text), WHERE) for ns, text in enumerate(texts))
    return found, [each for each in moves if each]


def test_a_request_moves_from_its_client_to_a_worker_and_takes_a_thread() -> None:
    state, moves = after("request #1 from 10.0.0.1:4000", "forward #1 to worker1, free 4")

    assert [Move(1, ("client", "lb", "worker1"), REQUEST, "1")] == moves
    assert {"worker1": 4} == state.balancers["lb"].free


def test_a_request_that_waits_goes_into_the_queue_and_out_of_it_to_a_worker() -> None:
    state, moves = after(
        "request #7 from 10.0.0.1:4000", "queue #7, depth 3", "completion from worker2, free 1, depth 3",
        "dequeue #7 to worker2, depth 2",
    )  # fmt: skip

    assert [("client", "lb"), ("worker2", "lb"), ("lb", "worker2")] == [each.way for each in moves]
    assert [QUEUED, COMPLETION, DEQUEUED] == [each.kind for each in moves]
    assert (2, {"worker2": 0}) == (state.balancers["lb"].depth, state.balancers["lb"].free)


def test_a_request_of_nobody_in_the_lab_begins_at_the_balancer() -> None:
    _, moves = after("request #1 from 192.0.2.1:5", "drop #1, the queue is full")

    assert [Move(1, ("lb",), DROPPED, "1")] == moves


def test_events_are_counted_as_stats_calls_them() -> None:
    state, _ = after(
        "request #1 from 10.0.0.1:1", "forward #1 to worker1, free 0",
        "request #2 from 10.0.0.1:1", "queue #2, depth 1",
        "completion from worker1, free 1, depth 1", "dequeue #2 to worker1, depth 0",
    )  # fmt: skip

    counts = {"received": 2, "forwarded": 1, "queued": 1, "completions": 1, "dequeued": 1}
    assert counts == dict(state.balancers["lb"].counters)


def test_what_was_counted_is_the_truth() -> None:
    """Lines may be lost; what programs count is not."""
    state, _ = after("request #1 from 10.0.0.1:1", "queue #1, depth 1")
    counts = BalancerCounts({"worker1": 3}, {"worker1": 5}, 9, 1024, {"received": 70})
    state.take(Counted(9, {"lb": counts}, {"lb": {"FORWARDED": 61}}), WHERE)

    found = state.balancers["lb"]
    assert ({"worker1": 3}, {"worker1": 5}, 9, 1024) == (found.free, found.capacity, found.depth, found.queue)
    assert ({"received": 70}, {"FORWARDED": 61}) == (dict(found.counters), dict(state.reasons["lb"]))


@pytest.mark.parametrize(("verdict", "kind"), [("XDP_DROP", DROPPED), ("XDP_PASS", PASSED)])
def test_a_segment_comes_from_the_only_neighbour(verdict: str, kind: str) -> None:
    state = State()
    line = saved.told(5, "server", "trace", f"segment from port 40000, seq 7, 1 bytes: odd, {verdict}")
    move = state.take(line, Where(record([("client", "server")], ["server"])))

    assert Move(5, ("client", "server"), kind, "odd") == move
    assert {verdict: 1} == dict(state.reasons["server"])


def test_rates_links_and_processes_are_those_told_last() -> None:
    state = State()
    rate = Rate(1.0, 2.0, 3.0, 4.0)
    for moment in (
        Rated(1, "lb:eth0", Rate(9, 9, 9, 9)), Rated(2, "lb:eth0", rate), Linked(3, "lb:eth0", "down"),
        saved.told(4, "worker1", "note", "ready"), saved.told(5, "worker1", "note", "exited with code 3"),
    ):  # fmt: skip
        state.take(moment, WHERE)

    assert ({"lb:eth0": rate}, {"lb:eth0": "down"}) == (state.rates, state.links)
    assert {"worker1": "exited"} == state.processes


def test_before_anything_has_happened_all_threads_are_free() -> None:
    counts = BalancerCounts({"worker1": 0}, {"worker1": 5}, 9, 1024, {"received": 70})
    state = State.beginning([Counted(9, {"lb": counts}, {})])

    assert ({"worker1": 5}, 0) == (state.balancers["lb"].free, state.balancers["lb"].depth)
