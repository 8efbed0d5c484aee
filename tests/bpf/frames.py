"""UDP frames as bytes, fast enough for a million of them, with checksums computed from scratch."""

import socket
import struct
from typing import NamedTuple

from tests.bpf.rig import CLIENT, CLIENT_MAC, LB, LB_MAC, SERVICE, backend

ETHERNET, IP, IPV6, UDP, FRAGMENT = 14, 20, 40, 8, 8  # bytes of the headers, IP's without options
FRAGMENT_HEADER = b"\x2c"  # among IPv6's next headers
NO_CHECKSUM = b"\0\0"  # of UDP's
_HEADERS = struct.Struct("!6s6sH BBHHHBBH4s4s HHHH")
_HEADERS_V6 = struct.Struct("!6s6sH IHBB16s16s HHHH")


class Report(NamedTuple):
    """What a worker tells of itself, as docs/balancer.md has it on the wire: a contract with programs of others."""

    received: int
    completed: int
    incarnation: int = 7
    listed: int = 0
    reads_markers: int = 0
    marker: int = 0
    sent: int = 0
    received_at_marker: int = 0
    magic: bytes = b"NLR1"

    def pack(self) -> bytes:
        return _REPORT.pack(*(getattr(self, name) for name in _ON_WIRE))

    @classmethod
    def read(cls, data: bytes) -> "Report":
        return cls(**dict(zip(_ON_WIRE, _REPORT.unpack_from(data), strict=True)))


_REPORT = struct.Struct("!4s3IQ4I")
REPORT = _REPORT.size
_ON_WIRE = (
    *("magic", "received", "completed", "listed", "incarnation"),
    *("reads_markers", "marker", "sent", "received_at_marker"),
)


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071): the inverse of the words' sum in one's complement.

    A number written in base 2^16 equals the sum of its digits modulo 2^16 - 1.
    """
    number = int.from_bytes(data + bytes(len(data) % 2))
    return 0xFFFF - (number % 0xFFFF or (0xFFFF if number else 0))


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def packed(address: str | None) -> bytes:
    """Return an address of either family as it stands in a packet; nothing for None."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address) if address else b""


def udp(
    data: bytes,
    source: str = CLIENT,
    destination: str = LB,
    ports: tuple[int, int] = (40000, SERVICE),
    to_mac: str = LB_MAC,
    **ip: int,
) -> bytes:
    """Return a frame of the addresses' family; `ip` may give tos, id, fragment and ttl, or flow and ttl."""
    length = UDP + len(data)
    macs, addresses, rest = (mac(to_mac), mac(CLIENT_MAC)), (packed(source), packed(destination)), (*ports, length, 0)
    if ":" in destination:
        fixed_v6 = (6 << 28 | ip.get("flow", 0), length, 17, ip.get("ttl", 64))
        return checksummed(_HEADERS_V6.pack(*macs, 0x86DD, *fixed_v6, *addresses, *rest) + data)
    fixed = (0x45, ip.get("tos", 0), IP + length, ip.get("id", 1), ip.get("fragment", 0), ip.get("ttl", 64), 17, 0)
    return checksummed(_HEADERS.pack(*macs, 0x0800, *fixed, *addresses, *rest) + data)


def is_ipv6(frame: bytes | bytearray) -> bool:
    return frame[12:14] == b"\x86\xdd"


def udp_at(frame: bytes | bytearray) -> int:
    """Return where the UDP header of a frame begins that has one, and no IP options."""
    if is_ipv6(frame):
        return ETHERNET + IPV6 + FRAGMENT * (frame[20:21] == FRAGMENT_HEADER)
    return ETHERNET + IP


def length_of(frame: bytes) -> int:
    """Return how long a frame is without what stands behind its IP packet."""
    return ETHERNET + (IPV6 + int.from_bytes(frame[18:20]) if is_ipv6(frame) else int.from_bytes(frame[16:18]))


def with_header_checksum(frame: bytes) -> bytes:
    """Return a frame of IPv4, of 34 bytes at least, with its IP header's checksum computed anew; IPv6 has none."""
    if is_ipv6(frame):
        return frame
    sum_of = checksum(frame[14:24] + frame[26:34])
    return frame[:24] + sum_of.to_bytes(2) + frame[26:]


def checksummed(frame: bytes) -> bytes:
    """Return an UDP frame that ends with its packet with its checksums computed anew (RFC 768; RFC 8200, 8.1)."""
    at = udp_at(frame)
    addresses = frame[22:54] if is_ipv6(frame) else frame[26:34]
    pseudo_header = addresses + b"\0\x11" + frame[at + 4 : at + 6]
    sum_of = checksum(pseudo_header + frame[at : at + 6] + frame[at + 8 :]) or 0xFFFF
    return with_header_checksum(frame[: at + 6] + sum_of.to_bytes(2) + frame[at + 8 :])


