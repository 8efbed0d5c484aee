"""What the dropper does to each packet, seen through BPF_PROG_TEST_RUN."""

import random
from collections import defaultdict

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from netlab.balancer import Count
from tests.bpf.rig import CLIENT_MAC, DROP, LB_MAC, PASS, Dropper

pytestmark = pytest.mark.root

PORT = 9000
ODD, EVEN = 1001, 1000
ETHERNET = Ether(src=CLIENT_MAC, dst=LB_MAC)  # or scapy would look for them
IPV4, IPV6 = IP(src="10.0.0.1", dst="10.0.0.2"), IPv6(src="fd00::1", dst="fd00::2")
SEQ, OFFSET = slice(38, 42), 46  # of the TCP header's fields in an IPv4 frame without options
FRAMES = 20_000


def frame(data: bytes = b"a", seq: int = EVEN, flags: str = "PA", ip: Packet = IPV4, **tcp: object) -> Packet:
    """Return a segment to our port; `tcp` replaces fields of its header."""
    return ETHERNET / ip.copy() / TCP(**{"sport": 40000, "dport": PORT, "seq": seq, "flags": flags, **tcp}) / Raw(data)


def changed(packet: Packet, at: int, value: int, size: int = 1) -> bytes:
    """Return the packet with a number written over some of its bytes."""
    raw = bytearray(bytes(packet))
    raw[at : at + size] = value.to_bytes(size, "big")
    return bytes(raw)


def with_doff(words: int, data: bytes, seq: int = EVEN) -> bytes:
    """Return a segment with a data offset that nothing else in it knows of."""
    return changed(frame(data, seq), OFFSET, words << 4)


def ip4(**fields: object) -> Packet:
    return IP(**{"src": "10.0.0.1", "dst": "10.0.0.2", **fields})


OPTIONS = [IPOption_NOP()] * 4
BEHIND = {
    "hop by hop": IPv6ExtHdrHopByHop(),
    "routing": IPv6ExtHdrRouting(),
    "destination": IPv6ExtHdrDestOpt(),
    "fragment": IPv6ExtHdrFragment(m=1),
}
J_ODD, J_EVEN = "PASS_ODD", "DROP_EVEN"

