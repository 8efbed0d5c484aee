"""Chooses what the file leaves open about links: interface names, MACs, segments, subnets and addresses. Pure.

A *segment* is one broadcast domain: a link between two hosts, or all the links of a connected set of switches. The ends
of all links are numbered: end 2·K is `a` of link K, end 2·K+1 is its `b`.

Segments are numbered in the order of their first links. Segment N gets 10.0.N.0/24 (10.1.0.0/24 after 10.0.255.0/24)
and fd00:0:0:N::/64, with N in hexadecimal. A number is skipped, for both families, if its subnet overlaps anything
written in the file. A segment with written subnets also uses up its number, so a written subnet does not renumber the
others. A segment with more than 254 hosts takes several numbers, for one larger IPv4 subnet.
"""

from collections.abc import Iterator
from typing import NamedTuple

from netlab.plan.mistakes import Misfit, PlanError
from netlab.topology.ip_arithmetic import FAMILIES, IPV4, IPV6, LOWEST_IPV6_MTU, Subnet, parse, text
from netlab.topology.model import Endpoint, Topology

# Where numbers lead: (first address, how many /24). The second pool is for files that use 10.0.0.0/8 themselves.
POOLS = ((10 << 24, 65536), (172 << 24 | 16 << 16, 4096))
POOL_IPV6 = 0xFD00 << 112
NUMBERS = sum(count for _, count in POOLS)


class Segment(NamedTuple):
    """One broadcast domain: its links, and the ends of these that are on hosts, in the order of the file."""

    links: tuple[int, ...]
    ends: tuple[int, ...]
    switched: bool


# What the file says about an end's addresses: each as a number, with its network.
Written = tuple[list[tuple[int, Subnet]], ...]


class Layout(NamedTuple):
    """Where everything is: each end's segment (a position) and addresses by family, each segment's subnets.

    Addresses are canonical and have their prefix length. A switch's ends have none. The ends of a link that is too
    narrow for IPv6 have no automatic IPv6 address.
    """

    ends: tuple[Endpoint, ...]
    segments: tuple[Segment, ...]
    segment_of: tuple[int, ...]
    subnets: tuple[dict[int, Subnet], ...]
    addresses: tuple[dict[int, str], ...]


def layout(topology: Topology) -> Layout:
    """Choose segments, subnets and addresses.

    PlanError if a written subnet is too small for its segment, or if the written ones leave no room for another.
    """
    ends = tuple(end for link in topology.links for end in (link.a, link.b))
    segments = _segments(topology, ends)
    segment_of = [0] * len(ends)
    for number, segment in enumerate(segments):
        for link in segment.links:
            segment_of[2 * link] = segment_of[2 * link + 1] = number
    written = tuple([parse(word) for word in end.addresses] for end in ends)
    subnets = _subnets(topology, segments, written)
    addresses = _addresses(topology, segments, subnets, written)
    return Layout(ends, segments, tuple(segment_of), subnets, addresses)


def interface_names(topology: Topology) -> tuple[str, ...]:
    """Return the interface name of each end: the K-th link of a node is ethK, unless the file gives a name."""
    count: dict[str, int] = {}
    names = []
    for end in (end for link in topology.links for end in (link.a, link.b)):
        position = count[end.node] = count.get(end.node, -1) + 1
        names.append(end.interface or f"eth{position}")
    return tuple(names)


def macs(topology: Topology) -> tuple[str, ...]:
    """Return the MAC of each end: 02:6e, the link in three bytes, the end in one; 02:6f … where that is taken."""
    used = {end.mac.lower() for link in topology.links for end in (link.a, link.b) if end.mac}
    chosen = []
    for number, link in enumerate(topology.links):
        digits = f"{number:06x}"
        place = f"{digits[:2]}:{digits[2:4]}:{digits[4:]}"
        for end, side in ((link.a, "00"), (link.b, "01")):
            mac = end.mac.lower() or f"02:6e:{place}:{side}"
            if mac in used and not end.mac:
                mac = next(
                    free for vendor in range(0x6F, 0x100) if (free := f"02:{vendor:02x}:{place}:{side}") not in used
                )
            chosen.append(mac)
    return tuple(chosen)


def _segments(topology: Topology, ends: tuple[Endpoint, ...]) -> tuple[Segment, ...]:
    """Return the broadcast domains, in the order of their first links."""
    leader = {node.name: node.name for node in topology.nodes if node.kind == "switch"}

    def found(switch: str) -> str:
        while leader[switch] != switch:
            leader[switch] = leader[leader[switch]]
            switch = leader[switch]
        return switch

    for link in topology.links:
        if link.a.node in leader and link.b.node in leader:
            leader[found(link.b.node)] = found(link.a.node)
    links: dict[str | int, list[int]] = {}
    for number, link in enumerate(topology.links):
        switch = link.a.node if link.a.node in leader else link.b.node
        links.setdefault(found(switch) if switch in leader else number, []).append(number)
    return tuple(
        Segment(
            tuple(numbers),
            tuple(end for number in numbers for end in (2 * number, 2 * number + 1) if ends[end].node not in leader),
            isinstance(key, str),
        )
        for key, numbers in links.items()
    )


