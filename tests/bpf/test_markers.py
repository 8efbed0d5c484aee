"""What the balancer finds by markers: which requests are lost on their way to a worker, while others go on arriving."""

from typing import NamedTuple

import pytest
from scapy.layers.inet import UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from netlab.balancer import BY_REPORTS
from tests.bpf.frames import Report
from tests.bpf.rig import DROP, MARK_S, PASS, REDIRECT, SERVICE, Rig, backend, completion, request
from tests.bpf.test_healing import REPORTS, known, report

pytestmark = pytest.mark.root

NUMBERS = 2**32
MOST_MARKS = 2**8  # times MARK_S, until a marker must come


class Marker(NamedTuple):
    """What a marker says."""

    number: int
    sent: int


class Worker:
    """Worker1, as the balancer hears it: `received` and `completed` are its totals, `last` what it says of markers."""

    def __init__(self, rig: Rig, incarnation: int = 7, version: int = 4) -> None:
        self.rig = rig
        self.incarnation, self.version = incarnation, version
        self.received = self.completed = 0
        self.last = (0, 0, 0)
        self.waited = 0

    def send(self, count: int) -> None:
        """Send it so many requests, which are on their way then."""
        for _ in range(count):
            assert self.rig.push(request())[2] == "FORWARDED"

    def get(self, count: int, lost: int = 0) -> None:
        """Let so many requests be sent, and all but those that are lost arrive."""
        self.send(count)
        self.received += count - lost

    def complete(self, count: int) -> None:
        for _ in range(count):
            self.rig.push(completion(1))
        self.completed += count

    def tell(self) -> tuple[Marker | None, str]:
        """Report; return the marker that comes of it, and what the report was counted as."""
        packet = report(1, self.received, self.completed, self.incarnation, self.version, self.last)
        verdict, frame, reason = self.rig.push(packet)
        return (read(frame) if verdict == REDIRECT else None), reason

    def ask(self) -> Marker:
        """Report until that comes back as a marker, which it has not read yet; `waited` is how long that was."""
        for self.waited in range(MOST_MARKS):
            if marker := self.tell()[0]:
                return marker
            self.rig.later(MARK_S)
        raise AssertionError("no marker comes")

    def answer(self, marker: Marker, before: int | None = None) -> str:
        """Report that so many of the requests had arrived before a marker, by default all that it has received."""
        self.last = *marker, self.received % NUMBERS if before is None else before
        return self.tell()[1]

    def look(self) -> str:
        """Get and answer a marker; return what that was counted as."""
        return self.answer(self.ask())


def read(frame: bytes) -> Marker:
    data = bytes(Ether(frame)[UDP].payload)
    assert data.startswith(b"NLM1")
    marker = Report.read(data)
    return Marker(marker.marker, marker.sent)


@pytest.fixture
def lb(rig: Rig) -> Rig:
    """A balancer with one worker of five threads, which has not reported yet."""
    rig.reset(backends=1, report_port=REPORTS)
    return rig


@pytest.fixture
def worker(lb: Rig) -> Worker:
    """That worker, which has reported once."""
    begun = Worker(lb)
    assert begun.tell() == (None, "REPORT_BEGUN")
    return begun


def lost(rig: Rig) -> int:
    """Return how many requests are known to be lost."""
    now = known(rig)
    assert now
    return now.lost_requests


# --- markers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [4, 6])
def test_a_marker_is_a_report_that_goes_back(lb: Rig, version: int) -> None:
    """To the service port, from the port of reports, with what was sent; all else, digests too, is as it came."""
    lb.push(report(1, 0, 0, version=version))
    for _ in range(3):
        lb.push(request())
    packet = report(1, 2, 1, version=version, heard=(0, 0, 0)) / Raw(b"digests of requests")
    built = Ether(bytes(packet))
    verdict, frame, reason = lb.push(bytes(packet))

    one = backend(1)
    built.src, built.dst = one.our_mac, one.mac
    built.payload.src, built.payload.dst = built.payload.dst, built.payload.src
    built[UDP].sport, built[UDP].dport = REPORTS, SERVICE
    data = Report(2, 1, 7, 0, 1, 1, 3, 0, b"NLM1").pack() + b"digests of requests"
    built[UDP].payload = Raw(data)
    del built[UDP].chksum
    assert (verdict, reason) == (REDIRECT, "REPORT_COMPLETION_LOST")
    assert frame == bytes(built)
    run = lb.egress.test_run(frame)
    assert (run.verdict, run.packet, lb.carrier_counts()) == (PASS, frame, {})


