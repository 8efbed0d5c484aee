"""What the balancer makes of reports, silence and age, and of replies: its counts come back to the truth.

What markers add to reports is in test_markers.
"""

import pytest
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from netlab import balancer
from netlab.balancer import Healer
from netlab.programs.maps import LoadedProgram
from tests.bpf import sources
from tests.bpf.frames import Report
from tests.bpf.rig import (
    CLIENT,
    CLIENT6,
    CLIENT_MAC,
    DROP,
    LATE_S,
    LB,
    LB_MAC,
    LOCAL,
    PASS,
    REDIRECT,
    SERVICE,
    SILENT_S,
    Rig,
    address_of,
    completion,
    request,
)

pytestmark = pytest.mark.root

AGES = sources.number("AGES")

REPORTS = 9091


def report(
    index: int,
    received: int,
    completed: int,
    incarnation: int = 7,
    version: int = 4,
    heard: tuple[int, int, int] | None = None,
    **fields: object,
) -> Packet:
    """Return a report of worker`index`.

    If it reads markers, `heard` is the last one's number, the requests sent before it, and those of them received.
    """
    of_markers = (0, 0, 0, 0) if heard is None else (1, *heard)
    data = Report(received, completed, incarnation, 0, *of_markers).pack()
    return completion(index, data, version, **{"udp_dport": REPORTS, **fields})


def reported(rig: Rig, received: int, completed: int, incarnation: int = 7) -> str:
    """Let worker1 report, and return what that was counted as."""
    return rig.push(report(1, received, completed, incarnation))[2]


@pytest.fixture
def lb(rig: Rig) -> Rig:
    """A balancer with one worker of five threads, which has reported once."""
    rig.reset(backends=1, report_port=REPORTS)
    assert reported(rig, 0, 0) == "REPORT_BEGUN"
    return rig


@pytest.fixture
def healer(lb: Rig) -> Healer:
    return Healer(lb.pins)


def send(rig: Rig, count: int) -> None:
    for _ in range(count):
        assert rig.push(request())[2] == "FORWARDED"


# --- reports ----------------------------------------------------------------------------------------------------------


def known(rig: Rig) -> balancer.Reporter | None:
    """Return what is known of worker1."""
    return balancer.reporters(rig.pins)["worker1"]


def accounted(rig: Rig) -> tuple[int, int]:
    """Return how many of worker1's completions are known to be lost, and how many to be doubled."""
    now = known(rig)
    assert now
    return now.lost_completions, now.doubled_completions


def test_a_report_that_agrees_changes_nothing(lb: Rig) -> None:
    send(lb, 3)
    lb.push(completion(1))

    assert reported(lb, 3, 1) == "REPORT_AGREED"
    assert lb.free() == (3,)


def test_requests_on_their_way_are_not_lost(lb: Rig) -> None:
    """Sent a moment ago, and not received yet: they keep their threads."""
    send(lb, 3)

    assert reported(lb, 1, 0) == "REPORT_AGREED"
    assert lb.free() == (2,)


def test_a_lost_completion_frees_its_thread(lb: Rig) -> None:
    send(lb, 3)

    assert reported(lb, 3, 2) == "REPORT_COMPLETION_LOST"
    assert lb.free() == (4,)


def test_a_late_completion_is_taken_back(lb: Rig) -> None:
    """The report came first and freed the thread; the completion frees one too many, until the next report."""
    send(lb, 3)
    reported(lb, 3, 1)
    lb.push(completion(1))
    assert lb.free() == (4,)

    assert reported(lb, 3, 1) == "REPORT_COMPLETION_LATE"
    assert lb.free() == (3,)
    assert accounted(lb) == (0, 0)


def test_several_completions_may_be_late_at_once(lb: Rig) -> None:
    send(lb, 5)
    reported(lb, 5, 3)
    for _ in range(2):
        lb.push(completion(1))

    assert reported(lb, 5, 3) == "REPORT_COMPLETION_LATE"
    assert lb.free() == (3,)
    assert accounted(lb) == (1, 0)