def _subnets(topology: Topology, segments: tuple[Segment, ...], written: Written) -> tuple[dict[int, Subnet], ...]:
    """Return each segment's subnets by family: the link's, or the network of a written address, or an automatic one."""
    chosen: list[dict[int, Subnet]] = []
    taken: dict[int, list[tuple[int, int]]] = {IPV4: [], IPV6: []}
    for segment in segments:
        said = [parse(word)[1] for link in segment.links for word in topology.links[link].subnets]
        said += [subnet for end in segment.ends for _, subnet in written[end]]
        chosen.append({subnet.family: subnet for subnet in reversed(said)})
        for subnet in said:
            taken[subnet.family] += _numbers(subnet)
    for ranges in taken.values():
        ranges.sort(reverse=True)
    number = 0
    for segment, known in zip(segments, chosen, strict=True):
        number = _choose(segment, known, number, taken)
        if number > NUMBERS:
            names = " and ".join(end.node for end in topology.links[segment.links[0]][:2])
            what = f"no subnet is left for the link of {names}: write its subnets, or smaller ones elsewhere"
            raise PlanError([Misfit(("links", str(segment.links[0])), what)])
    return tuple(chosen)


def _choose(segment: Segment, known: dict[int, Subnet], number: int, taken: dict[int, list[tuple[int, int]]]) -> int:
    """Add the missing subnets of a segment, from this number on; return the number for the next segment."""
    families = tuple(family for family in FAMILIES if family not in known)
    size, length = 1, 24
    while IPV4 in families and len(segment.ends) > (size << 8) - 2:
        size, length = 2 * size, length - 1
    number = _free(number, size, families, taken)
    pool, count = POOLS[0] if number < POOLS[0][1] else POOLS[1]
    known.setdefault(IPV4, Subnet(IPV4, pool + (number % count << 8), length))
    known.setdefault(IPV6, Subnet(IPV6, POOL_IPV6 + (number << 64), 64))
    return number + size


def _free(number: int, size: int, families: tuple[int, ...], taken: dict[int, list[tuple[int, int]]]) -> int:
    """Return the first multiple of `size`, from `number` on, where subnets of these families overlap nothing written.

    `taken` has ranges of numbers, the last first. Ranges that are passed are removed, because numbers only grow.
    """
    number = -(-number // size) * size
    moved = True
    while moved:
        moved = False
        for family in families:
            ranges = taken[family]
            while ranges and ranges[-1][0] < number + size:
                last = ranges.pop()[1]
                if last >= number:
                    number, moved = -(-(last + 1) // size) * size, True
    return number


def _numbers(subnet: Subnet) -> list[tuple[int, int]]:
    """Return the ranges of numbers whose automatic subnets of this family overlap this subnet."""
    pools, shift = (((POOL_IPV6, NUMBERS),), 64) if subnet.family == IPV6 else (POOLS, 8)
    ranges, before = [], 0
    for first, count in pools:
        low, high = (subnet.base - first >> shift), (subnet.last - first >> shift)
        if high >= 0 and low < count:
            ranges.append((before + max(low, 0), before + min(high, count - 1)))
        before += count
    return ranges


def _addresses(
    topology: Topology, segments: tuple[Segment, ...], subnets: tuple[dict[int, Subnet], ...], written: Written
) -> tuple[dict[int, str], ...]:
    """Return the addresses of every end by family: the written ones, or the first free ones of its subnets."""
    used = {(subnet.family, number) for said in written for number, subnet in said}
    narrow = {number for number, link in enumerate(topology.links) if 0 < link.mtu < LOWEST_IPV6_MTU}
    chosen: list[dict[int, str]] = [
        {subnet.family: f"{text(subnet.family, number)}/{subnet.length}" for number, subnet in said} for said in written
    ]
    for segment, known in zip(segments, subnets, strict=True):
        for family, subnet in known.items():
            free = _usable(subnet, used)
            for end in segment.ends:
                own = chosen[end]
                if family in own or (family == IPV6 and end // 2 in narrow):
                    continue
                number = next(free, None)
                if number is None:
                    link = topology.links[end // 2]
                    node = (link.b if end % 2 else link.a).node
                    what = f"subnet {subnet} has no address left for {node}: write a larger one"
                    raise PlanError([Misfit(("links", str(end // 2)), what)])
                own[family] = f"{text(family, number)}/{subnet.length}"
    return tuple(chosen)


def _usable(subnet: Subnet, used: set[tuple[int, int]]) -> Iterator[int]:
    """Return the addresses that hosts can still have, in order, as numbers."""
    family, first, last = subnet.family, subnet.base, subnet.last
    if last - first > 1:  # Not a single address, nor a point-to-point link (RFC 3021, RFC 6164).
        first, last = first + 1, last - (family == IPV4)
    return (number for number in range(first, last + 1) if (family, number) not in used)