# name, packet, reason, reason where every segment is judged if it is another
CASES: list[tuple[str, Packet | bytes, str, str]] = [
    # What is not TCP to the port.
    ("arp", ETHERNET / ARP(), "PASS_NOT_IP", ""),
    ("vlan tag", ETHERNET / Dot1Q(vlan=5) / frame().payload, "PASS_NOT_IP", ""),
    ("ethernet header alone", ETHERNET / b"", "PASS_NOT_IP", ""),
    ("length for a type", changed(frame(), 12, 46, 2), "PASS_NOT_IP", ""),
    ("ping", ETHERNET / IPV4 / ICMP(), "PASS_NOT_TCP", ""),
    ("udp to the port", ETHERNET / IPV4 / UDP(sport=1, dport=PORT) / b"a", "PASS_NOT_TCP", ""),
    ("udp6 to the port", ETHERNET / IPV6 / UDP(sport=1, dport=PORT) / b"a", "PASS_NOT_TCP", ""),
    ("next header none", bytes(frame(ip=IPv6(dst="fd00::2", nh=59))), "PASS_NOT_TCP", ""),
    ("port below", frame(dport=PORT - 1), "PASS_OTHER_PORT", ""),
    ("port above", frame(dport=PORT + 1), "PASS_OTHER_PORT", ""),
    ("port with its bytes swapped", frame(dport=PORT >> 8 | (PORT & 255) << 8), "PASS_OTHER_PORT", ""),
    ("from the port", frame(sport=PORT, dport=40000), "PASS_OTHER_PORT", ""),
    ("from the port, ipv6", frame(sport=PORT, dport=40000, ip=IPV6), "PASS_OTHER_PORT", ""),
    ("syn to another port", frame(b"", flags="S", dport=80), "PASS_OTHER_PORT", ""),
    ("bad offset to another port", changed(frame(dport=80), OFFSET, 0), "PASS_OTHER_PORT", ""),
    ("ip options to another port", frame(dport=80, ip=ip4(options=OPTIONS)), "PASS_OTHER_PORT", ""),
    # What lies about its IP.
    ("ipv4 header cut", bytes(frame())[:33], "PASS_MALFORMED_IP", ""),
    ("ipv4 type alone", bytes(frame())[:14], "PASS_MALFORMED_IP", ""),
    ("ipv6 header cut", bytes(frame(ip=IPV6))[:53], "PASS_MALFORMED_IP", ""),
    ("version 6 in an IPv4 frame", changed(frame(), 14, 0x65), "PASS_MALFORMED_IP", ""),
    ("version 4 in an IPv6 frame", changed(frame(ip=IPV6), 14, 0x40), "PASS_MALFORMED_IP", ""),
    ("ihl 0", changed(frame(), 14, 0x40), "PASS_MALFORMED_IP", ""),
    ("ihl 4", changed(frame(), 14, 0x44), "PASS_MALFORMED_IP", ""),
    ("ihl beyond the packet", changed(frame(), 14, 0x4F), "PASS_MALFORMED_IP", ""),
    ("total length 0", changed(frame(), 16, 0, 2), "PASS_MALFORMED_IP", ""),
    ("total length below the header", changed(frame(), 16, 19, 2), "PASS_MALFORMED_IP", ""),
    ("total length beyond the frame", changed(frame(), 16, 42, 2), "PASS_MALFORMED_IP", ""),
    ("total length 65535", changed(frame(), 16, 65535, 2), "PASS_MALFORMED_IP", ""),
    ("payload length beyond the frame", changed(frame(ip=IPV6), 18, 22, 2), "PASS_MALFORMED_IP", ""),
    ("payload length 65535", changed(frame(ip=IPV6), 18, 65535, 2), "PASS_MALFORMED_IP", ""),
    # What is too short for TCP.
    ("total length of the header alone", changed(frame(), 16, 20, 2), "PASS_TRUNCATED_TCP", ""),
    ("a byte short of a TCP header", changed(frame(b""), 16, 39, 2), "PASS_TRUNCATED_TCP", ""),
    ("tcp header cut", changed(frame(), 16, 39, 2)[:53], "PASS_TRUNCATED_TCP", ""),
    ("tcp ports alone", changed(frame(), 16, 24, 2)[:38], "PASS_TRUNCATED_TCP", ""),
    ("payload length 0, as of a jumbogram", changed(frame(ip=IPV6), 18, 0, 2), "PASS_TRUNCATED_TCP", ""),
    ("payload length 19", changed(frame(ip=IPV6), 18, 19, 2), "PASS_TRUNCATED_TCP", ""),
    ("ipv6 tcp header cut", changed(frame(ip=IPV6), 18, 19, 2)[:73], "PASS_TRUNCATED_TCP", ""),
    # Fragments.
    ("middle fragment", frame(ip=ip4(flags="MF", frag=3)), "PASS_FRAGMENT", ""),
    ("last fragment", frame(ip=ip4(frag=3)), "PASS_FRAGMENT", ""),
    ("last fragment at the highest offset", frame(ip=ip4(frag=8191)), "PASS_FRAGMENT", ""),
    ("first fragment, even", frame(ip=ip4(flags="MF")), "PASS_FIRST_FRAGMENT", ""),
    ("first fragment, odd", frame(seq=ODD, ip=ip4(flags="MF")), "PASS_FIRST_FRAGMENT", ""),
    ("first fragment without ports", changed(frame(ip=ip4(flags="MF")), 16, 28, 2), "PASS_TRUNCATED_TCP", ""),
    ("first fragment to another port", frame(dport=80, ip=ip4(flags="MF")), "PASS_OTHER_PORT", ""),
    ("not to be fragmented", frame(ip=ip4(flags="DF")), J_EVEN, ""),
    ("the reserved bit", frame(ip=ip4(flags=4)), J_EVEN, ""),
    # Headers between IPv6 and TCP.
    *((f"{name} header", frame(ip=IPV6 / header), "PASS_IPV6_EXTENSION", "") for name, header in BEHIND.items()),
    ("authentication header", changed(frame(ip=IPV6), 20, 51), "PASS_IPV6_EXTENSION", ""),
    ("mobility header", changed(frame(ip=IPV6), 20, 135), "PASS_IPV6_EXTENSION", ""),
    # IP options.
    ("ip options, even", frame(ip=ip4(options=OPTIONS)), "PASS_IP_OPTIONS", J_EVEN),
    ("ip options, odd", frame(seq=ODD, ip=ip4(options=OPTIONS)), "PASS_IP_OPTIONS", J_ODD),
    ("ip options, all that fit", frame(ip=ip4(options=OPTIONS * 10)), "PASS_IP_OPTIONS", J_EVEN),
    ("ip options, bare ACK", frame(b"", flags="A", ip=ip4(options=OPTIONS)), "PASS_IP_OPTIONS", J_EVEN),
    ("ip options, no room for ports", changed(frame(ip=ip4(options=OPTIONS)), 16, 43, 2), "PASS_TRUNCATED_TCP", ""),
    # The data offset.
    *((f"offset {words}, even", with_doff(words, bytes(60)), "PASS_BAD_OFFSET", "") for words in range(5)),
    *((f"offset {words}, even", with_doff(words, bytes(60)), J_EVEN, "") for words in range(5, 16)),
    *((f"offset {words}, odd", with_doff(words, bytes(60), ODD), J_ODD, "") for words in range(5, 16)),
    ("offset past the end by a word", with_doff(6, b""), "PASS_HEADER_PAST_END", ""),
    ("offset past the end by a byte", with_doff(6, b"abc"), "PASS_HEADER_PAST_END", ""),
    ("offset 15, past the end by a byte", with_doff(15, bytes(39)), "PASS_HEADER_PAST_END", ""),
    ("offset past the packet, not the frame", with_doff(6, b"") + bytes(6), "PASS_HEADER_PAST_END", ""),
    ("offset up to the end", with_doff(6, bytes(4)), "PASS_BARE_ACK", J_EVEN),
    ("offset 15, up to the end", with_doff(15, bytes(40)), "PASS_BARE_ACK", J_EVEN),
    ("offset 15, and one byte", with_doff(15, bytes(41)), J_EVEN, ""),
    ("bad offset, SYN", changed(frame(b"", flags="S"), OFFSET, 0x40), "PASS_BAD_OFFSET", ""),
    # What a segment is.
    ("SYN, even", frame(b"", flags="S"), "PASS_SYN", J_EVEN),
    ("SYN, odd", frame(b"", ODD, "S"), "PASS_SYN", J_ODD),
    ("SYN with options", frame(b"", flags="S", options=[("MSS", 1460), ("SAckOK", b"")]), "PASS_SYN", J_EVEN),
    ("SYN and ACK", frame(b"", flags="SA"), "PASS_SYN", J_EVEN),
    ("SYN and FIN", frame(b"", flags="SF"), "PASS_SYN", J_EVEN),
    ("SYN and RST", frame(b"", flags="SR"), "PASS_SYN", J_EVEN),
    ("SYN with data, even", frame(flags="S"), "PASS_SYN_WITH_DATA", J_EVEN),
    ("SYN with data, odd", frame(seq=ODD, flags="S"), "PASS_SYN_WITH_DATA", J_ODD),
    ("SYN and FIN with data", frame(flags="SF"), "PASS_SYN_WITH_DATA", J_EVEN),
    ("RST, even", frame(b"", flags="R"), "PASS_RST", J_EVEN),
    ("RST, odd", frame(b"", ODD, "RA"), "PASS_RST", J_ODD),
    ("RST with data, even", frame(flags="RA"), J_EVEN, ""),
    ("RST with data, odd", frame(seq=ODD, flags="RA"), J_ODD, ""),
    ("FIN, even", frame(b"", flags="FA"), "PASS_FIN", J_EVEN),
    ("FIN, odd", frame(b"", ODD, "FA"), "PASS_FIN", J_ODD),
    ("FIN with data, even", frame(flags="FA"), J_EVEN, ""),
    ("FIN with data, odd", frame(seq=ODD, flags="FA"), J_ODD, ""),
    ("bare ACK, even", frame(b"", flags="A"), "PASS_BARE_ACK", J_EVEN),
    ("bare ACK, odd", frame(b"", ODD, "A"), "PASS_BARE_ACK", J_ODD),
    ("no flag and no data", frame(b"", flags=""), "PASS_BARE_ACK", J_EVEN),
    ("no flag, with data", frame(flags=""), J_EVEN, ""),
    ("every flag, with data", frame(flags="FSRPAUEC"), "PASS_SYN_WITH_DATA", J_EVEN),
    ("urgent data", frame(flags="UA", urgptr=1), J_EVEN, ""),
    ("timestamps and no data", frame(b"", flags="A", options=[("Timestamp", (1, 2))]), "PASS_BARE_ACK", J_EVEN),
    ("timestamps and data", frame(options=[("Timestamp", (1, 2))]), J_EVEN, ""),
    # How much data it carries: the packet's length says so, not the frame's.
    ("padding behind a bare ACK", bytes(frame(b"", flags="A")) + bytes(6), "PASS_BARE_ACK", J_EVEN),
    ("padding behind a FIN", bytes(frame(b"", flags="FA")) + bytes(6), "PASS_FIN", J_EVEN),
    ("padding behind a SYN", bytes(frame(b"", flags="S")) + bytes(6), "PASS_SYN", J_EVEN),
    ("padding behind an IPv6 ACK", bytes(frame(b"", flags="A", ip=IPV6)) + bytes(6), "PASS_BARE_ACK", J_EVEN),
    ("padding behind data", bytes(frame()) + bytes(5), J_EVEN, ""),
    ("data up to the MTU, even", frame(bytes(1460)), J_EVEN, ""),
    ("data up to the MTU, odd", frame(bytes(1460), ODD), J_ODD, ""),
    ("data of ones", frame(b"\xff" * 100), J_EVEN, ""),
    ("wrong checksums", frame(chksum=1, ip=ip4(chksum=1)), J_EVEN, ""),
    # IPv6.
    ("ipv6, even", frame(ip=IPV6), J_EVEN, ""),
    ("ipv6, odd", frame(seq=ODD, ip=IPV6), J_ODD, ""),
    ("ipv6 SYN", frame(b"", flags="S", ip=IPV6), "PASS_SYN", J_EVEN),
    ("ipv6 SYN with data", frame(flags="S", ip=IPV6), "PASS_SYN_WITH_DATA", J_EVEN),
    ("ipv6 FIN", frame(b"", flags="FA", ip=IPV6), "PASS_FIN", J_EVEN),
    ("ipv6 bare ACK", frame(b"", ODD, "A", ip=IPV6), "PASS_BARE_ACK", J_ODD),
    ("ipv6 bad offset", changed(frame(ip=IPV6), OFFSET + 20, 0x40), "PASS_BAD_OFFSET", ""),
    ("ipv6 offset past the end", changed(frame(ip=IPV6), OFFSET + 20, 0x60), "PASS_HEADER_PAST_END", ""),
    ("ipv6 to another port", frame(dport=80, ip=IPV6), "PASS_OTHER_PORT", ""),
    # The edges of sequence numbers.
    *((f"seq {seq:#x}", frame(seq=seq), J_EVEN, "") for seq in (0, 2, 0x7FFFFFFE, 0x80000000, 0xFFFFFFFE)),
    *((f"seq {seq:#x}", frame(seq=seq), J_ODD, "") for seq in (1, 0x7FFFFFFF, 0x80000001, 0xFF, 0xFFFFFFFF)),
    ("only the last byte's last bit counts", frame(seq=0x01010100), J_EVEN, ""),
]


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_a_packet_leaves_as_it_came_for_one_named_reason(
    dropper: Dropper, case: tuple[str, Packet | bytes, str, str], distinct: dict[str, set[str]]
) -> None:
    """Dropped if it is judged and even; else the stack gets it byte for byte."""
    name, packet, by_default, judged = case
    reason = judged if dropper.judges_all and judged else by_default
    verdict = DROP if reason == "DROP_EVEN" else PASS

    assert dropper.push(packet) == (verdict, bytes(packet), reason)
    distinct["cases of the dropper"].add(name)