def test_a_late_completion_may_find_all_threads_free(lb: Rig) -> None:
    """It is one that a report has made up for, as long as there are such."""
    send(lb, 2)
    reported(lb, 2, 2)

    assert [lb.push(completion(1))[2] for _ in range(3)] == ["COMPLETION_LATE", "COMPLETION_LATE", "COMPLETION_EXCESS"]
    assert reported(lb, 2, 2) == "REPORT_AGREED"
    assert lb.free() == (5,)
    assert accounted(lb) == (0, 0)


def test_what_is_late_and_what_is_doubled_are_told_apart(lb: Rig) -> None:
    """Of three completions too many one was owed; counted by the worse name, known as both."""
    send(lb, 5)
    reported(lb, 5, 1)
    for _ in range(3):
        lb.push(completion(1))

    assert reported(lb, 5, 1) == "REPORT_COMPLETION_DOUBLED"
    assert accounted(lb) == (0, 2)
    lb.push(completion(1))
    assert reported(lb, 5, 1) == "REPORT_COMPLETION_DOUBLED"
    assert lb.free() == (1,)
    assert accounted(lb) == (0, 3)


@pytest.mark.parametrize("tells_meanwhile", [False, True])
def test_a_completion_that_was_lost_long_ago_excuses_none_that_is_doubled(lb: Rig, tells_meanwhile: bool) -> None:
    send(lb, 3)
    reported(lb, 3, 1)
    lb.later(LATE_S)
    if tells_meanwhile:
        assert reported(lb, 3, 1) == "REPORT_AGREED"
    lb.push(completion(1))

    assert reported(lb, 3, 1) == "REPORT_COMPLETION_DOUBLED"
    assert accounted(lb) == (1, 1)


def test_what_is_lost_keeps_what_was_lost_just_before(lb: Rig) -> None:
    """And not what was lost long before."""
    send(lb, 5)
    reported(lb, 5, 1)
    lb.later(LATE_S)
    reported(lb, 5, 2)
    reported(lb, 5, 3)
    for _ in range(2):
        lb.push(completion(1))

    assert reported(lb, 5, 3) == "REPORT_COMPLETION_LATE"
    lb.push(completion(1))
    assert reported(lb, 5, 3) == "REPORT_COMPLETION_DOUBLED"
    assert accounted(lb) == (1, 1)


def test_what_an_earlier_life_owed_excuses_nothing(lb: Rig) -> None:
    send(lb, 5)
    reported(lb, 5, 3)
    reported(lb, 0, 0, incarnation=8)
    assert lb.push(completion(1))[2] == "COMPLETION_EXCESS"
    send(lb, 2)
    lb.push(completion(1))

    assert reported(lb, 2, 0, incarnation=8) == "REPORT_COMPLETION_DOUBLED"
    assert lb.free() == (3,)
    assert accounted(lb) == (3, 1)


@pytest.mark.parametrize(("holds", "verdict"), [("", DROP), (balancer.BY_REPORTS, PASS)])
def test_what_a_late_completion_was_to_carry_goes_on_waiting(rig: Rig, holds: int, verdict: int) -> None:
    """If the next report comes before the carrier has taken its thread."""
    rig.reset(backends=1, report_port=REPORTS, holds=holds)
    reported(rig, 0, 0)
    send(rig, 5)
    reported(rig, 5, 1)
    send(rig, 1)
    assert rig.push(request(b"waits"))[2] == "QUEUED"
    assert rig.push(completion(1))[2] == "COMPLETION_CARRIED"

    assert rig.push(report(1, 6, 1))[::2] == (verdict, "REPORT_COMPLETION_LATE")
    assert rig.carry(1)[0] == DROP
    assert (rig.now().depth, rig.free()) == (1, (0,))


@pytest.mark.parametrize("replies", [False, True], ids=["completions", "replies"])
def test_a_request_too_many_is_no_thread_when_it_is_done(rig: Rig, replies: bool) -> None:
    """Also while requests wait, which take each thread at once: a doubled completion overloads a worker once only."""
    rig.reset(backends=1, report_port=REPORTS, replies=replies)
    reported(rig, 0, 0)
    send(rig, 5)
    for number in range(4):
        rig.push(request(b"waits", udp_sport=41000 + number))
    finished = reply(1) if replies else completion(1)
    rig.push(finished)
    assert rig.carry(1)[0] == PASS
    assert reported(rig, 6, 0) == "REPORT_COMPLETION_DOUBLED"
    assert accounted(rig) == (0, 1)

    assert rig.push(finished)[2] == ("REPLIED" if replies else "COMPLETION_FREED")
    assert rig.free() == (0,)
    assert rig.now().counters["completions"] == 2
    assert reported(rig, 6, 1) == "REPORT_AGREED"
    rig.push(finished)
    assert rig.carry(1)[0] == PASS
    assert reported(rig, 7, 2) == "REPORT_AGREED"
    assert rig.free() == (0,)