def rewritten(frame: bytes, macs: bytes, *parts: tuple[int, bytes]) -> bytes:
    """Return an UDP frame with other MACs and, from some place on each, other bytes.

    Its checksums are right, or as wrong as they came.
    """
    came, behind, udp = frame[: length_of(frame)], frame[length_of(frame) :], udp_at(frame)
    sent = macs + came[12:]
    for at, part in parts:
        sent = sent[:at] + part + sent[at + len(part) :]
    right, sent = checksummed(came), checksummed(sent)
    for check in (slice(udp + 6, udp + 8), slice(24, 26)):
        if check.start == 24 and is_ipv6(came):
            continue
        error = int.from_bytes(came[check]) - int.from_bytes(right[check])
        value = (int.from_bytes(sent[check]) + error) % 0xFFFF
        if check.start != 24:
            value = 0 if came[check] == NO_CHECKSUM else value or 0xFFFF
        sent = sent[: check.start] + value.to_bytes(2) + sent[check.stop :]
    return sent + behind


def addressed(frame: bytes, index: int, port: int | None = None) -> bytes:
    """Return a request as it must reach worker`index`: nothing behind the packet, its UDP checksum as wrong.

    `port` is the one that it leaves from, if it is not the client's.
    """
    one, at = backend(index), udp_at(frame)
    address = packed(one.ipv6 if is_ipv6(frame) else one.ipv4)
    ports = [(at, port.to_bytes(2))] if port is not None else []
    macs = mac(one.mac) + mac(one.our_mac)
    return rewritten(frame[: length_of(frame)], macs, (at - len(address), address), *ports)


def answered(frame: bytes, macs: bytes, asked: bytes, port: int | None = None) -> bytes:
    """Return a reply as it must reach the client, from the address that was asked.

    `macs` are the frame's then; `port` is the client's, if the reply came to another.
    """
    ports = [(udp_at(frame) + 2, port.to_bytes(2))] if port is not None else []
    return rewritten(frame, macs, (ETHERNET + (8 if is_ipv6(frame) else 12), asked), *ports)


def marked(frame: bytes, index: int, sent: bytes) -> bytes:
    """Return the marker that a report of worker`index` may become, or nothing if that reads none.

    Its number, and what it says of requests, are those of `sent`: tests of markers have them.
    """
    at, size, one = udp_at(frame), 16 if is_ipv6(frame) else 4, backend(index)
    told, said = Report.read(frame[at + UDP : at + UDP + REPORT]), Report.read(sent[at + UDP : at + UDP + REPORT])
    if not told.reads_markers:
        return b""
    marker = told._replace(magic=b"NLM1", marker=said.marker, sent=said.sent).pack()
    addresses = frame[at - size : at] + frame[at - 2 * size : at - size]
    ports = frame[at + 2 : at + 4] + SERVICE.to_bytes(2)
    changes = (at - 2 * size, addresses), (at, ports), (at + UDP, marker)
    return rewritten(frame, mac(one.mac) + mac(one.our_mac), *changes)


def fragments(frame: bytes, size: int = 1480, number: int = 7) -> list[bytes]:
    """Return the fragments of a UDP frame, with so many bytes behind the IP header each, the last one with the rest."""
    header = ETHERNET + (IPV6 if is_ipv6(frame) else IP)
    data, found = frame[header:], []
    for at in range(0, len(data), size):
        part, more = data[at : at + size], at + size < len(data)
        if is_ipv6(frame):
            extension = struct.pack("!BBHI", 17, 0, at | more, number)
            length = (FRAGMENT + len(part)).to_bytes(2)
            found.append(frame[:18] + length + FRAGMENT_HEADER + frame[21:header] + extension + part)
        else:
            length, place = (IP + len(part)).to_bytes(2), (at // 8 | more << 13).to_bytes(2)
            found.append(with_header_checksum(frame[:16] + length + number.to_bytes(2) + place + frame[22:34] + part))
    return found


def moved_fragment(frame: bytes, macs: bytes, source: bytes) -> bytes:
    """Return a later fragment with other MACs and another source; only an IPv4 header has a checksum then."""
    at = 22 if is_ipv6(frame) else 26
    return with_header_checksum(macs + frame[12:at] + source + frame[at + len(source) :])


def refusal(source: str, client: str, port: int, to_mac: str = LB_MAC) -> bytes:
    """Return what the kernel of a host answers to a request of a client's port where nobody listens (ICMP)."""
    quoted = udp(b"", client, source, (port, SERVICE))[ETHERNET:]
    if ":" in source:
        error = b"\x01\x04" + bytes(6) + quoted
        header = struct.pack("!IHBB", 6 << 28, len(error), 58, 64) + packed(source) + packed(client)
        return mac(to_mac) + mac(CLIENT_MAC) + b"\x86\xdd" + header + error
    error = b"\x03\x03" + bytes(6) + quoted
    header = struct.pack("!BBHHHBBH", 0x45, 0, IP + len(error), 1, 0, 64, 1, 0) + packed(source) + packed(client)
    return with_header_checksum(mac(to_mac) + mac(CLIENT_MAC) + b"\x08\x00" + header + error)
