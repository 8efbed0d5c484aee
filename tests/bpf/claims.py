"""What a frame is, by its own words: a datagram, a request, a report; and what they contradict each other in."""

import socket
from collections.abc import Container, Iterator

from scapy.layers.inet import UDP

from tests.bpf import frames
from tests.bpf.rig import LB, LB6, LB_MAC, LOCAL, SERVICE
from tests.bpf.test_healing import report

MARTIAN = {0, 127, *range(224, 256)}  # the first byte of an IPv4 source
MARTIAN_V6 = {bytes(16), bytes(15) + b"\1"}  # unspecified, loopback
MAPPED = bytes(10) + b"\xff\xff"  # before an IPv4 address
EXTENSIONS = {0, 43, 44, 51, 60, 135}  # hop-by-hop, routing, fragment, authentication, destination options, mobility
FIRST_V4, FIRST_V6 = frames.packed(LB), frames.packed(LB6)
OURS = {frames.packed(address) for address in LOCAL}
# A report's data, of which only what it takes to be one is known here: where its incarnation is, which must not be 0
NO_REPORT, A_REPORT = (bytes(report(1, 0, 0, each)[UDP].payload) for each in (0, 2**64 - 1))
REPORT, MAGIC = len(A_REPORT), A_REPORT[:4]
INCARNATION = [at for at in range(REPORT) if A_REPORT[at] != NO_REPORT[at]]


def is_ip(packet: bytes) -> bool:
    """Whether what stands behind the Ethernet header is an IPv4 packet whose lengths agree with each other."""
    if len(packet) < frames.IP or packet[0] >> 4 != 4:
        return False
    return frames.IP <= (packet[0] & 15) * 4 <= int.from_bytes(packet[2:4]) <= len(packet)


def is_ipv6(packet: bytes) -> bool:
    """Whether it is an IPv6 packet that is not longer than the frame."""
    return len(packet) >= frames.IPV6 + int.from_bytes(packet[4:6]) and packet[0] >> 4 == 6


def source_of(frame: bytes) -> bytes:
    return frame[22:38] if frames.is_ipv6(frame) else frame[26:30]


def destination_of(frame: bytes) -> bytes:
    return frame[38:54] if frames.is_ipv6(frame) else frame[30:34]


def ports_of(frame: bytes) -> tuple[int, int]:
    at = frames.udp_at(frame)
    return int.from_bytes(frame[at : at + 2]), int.from_bytes(frame[at + 2 : at + 4])


def no_datagram(frame: bytes) -> Iterator[tuple[object, str]]:
    """Yield what may keep a frame from being a UDP datagram to us, in order; is it so, no later one can be asked."""
    packet, is_v6 = frame[frames.ETHERNET :], frames.is_ipv6(frame)
    yield not is_v6 and frame[12:14] != b"\x08\x00", "PASS_NOT_IP"
    yield not (is_ipv6 if is_v6 else is_ip)(packet), "PASS_MALFORMED_IP"
    if is_v6:
        yield MAPPED in (packet[8:20], packet[24:36]), "PASS_MARTIAN"
        yield packet[24:40] not in OURS, "PASS_NOT_LOCAL"
        yield fragment_of(frame) == "first" and is_asked(frame), "PASS_FRAGMENTED_REQUEST"
        yield packet[6] in EXTENSIONS, "PASS_IPV6_EXTENSION"
        yield packet[6] != socket.IPPROTO_UDP, "PASS_NOT_UDP"
    else:
        yield packet[16:20] not in OURS, "PASS_NOT_LOCAL"
        yield packet[9] != socket.IPPROTO_UDP, "PASS_NOT_UDP"
        yield fragment_of(frame) == "first" and is_asked(frame), "PASS_FRAGMENTED_REQUEST"
        yield int.from_bytes(packet[6:8]) & 0x3FFF, "PASS_FRAGMENT"
        yield packet[0] & 15 > 5, "PASS_IP_OPTIONS"
    yield frames.length_of(frame) < frames.udp_at(frame) + frames.UDP, "PASS_TRUNCATED_UDP"


def fragment_of(frame: bytes) -> str:
    """Return whether an IP packet is a fragment of UDP: the first, with all of its ports, a later one, or none."""
    packet = frame[frames.ETHERNET :]
    if frames.is_ipv6(frame):
        room = int.from_bytes(packet[4:6]) - frames.FRAGMENT
        if packet[6:7] != frames.FRAGMENT_HEADER or room < 0 or packet[40] != socket.IPPROTO_UDP:
            return ""
        is_first = not int.from_bytes(packet[42:44]) & 0xFFF8
    else:
        room, place = int.from_bytes(packet[2:4]) - frames.IP, int.from_bytes(packet[6:8]) & 0x3FFF
        if packet[9] != socket.IPPROTO_UDP or not place:
            return ""
        is_first = not place & 0x1FFF and packet[0] & 15 == 5
    return "first" if is_first and room >= frames.UDP else "later"


