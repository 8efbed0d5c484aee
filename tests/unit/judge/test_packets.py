"""Frames as the judge reads them; scapy makes the frames, and their checksums."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet as Layers
from scapy.packet import Raw

from netlab.judge import packets
from netlab.judge.packets import NONE, RIGHT, UNFINISHED, WRONG, Packet

MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
V4 = {"src": "10.0.0.1", "dst": "10.0.0.2"}
V6 = {"src": "fd00::1", "dst": "fd00::2"}


def read(layers: Layers, is_unfinished: bool = False) -> Packet:
    found = packets.read(5, "lb", "eth0", True, bytes(layers), is_unfinished)
    assert found is not None
    return found


def udp(data: bytes = b"0.5", **fields: int) -> Layers:
    return Ether(**MACS) / IP(**V4) / UDP(sport=40001, dport=8080, **fields) / Raw(data)


def test_a_request_is_read_whole() -> None:
    found = read(udp())

    assert found == Packet(
        *(5, "lb", "eth0", True, "02:00:00:00:00:01", "02:00:00:00:00:02", 17, "10.0.0.1", "10.0.0.2", 40001, 8080),
        b"0.5",
    )


@pytest.mark.parametrize("data", [b"", b"1", b"12", b"0.123", bytes(1472), b"x" * 1471])
@pytest.mark.parametrize("version", [4, 6])
def test_a_right_checksum_is_right_for_every_length(data: bytes, version: int) -> None:
    network = IP(**V4) if version == 4 else IPv6(**V6)
    found = read(Ether(**MACS) / network / UDP(sport=1, dport=2) / Raw(data))

    assert (found.data, found.checksum, found.mistakes) == (data, RIGHT, ())
    assert found.ip_checksum == (RIGHT if version == 4 else NONE)


def test_wrong_checksums_are_wrong() -> None:
    assert read(udp(chksum=0x1234)).checksum == WRONG
    assert read(Ether(**MACS) / IP(**V4, chksum=1) / UDP() / Raw(b"x")).ip_checksum == WRONG
    assert read(Ether(**MACS) / IP(**V4) / TCP(chksum=7)).checksum == WRONG


def test_none_is_allowed_by_ipv4_alone() -> None:
    assert read(udp(chksum=0)).checksum == NONE
    assert read(Ether(**MACS) / IPv6(**V6) / UDP(chksum=0) / Raw(b"x")).checksum == WRONG


def test_a_checksum_that_the_kernel_has_still_to_compute_is_unfinished() -> None:
    assert read(udp(chksum=0x1234), is_unfinished=True).checksum == UNFINISHED


def test_what_fills_a_short_frame_is_no_data() -> None:
    """Ethernet has at least sixty bytes."""
    found = read(Ether(bytes(udp()) + bytes(15)))

    assert (found.data, found.mistakes, found.checksum) == (b"0.5", (), RIGHT)


def test_lengths_that_contradict_each_other_are_mistakes() -> None:
    assert read(udp(len=99)).mistakes == ("UDP says 99 bytes, IP has 11 for it",)
    assert read(Ether(**MACS) / IP(**V4, len=500) / UDP() / Raw(b"x")).mistakes[0] == (
        "IPv4 says 500 bytes, the frame has 29"
    )
    assert read(Ether(**MACS) / IP(**V4, proto=17) / Raw(b"abc")).mistakes == ("3 bytes are no UDP header",)
    assert read(Ether(**MACS) / IPv6(**V6, plen=99) / UDP()).mistakes[0].startswith("IPv6 says 139 bytes")


def test_a_segment_has_its_number_and_flags() -> None:
    found = read(Ether(**MACS) / IP(**V4) / TCP(sport=7, dport=9000, seq=1001, flags="PA") / Raw(b"a"))

    assert (found.source_port, found.target_port, found.seq, found.data) == (7, 9000, 1001, b"a")
    assert found.flags & packets.ACK
    assert not found.flags & packets.SYN
    assert found.checksum == RIGHT


def test_a_header_of_tcp_that_is_cut_is_a_mistake() -> None:
    whole = bytes(Ether(**MACS) / IP(**V4) / TCP())

    assert "no TCP header" in read(Ether(whole[:40])).mistakes[-1]


def test_other_frames_are_no_packets() -> None:
    assert packets.read(1, "a", "eth0", True, b"short") is None
    assert packets.read(1, "a", "eth0", True, bytes(Ether(**MACS) / ARP())) is None
    assert packets.read(1, "a", "eth0", True, bytes(Ether(**MACS) / IP(**V4, frag=10) / Raw(b"rest"))) is None
    assert packets.read(1, "a", "eth0", True, bytes(14) + b"\x45") is None
    assert read(Ether(**MACS) / IP(**V4) / ICMP()).protocol == packets.ICMP


@pytest.mark.parametrize("length", range(0, 60, 3))
def test_a_frame_may_be_cut_anywhere(length: int) -> None:
    packets.read(1, "a", "eth0", False, bytes(udp(b"0.25"))[:length])
    packets.read(1, "a", "eth0", False, bytes(Ether(**MACS) / IPv6(**V6) / TCP())[:length])
