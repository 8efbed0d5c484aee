"""UDP frames as bytes, fast enough for a million of them, with checksums computed from scratch."""

import socket
import struct

from tests.bpf.rig import CLIENT, CLIENT_MAC, LB, LB_MAC, SERVICE, backend

ETHERNET, IP, UDP = 14, 20, 8  # bytes of the headers, IP's without options
NO_CHECKSUM = b"\0\0"  # of UDP's
_HEADERS = struct.Struct("!6s6sH BBHHHBBH4s4s HHHH")


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071): the inverse of the words' sum in one's complement.

    A number written in base 2^16 equals the sum of its digits modulo 2^16 - 1.
    """
    number = int.from_bytes(data + bytes(len(data) % 2))
    return 0xFFFF - (number % 0xFFFF or (0xFFFF if number else 0))


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def udp(
    data: bytes,
    source: str = CLIENT,
    destination: str = LB,
    ports: tuple[int, int] = (40000, SERVICE),
    to_mac: str = LB_MAC,
    **ip: int,
) -> bytes:
    """Return a frame; `ip` may give tos, id, fragment and ttl."""
    length = UDP + len(data)
    return checksummed(
        _HEADERS.pack(
            *(mac(to_mac), mac(CLIENT_MAC), 0x0800),
            *(0x45, ip.get("tos", 0), IP + length, ip.get("id", 1), ip.get("fragment", 0), ip.get("ttl", 64), 17, 0),
            *(socket.inet_aton(source), socket.inet_aton(destination)),
            *(*ports, length, 0),
        )
        + data
    )


def with_header_checksum(frame: bytes) -> bytes:
    """Return a frame, of 34 bytes at least, with its IP header's checksum computed anew."""
    sum_of = checksum(frame[14:24] + frame[26:34])
    return frame[:24] + sum_of.to_bytes(2) + frame[26:]


def checksummed(frame: bytes) -> bytes:
    """Return an UDP frame that ends with its packet with both checksums computed anew (RFC 768)."""
    pseudo_header = frame[26:34] + b"\0\x11" + frame[38:40]
    sum_of = checksum(pseudo_header + frame[34:40] + frame[42:]) or 0xFFFF
    return with_header_checksum(frame[:40] + sum_of.to_bytes(2) + frame[42:])


def addressed(frame: bytes, index: int) -> bytes:
    """Return a request as it must reach worker`index`: nothing behind the packet, its UDP checksum as wrong."""
    one, came = backend(index), frame[: ETHERNET + int.from_bytes(frame[16:18])]
    sent = mac(one.mac) + mac(one.our_mac) + came[12:30] + socket.inet_aton(one.ipv4 or "") + came[34:]
    if came[40:42] == NO_CHECKSUM:
        return with_header_checksum(sent)
    right = checksummed(sent)
    error = int.from_bytes(came[40:42]) - int.from_bytes(checksummed(came)[40:42])
    return right[:40] + ((int.from_bytes(right[40:42]) + error) % 0xFFFF or 0xFFFF).to_bytes(2) + right[42:]
