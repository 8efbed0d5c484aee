"""Chooses what the file leaves open about links: interface names, MACs, segments, subnets and addresses. Pure.

A *segment* is one broadcast domain: a link between two hosts, or all the links of a connected set of switches. The ends
of all links are numbered: end 2·K is `a` of link K, end 2·K+1 is its `b`.

Segments are numbered in the order of their first links. Segment N gets 10.0.N.0/24 (10.1.0.0/24 after 10.0.255.0/24)
and fd00:0:0:N::/64, with N in hexadecimal. A number is skipped, for both families, if its subnet overlaps anything
written in the file. A segment with written subnets also uses up its number, so a written subnet does not renumber the
others. A segment with more than 254 hosts takes several numbers, for one larger IPv4 subnet. In a family of which no
end of a segment gets an automatic address, and none has a written one in a network, the segment has no subnet.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence

from netlab.named_tuple import NamedTuple
from netlab.plan.host_steps import interface_name
from netlab.plan.mistakes import Misfit, PlanError
from netlab.plan.surroundings import Taken, refuse
from netlab.topology.bridged import UNTAGGED, Domain, Joined, common, domains
from netlab.topology.ip_arithmetic import FAMILIES, IPV4, IPV6, LOWEST_IPV6_MTU, Subnet, parse, text
from netlab.topology.model import Endpoint, Topology

# Where numbers lead: (first address, how many /24). The second pool is for files that use 10.0.0.0/8 themselves.
POOLS = ((10 << 24, 65536), (172 << 24 | 16 << 16, 4096))
POOL_IPV6 = 0xFD00 << 112
NUMBERS = sum(count for _, count in POOLS)


class Segment(NamedTuple):
    """One broadcast domain: its links, and the ends of these that are on hosts, in the order of the file.

    Ends of hosts that hand frames on (Endpoint.joined) are no more hosts than those of switches.
    """

    links: tuple[int, ...]
    ends: tuple[int, ...]
    switched: bool


# What the file says about an end's addresses: each as a number, with its network.
Written = tuple[list[tuple[int, Subnet]], ...]


class Layout(NamedTuple):
    """Where everything is: each end's segment (a position) and addresses by family, each segment's subnets.

    Addresses are canonical and have their prefix length. A switch's ends have none. The ends of a link that is too
    narrow for IPv6 have no automatic IPv6 address. `further` are each end's second addresses.
    """

    ends: tuple[Endpoint, ...]
    segments: tuple[Segment, ...]
    segment_of: tuple[int, ...]
    subnets: tuple[dict[int, Subnet], ...]
    addresses: tuple[dict[int, str], ...]
    further: tuple[tuple[str, ...], ...]

    def on_link(self, end: int) -> list[tuple[int, Subnet]]:
        """Return each of an end's addresses, as a number, and the network that is on the link by it."""
        own = [parse(word) for word in (*self.addresses[end].values(), *self.further[end])]
        mine = {subnet.family: number for number, subnet in reversed(own)}
        return own + [(mine[peer.family], peer) for _, peer in map(parse, self.ends[end].peers)]


def layout(topology: Topology, taken: Sequence[Taken] = ()) -> Layout:
    """Choose segments, subnets and addresses. `taken` are networks of this host, which the lab must not use.

    PlanError if a written subnet is too small for its segment or overlaps a taken one, or if no other is left.
    """
    ends = tuple(end for link in topology.links for end in (link.a, link.b))
    segments = _segments(topology, ends)
    segment_of = [0] * len(ends)
    for number, segment in enumerate(segments):
        for link in segment.links:
            segment_of[2 * link] = segment_of[2 * link + 1] = number
    said = tuple([parse(word) for word in end.addresses] for end in ends)
    written = tuple([*{one[1].family: one for one in reversed(its)}.values()] for its in said)
    used = {(subnet.family, number) for its in said for number, subnet in its}
    loopbacks = [parse(word) for node in topology.nodes for word in node.loopback]
    used.update((subnet.family, number) for number, subnet in loopbacks)
    others = [subnet for _, subnet in itertools.chain(loopbacks, *said)] + [one.network for one in taken]
    refuse(topology, taken)
    subnets = _subnets(topology, ends, segments, written, others)
    addresses = _addresses(topology, ends, segments, subnets, written, used)
    further = tuple(
        tuple(f"{text(one[1].family, one[0])}/{one[1].length}" for one in its if one not in first)
        for its, first in zip(said, written, strict=True)
    )
    return Layout(ends, segments, tuple(segment_of), subnets, addresses, further)


def interface_names(topology: Topology) -> tuple[str, ...]:
    """Return the interface name of each end: the K-th link of a node is ethK, unless the file gives a name.

    On this host it is one of the lab's own.
    """
    hosts = {node.name: node.internet for node in topology.nodes if node.kind == "host"}
    count: dict[str, int] = {}
    names = []
    for end in (end for link in topology.links for end in (link.a, link.b)):
        position = count[end.node] = count.get(end.node, -1) + 1
        on_host = interface_name(topology.name, position, is_way=hosts[end.node]) if end.node in hosts else ""
        names.append(on_host or end.interface or f"eth{position}")
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
    switches = {node.name: node.filters for node in topology.nodes if node.kind == "switch"}
    joins = [end.joined or end.node in switches for end in ends]

    def ports(number: int) -> list[dict[int, Domain]]:
        pair = (2 * number, 2 * number + 1)
        return [
            domains(
                ends[end].node,
                ends[end].port,
                filters=switches.get(ends[end].node, False),
                tags=ends[end ^ 1].port.vlans,
            )
            for end in pair
            if joins[end]
        ]

    joined = Joined()
    of_link = [
        ports(number) if joins[2 * number] or joins[2 * number + 1] else [] for number in range(len(topology.links))
    ]
    for its in of_link:
        for one, other in common(*its) if len(its) > 1 else ():
            joined.join(one, other)
    links: dict[Domain | int, list[int]] = {}
    for number, its in enumerate(of_link):
        pairs = common(*its) if len(its) > 1 else []
        domain = pairs[0][0] if pairs else its[0].get(UNTAGGED) if len(its) == 1 else None
        links.setdefault(joined.leader(domain) if domain else number, []).append(number)
    return tuple(
        Segment(
            tuple(numbers),
            tuple(end for number in numbers for end in (2 * number, 2 * number + 1) if not joins[end]),
            isinstance(key, tuple),
        )
        for key, numbers in links.items()
    )