def test_a_marker_without_a_checksum_stays_without_one(lb: Rig) -> None:
    lb.push(report(1, 0, 0))
    lb.push(request())
    _, frame, _ = lb.push(report(1, 0, 0, heard=(0, 0, 0), udp_chksum=0))

    assert read(frame) == (1, 1)
    assert Ether(frame)[UDP].chksum == 0


def test_no_marker_comes_while_nothing_is_missing(worker: Worker) -> None:
    worker.get(3)
    worker.complete(1)

    assert worker.tell() == (None, "REPORT_AGREED")


def test_who_hears_no_markers_gets_none(lb: Rig) -> None:
    lb.push(report(1, 0, 0))
    lb.push(request())

    assert lb.push(report(1, 0, 0))[::2] == (DROP, "REPORT_AGREED")


def test_markers_come_less_often_the_more_of_them_are_not_answered(worker: Worker) -> None:
    """They may wait with the requests, where a worker has fewer threads than the balancer takes it to have."""
    worker.get(1, lost=1)
    waited = []
    for number in (1, 2, 3, 4):
        assert worker.ask() == (number, 1)
        waited.append(worker.waited)

    assert waited == [0, 2, 4, 8]


def test_a_report_that_carries_is_no_marker(worker: Worker) -> None:
    """What waits goes first; the next report is one."""
    worker.get(5, lost=1)
    assert worker.rig.push(request(b"waits"))[2] == "QUEUED"
    worker.completed += 1  # and the completion is lost

    verdict, frame, reason = worker.rig.push(report(1, worker.received, 1, heard=worker.last))
    assert (verdict, reason) == (REDIRECT, "REPORT_COMPLETION_LOST")
    assert b"NLR1" in frame
    worker.rig.carry(1)
    worker.received += 1
    assert worker.ask().sent == 6


def test_where_requests_are_held_the_role_hears_every_other_report(lb: Rig) -> None:
    """The one that is turned into a marker is made up for by the answer to that."""
    lb.reset(backends=1, report_port=REPORTS, holds=BY_REPORTS)
    lb.push(report(1, 0, 0))
    lb.push(request())
    verdict, frame, _ = lb.push(report(1, 0, 0, heard=(0, 0, 0)))

    assert (verdict, read(frame)) == (REDIRECT, (1, 1))
    assert lb.push(report(1, 0, 0, heard=(1, 1, 0)))[0] == PASS


# --- what is lost -----------------------------------------------------------------------------------------------------


def test_a_lost_request_is_found_while_others_go_on_arriving(worker: Worker) -> None:
    """At each report others are on their way: nothing but two markers tells that the first will not come."""
    worker.get(2, lost=1)
    reasons = []
    for _ in range(2):
        marker = worker.ask()
        before = worker.received
        worker.get(2)  # behind the marker
        worker.complete(2)
        worker.send(1)  # on its way while the worker answers
        reasons.append(worker.answer(marker, before))
        worker.received += 1

    assert reasons == ["REPORT_AGREED", "REPORT_REQUEST_LOST"]
    assert lost(worker.rig) == 1
    assert worker.tell()[0] is None
    assert worker.rig.free() == (5 - (worker.received - worker.completed),)


def test_one_marker_alone_is_not_believed(worker: Worker) -> None:
    """It may have overtaken a request, at one time and another."""
    for overtaken in (1, 0, 1, 0):
        worker.send(1)
        marker = worker.ask()
        worker.received += 1
        before = worker.received - overtaken
        worker.send(1)  # on its way while the worker answers
        assert worker.answer(marker, before) == "REPORT_AGREED"
        worker.received += 1
        worker.complete(2)

    assert (lost(worker.rig), worker.rig.free()) == (0, (5,))


def test_one_marker_alone_takes_nothing_back(worker: Worker) -> None:
    """It may have been overtaken by a request, which was counted a little later."""
    worker.get(1, lost=1)
    worker.look()
    assert worker.look() == "REPORT_REQUEST_LOST"
    worker.get(1)
    worker.send(1)
    marker = worker.ask()
    worker.received += 1

    assert worker.answer(Marker(marker.number, marker.sent - 1)) == "REPORT_AGREED"
    assert (lost(worker.rig), worker.rig.free()) == (1, (3,))