def test_the_table_has_every_reason(dropper: Dropper) -> None:
    named = {reason for case in CASES for reason in case[2:] if reason}

    assert set(dropper.counts()) == named


def test_bytes_are_those_of_the_frame(dropper: Dropper) -> None:
    """Padding included."""
    before = dropper.counts()["DROP_EVEN"]
    dropper.push(bytes(frame()) + bytes(5))

    assert dropper.counts()["DROP_EVEN"] == Count(before.packets + 1, before.bytes + 60)


# --- any frame --------------------------------------------------------------------------------------------------------


def transport(ip: bytes) -> tuple[str, bytes]:
    """Return the reason to leave a packet alone, or what it carries: TCP, its first fragment if the reason says so."""
    if ip[0] >> 4 == 4:
        options, total = (ip[0] & 15) * 4 - 20, int.from_bytes(ip[2:4], "big")
        if len(ip) < 20 or options < 0 or not 20 + options <= total <= len(ip):
            return "PASS_MALFORMED_IP", b""
        more, at = ip[6] >> 5 & 1, int.from_bytes(ip[6:8], "big") % 8192
        if ip[9] != 6 or at:
            return "PASS_NOT_TCP" if ip[9] != 6 else "PASS_FRAGMENT", b""
        kind = "PASS_FIRST_FRAGMENT" if more else "PASS_IP_OPTIONS" if options else ""
        return kind, ip[20 + options : total]
    if len(ip) < 40 or len(ip) < 40 + int.from_bytes(ip[4:6], "big"):
        return "PASS_MALFORMED_IP", b""
    if ip[6] != 6:
        return "PASS_IPV6_EXTENSION" if ip[6] in (0, 43, 44, 51, 60, 135) else "PASS_NOT_TCP", b""
    return "", ip[40 : 40 + int.from_bytes(ip[4:6], "big")]


