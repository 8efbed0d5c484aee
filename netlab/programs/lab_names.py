"""Translates names in maps' entries: an interface's index, a MAC or an address, as a node of the lab sees it."""

import socket
from functools import cached_property

from netlab.record.model import InterfaceRecord, LabRecord
from netlab.record.rules import is_host
from netlab.topology.ip_arithmetic import Subnet, parse

IPV4_BYTES, MAC_BYTES, IPV6_BYTES = 4, 6, 16


class UnknownNameError(ValueError):
    """A name does not stand for what is needed; `expected` and `hint` are for a message."""

    def __init__(self, expected: str, hint: str = "") -> None:
        super().__init__(expected)
        self.expected = expected
        self.hint = hint


class LabNames:
    """The names of a lab, as one of its nodes sees them: `client`, `client.eth0`, and `eth0` for its own interface."""

    def __init__(self, lab: LabRecord, node: str) -> None:
        self.lab = lab
        self.node = node

    def interface(self, name: str) -> tuple[str, str] | None:
        """Return the node and the interface that a name means, None if it means none."""
        if name in self.lab.nodes[self.node].interfaces:
            return self.node, name
        node, _, own = name.partition(".")
        return (node, own) if node in self.lab.nodes and own in self.lab.nodes[node].interfaces else None

    def index(self, name: str) -> int | None:
        """Return the index of an interface in its own node; None if the name means no interface."""
        found = self.interface(name)
        return self._record(found).index if found else None

    def device(self, name: str) -> int:
        """Return the index of the node's own interface with this name, or of its interface linked to the one named.

        UnknownNameError if there is none.
        """
        found = self.interface(name)
        if not found:
            own = ", ".join(f"{self.node}.{each}" for each in self.lab.nodes[self.node].interfaces)
            raise UnknownNameError(f"an interface of {self.node}", f"it has {own}" if own else "")
        record = self._record(found)
        if found[0] == self.node:
            return record.index
        if record.peer == self.node:
            return self._record((record.peer, record.peer_interface)).index
        raise UnknownNameError(
            f"an interface of {self.node}, or one at the other end of its links",
            f"{name} is linked to {record.peer}.{record.peer_interface}",
        )

    def device_called(self, index: int) -> str:
        """Return the node's own interface with this index; "" if it has none."""
        own = self.lab.nodes[self.node].interfaces
        return next((f"{self.node}.{name}" for name, each in own.items() if each.index == index), "")

    def mac(self, name: str) -> bytes | None:
        """Return the MAC of an interface, or of a node's only one; None if the name means neither."""
        found = [record.mac for record in self._meant(name)]
        if len(set(found)) > 1:
            raise UnknownNameError("one MAC", f"{name} has several interfaces: name one, such as {self._first(name)}")
        return bytes.fromhex(found[0].replace(":", "")) if found else None

    def address(self, name: str, size: int) -> bytes | None:
        """Return the only address of `size` bytes of a node or an interface; None if the name means neither."""
        records = self._meant(name)
        texts = [each.partition("/")[0] for record in records for each in record.addresses]
        found = sorted({each for each in texts if (":" in each) == (size == IPV6_BYTES)})
        if len(found) > 1:
            raise UnknownNameError("one address", f"{name} has {', '.join(found)}")
        if records and not found:
            raise UnknownNameError(f"an address of {size} bytes", f"{name} has none")
        return packed(found[0]) if found else None

    def has_network_of(self, address: bytes) -> bool:
        """Say whether an address, in network byte order, is in a subnet of the lab."""
        alone = parse(unpacked(address))[1]
        return any(subnet.covers(alone) for subnet in self._subnets)

    @cached_property
    def _subnets(self) -> set[Subnet]:
        ports = (port for node in self.lab.nodes.values() for port in node.interfaces.values())
        return {parse(address)[1] for port in ports for address in port.addresses}

    def _record(self, which: tuple[str, str]) -> InterfaceRecord:
        return self.lab.nodes[which[0]].interfaces[which[1]]

    def _meant(self, name: str) -> list[InterfaceRecord]:
        found = self.interface(name)
        if found:
            return [self._record(found)]
        return list(self.lab.nodes[name].interfaces.values()) if name in self.lab.nodes else []

    def _first(self, name: str) -> str:
        return f"{name}.{next(iter(self.lab.nodes[name].interfaces))}"


def packed(text: str) -> bytes | None:
    """Return an address in network byte order, None if the text is none."""
    if not is_host(text):
        return None
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except OSError:
        return None


def unpacked(address: bytes) -> str:
    """Return four or sixteen bytes as the text of an address."""
    return socket.inet_ntop(socket.AF_INET if len(address) == IPV4_BYTES else socket.AF_INET6, address)
