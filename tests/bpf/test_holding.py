"""What the balancer holds until it is done: requests keep their slots, and are let go of, or put back, one by one."""

import time

import pytest
from scapy.layers.inet import UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from netlab import balancer
from netlab.balancer import holds
from netlab.balancer.layout import FIRST
from netlab.programs.maps import LoadedProgram, Map
from netlab.role import digest, mapped
from tests.bpf.frames import Report
from tests.bpf.rig import (
    CLIENT,
    CLIENT6,
    CLIENT_MAC,
    DROP,
    LB,
    LB6,
    LB_MAC,
    PASS,
    REDIRECT,
    SERVICE,
    SILENT_S,
    Rig,
    addressed,
    completion,
    request,
)
from tests.bpf.test_healing import REPORTS, reply

pytestmark = pytest.mark.root

INCARNATION = 7


@pytest.fixture
def lb(rig: Rig) -> Rig:
    """A balancer that holds requests, with eight slots and two workers of two threads, the first of which reports."""
    rig.reset(backends=2, capacity=2, policy="first-free", report_port=REPORTS, holds=balancer.BY_REPORTS)
    tell(rig, 0)
    return rig


@pytest.fixture(autouse=True)
def _slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing pass for lost while a test goes from one step to the next, on any machine."""
    monkeypatch.setattr(holds, "LOST_NS", 3600 * 10**9)


@pytest.fixture
def keeper(lb: Rig) -> balancer.Keeper:
    return balancer.Keeper(lb.pins)


def send(rig: Rig, *payloads: bytes, reason: str = "FORWARDED") -> None:
    for payload in payloads:
        assert rig.push(request(payload))[2] == reason


def known_as(payload: bytes, port: int = 40000) -> bytes:
    return digest(mapped(CLIENT), port, payload)


def data(
    received: int, done: list[bytes], in_hand: list[bytes], completed: int = -1, incarnation: int = INCARNATION
) -> bytes:
    """Return what a worker reports; the last of `done` is number `completed`."""
    completed = len(done) if completed < 0 else completed
    return Report(received, completed, incarnation, len(done)).pack() + b"".join(done + in_hand)


def tell(
    rig: Rig,
    received: int,
    done: list[bytes] | None = None,
    in_hand: list[bytes] | None = None,
    completed: int = -1,
    incarnation: int = INCARNATION,
    index: int = 1,
) -> tuple[bytes, bytes]:
    """Let a worker report, and return what the role hears of it."""
    text = data(received, done or [], in_hand or [], completed, incarnation)
    assert rig.push(completion(index, text, udp_dport=REPORTS))[0] == PASS
    return mapped(f"10.0.{index}.2"), text


def held(rig: Rig) -> list[tuple[int, int]]:
    """Return the backends and the numbers of the requests that are held."""
    return sorted((each.backend + 1, each.number) for each in balancer.Keeper(rig.pins).held())


def let_go(rig: Rig, program: str, slot: int, number: int) -> int:
    with LoadedProgram.open(f"{rig.pins}/programs/{program}") as run:
        return run.test_run(rig.claim(slot, number)).verdict


def slots_add_up(rig: Rig) -> bool:
    """Whether each slot is in one place: it waits, is spare, has never been used, or holds a request."""
    queue, now = rig.queue(), rig.now()
    places = [*queue.slots(), *(each.slot for each in balancer.Keeper(rig.pins).held())]
    counters = now.counters
    waiting = counters["queued"] + counters["retried"] - counters["dequeued"]
    return sorted(places) == list(range(rig.slots)) and now.depth == waiting and counters["held"] == len(held(rig))


# --- what is held -----------------------------------------------------------------------------------------------------


def test_a_forwarded_request_keeps_a_slot(lb: Rig) -> None:
    """It leaves as it would without one, and what is kept is the packet as it came."""
    packet = request(b"payload")
    begun = time.monotonic_ns()

    assert lb.push(packet) == (REDIRECT, addressed(packet, 1), "FORWARDED")
    (kept,) = balancer.Keeper(lb.pins).held()
    assert kept[:3] == (0, 1, 0)
    assert (kept.client, kept.port, kept.digest) == (mapped(CLIENT), 40000, known_as(b"payload"))
    assert begun < kept.since_ns < time.monotonic_ns()
    with Map.open(f"{lb.pins}/maps/slots") as slots:
        assert bytes(packet) in slots.get(FIRST)
    assert slots_add_up(lb)


def test_an_ipv6_request_is_known_by_the_same_digest(lb: Rig) -> None:
    from scapy.layers.inet6 import IPv6

    whole = request(b"six")
    packet = Ether(src=whole.src, dst=whole.dst) / IPv6(src=CLIENT6, dst=LB6) / UDP(sport=40000, dport=SERVICE) / b"six"
    assert lb.push(packet)[2] == "FORWARDED"

    (kept,) = balancer.Keeper(lb.pins).held()
    assert (kept.client, kept.digest) == (mapped(CLIENT6), digest(mapped(CLIENT6), 40000, b"six"))


def test_what_stands_behind_the_packet_is_not_part_of_it(lb: Rig) -> None:
    lb.push(bytes(request(b"abc")) + bytes(20))

    (kept,) = balancer.Keeper(lb.pins).held()
    assert kept.digest == known_as(b"abc")


def test_a_request_that_waited_keeps_its_slot(lb: Rig) -> None:
    send(lb, b"1", b"2", b"3", b"4")
    send(lb, b"5", reason="QUEUED")
    lb.push(completion(1))
    lb.carry(1)

    assert held(lb) == [(1, 1), (1, 2), (1, 5), (2, 3), (2, 4)]
    assert slots_add_up(lb)


def test_a_request_for_which_no_slot_is_left_is_sent_unheld(rig: Rig) -> None:
    """It is served all the same, and counted."""
    rig.reset(backends=1, capacity=10, report_port=REPORTS, holds=balancer.BY_REPORTS)
    send(rig, *(b"%d" % number for number in range(9)))

    assert len(held(rig)) == 8
    assert (rig.now().counters["unheld"], rig.free()) == (1, (1,))
    assert slots_add_up(rig)


def test_what_is_held_leaves_no_room_to_wait(rig: Rig) -> None:
    """Waiting and held requests share the slots."""
    rig.reset(backends=1, capacity=6, report_port=REPORTS, holds=balancer.BY_REPORTS)
    send(rig, *(b"%d" % number for number in range(6)))
    send(rig, b"6", b"7", reason="QUEUED")

    send(rig, b"8", reason="DROP_QUEUE_FULL")
    assert slots_add_up(rig)


def test_without_retry_nothing_is_held(rig: Rig) -> None:
    rig.reset(backends=1, capacity=1, report_port=REPORTS)
    send(rig, b"1")
    send(rig, b"2", reason="QUEUED")
    rig.push(completion(1))
    rig.carry(1)

    assert held(rig) == []
    assert [rig.now().counters[name] for name in ("held", "unheld", "retried")] == [0, 0, 0]
    assert rig.push(completion(1, data(2, [], []), udp_dport=REPORTS))[0] == DROP


# --- what the program does to it --------------------------------------------------------------------------------------


BEYOND = -1  # the first slot that there is not


def test_a_released_request_gives_its_slot_back(lb: Rig) -> None:
    send(lb, b"1", b"2")

    assert let_go(lb, "release_run", 0, 1) == 1
    assert held(lb) == [(1, 2)]
    assert lb.queue().spare == [0]
    assert slots_add_up(lb)


def test_a_request_that_is_put_back_waits_behind_what_has_not_failed(lb: Rig) -> None:
    """And leaves, as it came, to whom has a thread."""
    send(lb, b"1", b"2", b"3", b"4")
    send(lb, b"5", reason="QUEUED")

    assert let_go(lb, "requeue_run", 1, 2) == 1
    assert [frame[42:] for frame in lb.waiting()] == [b"5", b"2"]
    assert (lb.now().counters["retried"], slots_add_up(lb)) == (1, True)
    for number in (5, 2):
        lb.push(completion(2))
        assert lb.carry(2) == (PASS, addressed(request(b"%d" % number), 2))
    assert held(lb) == [(1, 1), (2, 2), (2, 3), (2, 4), (2, 5)]
    assert slots_add_up(lb)


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_request_is_sent_again_so_often_and_no_more(rig: Rig, retries: int) -> None:
    """Then it is dropped by a name of its own, and keeps no slot."""
    rig.reset(backends=1, capacity=1, policy="first-free", replies=True, holds=balancer.BY_REPLIES, retries=retries)
    send(rig, b"1")
    for turn in range(retries):
        ((slot, (number, _)),) = rig.held().items()
        assert let_go(rig, "requeue_run", slot, number) == 1
        rig.run("begin_run", bytes(completion(1)))
        assert rig.carry(1)[0] == PASS
        assert rig.now().counters["retried"] == turn + 1

    assert let_go(rig, "requeue_run", *next((slot, each[0]) for slot, each in rig.held().items())) == 2
    assert (held(rig), rig.waiting()) == ([], [])
    assert rig.counts()["DROP_RETRIES_SPENT"].packets == 1
    assert slots_add_up(rig)


def test_a_slot_forgets_the_tries_of_the_one_before(rig: Rig) -> None:
    """Be that dropped, done or answered: the next one there is sent again as often."""
    rig.reset(backends=1, capacity=1, policy="first-free", replies=True, holds=balancer.BY_REPLIES, retries=1)
    for number, end in enumerate(("requeue_run", "release_run", "answer", "requeue_run"), 1):
        rig.run("begin_run", bytes(completion(1)))
        send(rig, b"%d" % number)
        ((slot, _),) = rig.held().items()
        assert let_go(rig, "requeue_run", slot, number) == 1
        rig.run("begin_run", bytes(completion(1)))
        assert rig.carry(1)[0] == PASS
        if end == "answer":
            rig.push(reply(1, udp_dport=1024 + number))
        else:
            assert let_go(rig, end, slot, number) == (2 if end == "requeue_run" else 1)
        assert held(rig) == []
    assert slots_add_up(rig)


def test_the_head_of_the_queue_goes_round(lb: Rig) -> None:
    """Also where it stands at the first place."""
    send(lb, b"1", b"2", b"3", b"4")
    for number in (1, 2, 3, 4):
        assert let_go(lb, "requeue_run", number - 1, number) == 1

    assert [frame[42:] for frame in lb.waiting()] == [b"1", b"2", b"3", b"4"]
    send(lb, b"5", reason="QUEUED")
    assert [frame[42:] for frame in lb.waiting()][-1] == b"5"
    assert slots_add_up(lb)


@pytest.mark.parametrize("program", ["release_run", "requeue_run"])
@pytest.mark.parametrize(("slot", "number"), [(0, 2), (0, 0), (1, 1), (3, 0), (BEYOND, 1), (2**32 - 1, 1)])
def test_what_is_not_held_is_not_let_go(lb: Rig, program: str, slot: int, number: int) -> None:
    """A slot that was used again has another number; one that is not held has none; others do not exist."""
    send(lb, b"1")
    before = lb.queue()

    assert let_go(lb, program, lb.slots if slot == BEYOND else slot, number) == 0
    assert (held(lb), lb.queue()) == ([(1, 1)], before)


@pytest.mark.parametrize("program", ["release_run", "requeue_run"])
def test_a_request_is_let_go_once(lb: Rig, program: str) -> None:
    send(lb, b"1")
    assert let_go(lb, program, 0, 1) == 1

    assert [let_go(lb, other, 0, 1) for other in ("release_run", "requeue_run")] == [0, 0]
    assert slots_add_up(lb)


def test_a_frame_that_is_too_short_changes_nothing(lb: Rig) -> None:
    send(lb, b"1")
    for program in ("release_run", "requeue_run"):
        with LoadedProgram.open(f"{lb.pins}/programs/{program}") as run:
            assert run.test_run(lb.claim(0, 1)[:-1]).verdict == 0

    assert held(lb) == [(1, 1)]


# --- by reports -------------------------------------------------------------------------------------------------------


def look(keeper: balancer.Keeper, packets: list[tuple[bytes, bytes]]) -> int:
    """Let the role read reports that have come just now."""
    return keeper.look_at_reports(balancer.Heard(packets, time.monotonic_ns()))


def look_later(keeper: balancer.Keeper, packets: list[tuple[bytes, bytes]]) -> int:
    """Let the role read reports that have come so late that all that was sent until now has arrived, or is lost."""
    return keeper.look_at_reports(balancer.Heard(packets, time.monotonic_ns() + holds.LOST_NS))


def test_a_report_goes_on_to_the_role(lb: Rig) -> None:
    """As it came; one that carries a request cannot, and one that was overtaken need not."""
    send(lb, b"1", b"2", b"3", b"4")
    packet = completion(1, data(2, [known_as(b"1")], [known_as(b"2")]), udp_dport=REPORTS)

    assert lb.push(packet) == (PASS, bytes(packet), "REPORT_COMPLETION_LOST")
    send(lb, b"5")
    send(lb, b"6", reason="QUEUED")
    assert lb.push(completion(1, data(3, [known_as(b"2")], [], 2), udp_dport=REPORTS))[0] == REDIRECT
    assert lb.push(packet)[::2] == (DROP, "REPORT_OLD")


def test_what_is_done_is_released(lb: Rig, keeper: balancer.Keeper) -> None:
    send(lb, b"1", b"2", b"3")

    assert look(keeper, [tell(lb, 2, [known_as(b"2")], [known_as(b"1")])]) == 0
    assert held(lb) == [(1, 1), (2, 3)]
    assert slots_add_up(lb)


def test_each_time_that_one_is_done_releases_one(lb: Rig, keeper: balancer.Keeper) -> None:
    """Requests that are the same are told apart by nothing; a report that is repeated tells nothing new."""
    send(lb, b"same", b"same")
    told = tell(lb, 2, [known_as(b"same")], [known_as(b"same")])

    for _ in range(2):
        look(keeper, [told, told])
        assert held(lb) == [(1, 2)]
    assert look(balancer.Keeper(lb.pins), [told]) == 0  # nor to a process that has just begun
    assert held(lb) == [(1, 2)]
    look(keeper, [tell(lb, 2, [known_as(b"same")] * 2, [])])
    assert held(lb) == []


def test_reports_that_are_heard_together_release_one_after_the_other(lb: Rig, keeper: balancer.Keeper) -> None:
    send(lb, b"same", b"same")
    first = tell(lb, 2, [known_as(b"same")], [known_as(b"same")])
    look(keeper, [first, tell(lb, 2, [known_as(b"same")] * 2, [])])

    assert held(lb) == []


def test_the_same_request_of_another_port_is_another(lb: Rig, keeper: balancer.Keeper) -> None:
    send(lb, b"1")
    look(keeper, [tell(lb, 1, [known_as(b"1", port=40001)], [])])

    assert held(lb) == [(1, 1)]


def test_a_lost_report_is_made_up_for_by_the_next(lb: Rig, keeper: balancer.Keeper) -> None:
    send(lb, b"1", b"2")
    tell(lb, 2, [known_as(b"1")], [known_as(b"2")])

    look(keeper, [tell(lb, 2, [known_as(b"1"), known_as(b"2")], [])])
    assert held(lb) == []


def test_an_older_report_says_nothing(lb: Rig, keeper: balancer.Keeper) -> None:
    send(lb, b"1", b"1")
    older = tell(lb, 2, [known_as(b"1")], [known_as(b"1")])
    newer = tell(lb, 2, [known_as(b"1")], [], 2)
    look(keeper, [newer, older])

    assert held(lb) == [(1, 2)]


def test_totals_and_their_digests_wrap(lb: Rig, keeper: balancer.Keeper) -> None:
    look(keeper, [tell(lb, 2**32 - 1, [], [], 2**32 - 1, incarnation=9)])
    send(lb, b"1", b"2")

    look(keeper, [tell(lb, 1, [known_as(b"0"), known_as(b"1"), known_as(b"2")], [], 1, incarnation=9)])
    assert held(lb) == []


def test_what_a_silent_worker_has_is_put_back(lb: Rig, keeper: balancer.Keeper) -> None:
    """The oldest of them leaves first, but behind what has been waiting."""
    send(lb, b"1", b"2", b"3", b"4")
    send(lb, b"5", reason="QUEUED")
    assert look(keeper, []) == 0
    lb.later(SILENT_S)
    tell(lb, 0, index=2)
    balancer.Healer(lb.pins).watch()

    assert look(keeper, []) == 2
    assert [frame[42:] for frame in lb.waiting()] == [b"5", b"1", b"2"]
    assert held(lb) == [(2, 3), (2, 4)]


def test_what_a_worker_had_before_it_began_again_is_put_back(lb: Rig, keeper: balancer.Keeper) -> None:
    """But not what it has got since."""
    send(lb, b"1", b"2")
    tell(lb, 2, [], [known_as(b"1"), known_as(b"2")])
    tell(lb, 0, incarnation=8)
    late_ns = time.monotonic_ns() + holds.LOST_NS
    send(lb, b"3")
    told = tell(lb, 1, [], [known_as(b"3")], incarnation=8)

    assert keeper.look_at_reports(balancer.Heard([told], late_ns)) == 2
    assert held(lb) == [(1, 3)]
    assert [frame[42:] for frame in lb.waiting()] == [b"1", b"2"]


def test_a_request_that_never_arrives_is_put_back(lb: Rig, keeper: balancer.Keeper) -> None:
    """Once it must have arrived; those in hand stay, however long they take, and so do others that are the same."""
    send(lb, b"1", b"1")
    in_hand = [known_as(b"1")]
    assert look(keeper, [tell(lb, 1, [], in_hand)]) == 0
    assert look_later(keeper, []) == 0  # what was heard is older than that

    assert look_later(keeper, [tell(lb, 1, [], in_hand)]) == 1
    assert held(lb) == [(1, 1)]


def test_a_report_proves_nothing_lost_that_may_have_been_sent_after_it(lb: Rig, keeper: balancer.Keeper) -> None:
    """A request must be that much older than the time since which the report may have come."""
    before_ns = time.monotonic_ns() + holds.LOST_NS
    send(lb, b"1")
    look(keeper, [tell(lb, 0)])
    told = tell(lb, 0)

    assert look_later(keeper, []) == 0
    assert keeper.look_at_reports(balancer.Heard([told], before_ns)) == 0
    assert look_later(keeper, [told]) == 1


def test_later_reports_that_were_not_read_yet_do_not_hide_a_loss(lb: Rig, keeper: balancer.Keeper) -> None:
    """Under steady traffic the program always knows a later one."""
    send(lb, b"lost")
    late_ns = time.monotonic_ns() + holds.LOST_NS
    told = tell(lb, 0)
    send(lb, b"1")
    tell(lb, 1, [], [known_as(b"1")])

    assert keeper.look_at_reports(balancer.Heard([told], late_ns)) == 1
    assert held(lb) == [(1, 2)]


def test_a_report_that_does_not_list_all_in_hand_proves_nothing_lost(lb: Rig, keeper: balancer.Keeper) -> None:
    send(lb, b"1", b"2")

    assert look_later(keeper, [tell(lb, 2, [], [known_as(b"1")])]) == 0
    assert held(lb) == [(1, 1), (1, 2)]


def test_nothing_is_held_for_one_who_never_reports(
    lb: Rig, keeper: balancer.Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(lb, b"1", b"2", b"3")
    look(keeper, [tell(lb, 2, [], [known_as(b"1"), known_as(b"2")])])
    assert held(lb) == [(1, 1), (1, 2), (2, 3)]
    monkeypatch.setattr(holds, "LOST_NS", 0)

    assert look(keeper, []) == 0
    assert held(lb) == [(1, 1), (1, 2)]


@pytest.mark.parametrize(
    "told",
    [
        (mapped("10.0.9.2"), data(1, [known_as(b"1")], [])),  # a stranger
        (mapped("10.0.1.2"), data(1, [known_as(b"1")], [], incarnation=5)),  # one that the program has not heard
        (mapped("10.0.1.2"), b""),
        (mapped("10.0.1.2"), b"NLR2" + data(1, [known_as(b"1")], [])[4:]),
        (mapped("10.0.1.2"), data(1, [known_as(b"1")[:7]], [])),
    ],
)
def test_what_is_no_report_changes_nothing(lb: Rig, keeper: balancer.Keeper, told: tuple[bytes, bytes]) -> None:
    send(lb, b"1")

    assert look(keeper, [told]) == 0
    assert held(lb) == [(1, 1)]


def test_a_keeper_that_begins_takes_up_what_is_held(lb: Rig) -> None:
    send(lb, b"1", b"2")
    look(balancer.Keeper(lb.pins), [tell(lb, 2, [known_as(b"1")], [known_as(b"2")])])

    look(balancer.Keeper(lb.pins), [tell(lb, 2, [known_as(b"1"), known_as(b"2")], [])])
    assert held(lb) == []


def test_an_entry_that_is_read_in_part_is_none(lb: Rig) -> None:
    """The program writes it word by word, and it is read without its lock."""
    send(lb, b"1")
    for fields in ({"backend": 1, "number": 1}, {"since_ns": 1}):
        hold = lb.types.struct("hold").pack(**fields)
        with Map.open(f"{lb.pins}/maps/held") as entries:
            entries.set(FIRST, hold.ljust(entries.value_size, b"\0"))
        assert balancer.Keeper(lb.pins).held() == []


# --- by replies -------------------------------------------------------------------------------------------------------


@pytest.fixture
def replying(rig: Rig) -> Rig:
    """A balancer that holds requests until they are answered, with one worker of three threads."""
    rig.reset(backends=1, capacity=3, replies=True, holds=balancer.BY_REPLIES)
    return rig


def ask(rig: Rig, payload: bytes, version: int = 4, **fields: object) -> Packet:
    """Send a request, and return the worker's answer to what has arrived there."""
    verdict, left, reason = rig.push(request(payload, version, **fields))
    assert (verdict, reason) == (REDIRECT, "FORWARDED")
    return reply(1, version=version, udp_dport=Ether(left)[UDP].sport)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("checksum", [{}, {"udp_chksum": 0}], ids=["", "no checksum"])
