"""What the headers of a frame say: addresses, ports, numbers and data, as far as they can be read. Pure.

References: RFC 791 (IPv4), RFC 8200 (IPv6), RFC 9293 (TCP), RFC 768 (UDP), RFC 826 (ARP).
"""

import struct
from ipaddress import IPv4Address, IPv6Address

from netlab.named_tuple import NamedTuple

ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
_IPV4, _ARP, _IPV6, _VLANS = 0x0800, 0x0806, 0x86DD, (0x8100, 0x88A8)
_ETHERNET_BYTES, _IPV4_BYTES, _IPV6_BYTES, _TCP_BYTES, _UDP_BYTES, _ARP_BYTES = 14, 20, 40, 20, 8, 28
_OFFSET = 0x1FFF  # of a fragment, in its field
_NAMES = {_IPV4: "IPv4", _IPV6: "IPv6", _ARP: "ARP"}
_PROTOCOLS = {ICMP: "ICMP", TCP: "TCP", UDP: "UDP", ICMP6: "ICMPv6", 2: "IGMP", 89: "OSPF", 112: "VRRP"}
_FLAGS = ((2, "S"), (16, "A"), (1, "F"), (4, "R"), (8, "P"), (32, "U"))


class Headers(NamedTuple):
    """The headers of a frame; what it does not have is 0 or "". `kind` names the highest protocol that was understood.

    `data` is what UDP and TCP carry, else what follows the last header that was understood. `ident` is IPv4's number of
    the packet. `operation` is that of ARP.
    """

    kind: str
    source_mac: str = ""
    target_mac: str = ""
    vlan: int = 0
    source: str = ""
    target: str = ""
    protocol: int = 0
    ttl: int = 0
    ident: int = 0
    source_port: int = 0
    target_port: int = 0
    seq: int = 0
    ack: int = 0
    flags: int = 0
    operation: int = 0
    data: bytes = b""

    @property
    def flag_letters(self) -> str:
        """TCP's flags as letters."""
        return "".join(letter for bit, letter in _FLAGS if self.flags & bit)


def read(frame: bytes) -> Headers:
    """Return what the headers of a frame say."""
    if len(frame) < _ETHERNET_BYTES:
        return Headers("short frame", data=frame)
    kind, at, vlan = int.from_bytes(frame[12:14]), _ETHERNET_BYTES, 0
    while kind in _VLANS and len(frame) >= at + 4:
        vlan, kind, at = int.from_bytes(frame[at : at + 2]) & 0xFFF, int.from_bytes(frame[at + 2 : at + 4]), at + 4
    found = Headers(
        _NAMES.get(kind, f"EtherType 0x{kind:04x}"),
        source_mac=frame[6:12].hex(":"),
        target_mac=frame[0:6].hex(":"),
        vlan=vlan,
        data=frame[at:],
    )
    if kind == _IPV4:
        return _ipv4(found, frame[at:])
    if kind == _IPV6:
        return _ipv6(found, frame[at:])
    return _arp(found, frame[at:]) if kind == _ARP else found


def _ipv4(found: Headers, rest: bytes) -> Headers:
    header, total = (rest[0] & 15) * 4 if rest else 0, int.from_bytes(rest[2:4])
    if len(rest) < _IPV4_BYTES or header < _IPV4_BYTES:
        return found
    found = found._replace(
        source=str(IPv4Address(rest[12:16])),
        target=str(IPv4Address(rest[16:20])),
        protocol=rest[9],
        ttl=rest[8],
        ident=int.from_bytes(rest[4:6]),
        kind=_PROTOCOLS.get(rest[9], f"IP protocol {rest[9]}"),
        data=rest[header : max(total, header)],
    )
    if int.from_bytes(rest[6:8]) & _OFFSET:
        return found._replace(kind="IPv4 fragment")
    return _transport(found)


def _ipv6(found: Headers, rest: bytes) -> Headers:
    if len(rest) < _IPV6_BYTES:
        return found
    found = found._replace(
        source=str(IPv6Address(rest[8:24])),
        target=str(IPv6Address(rest[24:40])),
        protocol=rest[6],
        ttl=rest[7],
        kind=_PROTOCOLS.get(rest[6], f"IP protocol {rest[6]}"),
        data=rest[_IPV6_BYTES : _IPV6_BYTES + int.from_bytes(rest[4:6])],
    )
    return _transport(found)


def _transport(found: Headers) -> Headers:
    """Return the same with the header of UDP or TCP, if it has one."""
    data = found.data
    if found.protocol == UDP and len(data) >= _UDP_BYTES:
        source, target = struct.unpack_from("!HH", data)
        return found._replace(source_port=source, target_port=target, data=data[_UDP_BYTES:])
    if found.protocol == TCP and len(data) >= _TCP_BYTES:
        source, target, seq, ack, offset, flags = struct.unpack_from("!HHIIBB", data)
        ports = {"source_port": source, "target_port": target, "seq": seq, "ack": ack, "flags": flags}
        return found._replace(**ports, data=data[max(_TCP_BYTES, (offset >> 4) * 4) :])
    return found


def _arp(found: Headers, rest: bytes) -> Headers:
    if len(rest) < _ARP_BYTES or rest[2:4] != b"\x08\x00":
        return found
    source, target = str(IPv4Address(rest[14:18])), str(IPv4Address(rest[24:28]))
    return found._replace(source=source, target=target, operation=int.from_bytes(rest[6:8]), data=b"")
