"""What links do to packets, measured by real ones: the same on kernels with netem and without."""

import hashlib
import signal
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from netlab.errors import NetlabError
from netlab.network import impairments
from netlab.network.middle import Middle
from netlab.testing.waiting import IS_SLOW, PATIENCE_S, eventually
from netlab.topology.chosen_packets import chosen
from netlab.topology.impairment import PLAIN, Choice, Impairment
from tests.lab import middle
from tests.lab.middle import FLOW, PORT, THERE, A, B, Line
from tests.lab.namespaces import run

pytestmark = [pytest.mark.root]

MS = 1_000_000
TENTH = Choice("independent", chance=100_000)
CLOSE_NS = (5 if IS_SLOW else 1) * MS
TRIES = 20


@pytest.fixture(scope="module", params=["netem", "process"])
def whole(request: pytest.FixtureRequest) -> Iterator[Line]:
    """Yield a line where the kernel holds packets up, and one where netlab's process does it."""
    with pytest.MonkeyPatch.context() as patch, middle.line() as found:
        if request.param == "process":
            patch.setattr(Middle, "has_netem", lambda _: False)
        elif found.lab.inside("m", _lacks_netem):
            pytest.skip("this kernel has no netem")
        yield found


def _lacks_netem() -> bool:
    with Middle() as there:
        return not there.has_netem()


@pytest.fixture
def line(whole: Line) -> Line:
    """Return the line, plain and empty."""
    whole.afresh()
    return whole


def test_ten_runs_lose_the_same_packets(line: Line) -> None:
    """Whatever else passes meanwhile; another seed loses others."""
    lost = {}
    for seed in (*([2] * 10), 3):  # of which neither loses the first questions for addresses, and waits a second
        impairment = Impairment(loss=TENTH, seed=seed)
        line.afresh(impairment)
        run("ip", "-n", f"{line.lab.name}.a", "neigh", "flush", "dev", "eth0")  # ARP and ND come in at other places
        told = chosen(impairment, "loss", FLOW, 200)

        line.send(range(1, 201))
        came = line.came(200 - len(told))

        assert [number for number in range(1, 201) if number not in told] == came
        lost[seed] = told

    assert lost[2] != lost[3]


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(Choice("gilbert-elliott", worsens=50_000, recovers=200_000, bad_chance=900_000), id="bursts"),
        pytest.param(Choice("every", every=10), id="every"),
        pytest.param(Choice("numbers", numbers=(1, 2, 150)), id="numbers"),
        pytest.param(Choice("independent", chance=1_000_000), id="all"),
    ],
)
def test_each_model_loses_what_was_told(line: Line, loss: Choice) -> None:
    impairment = Impairment(loss=loss, seed=1)
    line.impair(impairment)
    before = line.counters()
    told = chosen(impairment, "loss", FLOW, 200)

    line.send(range(1, 201))
    came = line.came(200 - len(told))

    assert [number for number in range(1, 201) if number not in told] == came
    assert len(told) <= line.counters().lost - before.lost


def test_a_corrupted_packet_fails_its_checksum(line: Line) -> None:
    """The receiver's kernel counts it; what the program receives is whole."""
    line.afresh(Impairment(corrupt=Choice("every", every=4), seed=1))
    errors = _checksum_errors(line)

    line.send(range(1, 201), size=1000)
    came = line.came(150)

    assert [number for number in range(1, 201) if number % 4] == came
    # A bit of the port or of the length may be the one, which is noticed elsewhere; and 1 in 65536 pairs of sums agree.
    eventually(lambda: _checksum_errors(line) - errors >= 40, "the checksums were found wrong")


def _checksum_errors(line: Line) -> int:
    with line.lab.inside("b", lambda: open("/proc/thread-self/net/snmp", encoding="ascii")) as file:
        names, values = (each.split() for each in file if each.startswith("Udp: "))
    return int(values[names.index("InCsumErrors")])


def test_doubled_packets_come_twice(line: Line) -> None:
    line.afresh(Impairment(duplicate=Choice("numbers", numbers=(2, 3))))

    line.send(range(1, 5))

    assert [1, 2, 2, 3, 3, 4] == line.came(6)


def test_a_transfer_survives_a_bad_line(line: Line) -> None:
    """TCP mends what is lost, doubled, flipped and held up in both directions."""
    bad = Choice("independent", chance=20_000)
    line.afresh(
        Impairment(loss=bad, duplicate=bad, corrupt=bad, reorder=bad, delay_ns=2 * MS, seed=3), Impairment(loss=bad)
    )
    data = hashlib.sha256(b"netlab").digest() * 20_000

    assert data == transferred(line, data)


def transferred(line: Line, data: bytes) -> bytes:
    """Send bytes by TCP from a to b, and return what has come."""
    return b"".join(piece for piece, _ in pieces(line, data))


