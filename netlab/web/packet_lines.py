"""Frames in words: between whom, what, and the data, as far as it is text. Pure."""

from netlab.judge import packets
from netlab.observe.watch import Sight

_KINDS = {0x0806: "ARP", 0x86DD: "IPv6", 0x0800: "IPv4", 0x8100: "VLAN", 0x88CC: "LLDP"}
_PROTOCOLS = {packets.ICMP: "ICMP", 58: "ICMPv6", packets.TCP: "TCP", packets.UDP: "UDP"}
_FLAGS = ((packets.SYN, "SYN"), (packets.FIN, "FIN"), (packets.RST, "RST"), (packets.ACK, "ACK"))
_SHOWN = 24  # bytes of data


def line(sight: Sight) -> str:
    """Return a frame as a line, without its time."""
    packet = packets.read(sight.ns, sight.node, sight.interface, sight.leaves, sight.frame, sight.is_unfinished)
    if packet is None:
        kind = int.from_bytes(sight.frame[12:14])
        return f"{_KINDS.get(kind, f'{kind:#06x}')}, {len(sight.frame)} bytes"
    ends = (
        _end(packet.source, packet.source_port),
        _end(packet.target, packet.target_port),
    )
    flags = "".join(f" {name}" for bit, name in _FLAGS if packet.protocol == packets.TCP and packet.flags & bit)
    protocol = _PROTOCOLS.get(packet.protocol, f"protocol {packet.protocol}")
    wrong = "".join(f"; {each}" for each in packet.mistakes)
    return f"{ends[0]} → {ends[1]}  {protocol}{flags}  {len(packet.data)} bytes{_data(packet.data)}{wrong}"


def _end(address: str, port: int) -> str:
    return address if not port else f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _data(data: bytes) -> str:
    if not data:
        return ""
    text = "".join(chr(each) if 32 <= each < 127 else "·" for each in data[:_SHOWN])
    return f"  {text}{'…' if data[_SHOWN:] else ''}"