def test_a_doubled_completion_is_taken_back(lb: Rig) -> None:
    send(lb, 3)
    lb.push(completion(1))
    lb.push(completion(1))

    assert reported(lb, 3, 1) == "REPORT_COMPLETION_DOUBLED"
    assert lb.free() == (3,)


def test_no_report_alone_tells_that_a_request_is_lost(lb: Rig) -> None:
    """A worker that hears no markers gets none, whatever has become of a request that was sent to it."""
    send(lb, 3)

    assert [reported(lb, 2, 0) for _ in range(3)] == ["REPORT_AGREED"] * 3
    assert lb.free() == (2,)
    assert reported(lb, 2, 2) == "REPORT_COMPLETION_LOST"
    assert lb.free() == (4,)


def test_what_is_known_of_a_worker_can_be_read(rig: Rig) -> None:
    """What was lost and doubled counts on when it starts again; its own totals begin anew."""
    rig.reset(backends=1, report_port=REPORTS)
    assert known(rig) is None
    reported(rig, 0, 0)
    send(rig, 5)
    rig.push(completion(1))
    rig.push(completion(1))
    reported(rig, 5, 0)  # these two came from nowhere
    reported(rig, 5, 3)  # and three were lost

    now = known(rig)
    assert now
    assert now[1:] == (5, 3, False, 0, 3, 2)
    assert now.heard_s >= 0
    reported(rig, 0, 0, incarnation=8)
    now = known(rig)
    assert now
    assert now[1:] == (0, 0, False, 0, 3, 2)


def test_a_worker_that_starts_again_has_nothing_in_hand(lb: Rig) -> None:
    send(lb, 5)
    reported(lb, 5, 0)

    assert reported(lb, 0, 0, incarnation=8) == "REPORT_RESTARTED"
    assert lb.free() == (5,)
    send(lb, 2)
    assert reported(lb, 2, 0, incarnation=8) == "REPORT_AGREED"
    assert lb.free() == (3,)


def test_a_worker_that_starts_again_may_have_got_requests_already(lb: Rig) -> None:
    send(lb, 5)
    reported(lb, 5, 0)

    reported(lb, 2, 1, incarnation=8)
    assert lb.free() == (4,)
    assert reported(lb, 3, 1, incarnation=8) == "REPORT_COMPLETION_DOUBLED"  # one more of those taken for gone
    assert lb.free() == (3,)


def test_a_worker_may_report_late_for_the_first_time(rig: Rig) -> None:
    """Its counts begin with what we know of it, whatever it has done before."""
    rig.reset(backends=1, report_port=REPORTS)
    send(rig, 3)
    rig.push(completion(1))

    assert reported(rig, 103, 101) == "REPORT_BEGUN"
    assert rig.free() == (3,)
    assert reported(rig, 103, 103) == "REPORT_COMPLETION_LOST"
    assert rig.free() == (5,)


def test_totals_wrap(rig: Rig) -> None:
    rig.reset(backends=1, report_port=REPORTS)
    reported(rig, 2**32 - 1, 2**32 - 1)
    send(rig, 3)

    assert reported(rig, 2, 0) == "REPORT_COMPLETION_LOST"
    assert rig.free() == (3,)
    rig.push(completion(1))
    assert reported(rig, 2, 0) == "REPORT_COMPLETION_LATE"
    assert rig.free() == (3,)


def test_an_old_report_is_ignored(lb: Rig) -> None:
    send(lb, 4)
    reported(lb, 4, 3)

    assert reported(lb, 4, 1) == "REPORT_OLD"
    assert reported(lb, 3, 3) == "REPORT_OLD"
    assert lb.free() == (4,)


