"""Packets in words."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from netlab.observe import headers, packet_text
from netlab.observe.painter import Plain
from netlab.observe.seen import Seen, Verdict
from netlab.topology.hooks import INGRESS, XDP

A, B = "02:00:00:00:00:01", "02:00:00:00:00:02"
LINK = Ether(src=A, dst=B)
REQUEST = LINK / IP(src="10.0.0.1", dst="10.0.0.2", id=7) / UDP(sport=4000, dport=8080) / Raw(b"0.5")


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (REQUEST, '10.0.0.1:4000 > 10.0.0.2:8080 UDP 3 bytes "0.5"'),
        (
            LINK / IP(src="1.2.3.4", dst="5.6.7.8") / TCP(sport=1, dport=2, seq=9, flags="SA"),
            "1.2.3.4:1 > 5.6.7.8:2 TCP SA seq 9, 0 bytes",
        ),
        (LINK / IP(src="1.2.3.4", dst="5.6.7.8") / ICMP(type=8), "1.2.3.4 > 5.6.7.8 ICMP echo request"),
        (LINK / IPv6(src="fd00::1", dst="fd00::2") / ICMPv6EchoRequest(), "fd00::1 > fd00::2 ICMPv6 echo request"),
        (
            LINK / IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=5, dport=6) / Raw(b"\0"),
            "[fd00::1]:5 > [fd00::2]:6 UDP 1 byte",
        ),
        (LINK / ARP(op=1, psrc="10.0.0.1", pdst="10.0.0.2"), "ARP who has 10.0.0.2? asks 10.0.0.1"),
        (LINK / ARP(op=2, psrc="10.0.0.1", pdst="10.0.0.2"), f"ARP 10.0.0.1 is at {A}"),
        (LINK / Dot1Q(vlan=5) / IP(src="1.2.3.4", dst="5.6.7.8", proto=89), "VLAN 5 1.2.3.4 > 5.6.7.8 OSPF 0 bytes"),
        (LINK / IP(src="1.2.3.4", dst="5.6.7.8", frag=4) / Raw(b"abc"), "1.2.3.4 > 5.6.7.8 IPv4 fragment 3 bytes"),
        (Ether(src=A, dst=B, type=0x88B5) / Raw(bytes(46)), f"EtherType 0x88b5 from {A}, 60 bytes"),
        (Raw(b"short"), "short frame from , 5 bytes"),
    ],
)
def test_a_frame_is_told_in_words(frame: Packet, words: str) -> None:
    data = bytes(frame)

    assert words == packet_text.summary(headers.read(data), len(data))


def test_a_frame_that_is_cut_anywhere_is_told() -> None:
    """Whatever is missing, nothing is raised."""
    for frame in (REQUEST, LINK / ARP(), LINK / Dot1Q() / IPv6(), LINK / IP() / TCP()):
        data = bytes(frame)
        for length in range(len(data)):
            assert packet_text.summary(headers.read(data[:length]), len(data))


def test_what_has_changed_is_told() -> None:
    """Addresses, ports and data; and bytes that have no name of their own."""
    other = REQUEST.copy()
    other[IP].dst, other[UDP].dport, other[Raw].load = "10.0.1.2", 81, b"0.75"
    bare = bytearray(bytes(REQUEST))
    bare[15] = 4  # the type of service

    assert [] == list(packet_text.changes(bytes(REQUEST), bytes(REQUEST)))
    assert ["destination 10.0.0.2 → 10.0.1.2", "destination port 8080 → 81", 'data 3 bytes → 4 bytes "0.75"'] == list(
        packet_text.changes(bytes(REQUEST), bytes(other))
    )
    assert ["other bytes"] == list(packet_text.changes(bytes(REQUEST), bytes(bare)))


@pytest.mark.parametrize(
    ("hook", "code", "name", "is_drop"),
    [
        (XDP, 0, "XDP_ABORTED", True),
        (XDP, 1, "XDP_DROP", True),
        (XDP, 4, "XDP_REDIRECT", False),
        (XDP, 77, "XDP verdict 77", True),
        (INGRESS, 2, "TC_ACT_SHOT", True),
        (INGRESS, (1 << 32) - 1, "TC_ACT_UNSPEC", False),
        (INGRESS, 55, "tc verdict 55", False),
    ],
)
def test_verdicts_have_the_kernels_names(hook: str, code: int, name: str, is_drop: bool) -> None:
    verdict = Verdict("fw", "fw", hook, code, "", b"", 0, 0)

    assert (name, is_drop) == (verdict.name, verdict.is_drop)


def test_a_line_says_when_where_what_and_why() -> None:
    data = bytes(REQUEST)
    other = REQUEST.copy()
    other[IP].dst = "10.0.1.2"
    other[Ether].dst = A
    verdict = Verdict("lb", "balancer", XDP, 4, "FORWARDED", bytes(other), 2_000, len(data))
    seen = Seen(1_000, "lb", "eth0", False, data, len(data), verdict)
    known = packet_text.data(seen, 5)["verdict"]

    assert packet_text.line(seen, 0, 8, Plain()).endswith(
        '.000001  lb:eth0  in   10.0.0.1:4000 > 10.0.0.2:8080 UDP 3 bytes "0.5"  '
        "balancer: XDP_REDIRECT FORWARDED (destination 10.0.0.2 → 10.0.1.2)"
    )
    assert ("XDP_REDIRECT", "FORWARDED", 2_005) == (known["name"], known["reason"], known["after_ns"])