def test_a_request_that_was_only_late_takes_its_thread_again(worker: Worker) -> None:
    worker.get(2, lost=1)
    for _ in range(2):
        worker.look()
    assert (lost(worker.rig), worker.rig.free()) == (1, (4,))

    worker.received += 1
    assert worker.tell() == (None, "REPORT_AGREED")
    assert (lost(worker.rig), worker.rig.free()) == (0, (3,))


def test_a_late_request_is_found_while_others_are_on_their_way(worker: Worker) -> None:
    """By two markers, too: one request that came late looks like the one that has not come yet."""
    worker.get(1, lost=1)
    for _ in range(2):
        worker.look()
    assert (lost(worker.rig), worker.rig.free()) == (1, (5,))
    late = 1
    for _ in range(2):
        worker.send(2)
        marker = worker.ask()
        worker.received += 2 + late
        late = 0
        before = worker.received
        worker.send(2)  # on their way while the worker answers
        worker.answer(marker, before)
        worker.received += 2
        worker.complete(4)

    assert lost(worker.rig) == 0


def test_a_lost_request_stays_lost_when_others_arrive(worker: Worker) -> None:
    """However many are received after it, they do not make up for it."""
    worker.get(1, lost=1)
    for _ in range(2):
        worker.look()
    for _ in range(8):
        worker.get(1)
        worker.complete(1)
        assert worker.tell() == (None, "REPORT_AGREED")

    assert (lost(worker.rig), worker.rig.free()) == (1, (5,))


def test_several_losses_are_found_at_once(worker: Worker) -> None:
    worker.get(5, lost=3)
    worker.look()

    assert worker.look() == "REPORT_REQUEST_LOST"
    assert (lost(worker.rig), worker.rig.free()) == (3, (3,))


def test_a_report_may_tell_of_requests_and_completions_at_once(worker: Worker) -> None:
    """Counted as the first, known as both."""
    worker.get(4, lost=1)
    worker.look()
    marker = worker.ask()
    worker.completed += 2  # and both completions are lost

    assert worker.answer(marker) == "REPORT_REQUEST_LOST"
    now = known(worker.rig)
    assert now
    assert (now.lost_requests, now.lost_completions, now.doubled_completions) == (1, 2, 0)
    assert worker.rig.free() == (4,)


def test_a_report_may_tell_of_a_lost_request_and_a_late_completion_at_once(worker: Worker) -> None:
    """Counted as the first, known as both."""
    worker.get(4, lost=1)
    worker.look()
    worker.completed += 1
    marker = worker.ask()
    worker.rig.push(completion(1))

    assert worker.answer(marker) == "REPORT_REQUEST_LOST"
    now = known(worker.rig)
    assert now
    assert (now.lost_requests, now.lost_completions, now.doubled_completions) == (1, 0, 0)
    assert worker.rig.free() == (3,)


def test_a_lost_request_lets_the_next_one_go(worker: Worker) -> None:
    """The report by which it is found carries what waits."""
    worker.get(5, lost=1)
    assert worker.rig.push(request(b"waits"))[2] == "QUEUED"
    worker.look()
    marker = worker.ask()
    worker.last = *marker, worker.received

    verdict, frame, reason = worker.rig.push(report(1, worker.received, 0, heard=worker.last))
    assert (verdict, reason) == (REDIRECT, "REPORT_REQUEST_LOST")
    assert b"NLR1" in frame
    worker.rig.carry(1)
    assert (worker.rig.now().depth, worker.rig.free()) == (0, (0,))


# --- what is not to be believed ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ahead", "sent", "before"),
    [
        (1, 2, 1),  # of one that was never sent
        (0, 3, 1),  # more than were sent
        (0, NUMBERS - 1, 1),
        (0, 2, 3),  # more than it has received
        (0, 2, 10**9),
    ],
)
def test_what_cannot_be_is_not_believed(worker: Worker, ahead: int, sent: int, before: int) -> None:
    """However often it is said."""
    worker.get(2, lost=1)
    for _ in range(3):
        number = worker.ask().number
        assert worker.answer(Marker((number + ahead) % NUMBERS, sent), before) == "REPORT_AGREED"
        assert (lost(worker.rig), worker.rig.free()) == (0, (3,))