@pytest.mark.parametrize(("received", "completed"), [(0, 0), (5, 5), (10**9, 0), (10**9, 10**9), (3, 2**31 + 5)])
def test_nonsense_never_leads_out_of_bounds(lb: Rig, received: int, completed: int) -> None:
    """A worker that lies harms nobody but itself: free threads stay within 0 and its capacity, and it can heal."""
    send(lb, 5)
    reported(lb, received, completed)
    assert 0 <= lb.free()[0] <= 5

    reported(lb, 0, 0, incarnation=9)
    assert lb.free() == (5,)


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (report(2, 1, 1), "REPORT_STRANGER"),
        (completion(1, b"", udp_dport=REPORTS), "REPORT_MALFORMED"),
        (completion(1, b"NLR1" + bytes(35), udp_dport=REPORTS), "REPORT_MALFORMED"),
        (completion(1, b"NLR2" + b"\1" * 36, udp_dport=REPORTS), "REPORT_MALFORMED"),
        (report(1, 1, 1, incarnation=0), "REPORT_MALFORMED"),
        (report(1, 2, 1, udp_len=8 + 39), "REPORT_MALFORMED"),  # what is behind the datagram is no part of it
    ],
)
def test_what_is_no_report_is_dropped_by_name(lb: Rig, packet: Packet, reason: str) -> None:
    send(lb, 2)

    assert lb.push(packet)[::2] == (DROP, reason)
    assert lb.free() == (3,)


def test_a_report_from_another_interface_is_forged(lb: Rig) -> None:
    with lb.backend_interface(1, 99):
        assert reported(lb, 9, 9) == "REPORT_WRONG_INTERFACE"


def test_a_report_carries_a_queued_request(lb: Rig) -> None:
    """The completion was lost: the report that says so takes its place."""
    send(lb, 5)
    assert lb.push(request(b"waits"))[2] == "QUEUED"

    verdict, _, reason = lb.push(report(1, 5, 1))

    assert (verdict, reason) == (REDIRECT, "REPORT_COMPLETION_LOST")
    lb.carry(1)
    assert (lb.now().depth, lb.free()) == (0, (0,))


def test_reports_carry_as_long_as_a_thread_is_free(lb: Rig) -> None:
    """One that frees several sends one carrier, as any frame does; those after it send the others."""
    send(lb, 5)
    for _ in range(4):
        assert lb.push(request())[2] == "QUEUED"
    assert lb.push(report(1, 5, 3))[::2] == (REDIRECT, "REPORT_COMPLETION_LOST")
    lb.carry(1)

    assert lb.push(report(1, 6, 3))[::2] == (REDIRECT, "REPORT_AGREED")
    assert lb.push(report(1, 6, 3))[::2] == (REDIRECT, "REPORT_AGREED")
    assert [lb.carry(1)[0] for _ in range(3)] == [PASS, PASS, DROP]  # the last finds no thread
    assert lb.push(report(1, 8, 3))[::2] == (DROP, "REPORT_AGREED")
    assert (lb.now().depth, lb.free()) == (1, (0,))


def test_without_a_port_nobody_reports(rig: Rig) -> None:
    rig.reset(backends=1)

    assert reported(rig, 0, 0) == "PASS_OTHER_PORT"


# --- silence and age --------------------------------------------------------------------------------------------------


def test_a_worker_that_falls_silent_gets_no_requests(lb: Rig, healer: Healer) -> None:
    send(lb, 2)
    assert healer.watch() == 0
    lb.later(SILENT_S)

    assert [healer.watch(), healer.watch()] == [1, 1]
    assert lb.counts()["BACKEND_SILENT"].packets == 1
    assert lb.free() == (0,)
    now = known(lb)
    assert now
    assert now.silent
    assert now.heard_s > SILENT_S
    assert lb.push(request())[2] == "QUEUED"
    assert reported(lb, 2, 2) == "REPORT_RETURNED"
    assert lb.free() == (5,)
    assert healer.watch() == 0