def pieces(line: Line, data: bytes) -> list[tuple[bytes, float]]:
    """Send bytes by TCP from a to b, and return what has come, and when."""
    server = line.lab.inside("b", lambda: socket.create_server((B, 0)))
    client = line.lab.inside("a", socket.socket)
    with server, client:
        client.settimeout(PATIENCE_S)
        server.settimeout(PATIENCE_S)
        client.connect(server.getsockname())
        accepted, _ = server.accept()
        sender = threading.Thread(target=_send_all, args=(client, data))
        sender.start()
        with accepted:
            accepted.settimeout(PATIENCE_S)
            found = [(piece, time.monotonic()) for piece in iter(lambda: accepted.recv(1 << 16), b"")]
        sender.join()
    return found


def _send_all(client: socket.socket, data: bytes) -> None:
    client.sendall(data)
    client.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("rate", [4_000_000, 20_000_000])
def test_tcp_gets_the_rate(line: Line, rate: int) -> None:
    """Never more than a tenth above it; and nine tenths, if the machine has the time."""
    line.afresh(Impairment(rate=rate))
    data = bytes(rate // 8 // 2)

    def gets_enough() -> bool:
        came = pieces(line, data)
        took = came[-1][1] - came[0][1]
        share = sum(len(piece) for piece, _ in came[1:]) * 8 / took / rate
        assert share < 1.1
        return share > 0.9

    eventually(gets_enough, "TCP gets nine tenths")


def test_what_finds_no_room_is_dropped_and_counted(line: Line) -> None:
    """Ten packets of 1,042 bytes may wait, 83 ms each; the first two or three leave at once."""
    slow = Impairment(rate=100_000, queue_bytes=10 * 1042)
    line.impair(slow)
    before = line.counters()

    line.send(range(100), size=1000)
    dropped = line.counters().dropped_by_queue - before.dropped_by_queue
    assert [] == line.missing(slow)
    line.impair(PLAIN)
    came = line.came(100 - dropped)

    assert 10 <= len(came) < 50
    assert list(range(10)) == came[:10]
    after = line.counters()
    assert dropped == after.dropped_by_queue - before.dropped_by_queue
    assert 100 - dropped <= after.carried - before.carried  # and ARP


def test_a_delay_is_met(line: Line) -> None:
    """Never less, and within a millisecond if the machine has the time."""
    for delay in (20 * MS, 3 * MS):
        line.impair(Impairment(delay_ns=delay))
        least = min(line.delay_ns() for _ in range(TRIES))

        assert delay <= least < delay + CLOSE_NS


def test_jitter_spreads_and_keeps_the_order(line: Line) -> None:
    """Each packet is held up at least the delay without the jitter."""
    line.impair(Impairment(delay_ns=30 * MS, jitter_ns=20 * MS, seed=5))

    taken = [line.delay_ns() for _ in range(TRIES)]
    line.send(range(100))

    assert 10 * MS <= min(taken) < 25 * MS
    assert max(taken) > 35 * MS
    assert sorted(taken)[TRIES // 2] < 50 * MS + CLOSE_NS * 5
    assert list(range(100)) == line.came(100)


def test_chosen_packets_overtake(line: Line) -> None:
    """They are not held up, and are the first to arrive; all others stay in their order."""
    line.afresh(Impairment(delay_ns=300 * MS, reorder=Choice("numbers", numbers=(4, 7))))
    before = line.counters()

    line.send(range(1, 11))

    assert [4, 7, 1, 2, 3, 5, 6, 8, 9, 10] == line.came(10)
    assert 2 == line.counters().overtaken - before.overtaken


def test_changes_lose_nothing_under_way(line: Line) -> None:
    """A delay that ends, a rate that comes and goes: all packets arrive, in their order, and the counts go on."""
    before = line.counters()
    line.impair(Impairment(delay_ns=200 * MS))
    line.send(range(10))
    line.impair(Impairment(delay_ns=1 * MS))
    line.send(range(10, 20))
    line.impair(PLAIN)
    line.send(range(20, 30))
    assert list(range(30)) == line.came(30)

    line.impair(Impairment(rate=500_000, queue_bytes=1 << 20))
    line.send(range(30, 50), size=1000)
    line.impair(Impairment(rate=400_000, queue_bytes=1 << 19))
    line.send(range(50, 60))
    line.impair(PLAIN)
    line.send(range(60, 70))
    assert list(range(30, 70)) == line.came(40)
    assert 70 <= line.counters().carried - before.carried


def test_what_is_set_again_stays_as_it_is(line: Line) -> None:
    """Numbers go on; they begin anew with another choice."""
    third = Impairment(loss=Choice("every", every=3))
    line.impair(third)
    line.send([1, 2])
    line.impair(third)
    line.impair(third._replace(rate=10_000_000, delay_ns=MS))
    line.send([3, 4])
    assert [1, 2, 4] == line.came(3)

    line.impair(Impairment(loss=Choice("every", every=2)))
    line.send([1, 2, 3])
    assert [1, 3] == line.came(2)


def test_flows_of_others_shift_nothing(line: Line) -> None:
    """Each flow has its own numbers."""
    line.impair(Impairment(loss=Choice("numbers", numbers=(2,))))
    other = line.lab.inside("a", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with other:
        for number in range(1, 4):
            other.sendto(b"x", (B, PORT - 1))
            line.send([number])

    assert [1, 3] == line.came(2)


def test_the_back_direction_is_its_own(line: Line) -> None:
    """What is lost from a to b is not lost from b to a."""
    line.impair(Impairment(loss=Choice("independent", chance=1_000_000)))
    before = impairments.read_direction(line.netns, *middle.BACK)

    line.receiver.sendto(b"x", (A, PORT))
    line.sender.settimeout(PATIENCE_S)

    assert b"x" == line.sender.recv(10)
    assert 1 <= impairments.read_direction(line.netns, *middle.BACK).carried - before.carried


def test_a_tagged_frame_keeps_its_tag(line: Line) -> None:
    """A VLAN's tag is there behind a delay, too, and the frame is whole."""
    line.impair(Impairment(delay_ns=MS))
    frame = bytes(12) + b"\x81\x00\x00\x2a\x88\xb5" + bytes(range(100))
    there = line.lab.inside("b", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)))
    here = line.lab.inside("a", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
    with there, here:
        there.setsockopt(263, 8, 1)  # PACKET_AUXDATA: the kernel has taken the tag out of the frame
        line.lab.inside("b", lambda: there.bind(("eth0", 3)))
        line.lab.inside("a", lambda: here.bind(("eth0", 0)))
        there.settimeout(PATIENCE_S)
        here.send(frame)
        while True:
            data, about, *_ = there.recvmsg(2048, 128)
            if data[12:14] == b"\x88\xb5":
                break

    assert frame[:12] + frame[16:] == data
    assert 42 == int.from_bytes(about[0][2][16:18], "little")


def test_what_is_missing_is_told(line: Line) -> None:
    """Whoever removes something by hand is found out; setting it again mends it."""
    impairment = Impairment(rate=8_000_000, delay_ns=MS, loss=TENTH)
    line.impair(impairment)
    assert [] == line.missing(impairment)

    run("tc", "-n", f"{line.lab.name}.m", "qdisc", "del", "dev", "eth1", "root")
    assert ["the rate of what leaves the middle by eth1 is not limited as set"] == line.missing(impairment)
    run("tc", "-n", f"{line.lab.name}.m", "filter", "del", "dev", "eth0", "ingress")
    assert ["the program at eth0 in the middle is gone: nothing passes there"] == line.missing(impairment)
    line.impair(impairment)
    assert [] == line.missing(impairment)
    assert ["packets that come into the middle at eth0 are not impaired as set"] == line.missing(
        impairment._replace(seed=9)
    )
    assert line.missing(impairment._replace(delay_ns=2 * MS)) != []


def test_an_interface_that_is_new_begins_anew(line: Line) -> None:
    """What was counted where another one had its index is not its own."""
    line.impair(Impairment(loss=Choice("every", every=2), delay_ns=MS))
    line.send(range(4))
    assert [0, 2] == line.came(2)

    run("tc", "-n", f"{line.lab.name}.m", "qdisc", "del", "dev", "eth0", "clsact")
    line.impair(Impairment(loss=Choice("every", every=2), delay_ns=MS))
    line.send([1, 2, 3])

    assert [1, 3] == line.came(2)
    assert 1 == line.counters().lost


def test_a_direction_that_is_not_there_is_named(line: Line) -> None:
    with pytest.raises(NetlabError, match="no interface eth7"):
        impairments.set_direction(line.netns, "eth7", "eth1", PLAIN)
    with pytest.raises(NetlabError, match="cannot be reached"):
        impairments.set_direction(f"{line.netns}-gone", *THERE, PLAIN)
    assert "cannot be reached" in impairments.missing(f"{line.netns}-gone", [])[0]


def test_a_cleared_direction_carries_nothing(line: Line) -> None:
    """Nothing of it is left; it can be set again, and counts begin anew."""
    line.impair(Impairment(rate=8_000_000, delay_ns=MS))

    impairments.clear_direction(line.netns, *THERE)
    line.send([1])

    with pytest.raises(NetlabError, match="nothing is set"):
        line.counters()
    assert "hold" not in run("ip", "-n", f"{line.lab.name}.m", "link")
    line.impair(PLAIN)
    line.send([2])
    assert [2] == line.came(1)
    assert 1 == line.counters().carried


def test_a_killed_process_is_told_and_replaced(line: Line) -> None:
    """What it held up is lost and counted; the next one takes over."""
    delayed = Impairment(delay_ns=10_000 * MS)
    line.impair(delayed)
    if line.process is None:
        pytest.skip("netem needs no process")
    before = line.counters()
    line.send(range(5))
    eventually(lambda: 5 <= line.counters().delayed_now, "they are held up")

    line.process.send_signal(signal.SIGKILL)
    line.process.wait(PATIENCE_S)
    assert ["the process that delays packets does not run: what it should delay is lost"] == line.missing(delayed)
    line.process = None
    line.impair(Impairment(delay_ns=MS))
    line.send([6])

    assert [6] == line.came(1)
    after = line.counters()
    assert 5 <= after.dropped_by_delay - before.dropped_by_delay
    assert 0 == after.delayed_now