def test_what_is_said_of_a_marker_counts_once(worker: Worker) -> None:
    """It stands in every report, and no other marker has agreed with it."""
    worker.get(2, lost=1)
    worker.look()
    for _ in range(3):
        worker.ask()  # of the first one it goes on telling

    assert (lost(worker.rig), worker.rig.free()) == (0, (3,))


@pytest.mark.parametrize("before", [0, 1, NUMBERS - 1, 10**9, 2**31])
@pytest.mark.parametrize("sent", [0, 5, NUMBERS - 1, 2**31])
@pytest.mark.parametrize(("received", "completed"), [(0, 0), (5, 2), (10**9, 10**9), (3, 2**31 + 5)])
def test_nonsense_never_leads_out_of_bounds(
    worker: Worker, received: int, completed: int, sent: int, before: int
) -> None:
    """A worker that lies harms nobody but itself: free threads stay within 0 and its capacity, and it can heal."""
    worker.get(5)
    worker.received, worker.completed = received, completed
    for number in (1, 2):
        worker.tell()
        worker.rig.change("reporters", markers_sent=number)  # as if that marker had just been sent
        worker.answer(Marker(number, sent), before)
        assert 0 <= worker.rig.free()[0] <= 5

    begun = Worker(worker.rig, incarnation=9)
    begun.tell()
    assert worker.rig.free() == (5,)


def test_all_numbers_wrap(lb: Rig) -> None:
    """The requests sent, the requests received, and the markers' own."""
    lb.change("state", sent=(NUMBERS - 2,))
    worker = Worker(lb)
    worker.received = worker.completed = NUMBERS - 1
    worker.tell()
    lb.change("reporters", markers_sent=NUMBERS - 2, marker_answered=NUMBERS - 2)
    worker.get(3, lost=1)
    worker.received %= NUMBERS
    worker.completed = 0  # the last one it had, before all this
    markers = [worker.ask()]
    worker.answer(markers[0])
    markers.append(worker.ask())

    assert worker.answer(markers[1]) == "REPORT_REQUEST_LOST"
    assert markers == [(NUMBERS - 1, 1), (0, 1)]
    assert lost(lb) == 1


# --- workers that start again -----------------------------------------------------------------------------------------


def test_a_worker_that_starts_again_begins_anew(worker: Worker) -> None:
    """What was lost before is gone; markers of before are no news; what is lost from now on is found."""
    worker.get(3, lost=1)
    worker.look()
    marker = worker.ask()
    again = Worker(worker.rig, incarnation=8)
    again.received = again.completed = 1  # of the three
    assert again.tell()[1] == "REPORT_RESTARTED"
    assert worker.rig.free() == (5,)
    again.get(2, lost=1)

    again.answer(marker, 0)
    assert again.look() == "REPORT_AGREED"
    assert (lost(worker.rig), worker.rig.free()) == (0, (3,))
    assert again.look() == "REPORT_REQUEST_LOST"
    assert (lost(worker.rig), worker.rig.free()) == (1, (4,))


def test_losses_count_on_when_a_worker_starts_again(worker: Worker) -> None:
    again = Worker(worker.rig, incarnation=8)
    for each in (worker, again):
        each.tell()
        each.get(2, lost=1)
        each.look()
        assert each.look() == "REPORT_REQUEST_LOST"

    assert lost(worker.rig) == 2


def test_what_was_taken_for_gone_and_arrives_is_found_while_others_are_on_their_way(worker: Worker) -> None:
    """A request that was under way when the worker began again is its own after all: its thread is taken."""
    worker.get(1)
    again = Worker(worker.rig, incarnation=8)
    assert again.tell()[1] == "REPORT_RESTARTED"
    gone = 1
    for _ in range(2):
        again.send(2)
        marker = again.ask()
        again.received += 2 + gone
        gone = 0
        before = again.received
        again.send(2)  # on their way while the worker answers
        again.answer(marker, before)
        again.received += 2
        again.complete(4)

    assert lost(worker.rig) == 0
    assert again.rig.free() == (5 - (again.received - again.completed),)