def test_a_completion_frees_no_thread_of_a_worker_that_is_silent(lb: Rig, healer: Healer) -> None:
    """It may have been on its way since before the worker died; one that lives reports, and has all its threads."""
    send(lb, 3)
    reported(lb, 3, 1)
    lb.later(SILENT_S)
    assert healer.watch() == 1

    assert lb.push(completion(1))[2] == "COMPLETION_LATE"
    assert lb.free() == (0,)
    assert accounted(lb) == (1, 0)
    assert reported(lb, 3, 2) == "REPORT_RETURNED"
    assert lb.free() == (4,)
    assert accounted(lb) == (1, 0)


def test_a_reply_frees_no_thread_of_a_worker_that_is_silent(rig: Rig) -> None:
    rig.reset(backends=1, replies=True, report_port=REPORTS)
    reported(rig, 0, 0)
    send(rig, 2)
    rig.later(SILENT_S)
    assert Healer(rig.pins).watch() == 1

    assert rig.push(reply(1))[2] == "REPLIED"
    assert rig.free() == (0,)
    assert reported(rig, 2, 2) == "REPORT_RETURNED"
    assert rig.free() == (5,)


def test_what_a_worker_says_when_it_is_back_is_owed_by_nobody(lb: Rig, healer: Healer) -> None:
    """What it has completed while it was silent may have been heard then."""
    send(lb, 2)
    lb.later(SILENT_S)
    healer.watch()
    assert reported(lb, 2, 2) == "REPORT_RETURNED"

    assert lb.push(completion(1))[2] == "COMPLETION_EXCESS"
    assert accounted(lb) == (0, 0)


def test_a_worker_that_never_reports_is_never_silent(rig: Rig) -> None:
    rig.reset(backends=1, report_port=REPORTS)
    rig.later(SILENT_S)

    assert Healer(rig.pins).watch() == 0
    assert rig.free() == (5,)


@pytest.fixture
def mute(rig: Rig) -> Rig:
    """A balancer with one worker of five threads, which could report and has not."""
    rig.reset(backends=1, report_port=REPORTS)
    return rig


def test_a_thread_grows_old_and_is_free_again(mute: Rig) -> None:
    """After AGES ages, not before; those that were taken later are younger."""
    lb, healer = mute, Healer(mute.pins)
    send(lb, 2)
    assert [healer.age() for _ in range(3)] == [0, 0, 0]
    send(lb, 1)

    assert [healer.age() for _ in range(AGES - 3)] == [0] * (AGES - 4) + [2]
    assert lb.free() == (4,)
    assert [healer.age() for _ in range(3)] == [0, 0, 1]
    assert lb.now().counters["expired"] == 3


def test_a_completion_is_of_the_oldest_thread(mute: Rig) -> None:
    lb, healer = mute, Healer(mute.pins)
    send(lb, 1)
    healer.age()
    send(lb, 1)
    lb.push(completion(1))

    assert [healer.age() for _ in range(AGES)] == [0] * (AGES - 1) + [1]
    assert lb.free() == (5,)


def test_threads_of_a_worker_that_reports_do_not_grow_old(lb: Rig, healer: Healer) -> None:
    """However long a request takes, and in whichever age it was taken."""
    send(lb, 2)
    assert [healer.age() for _ in range(AGES)] == [0] * AGES
    send(lb, 2)
    reported(lb, 4, 3)

    assert [healer.age() for _ in range(3 * AGES)] == [0] * 3 * AGES
    assert lb.free() == (4,)
    assert reported(lb, 4, 3) == "REPORT_AGREED"
    assert lb.now().counters["expired"] == 0


def test_a_worker_that_fell_silent_gets_nothing_by_age(lb: Rig, healer: Healer) -> None:
    send(lb, 2)
    lb.later(SILENT_S)
    assert healer.watch() == 1

    assert [healer.age() for _ in range(AGES)] == [0] * AGES
    assert lb.free() == (0,)
    assert lb.push(request())[2] == "QUEUED"


def test_threads_grow_old_until_the_first_report(rig: Rig) -> None:
    """And those of others go on doing so."""
    rig.reset(backends=2, report_port=REPORTS)
    healer = Healer(rig.pins)
    send(rig, 4)
    healer.age()
    reported(rig, 2, 0)

    assert [healer.age() for _ in range(AGES - 1)] == [0] * (AGES - 2) + [2]
    assert rig.free() == (3, 5)