def refused_by(frame: bytes) -> tuple[bytes, int] | None:
    """Return whose request an ICMP error says to have met a closed port, by address and port; None of other frames.

    What is quoted must be a request between the hosts that the error is between, with all of its ports.
    """
    is_v6, icmp = frames.is_ipv6(frame), frames.ETHERNET + (frames.IPV6 if frames.is_ipv6(frame) else frames.IP)
    inner = frame[icmp + 8 :]
    kind, protocol, udp = (b"\1\4", 58, frames.IPV6) if is_v6 else (b"\3\3", 1, frames.IP)
    outer = frame[frames.ETHERNET :]
    if len(inner) < udp + frames.UDP or outer[6 if is_v6 else 9] != protocol or frame[icmp : icmp + 2] != kind:
        return None
    if not is_v6 and (outer[0] & 15 != 5 or int.from_bytes(outer[6:8]) & 0x3FFF or inner[0] != 0x45):
        return None
    if inner[0] >> 4 != (6 if is_v6 else 4) or inner[6 if is_v6 else 9] != socket.IPPROTO_UDP:
        return None
    quoted = frame[: frames.ETHERNET] + inner
    if (source_of(quoted), destination_of(quoted)) != (destination_of(frame), source_of(frame)):
        return None
    port, service = (int.from_bytes(inner[at : at + 2]) for at in (udp, udp + 2))
    return (source_of(quoted), port) if service == SERVICE else None


def identification_of(frame: bytes) -> bytes:
    """Return what all fragments of one packet have in common."""
    return frame[58:62] if frames.is_ipv6(frame) else frame[18:20]


def is_asked(frame: bytes) -> bool:
    """Whether a frame that has ports is to the service's, and to our MAC."""
    return ports_of(frame)[1] == SERVICE and bool(frame[0] & 1 or frame[:6] == frames.mac(LB_MAC))


def has_addresses(frame: bytes) -> bool:
    """Whether it is an IP packet whose addresses may stand there."""
    none = {"PASS_NOT_IP", "PASS_MALFORMED_IP", "PASS_MARTIAN"}
    return next((reason for holds, reason in no_datagram(frame) if holds), "") not in none


def is_datagram(frame: bytes) -> bool:
    """Whether it is UDP to anyone."""
    return not any(holds for holds, reason in no_datagram(frame) if reason != "PASS_NOT_LOCAL")


def contradictory(frame: bytes) -> Iterator[tuple[object, str]]:
    """Yield what is wrong with the claims of a datagram, in order."""
    udp = frame[frames.udp_at(frame) :]
    room, is_cut = frames.length_of(frame) - frames.udp_at(frame), fragment_of(frame) == "first"
    yield not frame[0] & 1 and frame[:6] != frames.mac(LB_MAC), "PASS_OTHER_HOST"
    yield not frames.is_ipv6(frame) and frames.checksum(frame[14:34]), "PASS_MALFORMED_IP"
    yield is_martian(frame), "PASS_MARTIAN"
    length = int.from_bytes(udp[4:6])
    yield length < frames.UDP or (length > room) is not is_cut, "DROP_BAD_LENGTH"
    yield frames.is_ipv6(frame) and udp[6:8] == frames.NO_CHECKSUM, "DROP_NO_CHECKSUM"


def is_martian(frame: bytes) -> bool:
    source = source_of(frame)
    return source in MARTIAN_V6 or source[0] == 0xFF if frames.is_ipv6(frame) else source[0] in MARTIAN


def claims_to_be_ours(frame: bytes) -> bool:
    """Whether it is from where it goes, or from one of the first addresses of the interface that it comes in on."""
    return source_of(frame) in (destination_of(frame), FIRST_V4, FIRST_V6)


def is_report(frame: bytes) -> bool:
    """Whether the data of a datagram is a report; what stands behind the datagram is no part of it."""
    at = frames.udp_at(frame)
    data = frame[at + frames.UDP : at + int.from_bytes(frame[at + 4 : at + 6])]
    return len(data) >= REPORT and data[:4] == MAGIC and any(data[each] for each in INCARNATION)


def stranger(frame: bytes, ports: Container[int]) -> str:
    """Return why a frame is none to one of our ports, or nothing. Of several reasons the first counts."""
    for holds, reason in no_datagram(frame):
        if holds:
            return reason
    if ports_of(frame)[1] not in ports:
        return "PASS_OTHER_PORT"
    return next((reason for holds, reason in contradictory(frame) if holds), "")


def mapped(address: bytes) -> bytes:
    """Return an address as the program's maps have it."""
    return address if len(address) == 16 else MAPPED + address
