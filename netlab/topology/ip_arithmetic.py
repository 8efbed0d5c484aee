"""Addresses and subnets as numbers, and as text. Pure."""

import socket

from netlab.named_tuple import NamedTuple

IPV4, IPV6 = 4, 6
FAMILIES = (IPV4, IPV6)
BITS = {IPV4: 32, IPV6: 128}
LOWEST_IPV6_MTU = 1280  # RFC 8200; the kernel takes no IPv6 address on a narrower link


class Subnet(NamedTuple):
    """An IP network; `base` is its first address as a number."""

    family: int
    base: int
    length: int

    def __str__(self) -> str:
        """Return the network as `ADDRESS/LENGTH`."""
        return f"{text(self.family, self.base)}/{self.length}"

    @property
    def last(self) -> int:
        """The last address as a number."""
        return self.base + (1 << BITS[self.family] - self.length) - 1

    @property
    def is_host(self) -> bool:
        """Whether it is one address alone."""
        return self.length == BITS[self.family]

    def covers(self, other: "Subnet") -> bool:
        """Tell whether every address of the other network is in this one."""
        return self.family == other.family and self.base <= other.base and other.last <= self.last


DEFAULTS = {family: Subnet(family, 0, 0) for family in FAMILIES}  # what a default route leads to
DEFAULT = "default"  # and how it is written


def text(family: int, number: int) -> str:
    """Return an address as canonical text."""
    if family == IPV4:
        return socket.inet_ntop(socket.AF_INET, number.to_bytes(4, "big"))
    return socket.inet_ntop(socket.AF_INET6, number.to_bytes(16, "big"))


def parse(word: str) -> tuple[int, Subnet]:
    """Return an address as a number, and the subnet it is in: `10.0.1.1/24`, or without a length the address alone.

    The word has been validated.
    """
    address, _, length = word.partition("/")
    family, kind = (IPV6, socket.AF_INET6) if ":" in address else (IPV4, socket.AF_INET)
    number = int.from_bytes(socket.inet_pton(kind, address), "big")
    bits = int(length) if length else BITS[family]
    rest = BITS[family] - bits
    return number, Subnet(family, number >> rest << rest, bits)