def test_a_worker_that_begins_grows_old_again(lb: Rig, healer: Healer) -> None:
    """Nothing is known of whoever takes a place that somebody had who reported."""
    with LoadedProgram.open(f"{lb.pins}/programs/begin_run") as begin:
        begin.test_run(bytes(completion(1)))
    send(lb, 1)

    assert [healer.age() for _ in range(AGES)] == [0] * (AGES - 1) + [1]


def test_carriers_are_sent_for_free_threads_as_long_as_requests_wait(lb: Rig, healer: Healer) -> None:
    """One each. What they do when they arrive is seen in a lab: no frame can be redirected to a loopback."""
    send(lb, 5)
    for _ in range(3):
        assert lb.push(request())[2] == "QUEUED"
    assert healer.kick() == 0
    reported(lb, 5, 2)

    assert healer.kick() == 2
    assert lb.counts()["KICKED"].packets == 2


# --- replies ----------------------------------------------------------------------------------------------------------


def reply(index: int, payload: bytes = b"answer", version: int = 4, **fields: object) -> Packet:
    """Return the answer of worker`index` to a request of the client's."""
    client = CLIENT if version == 4 else CLIENT6
    ours = {"ip_src": address_of(index, version), "ip_dst": client, "udp_sport": SERVICE, "udp_dport": 40000}
    packet = request(payload, version, **{**ours, **fields})
    packet.dst = LB_MAC
    return packet


@pytest.fixture
def replying(rig: Rig) -> Rig:
    """A balancer with one worker of two threads, which replies free."""
    rig.reset(backends=1, capacity=2, replies=True)
    return rig


def test_an_answer_comes_from_the_address_that_was_asked(replying: Rig) -> None:
    """Rewritten where it leaves, with the MACs of the request turned round and both checksums right."""
    assert replying.push(request())[2] == "FORWARDED"
    packet = bytes(reply(1))

    assert replying.push(packet) == (REDIRECT, packet, "REPLY_FREED")
    run = replying.egress.test_run(packet, ingress_ifindex=1)
    expected = Ether(bytes(reply(1, ip_src=LB)))
    expected.src, expected.dst = LB_MAC, CLIENT_MAC
    assert (run.verdict, run.packet) == (PASS, bytes(expected))
    assert replying.carrier_counts() == {"REPLY_SENT": 1}


def test_an_answer_frees_one_thread_and_no_more_than_it_was_asked(replying: Rig) -> None:
    for _ in range(2):
        replying.push(request())
    assert replying.free() == (0,)

    assert [replying.push(reply(1))[2] for _ in range(3)] == ["REPLY_FREED", "REPLY_FREED", "REPLIED"]
    assert replying.free() == (2,)


def test_a_client_may_ask_two_addresses_from_one_port(replying: Rig) -> None:
    """Each request is answered, and each answer frees a thread; it comes from the address that was asked last."""
    for address in LOCAL[:2]:
        assert replying.push(request(ip_dst=address))[2] == "FORWARDED"

    assert [replying.push(reply(1))[2] for _ in range(3)] == ["REPLY_FREED", "REPLY_FREED", "REPLIED"]
    run = replying.egress.test_run(bytes(reply(1)), ingress_ifindex=1)
    assert Ether(run.packet).payload.src == LOCAL[1]


def test_an_answer_goes_to_where_the_client_was_last(replying: Rig) -> None:
    """Its address may have moved to another machine, or to behind another router."""
    replying.push(request())
    moved = request()
    moved.src = "02:00:00:00:00:77"
    replying.push(moved)

    assert Ether(replying.egress.test_run(bytes(reply(1)), ingress_ifindex=1).packet).dst == moved.src


def test_a_request_that_waited_is_answered_too(replying: Rig) -> None:
    """Its flow is written when it leaves."""
    for _ in range(2):
        replying.push(request())
    assert replying.push(request(udp_sport=40009))[2] == "QUEUED"
    assert replying.push(reply(1, udp_dport=40009))[2] == "PASS_NOT_LOCAL"
    replying.push(reply(1))
    replying.carry(1)

    assert replying.push(reply(1, udp_dport=40009))[2] == "REPLY_FREED"
