"""The parts of the TCP roles that need no network: what they take from packets, and the packets they make."""

import ctypes
import os
import random
import signal
import socket
import struct
from types import SimpleNamespace
from typing import Any, cast

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from roles import tcp_client, tcp_server
from roles.tcp_client import ACK, FIN, NUMBERS, PSH, RST, Frozen

PORT = 9000
ETHERNET = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
CLIENT, SERVER = ("10.0.0.1", 40000), ("10.0.0.2", PORT)
CLIENT6, SERVER6 = ("fd00::1", 40000), ("fd00::2", PORT)
IPV4, IPV6 = IP(src=CLIENT[0], dst=SERVER[0]), IPv6(src=CLIENT6[0], dst=SERVER6[0])


def frame(data: bytes = b"a", ip: Packet = IPV4, **tcp: object) -> bytes:
    """Return an Ethernet frame with a segment from the client to the server."""
    return bytes(
        ETHERNET / ip.copy() / TCP(**{"sport": CLIENT[1], "dport": PORT, "seq": 1, "flags": "PA", **tcp}) / Raw(data)
    )


# --- the server: which packets it sees --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filtered() -> Any:
    """Two sockets, of which the second takes in what the server's filter lets pass."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with near, far:
        program = ctypes.create_string_buffer(tcp_server.filter_for(PORT))
        about = struct.pack("@HP", (len(program) - 1) // 8, ctypes.addressof(program))
        far.setsockopt(socket.SOL_SOCKET, tcp_server.SO_ATTACH_FILTER, about)
        far.setblocking(False)
        yield near, far


def passes(filtered: tuple[socket.socket, socket.socket], packet: bytes) -> bool:
    near, far = filtered
    near.send(packet)
    try:
        return far.recv(1 << 16) == packet
    except BlockingIOError:
        return False


SEEN = {
    "ipv4": frame(),
    "ipv4 with options": frame(ip=IP(src="10.0.0.1", dst="10.0.0.2", options=[IPOption_NOP()] * 4)),
    "ipv4 with all options": frame(ip=IP(src="10.0.0.1", dst="10.0.0.2", options=[IPOption_NOP()] * 40)),
    "ipv6": frame(ip=IPV6),
    "without data": frame(b""),
    "not to be fragmented": frame(ip=IP(src="10.0.0.1", dst="10.0.0.2", flags="DF")),
    "first fragment": frame(ip=IP(src="10.0.0.1", dst="10.0.0.2", flags="MF")),
    "long": frame(bytes(1460)),
}
UNSEEN = {
    "another port": frame(dport=PORT + 1),
    "from the port": frame(sport=PORT, dport=40000),
    "another port, ipv6": frame(dport=80, ip=IPV6),
    "last fragment": frame(ip=IP(src="10.0.0.1", dst="10.0.0.2", frag=3)),
    "udp": bytes(ETHERNET / IPV4 / UDP(dport=PORT) / b"a"),
    "udp, ipv6": bytes(ETHERNET / IPV6 / UDP(dport=PORT) / b"a"),
    "ping": bytes(ETHERNET / IPV4 / ICMP()),
    "extension header": frame(ip=IPV6 / IPv6ExtHdrDestOpt()),
    "arp": bytes(ETHERNET / ARP(psrc="10.0.0.1", hwsrc="02:00:00:00:00:01")),
    "ethernet header alone": bytes(ETHERNET),
    "cut before the ports": frame()[:36],
}


@pytest.mark.parametrize("packet", SEEN.values(), ids=SEEN)
def test_the_filter_passes_tcp_to_the_port(filtered: tuple[socket.socket, socket.socket], packet: bytes) -> None:
    assert passes(filtered, packet)


@pytest.mark.parametrize("packet", UNSEEN.values(), ids=UNSEEN)
def test_the_filter_stops_all_else(filtered: tuple[socket.socket, socket.socket], packet: bytes) -> None:
    assert not passes(filtered, packet)


# --- the server: what a packet brings ---------------------------------------------------------------------------------


def brought(packet: bytes, merged: int = 0, port: int = PORT) -> list[tuple[tuple[str, int], int, bytes]]:
    """Return what a frame brings that the kernel has merged from segments of so many bytes, if not of 0."""
    before = tcp_server.VNET_HEADER.pack(0, 1 if merged else 0, 0, merged, 0, 0)
    return [(one.client, one.seq, one.data) for one in tcp_server.segments(before + packet, port)]


def test_a_segment_is_its_client_its_number_and_its_data() -> None:
    assert [(CLIENT, 7, b"abc")] == brought(frame(b"abc", seq=7))
    assert [(CLIENT6, 7, b"abc")] == brought(frame(b"abc", IPV6, seq=7))


@pytest.mark.parametrize("ip", [IPV4, IPV6], ids=["ipv4", "ipv6"])
def test_padding_is_no_data(ip: Packet) -> None:
    assert [] == brought(frame(b"", ip) + bytes(6))
    assert [(CLIENT if ip is IPV4 else CLIENT6, 1, b"a")] == brought(frame(b"a", ip) + bytes(5))


def test_options_are_no_data() -> None:
    options = {"options": [("Timestamp", (1, 2))]}
    behind = IP(src=CLIENT[0], dst=SERVER[0], options=[IPOption_NOP()] * 8)

    assert [(CLIENT, 1, b"a")] == brought(frame(b"a", behind, **options))
    assert [] == brought(frame(b"", behind, **options))


def test_merged_segments_are_told_apart() -> None:
    """The last one may be shorter than the others, and the numbers go round."""
    assert [(CLIENT, 8, b"ab"), (CLIENT, 10, b"cd"), (CLIENT, 12, b"e")] == brought(frame(b"abcde", seq=8), 2)
    assert [(CLIENT6, NUMBERS - 1, b"a"), (CLIENT6, 0, b"b"), (CLIENT6, 1, b"c")] == brought(
        frame(b"abc", IPV6, seq=NUMBERS - 1), 1
    )


def test_data_that_comes_with_a_syn_has_the_number_behind_the_syns() -> None:
    assert [(CLIENT, 6, b"a")] == brought(frame(seq=5, flags="S"))
    assert [(CLIENT, 0, b"a")] == brought(frame(seq=NUMBERS - 1, flags="S"))


@pytest.mark.parametrize("words", range(5))
def test_a_header_too_short_for_tcp_brings_nothing(words: int) -> None:
    """The packet socket shows it, but TCP will drop it."""
    assert [] == brought(frame(dataofs=words))


def test_a_header_past_the_end_brings_nothing() -> None:
    assert [] == brought(frame(b"abc", dataofs=6))
    assert [] == brought(frame()[:50])


def test_what_came_before_the_filter_was_there_brings_nothing() -> None:
    assert [] == brought(frame(), port=PORT + 1)


# --- the client -------------------------------------------------------------------------------------------------------


class Wire:
    """A raw socket that keeps what is sent."""

    def __init__(self, family: int) -> None:
        self.family = family
        self.sent: list[bytes] = []

    def connect(self, address: object) -> None:
        pass

    def send(self, packet: bytes) -> None:
        self.sent.append(packet)


class Established:
    """A connected socket whose next numbers are given."""

    def __init__(self, ours: tuple[str, int], theirs: tuple[str, int], numbers: tuple[int, int]) -> None:
        self.getsockname, self.getpeername = lambda: ours, lambda: theirs
        self.numbers = list(numbers)

    def setsockopt(self, *option: object) -> None:
        pass

    def getsockopt(self, *_: object) -> int:
        number = self.numbers.pop(0)
        return number - NUMBERS if number >= NUMBERS // 2 else number  # as Python reads it: a signed int


def frozen(first: int = 1000, expected: int = 5000, family: int = socket.AF_INET) -> tuple[Frozen, Wire]:
    """Return a connection that sends `first` next and expects `expected`."""
    wire = Wire(family)
    ours, theirs = (CLIENT, SERVER) if family == socket.AF_INET else (CLIENT6, SERVER6)
    return Frozen(cast(Any, Established(ours, theirs, (first, expected))), cast(Any, wire)), wire


def answer(flags: str = "A", ack: int = 0, seq: int = 5000, data: bytes = b"", **tcp: object) -> bytes:
    """Return a packet of the server as a raw socket gives it."""
    fields = {"sport": PORT, "dport": CLIENT[1], "seq": seq, "ack": ack, "flags": flags, **tcp}
    return bytes(IP(src=SERVER[0], dst=CLIENT[0]) / TCP(**fields) / Raw(data))


@pytest.mark.parametrize(
    ("number", "than", "is_later"),
    [
        (1, 0, True),
        (0, 0, False),
        (0, 1, False),
        (0, NUMBERS - 1, True),
        (NUMBERS - 1, 0, False),
        (NUMBERS // 2 - 1, 0, True),
        (NUMBERS // 2, 0, False),
        (5, NUMBERS - 5, True),
        (NUMBERS - 5, 5, False),
    ],
)
def test_later_numbers_are_those_up_to_half_of_all_ahead(number: int, than: int, is_later: bool) -> None:
    assert is_later == tcp_client.later(number, than)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["ipv4", "ipv6"])
def test_a_segment_is_what_another_implementation_makes_of_it(family: socket.AddressFamily) -> None:
    """Its checksum included, over data of every parity, and its numbers wrapped."""
    connection, wire = frozen(NUMBERS - 1, NUMBERS - 1, family)
    ip = IPV4 if family == socket.AF_INET else IPV6
    for data in (b"", b"a", b"ab", bytes(range(256)), b"\xff" * 99):
        connection.send(NUMBERS + 1, PSH | ACK, data)
        about = {"seq": 1, "ack": NUMBERS - 1, "flags": "PA", "window": tcp_client.WINDOW}
        same = bytes(ip / TCP(sport=CLIENT[1], dport=PORT, **about) / Raw(data))

        assert wire.sent.pop() == same[len(ip) :]


def test_the_checksum_of_any_data_makes_the_sum_all_ones() -> None:
    source = random.Random(3)
    for length in (*range(20), 1000, 1460):
        data = source.randbytes(length * 2)
        own = tcp_client.checksum(data).to_bytes(2, "big")

        assert tcp_client.checksum(data + own) == 0
    assert tcp_client.checksum(b"\xff" * 3000) == 0
    assert tcp_client.checksum(b"\x01") == 0xFEFF
    assert tcp_client.checksum(b"\xff\xff\xff\xff\x00\x01") == 0xFFFE  # where folding the sum carries once more


def test_an_acknowledgement_moves_forward_only() -> None:
    connection, _ = frozen(NUMBERS - 2)
    seen = []
    for ack in (NUMBERS - 1, NUMBERS - 2, 1, NUMBERS - 1, 1, 3):
        connection.take(answer(ack=ack))
        seen.append(connection.acknowledged)

    assert [NUMBERS - 1, NUMBERS - 1, 1, 1, 1, 3] == seen


def test_what_belongs_to_another_connection_is_not_heard() -> None:
    connection, _ = frozen()
    for other in (answer("RA", 1001, sport=80), answer("RA", 1001, dport=40001), answer("RA", 1001)[:39]):
        connection.take(other)

    assert (1000, False, False) == (connection.acknowledged, connection.reset, connection.ended)


def test_ipv4_options_before_an_answer_are_skipped() -> None:
    connection, _ = frozen()
    behind = IP(src=SERVER[0], dst=CLIENT[0], options=[IPOption_NOP()] * 4)
    connection.take(bytes(behind / TCP(sport=PORT, dport=CLIENT[1], ack=1001, flags="A")))

    assert connection.acknowledged == 1001


def test_an_ipv6_answer_comes_without_a_header() -> None:
    connection, _ = frozen(family=socket.AF_INET6)
    connection.take(answer("FA", 1001)[20:])

    assert (1001, True) == (connection.acknowledged, connection.ended)


def test_the_servers_fin_counts_when_nothing_before_it_is_missing() -> None:
    connection, _ = frozen(expected=NUMBERS - 1)
    connection.take(answer("FA", 1000, seq=4))
    assert not connection.ended
    connection.take(answer("PA", 1000, seq=NUMBERS - 1, data=b"hello"))
    connection.take(answer("FA", 1000, seq=4))
    connection.take(answer("FA", 1000, seq=4))

    assert (True, 5) == (connection.ended, connection.expected)


def test_it_is_over_when_both_have_ended_it() -> None:
    """A FIN of the server that came before ours does not say that it has ours."""
    connection, _ = frozen()
    connection.take(answer("FA", 1000))
    early = connection.is_over()
    connection.fin = 1000
    connection.take(answer("A", 1000, seq=5001))
    between = connection.is_over()
    connection.take(answer("A", 1001, seq=5001))

    assert (True, False, True) == (early, between, connection.is_over())


def test_a_reset_is_the_end() -> None:
    connection, wire = frozen()
    connection.take(answer("R"))

    assert not connection.close(1)
    assert wire.sent == []


class Scripted(Frozen):
    """A connection whose server answers each of our segments as told."""

    answers: list[list[bytes]]

    def listen(self, until: float) -> bool:
        sent = len(cast(Any, self.raw).sent)
        for packet in self.answers[sent - 1] if 0 < sent <= len(self.answers) else []:
            self.take(packet)
        return self.is_over()


def closed(*answers: list[bytes]) -> tuple[bool, list[tuple[int, int, bytes]]]:
    """Close a connection; return whether that went well, and each segment as its number, flags and data."""
    wire = Wire(socket.AF_INET)
    connection = Scripted(cast(Any, Established(CLIENT, SERVER, (1000, 5000))), cast(Any, wire))
    connection.answers = list(answers)
    well = connection.close(0.05)
    sent = [(*struct.unpack_from("!4xI5xB", packet), packet[20:]) for packet in wire.sent]
    return well, sent


def test_the_fin_has_the_number_of_the_first_hole() -> None:
    well, sent = closed([answer("FA", 1001)])

    assert (True, [(1000, FIN | ACK, b""), (1001, ACK, b"")]) == (well, sent)


def test_a_fin_that_is_not_answered_goes_in_a_segment_that_begins_a_number_earlier() -> None:
    """Where every segment is judged, one of the two is odd."""
    well, sent = closed([], [answer("A", 1001), answer("FA", 1001)])

    assert (True, [(1000, FIN | ACK, b""), (999, FIN | ACK, b"\0"), (1001, ACK, b"")]) == (well, sent)


def test_a_server_that_does_not_answer_is_left_with_a_reset() -> None:
    well, sent = closed()

    assert (False, (1000, RST | ACK, b"")) == (well, sent[-1])
    assert [number for number, *_ in sent[:4]] == [1000, 999, 1000, 999]


@pytest.mark.parametrize(
    ("text", "sent"), [("ab", b"ababa"), ("a", b"aaaaa"), ("", b"\0\0\0\0\0"), ("abcdefg", b"abcde")]
)
def test_the_text_is_sent_again_and_again(text: str, sent: bytes) -> None:
    moments: list[float] = []
    chosen = SimpleNamespace(text=text, count=5, delay=0.5)
    found = list(tcp_client.paced(chosen, 10.0, moments.append))

    assert [bytes([byte]) for byte in sent] == found
    assert moments == [10.0, 10.5, 11.0, 11.5, 12.0]


def test_nothing_more_is_sent_when_the_wait_says_so() -> None:
    chosen = SimpleNamespace(text="abc", count=5, delay=1.0)

    assert [b"a", b"b"] == list(tcp_client.paced(chosen, 0.0, lambda moment: moment >= 2))


@pytest.mark.parametrize("how", tcp_client.STOPPING)
def test_a_byte_that_is_printed_is_also_sent(how: signal.Signals) -> None:
    """A signal waits until both is done, and ends the loop then."""
    chosen = SimpleNamespace(text="abc", count=3, delay=0.0)
    done = []

    def send_all() -> None:
        for data in tcp_client.paced(chosen, 0.0, lambda _: False):
            os.kill(os.getpid(), how)
            done.append(data)

    before = signal.signal(how, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            send_all()
    finally:
        signal.signal(how, before)

    assert done == [b"a"]
