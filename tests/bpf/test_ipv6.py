"""The balancer and IPv6: what it does to each packet, as test_balancer and test_healing say it of IPv4."""

from functools import partial

import pytest
from scapy.layers.inet6 import IPv6

from netlab.balancer import Healer
from tests.bpf.rig import (
    CLIENT,
    DROP,
    PASS,
    REDIRECT,
    Rig,
    address_of,
    addressed,
    completion,
    request,
)
from tests.bpf.test_healing import REPORTS, reply, report

pytestmark = pytest.mark.root

request6 = partial(request, version=6)


@pytest.fixture
def lb(rig: Rig) -> Rig:
    """A balancer with two workers of one thread, which have reported once."""
    rig.reset(backends=2, capacity=1, report_port=REPORTS)
    for worker in (1, 2):
        assert rig.push(report(worker, 0, 0, version=6))[2] == "REPORT_BEGUN"
    return rig


@pytest.fixture
def replying(rig: Rig) -> Rig:
    """A balancer with one worker of two threads, which replies free."""
    rig.reset(backends=1, capacity=2, replies=True)
    return rig


# --- requests and completions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [4, 6])
def test_requests_of_both_families_wait_in_one_queue(rig: Rig, version: int) -> None:
    """First in, first out, byte for byte, on completions of either family."""
    rig.reset(backends=2, capacity=1)
    for _ in range(2):
        rig.push(request6())
    waiting = [request(bytes([length % 251]) * length, 4 + length % 3 % 2 * 2) for length in (0, 1, 512, 1452)]
    waiting += [request6(b"x" * length) for length in (0, 1, 512, 1452)]
    assert {packet.haslayer(IPv6) for packet in waiting} == {True, False}
    for packet in waiting:
        assert rig.push(packet)[::2] == (DROP, "QUEUED")

    for number, packet in enumerate(waiting):
        worker = number % 2 + 1
        assert rig.push(completion(worker, version=version))[::2] == (REDIRECT, "COMPLETION_CARRIED")
        assert rig.carry(worker, version) == (PASS, addressed(packet, worker))
    assert (rig.free(), rig.now().depth) == ((0, 0), 0)


@pytest.mark.parametrize(("missing", "there"), [(6, 4), (4, 6)])
def test_a_family_that_a_backend_lacks_is_not_served(rig: Rig, missing: int, there: int) -> None:
    """A queued request must suit whichever thread becomes free; completions and reports count in any family."""
    rig.reset(capacity=1, without={2: missing}, report_port=REPORTS)
    packet = bytes(request(version=missing))

    assert rig.push(packet) == (PASS, packet, "PASS_OTHER_FAMILY")
    assert (rig.free(), rig.now().counters["received"]) == ((1, 1, 1), 0)
    assert [rig.push(request(version=there))[2] for _ in range(4)] == ["FORWARDED"] * 3 + ["QUEUED"]
    assert rig.push(packet)[2] == "PASS_OTHER_FAMILY"
    assert rig.push(completion(2, version=missing))[2] == "COMPLETION_STRANGER"
    assert rig.push(report(2, 0, 0, version=missing))[2] == "REPORT_STRANGER"
    assert rig.push(completion(1, version=missing))[2] == "COMPLETION_CARRIED"
    assert rig.carry(1, missing) == (PASS, addressed(request(version=there), 1))


def test_a_healer_speaks_for_a_backend_without_ipv4(rig: Rig) -> None:
    """The frames that it hands to the program then look like IPv6 completions."""
    rig.reset(backends=1, capacity=1, without={1: 4}, report_port=REPORTS)
    rig.push(report(1, 0, 0, version=6))
    for _ in range(2):
        rig.push(request6())
    healer = Healer(rig.pins)

    assert (healer.watch(), healer.kick()) == (0, 0)
    rig.push(report(1, 1, 1, version=6))
    assert healer.kick() == 1
    assert rig.counts()["KICKED"].packets == 1


# --- reports ----------------------------------------------------------------------------------------------------------


def test_reports_of_both_families_are_of_one_backend(lb: Rig) -> None:
    """A completion that was lost is told by IPv6, of a request that came by IPv4."""
    assert lb.push(request())[2] == "FORWARDED"
    assert lb.push(report(1, 1, 0))[2] == "REPORT_AGREED"

    assert lb.push(report(1, 1, 1, version=6))[2] == "REPORT_COMPLETION_LOST"
    assert lb.push(report(1, 1, 0))[2] == "REPORT_OLD"
    assert lb.free() == (1, 1)


def test_a_report_carries_a_queued_request(lb: Rig) -> None:
    for number in range(3):
        lb.push(request6(str(number).encode()))

    assert lb.push(report(1, 1, 1, version=6))[::2] == (REDIRECT, "REPORT_COMPLETION_LOST")
    assert lb.carry(1, 6) == (PASS, addressed(request6(b"2"), 1))


# --- replies ----------------------------------------------------------------------------------------------------------


def test_an_answer_frees_one_thread_and_no_more_than_it_was_asked(replying: Rig) -> None:
    for _ in range(2):
        replying.push(request6())
    answers = [replying.push(reply(1, version=6))[2] for _ in range(3)]

    assert answers == ["REPLY_FREED", "REPLY_FREED", "REPLIED"]
    assert replying.free() == (2,)


def test_flows_of_the_families_are_told_apart(replying: Rig) -> None:
    """The same client asks by both; nobody answers for IPv4 by an IPv6 packet between mapped addresses."""
    replying.push(request())
    forged = bytes(reply(1, version=6, ip_src=f"::ffff:{address_of(1, 4)}", ip_dst=f"::ffff:{CLIENT}"))

    assert replying.push(forged) == (PASS, forged, "PASS_MARTIAN")
    assert replying.egress.test_run(forged, ingress_ifindex=1).verdict == DROP
    assert replying.push(reply(1, version=6))[2] == "PASS_NOT_LOCAL"
    replying.push(request6())
    assert [replying.push(reply(1, version=version))[2] for version in (6, 6, 4, 4)] == [
        "REPLY_FREED", "REPLIED", "REPLY_FREED", "REPLIED"
    ]  # fmt: skip


def test_a_request_that_waited_is_answered_too(replying: Rig) -> None:
    """It is carried by the answer to one of the other family."""
    for _ in range(2):
        replying.push(request())
    assert replying.push(request6(udp_sport=40009))[2] == "QUEUED"
    replying.push(reply(1))
    assert replying.carry(1)[0] == PASS

    assert replying.push(reply(1, version=6, udp_dport=40009))[2] == "REPLY_FREED"
