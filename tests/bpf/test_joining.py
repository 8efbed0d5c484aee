"""Backends that leave and join: nothing of whoever had a place before passes for what its next owner does."""

import pytest

from netlab.balancer import BY_REPORTS, Keeper, control
from tests.bpf.rig import Rig, backend, request
from tests.bpf.test_healing import REPORTS, reply, report

pytestmark = pytest.mark.root


def replaced(rig: Rig, index: int) -> None:
    """Remove a worker, whatever it has in hand, and let one with as many threads take its place."""
    capacity = rig.now().capacity[f"worker{index}"]
    control.remove(rig.pins, [f"worker{index}"], 0, now=True)
    control.add(rig.pins, [backend(index, capacity)])


def test_a_worker_that_joins_has_all_threads_free_and_has_never_reported(rig: Rig) -> None:
    rig.reset(backends=2, capacity=1, report_port=REPORTS)
    rig.push(report(2, 0, 0))
    for _ in range(2):
        assert rig.push(request())[2] == "FORWARDED"
    replaced(rig, 2)

    assert rig.free() == (0, 1)
    assert rig.push(report(2, 0, 0))[2] == "REPORT_BEGUN"


def test_what_was_asked_of_the_one_before_is_not_answered_by_the_next(rig: Rig) -> None:
    """An answer too many frees nothing, and none that is waited for is taken for it."""
    rig.reset(backends=2, capacity=[1, 3], policy="first-free", replies=True)
    for port in (1, 40000, 40000):  # to worker1, and twice to worker2
        rig.push(request(udp_sport=port))
    replaced(rig, 2)
    for port in (40000, 2):
        rig.push(request(udp_sport=port))
    assert rig.free() == (0, 1)

    assert [rig.push(reply(2))[2] for _ in range(2)] == ["REPLY_FREED", "REPLIED"]
    assert rig.free() == (0, 2)


@pytest.mark.parametrize("replies", [False, True], ids=["reports", "replies"])
def test_what_is_held_for_the_one_before_waits_again(rig: Rig, replies: bool) -> None:
    """At once, and not only when the role looks: it would be taken for the next one's."""
    rig.reset(backends=2, capacity=1, policy="first-free", report_port=REPORTS, holds=BY_REPORTS, replies=replies)
    packets = [request(b"to worker1"), request(b"to worker2")]
    for packet in packets:
        assert rig.push(packet)[2] == "FORWARDED"
    replaced(rig, 2)

    assert [each.backend for each in Keeper(rig.pins).held()] == [0]
    assert rig.waiting() == [bytes(packets[1])]
    assert rig.now().counters["retried"] == 1


def test_flows_of_others_stay(rig: Rig) -> None:
    rig.reset(backends=2, capacity=1, replies=True)
    for _ in range(2):
        rig.push(request())
    replaced(rig, 2)

    assert rig.push(reply(1))[2] == "REPLY_FREED"
    assert rig.push(reply(2))[2] == "PASS_NOT_LOCAL"
