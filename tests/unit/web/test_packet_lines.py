"""Frames in words."""

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether

from netlab.observe.watch import Sight
from netlab.web import packet_lines

V4, V6 = IP(src="10.0.0.1", dst="10.0.0.2"), IPv6(src="fd00::1", dst="fd00::2")


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (V4 / UDP(sport=4, dport=8080) / b"0.5\n", "10.0.0.1:4 → 10.0.0.2:8080  UDP  4 bytes  0.5·"),
        (V4 / TCP(sport=4, dport=9, flags="SA"), "10.0.0.1:4 → 10.0.0.2:9  TCP SYN ACK  0 bytes"),
        (V6 / UDP(sport=4, dport=9) / (b"x" * 30), f"[fd00::1]:4 → [fd00::2]:9  UDP  30 bytes  {'x' * 24}…"),
        (ARP(), "ARP, 42 bytes"),
    ],
)
def test_a_frame_is_told_in_a_line(frame: object, words: str) -> None:
    raw = bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / frame)

    assert words == packet_lines.line(Sight(1, "a", "eth0", True, False, raw))


def test_what_is_no_frame_is_told_too() -> None:
    assert "0x0000, 3 bytes" == packet_lines.line(Sight(1, "a", "eth0", True, False, b"abc"))
