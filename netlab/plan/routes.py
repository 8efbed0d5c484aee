"""The routes of a lab: how every address reaches every other. Pure.

Each host has, in each family, routes from three sources:

1. The routes that the file writes for the node, unchanged (plan/next_hops). 2. A host with one link has a default
route: through its peer, or, behind switches, through the only router of its segment. A router is a host with several
links; it forwards. 3. Any other host has one route for each segment that it is not on. It leads through the first
router of a shortest path; of equal paths, through the router that comes first in the file. So routers know the way, and
so does a host between two routers. It has routes to loopback addresses, and to others that are in no network, too.

A chosen route is left out if a written one covers its destination. A written `default` replaces all chosen routes.
There are none at a node whose file says `routes: none`. All chosen routes have AUTOMATIC_METRIC: every other route to
the same network wins, such as one of a routing daemon.

A star needs no route of the third kind, however many leaves it has. Such routes grow as routers times segments. A lab
that would need more than MAX_TRANSIT of them (a chain of 140 routers) gets none, and a note says so.
"""

from collections.abc import Callable, Iterable, Sequence

from netlab.plan.addresses import Layout
from netlab.plan.next_hops import Hop, written
from netlab.topology.ip_arithmetic import DEFAULT, DEFAULTS, FAMILIES, Subnet, parse
from netlab.topology.model import Node, Topology

MAX_TRANSIT = 20_000
# FRR reads the highest byte of a kernel route's metric as its administrative distance: 0 is the best, so that with a
# metric below 1 << 24 it would never use what it learns. 255 is the last resort.
AUTOMATIC_METRIC = 255 << 24


# The end of a path (the networks of a segment, or the addresses of one node that are in no network), and the
# neighbour's end where the path begins.
_Way = tuple[Sequence[Subnet], int]


class _Map:
    """Where hosts and routers are: the ends of each host that have addresses, and the routers' ends of each segment.

    `forwards` has the node that is this host, and whether it is the way outside.
    `networks` are those of each segment, `alone` are by node what else it is reached by: addresses in no network, and
    those of its loopback interface.
    """

    def __init__(self, topology: Topology, layout: Layout, outside: tuple[int, ...]) -> None:
        self.layout = layout
        self.forwards = {node.name: node.internet for node in topology.nodes if node.kind == "host"}
        self.ends_of: dict[str, list[int]] = {node.name: [] for node in topology.nodes if node.kind != "switch"}
        for number, end in enumerate(layout.ends):
            if layout.addresses[number]:
                self.ends_of[end.node].append(number)
        self.routers = [
            [end for end in segment.ends if self._is_router(layout.ends[end].node)] for segment in layout.segments
        ]
        self.networks: list[tuple[Subnet, ...]] = [tuple(subnets.values()) for subnets in layout.subnets]
        self.alone: dict[str, list[Subnet]] = {
            node.name: [parse(word)[1] for word in node.loopback] for node in topology.nodes if node.loopback
        }
        for name in (name for name, is_way in self.forwards.items() if is_way):
            self.alone[name] = [DEFAULTS[family] for family in outside]
        self.second: list[tuple[int, Subnet, int]] = []  # networks of second addresses, each with its segment and end
        self.is_plain = not any(end.addresses for end in layout.ends)
        if not self.is_plain:
            self._read_written()

    def _is_router(self, name: str) -> bool:
        return len(self.ends_of[name]) > 1 and self.forwards.get(name, True)

    def _read_written(self) -> None:
        """Note networks of second addresses, and addresses that are in no network."""
        for number, end in enumerate(self.layout.ends):
            segment = self.layout.segment_of[number]
            for word in (*self.layout.addresses[number].values(), *self.layout.further[number]):
                subnet = parse(word)[1]
                if any(network.covers(subnet) and not network.is_host for network in self.networks[segment]):
                    continue
                if subnet.is_host:
                    self.alone.setdefault(end.node, []).append(subnet)
                else:
                    self.networks[segment] = (*self.networks[segment], subnet)
                    self.second.append((segment, subnet, number))

    def reached(self, name: str, family: int) -> Callable[[int], bool]:
        """Return what says whether a node has a neighbour's end on one of its links, in a family."""
        segment_of, addresses = self.layout.segment_of, self.layout.addresses
        own = [end for end in self.ends_of[name] if family in addresses[end]]
        # A link may lack IPv6; then no IPv6 route goes through it.
        segments = {segment_of[end] for end in own}
        if self.is_plain:
            return lambda end: segment_of[end] in segments and family in addresses[end]
        on_link = [(segment_of[end], subnet) for end in own for _, subnet in self.layout.on_link(end)]

        def is_reached(end: int) -> bool:
            if family not in addresses[end]:
                return False
            via = parse(addresses[end][family].partition("/")[0])[1]
            return any(segment == segment_of[end] and subnet.covers(via) for segment, subnet in on_link)

        return is_reached


