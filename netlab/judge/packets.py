"""Frames as the judge reads them: addresses, ports, data, and whether lengths and checksums are right. Pure.

References: RFC 791 (IPv4), RFC 768 (UDP), RFC 9293 (TCP), RFC 8200 (IPv6), RFC 1071 (the checksum of all of them).
"""

import struct
from ipaddress import IPv4Address, IPv6Address

from netlab.named_tuple import NamedTuple

ICMP, TCP, UDP = 1, 6, 17
FIN, SYN, RST, ACK = 1, 2, 4, 16  # flags of TCP
_IPV4, _IPV6 = 0x0800, 0x86DD
_ETHERNET_BYTES, _IPV4_BYTES, _IPV6_BYTES, _UDP_BYTES, _TCP_BYTES = 14, 20, 40, 8, 20
_OFFSET = 0x1FFF  # of a fragment, in its field

# What a checksum can be.
RIGHT, WRONG, NONE, UNFINISHED = "right", "wrong", "none", "unfinished"


class Packet(NamedTuple):
    """An IP packet that was seen at an interface: when, where, and whether it left from there.

    `ip_checksum` and `checksum` (that of UDP or TCP) are RIGHT, WRONG, NONE (there is none, which is allowed), or
    UNFINISHED (the kernel computes it later). `mistakes` are lengths that contradict each other. `seq` and `flags` are
    TCP's.
    """

    ns: int
    node: str
    interface: str
    leaves: bool
    source_mac: str
    target_mac: str
    protocol: int
    source: str
    target: str
    source_port: int = 0
    target_port: int = 0
    data: bytes = b""
    ip_checksum: str = RIGHT
    checksum: str = RIGHT
    mistakes: tuple[str, ...] = ()
    ttl: int = 64
    seq: int = 0
    flags: int = 0


class _Network(NamedTuple):
    """An IP header: what it carries, between whom, and what is wrong with it."""

    protocol: int
    ttl: int
    source: bytes
    target: bytes
    checksum: str
    payload: bytes
    mistakes: tuple[str, ...]


def read(ns: int, node: str, interface: str, leaves: bool, frame: bytes, is_unfinished: bool = False) -> Packet | None:
    """Return a frame as a packet of UDP, TCP or ICMP; None if it is none of them, or not the first fragment of one."""
    if len(frame) < _ETHERNET_BYTES:
        return None
    kind = int.from_bytes(frame[12:14])
    network = _ipv4(frame[14:]) if kind == _IPV4 else _ipv6(frame[14:]) if kind == _IPV6 else None
    if network is None:
        return None
    packet = Packet(
        ns,
        node,
        interface,
        leaves,
        source_mac=frame[6:12].hex(":"),
        target_mac=frame[0:6].hex(":"),
        protocol=network.protocol,
        source=_address(network.source),
        target=_address(network.target),
        ip_checksum=network.checksum,
        mistakes=network.mistakes,
        ttl=network.ttl,
    )
    if network.protocol == UDP:
        packet = _udp(packet, network)
    elif network.protocol == TCP:
        packet = _tcp(packet, network)
    else:
        return packet._replace(data=network.payload)
    return packet._replace(checksum=UNFINISHED) if is_unfinished else packet


def _ipv4(rest: bytes) -> _Network | None:
    if len(rest) < _IPV4_BYTES or rest[0] >> 4 != 4:
        return None
    header, total = (rest[0] & 15) * 4, int.from_bytes(rest[2:4])
    if header < _IPV4_BYTES or header > len(rest) or int.from_bytes(rest[6:8]) & _OFFSET:
        return None
    wrong = () if header <= total <= len(rest) else (f"IPv4 says {total} bytes, the frame has {len(rest)}",)
    checksum = RIGHT if _sum(rest[:header]) == 0 else WRONG
    end = len(rest) if wrong else total
    return _Network(rest[9], rest[8], rest[12:16], rest[16:20], checksum, rest[header:end], wrong)


def _ipv6(rest: bytes) -> _Network | None:
    if len(rest) < _IPV6_BYTES or rest[0] >> 4 != 6:
        return None
    total = _IPV6_BYTES + int.from_bytes(rest[4:6])
    wrong = () if total <= len(rest) else (f"IPv6 says {total} bytes, the frame has {len(rest)}",)
    return _Network(rest[6], rest[7], rest[8:24], rest[24:40], NONE, rest[_IPV6_BYTES : min(total, len(rest))], wrong)


def _udp(packet: Packet, network: _Network) -> Packet:
    payload = network.payload
    if len(payload) < _UDP_BYTES:
        return packet._replace(mistakes=(*packet.mistakes, f"{len(payload)} bytes are no UDP header"))
    source, target, length, checksum = struct.unpack_from("!HHHH", payload)
    mistakes = packet.mistakes
    if length != len(payload):
        mistakes = (*mistakes, f"UDP says {length} bytes, IP has {len(payload)} for it")
    whole = payload[: max(length, _UDP_BYTES)]
    if checksum:
        found = RIGHT if _sum(_pseudo(network, len(whole)) + whole) == 0 else WRONG
    else:
        found = NONE if len(network.source) == len(b"IPv4") else WRONG  # RFC 8200, 8.1
    data = whole[_UDP_BYTES:]
    return packet._replace(source_port=source, target_port=target, data=data, checksum=found, mistakes=mistakes)


def _tcp(packet: Packet, network: _Network) -> Packet:
    payload = network.payload
    header = (payload[12] >> 4) * 4 if len(payload) >= _TCP_BYTES else 0
    if not _TCP_BYTES <= header <= len(payload):
        return packet._replace(mistakes=(*packet.mistakes, f"{len(payload)} bytes are no TCP header"))
    source, target, seq = struct.unpack_from("!HHI", payload)
    found = RIGHT if _sum(_pseudo(network, len(payload)) + payload) == 0 else WRONG
    about = packet._replace(source_port=source, target_port=target, seq=seq, flags=payload[13])
    return about._replace(data=payload[header:], checksum=found)


def _pseudo(network: _Network, length: int) -> bytes:
    """Return the header that UDP and TCP count in, from IP."""
    if len(network.source) == len(b"IPv4"):
        return network.source + network.target + struct.pack("!BBH", 0, network.protocol, length)
    return network.source + network.target + struct.pack("!II", length, network.protocol)


def _sum(data: bytes) -> int:
    """Return the Internet checksum of bytes; 0 if they contain their own, and it is right."""
    padded = data + b"\0" if len(data) % 2 else data
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _address(packed: bytes) -> str:
    return str(IPv4Address(packed) if len(packed) == len(b"IPv4") else IPv6Address(packed))