def expected(whole: bytes, judges_all: bool) -> str:
    """Return the reason by which a frame must leave, worked out from the rule's words."""
    version = {b"\x08\x00": 4, b"\x86\xdd": 6}.get(whole[12:14])
    if not version:
        return "PASS_NOT_IP"
    if len(whole) == 14 or whole[14] >> 4 != version:
        return "PASS_MALFORMED_IP"
    kind, tcp = transport(whole[14:])
    if kind not in ("", "PASS_FIRST_FRAGMENT", "PASS_IP_OPTIONS"):
        return kind
    if len(tcp) < 20:
        return "PASS_TRUNCATED_TCP"
    if tcp[2:4] != PORT.to_bytes(2, "big"):
        return "PASS_OTHER_PORT"
    header, is_odd = (tcp[12] >> 4) * 4, tcp[7] % 2
    data, flags = tcp[header:], tcp[13]
    verdict = "PASS_ODD" if is_odd else "DROP_EVEN"
    rules = [
        (kind == "PASS_FIRST_FRAGMENT", kind),
        (header < 20, "PASS_BAD_OFFSET"),
        (header > len(tcp), "PASS_HEADER_PAST_END"),
        (judges_all, verdict),
        (kind == "PASS_IP_OPTIONS", kind),
        (flags & 2 and data, "PASS_SYN_WITH_DATA"),
        (flags & 2, "PASS_SYN"),
        (data, verdict),
        (flags & 4, "PASS_RST"),
        (flags & 1, "PASS_FIN"),
        (True, "PASS_BARE_ACK"),
    ]
    return next(reason for holds, reason in rules if holds)