def test_a_request_leaves_from_a_port_that_is_its_number(replying: Rig, version: int, checksum: dict[str, int]) -> None:
    """And its answer arrives at the port that it came from; all checksums are right."""
    if version == 6 and checksum:
        pytest.skip("IPv6 requires one")
    left = addressed(request(b"1", version, udp_sport=1025, **checksum), 1)
    assert replying.push(request(b"1", version, **checksum)) == (REDIRECT, left, "FORWARDED")
    answer = bytes(reply(1, b"answer", version, udp_dport=1025, **checksum))

    assert replying.push(answer) == (REDIRECT, answer, "REPLY_FREED")
    run = replying.egress.test_run(answer, ingress_ifindex=1)
    expected = reply(1, b"answer", version, ip_src=LB if version == 4 else LB6, **checksum)
    expected.src, expected.dst = LB_MAC, CLIENT_MAC
    assert (run.verdict, run.packet) == (PASS, bytes(expected))


def test_no_request_leaves_from_the_services_port(replying: Rig) -> None:
    """By that port an answer is told from a request."""
    replying.change("state", number=SERVICE - 1024 - 1)

    assert [ask(replying, b"%d" % number).dport for number in range(2)] == [32767, SERVICE + 1]


def test_a_request_that_waited_leaves_from_its_port_too(replying: Rig) -> None:
    answers = [ask(replying, b"%d" % number) for number in range(3)]
    send(replying, b"3", reason="QUEUED")
    replying.push(answers[0])

    assert replying.carry(1) == (PASS, addressed(request(b"3", udp_sport=1028), 1))
    assert held(replying) == [(1, 2), (1, 3), (1, 4)]
    assert replying.push(reply(1, udp_dport=1028))[2] == "REPLY_FREED"
    assert held(replying) == [(1, 2), (1, 3)]
    assert slots_add_up(replying)


