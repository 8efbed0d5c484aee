"""VLANs of a switch's ports: as the kernel tells them, beside the planned ones."""

import socket
import struct

from netlab.lab import port_vlans
from netlab.record.model import InterfaceRecord

PORTS = {
    "eth0": InterfaceRecord((), 16, bridge="br0", vlan=10),
    "eth1": InterfaceRecord((), 17, bridge="br0", vlans=(10, 20)),
    "eth2": InterfaceRecord((), 18, bridge="br0", vlan=30),
}


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def answer(index: int, *vlans: tuple[int, int]) -> bytes:
    """Return what the kernel tells of a port: flags and numbers."""
    infos = b"".join(attribute(2, struct.pack("=HH", *vlan)) for vlan in vlans)
    return struct.pack("=BxHiII", socket.AF_BRIDGE, 1, index, 0, 0) + attribute(3, b"name\0") + attribute(26, infos)


def said(*answers: bytes, ports: tuple[int, ...] = (16, 17, 18)) -> list[str]:
    seen = port_vlans.read(answers)
    return [f"{one.where}: {one.what} ({one.mend})" for one in port_vlans.problems("lab", "sw", PORTS, ports, seen)]


def test_ports_as_planned_and_what_is_added_are_no_problem() -> None:
    assert [] == said(answer(16, (6, 10), (0, 99)), answer(17, (0, 10), (0, 20)), answer(18, (6, 30)))


def test_what_is_gone_or_changed_is_told_with_what_sets_it() -> None:
    """A port whose frames without a tag are in another VLAN still lets those of the planned one out, but not in."""
    exec_ = "netlab exec --lab lab sw bridge vlan add dev"

    assert [
        f"sw eth0: frames without a tag are not in VLAN 10 ({exec_} eth0 vid 10 pvid untagged)",
        f"sw eth1: tagged frames are not in VLAN 20 ({exec_} eth1 vid 20)",
    ] == said(answer(16, (4, 10), (6, 11)), answer(17, (0, 10)), ports=(16, 17))