def mutated(source: random.Random) -> bytes:
    """Return a frame: noise, or a case of the table with bytes changed, mostly in its headers, cut or made longer."""
    if source.random() < 0.05:
        return source.randbytes(source.randrange(14, 200))
    packet = bytearray(source.choice(RAW))
    for _ in range(source.choice((0, 1, 1, 2, 3, 8))):
        packet[source.randrange(min(len(packet), 80))] = source.choice((0, 1, 5, 6, 255, source.randrange(256)))
    if source.random() < 0.1:
        packet = packet[: source.randrange(14, len(packet) + 1)]
    if source.random() < 0.1:
        packet += source.randbytes(source.randrange(40))
    return bytes(packet)


RAW = [bytes(case[1]) for case in CASES]


def test_the_table_and_the_words_of_the_rule_agree() -> None:
    for name, packet, by_default, judged in CASES:
        assert (name, by_default) == (name, expected(bytes(packet), judges_all=False))
        assert (name, judged or by_default) == (name, expected(bytes(packet), judges_all=True))


@pytest.mark.parametrize("dropper", [(0, 0), (1, 0)], ids=["by default", "judge all"], indirect=True)
def test_any_frame_leaves_as_the_words_of_the_rule_say(dropper: Dropper) -> None:
    """Random and mutated frames: the verdict, one count of the right reason, and the frame as it came; none aborts.

    The frames go in sorted by the reason that is expected, so that the counts are read once a reason.
    """
    source = random.Random(5)
    frames = defaultdict(list)
    for _ in range(FRAMES):
        packet = mutated(source)
        frames[expected(packet, dropper.judges_all)].append(packet)
    for reason, packets in frames.items():
        before = dropper.counts()
        for packet in packets:
            run = dropper.program.test_run(packet)
            assert (run.verdict, run.packet) == (DROP if reason == "DROP_EVEN" else PASS, packet)
        gained = {name: count.packets - before[name].packets for name, count in dropper.counts().items()}
        assert {name: number for name, number in gained.items() if number} == {reason: len(packets)}
    if not dropper.judges_all:
        assert set(dropper.counts()) == set(frames)
