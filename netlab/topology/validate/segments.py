"""Segments: what is written about each broadcast domain; and whether their subnets go together."""

from collections.abc import Iterable

from netlab.topology.ip_arithmetic import IPV6, LOWEST_IPV6_MTU, Subnet
from netlab.topology.validate.findings import Findings, Name
from netlab.topology.validate.ip import capacity
from netlab.topology.validate.links import Wire, WrittenLink

WrittenSubnet = tuple[Subnet, Name]
_Found = tuple[Subnet, Name, WrittenLink, "Segment"]


class Segment:
    """One broadcast domain: the number of its hosts, and what is written about it, with places.

    Its subnet of a family is the one written on any of its links, or else the widest network of the written addresses.
    `links` has the link where it is written. `further` are networks of second addresses. `is_bridged` says that a host
    on it has no address there, and may hand on frames to another segment with the same subnet.
    """

    def __init__(self) -> None:
        self.hosts = 0
        self.open = False  # whether a mistake hides which subnets there are
        self.is_bridged = False
        self.subnets: dict[int, WrittenSubnet] = {}  # by family
        self.on_links: set[int] = set()  # families whose subnet is written as such
        self.links: dict[int, WrittenLink] = {}  # by family
        self.further: list[tuple[Subnet, Name, WrittenLink]] = []
        self.macs: dict[str, Name] = {}

    def written(self) -> list[_Found]:
        """Return all of its subnets, with the links where they are written."""
        first = [(*self.subnets[family], link, self) for family, link in self.links.items()]
        more = [(*one, self) for one in self.further if not any(subnet.covers(one[0]) for subnet, *_ in first)]
        return [*first, *more]


def check(
    findings: Findings, segments: Iterable[Segment], wires: Iterable[Wire], by_number: dict[int, Segment]
) -> None:
    """Add the mistakes of subnets that are too small, or overlap, and of IPv6 on links that are too narrow for it."""
    for segment in segments:
        for subnet, name in segment.subnets.values():
            if segment.hosts > capacity(subnet):
                message = f"expected room for {segment.hosts} hosts, found {subnet} with room for {capacity(subnet)}"
                findings.add(name.place, message)
    _check_overlaps(findings, [one for segment in segments for one in segment.written()])
    for wire in wires:
        link, subnets = wire.link, by_number[wire.segment].subnets
        if 0 < link.mtu < LOWEST_IPV6_MTU and IPV6 in subnets and link.mtu_place:
            message = f"expected an mtu of at least {LOWEST_IPV6_MTU} for the IPv6 subnet {subnets[IPV6][0]}"
            findings.add(link.mtu_place, f"{message}, found {link.mtu}")


def _check_overlaps(findings: Findings, found: list[_Found]) -> None:
    """Add the mistakes of subnets that overlap. They are sorted, so each is compared with one before it."""
    found.sort(key=lambda entry: entry[0])
    widest: _Found | None = None
    for entry in found:
        before = widest[0] if widest else None
        overlaps = before and before.family == entry[0].family and entry[0].base <= before.last
        if widest and overlaps and entry[3] is not widest[3]:
            _overlap(findings, widest, entry)
        if not before or before.family != entry[0].family or entry[0].last > before.last:
            widest = entry


def _overlap(findings: Findings, one: _Found, other: _Found) -> None:
    """Add the mistake of two subnets, unless they are one that two segments share."""
    first, second = sorted((one, other), key=lambda entry: entry[1].place)
    is_same = first[0] == second[0]
    if is_same and first[3].is_bridged and second[3].is_bridged:
        return
    hint = "a host between them that hands frames on has `address: none`" if is_same else ""
    if first[2] is second[2]:
        message = f"expected a subnet of its own for each replica's link, found {first[0]} for all"
        findings.add(first[1].place, message, "leave it out, or put a switch between them")
        return
    message = f"expected subnets that share no address, found {second[0]}, which overlaps {first[0]}"
    findings.add(second[1].place, f"{message} on line {first[1].place.line}", hint)