def _subnets(
    topology: Topology,
    ends: tuple[Endpoint, ...],
    segments: tuple[Segment, ...],
    written: Written,
    others: Iterable[Subnet],
) -> tuple[dict[int, Subnet], ...]:
    """Return each segment's subnets by family: the link's, or the network of a written address, or an automatic one.

    `others` are more networks that automatic ones may not overlap.
    """
    chosen: list[dict[int, Subnet]] = []
    taken: dict[int, list[tuple[int, int]]] = {IPV4: [], IPV6: []}
    for segment in segments:
        said = [parse(word)[1] for link in segment.links for word in topology.links[link].subnets]
        own = [subnet for end in segment.ends for _, subnet in written[end] if not subnet.is_host]
        said += sorted(own, key=lambda subnet: subnet.length)  # one may be in another, which is the segment's then
        chosen.append({subnet.family: subnet for subnet in reversed(said)})
        for subnet in said:
            taken[subnet.family] += _numbers(subnet)
    for subnet in others:
        taken[subnet.family] += _numbers(subnet)
    for ranges in taken.values():
        ranges.sort(reverse=True)
    number = 0
    for segment, known in zip(segments, chosen, strict=True):
        number = _choose(segment, known, _wanted(segment, ends, written), number, taken)
        if number > NUMBERS:
            names = " and ".join(end.node for end in topology.links[segment.links[0]][:2])
            what = f"no subnet is left for the link of {names}: write its subnets, or smaller ones elsewhere"
            raise PlanError([Misfit(("links", str(segment.links[0])), what)])
    return tuple(chosen)


def _wanted(segment: Segment, ends: tuple[Endpoint, ...], written: Written) -> set[int]:
    """Return the families of which a segment has automatic addresses; a segment without hosts has subnets of both."""
    if not segment.ends:
        return {*FAMILIES}
    wanted: set[int] = set()
    for end in segment.ends:
        wanted.update({*ends[end].automatic} - {subnet.family for _, subnet in written[end]})
    return wanted


def _choose(
    segment: Segment, known: dict[int, Subnet], wanted: set[int], number: int, taken: dict[int, list[tuple[int, int]]]
) -> int:
    """Add the wanted subnets that a segment lacks, from this number on; return the number for the next segment."""
    families = tuple(family for family in FAMILIES if family in wanted and family not in known)
    size, length = 1, 24
    while IPV4 in families and len(segment.ends) > (size << 8) - 2:
        size, length = 2 * size, length - 1
    number = _free(number, size, families, taken)
    pool, count = POOLS[0] if number < POOLS[0][1] else POOLS[1]
    free = {
        IPV4: Subnet(IPV4, pool + (number % count << 8), length),
        IPV6: Subnet(IPV6, POOL_IPV6 + (number << 64), 64),
    }
    known.update((family, free[family]) for family in families)
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
    topology: Topology,
    ends: tuple[Endpoint, ...],
    segments: tuple[Segment, ...],
    subnets: tuple[dict[int, Subnet], ...],
    written: Written,
    used: set[tuple[int, int]],
) -> tuple[dict[int, str], ...]:
    """Return the addresses of every end by family: the first written ones, or the first free ones of its subnets."""
    narrow = {number for number, link in enumerate(topology.links) if 0 < link.mtu < LOWEST_IPV6_MTU}
    chosen: list[dict[int, str]] = [
        {subnet.family: f"{text(subnet.family, number)}/{subnet.length}" for number, subnet in said} for said in written
    ]
    for segment, known in zip(segments, subnets, strict=True):
        for family, subnet in known.items():
            free = _usable(subnet, used)
            for end in segment.ends:
                own = chosen[end]
                if family in own or family not in ends[end].automatic or (family == IPV6 and end // 2 in narrow):
                    continue
                number = next(free, None)
                if number is None:
                    link = topology.links[end // 2]
                    node = (link.b if end % 2 else link.a).node
                    what = f"subnet {subnet} has no address left for {node}: write a larger one"
                    raise PlanError([Misfit(("links", str(end // 2)), what)])
                used.add((family, number))  # two segments may share a subnet
                own[family] = f"{text(family, number)}/{subnet.length}"
    return tuple(chosen)


def _usable(subnet: Subnet, used: set[tuple[int, int]]) -> Iterator[int]:
    """Return the addresses that hosts can still have, in order, as numbers."""
    family, first, last = subnet.family, subnet.base, subnet.last
    if last - first > 1:  # Not a single address, nor a point-to-point link (RFC 3021, RFC 6164).
        first, last = first + 1, last - (family == IPV4)
    return (number for number in range(first, last + 1) if (family, number) not in used)