def routes(topology: Topology, layout: Layout, outside: tuple[int, ...] = FAMILIES) -> tuple[list[Hop], str]:
    """Return every node's routes in the order of the file, and a note ("" when there is nothing to say).

    `outside` are the families of which this host has a way outside, for a lab with a node that is this host.

    PlanError if a written next hop is no neighbour.
    """
    own = written(topology, layout)
    known = _Map(topology, layout, outside)
    transit, note = _transit(topology, known)
    return [
        hop
        for node in topology.nodes
        for hop in _node_routes(node, known, transit.get(node.name, []), own.get(node.name, []))
    ], note


def _node_routes(node: Node, known: _Map, transit: list[_Way], own: list[Hop]) -> list[Hop]:
    """Return a node's routes: the chosen ones that no written one covers, then the written ones."""
    if not node.automatic_routes:
        return own
    covered = [(hop.network(), hop) for hop in own]
    gateway = _gateway(node.name, known)
    ways = transit if gateway is None else [([*DEFAULTS.values()], gateway)]
    # Two segments may share a network; and what is on a link needs no route.
    there = {network for end in known.ends_of.get(node.name, ()) for network in _networks_at(known, end)}
    hops: list[Hop] = []
    for family in FAMILIES if ways else ():
        is_reached = known.reached(node.name, family)
        for to, end in ((to, end) for networks, end in ways for to in networks if to.family == family):
            if to in there or not is_reached(end):
                continue
            there.add(to)
            # A default route without a next hop, such as blackhole, is for packets that no other route takes.
            if not any(network == to if hop.kind else network.covers(to) for network, hop in covered):
                via = known.layout.addresses[end][family].partition("/")[0]
                hops.append(Hop(node.name, str(to) if to.length else DEFAULT, via, AUTOMATIC_METRIC))
    return hops + own


def _networks_at(known: _Map, end: int) -> Iterable[Subnet]:
    """Return the networks that are on the link of an end."""
    if known.is_plain:
        return known.networks[known.layout.segment_of[end]]
    return (subnet for _, subnet in known.layout.on_link(end))


def _gateway(name: str, known: _Map) -> int | None:
    """Return the neighbour's end that is the default gateway of a host with one link; None if there is none."""
    own = known.ends_of.get(name, [])
    if len(own) != 1 or name in known.forwards:
        return None
    number = known.layout.segment_of[own[0]]
    ends = known.layout.segments[number].ends if known.forwards else ()
    if any(known.layout.ends[end].node in known.forwards for end in ends):
        return None  # this host is no gateway, or one beside those to the rest of the lab
    if not known.layout.segments[number].switched:
        return own[0] ^ 1
    routers = known.routers[number]
    return routers[0] if len({known.layout.ends[end].node for end in routers}) == 1 else None


def _transit(topology: Topology, known: _Map) -> tuple[dict[str, list[_Way]], str]:
    """Return, for each host without a default gateway, the ways to each segment that it is not on."""
    found: dict[str, list[_Way]] = {}
    total = 0
    for node in topology.nodes:
        if node.automatic_routes and known.ends_of.get(node.name) and _gateway(node.name, known) is None:
            found[node.name] = _paths(node.name, known)
            total += len(found[node.name])
        if total > MAX_TRANSIT:
            return {}, f"more than {MAX_TRANSIT} routes between routers would be needed: none are set, write `routes:`"
    return found, ""


def _paths(name: str, known: _Map) -> list[_Way]:
    """Return the shortest path to every segment that a host is not on, and to addresses that are in no network."""
    own = list(dict.fromkeys(known.layout.segment_of[end] for end in known.ends_of[name]))
    via: dict[int, int | None] = dict.fromkeys(own)
    seen = {name}
    waiting = own.copy()
    for segment in waiting:  # The list grows while it is read: breadth first.
        for end in known.routers[segment]:
            router = known.layout.ends[end].node
            if router in seen:
                continue
            seen.add(router)
            first = via[segment]
            for further in (known.layout.segment_of[other] for other in known.ends_of[router]):
                if further not in via:
                    via[further] = end if first is None else first
                    waiting.append(further)
    ways: list[_Way] = [(known.networks[segment], end) for segment, end in sorted(via.items()) if end is not None]
    ways += [((subnet,), end) for segment, subnet, end in known.second if segment in own]
    return [*ways, *_ways_to_nodes(name, known, waiting, via)] if known.alone else ways


def _ways_to_nodes(name: str, known: _Map, near_first: list[int], via: dict[int, int | None]) -> list[_Way]:
    """Return the shortest way to each node with addresses that are in no network."""
    found: dict[str, int] = {}
    for segment in near_first:
        first = via[segment]
        for end in known.layout.segments[segment].ends:
            node = known.layout.ends[end].node
            if node in known.alone and node != name and known.layout.addresses[end]:
                found.setdefault(node, end if first is None else first)
    return [(known.alone[node], end) for node, end in found.items()]