def test_an_answer_releases_the_request_that_it_answers(replying: Rig) -> None:
    """At once, and no other of the same client, in whichever order they are answered, and however often."""
    answers = [ask(replying, b"%d" % number) for number in range(3)]
    for _ in range(2):
        replying.push(answers[1])
        assert held(replying) == [(1, 1), (1, 3)]
        assert replying.free() == (1,)
    replying.push(answers[0])

    assert held(replying) == [(1, 3)]
    assert slots_add_up(replying)


def test_a_lost_request_is_not_taken_for_another_that_was_answered(
    replying: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two, the second is lost; neither the answer to the first nor to a later one tells that it is done."""
    keeper = balancer.Keeper(replying.pins)
    first = ask(replying, b"first")
    between_ns = time.monotonic_ns()
    send(replying, b"lost")
    replying.push(first)
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic_ns", lambda: between_ns)
        assert keeper.look_at_replies(0) == 0  # what was sent until then
    replying.push(ask(replying, b"later"))

    assert keeper.look_at_replies(60) == 0
    assert held(replying) == [(1, 2)]
    assert keeper.look_at_replies(0) == 1
    assert [frame[42:] for frame in replying.waiting()] == [b"lost"]


def test_what_is_answered_is_done_although_others_of_its_client_never_are(replying: Rig) -> None:
    """A client that always has a request on its way: what was answered keeps no slot, and is not sent again."""
    keeper = balancer.Keeper(replying.pins)
    answer = ask(replying, b"0")
    for number in range(1, 20):
        following = ask(replying, b"%d" % number)
        replying.push(answer)
        answer = following
        assert len(held(replying)) == 1

    assert keeper.look_at_replies(60) == 0
    assert replying.now().counters["unheld"] == 0


def test_what_is_not_answered_in_time_is_put_back(replying: Rig) -> None:
    """What comes late then releases nothing; sent again, it is done when that is answered."""
    keeper = balancer.Keeper(replying.pins)
    answer = ask(replying, b"1")
    assert keeper.look_at_replies(60) == 0
    assert keeper.look_at_replies(0) == 1
    assert [frame[42:] for frame in replying.waiting()] == [b"1"]
    assert replying.push(answer)[2] == "REPLIED"
    assert len(replying.waiting()) == 1
    replying.carry(1)
    assert held(replying) == [(1, 1)]

    replying.push(answer)
    assert held(replying) == []
    assert slots_add_up(replying)


def test_a_late_answer_does_not_release_what_its_slot_holds_now(replying: Rig) -> None:
    """Its flow may still be known, as one that is unanswered, when the slot has another request."""
    answer = ask(replying, b"1")
    (kept,) = balancer.Keeper(replying.pins).held()
    assert let_go(replying, "release_run", kept.slot, kept.number) == 1
    send(replying, b"2")

    replying.push(answer)
    assert held(replying) == [(1, 2)]


def test_an_unheld_request_is_answered_like_others(rig: Rig) -> None:
    rig.reset(backends=1, capacity=10, replies=True, holds=balancer.BY_REPLIES)
    answers = [ask(rig, b"%d" % number) for number in range(9)]

    assert rig.push(answers[-1])[2] == "REPLY_FREED"
    assert (rig.free(), len(held(rig)), rig.now().counters["unheld"]) == ((2,), 8, 1)
    assert slots_add_up(rig)


def test_a_flow_that_was_forgotten_does_not_tell(replying: Rig) -> None:
    answer = ask(replying, b"1")
    with Map.open(f"{replying.pins}/maps/flows") as flows:
        for key in list(flows.keys()):
            flows.delete(key)

    assert replying.push(answer)[2] == "PASS_NOT_LOCAL"
    assert held(replying) == [(1, 1)]
