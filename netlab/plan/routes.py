"""The routes of a lab: how every address reaches every other. Pure.

Each host has, in each family, routes from three sources:

1. The routes that the file writes for the node, unchanged. 2. A host with one link has a default route: through its
peer, or, behind switches, through the only router of its segment. A router is a host with several links; it forwards.
3. Any other host has one route for each segment that it is not on. It leads through the first router of a shortest
path; of equal paths, through the router that comes first in the file. So routers know the way, and so does a host
between two routers.

A chosen route is left out if a written one covers its destination. A written `default` replaces all chosen routes.

A star needs no route of the third kind, however many leaves it has. Such routes grow as routers times segments. A lab
that would need more than MAX_TRANSIT of them (a chain of 140 routers) gets none, and a note says so.
"""

from netlab.plan.addresses import Layout
from netlab.topology.ip_arithmetic import DEFAULT, DEFAULTS, FAMILIES, IPV4, IPV6, Subnet, parse
from netlab.topology.model import Node, Route, Topology

MAX_TRANSIT = 20_000


# A node, a destination, and the address of the neighbour that leads there, which shows the family.
Hop = tuple[str, str, str]


class _Map:
    """Who is where: the ends of each host, and the routers' ends of each segment."""

    def __init__(self, topology: Topology, layout: Layout) -> None:
        self.layout = layout
        self.ends_of: dict[str, list[int]] = {node.name: [] for node in topology.nodes if node.kind != "switch"}
        for number, end in enumerate(layout.ends):
            if end.node in self.ends_of:
                self.ends_of[end.node].append(number)
        self.routers = [
            [end for end in segment.ends if len(self.ends_of[layout.ends[end].node]) > 1] for segment in layout.segments
        ]


def routes(topology: Topology, layout: Layout) -> tuple[list[Hop], str]:
    """Return every node's routes in the order of the file, and a note ("" when there is nothing to say)."""
    known = _Map(topology, layout)
    transit, note = _transit(topology, known)
    return [hop for node in topology.nodes for hop in _node_routes(node, known, transit.get(node.name, {}))], note


def _node_routes(node: Node, known: _Map, transit: dict[int, int]) -> list[Hop]:
    """Return a node's routes: the chosen ones that no written one covers, then the written ones."""
    written = [(_network(route), route) for route in node.routes]
    gateway = _gateway(node.name, known)
    addresses, segment_of = known.layout.addresses, known.layout.segment_of
    hops: list[Hop] = []
    for family in FAMILIES if transit or gateway is not None else ():
        chosen = [(known.layout.subnets[segment][family], end) for segment, end in transit.items()]
        if gateway is not None:
            chosen.append((DEFAULTS[family], gateway))
        # A link may lack IPv6; then no IPv6 route goes through it.
        reached = {segment_of[end] for end in known.ends_of[node.name] if family in addresses[end]}
        for to, end in chosen:
            if segment_of[end] not in reached or family not in addresses[end]:
                continue
            if not written or not any(network.covers(to) for network, _ in written):
                via = addresses[end][family].partition("/")[0]
                hops.append((node.name, str(to) if to.length else DEFAULT, via))
    return hops + [(node.name, route.to if network.length else DEFAULT, route.via) for network, route in written]


def _network(route: Route) -> Subnet:
    """Return the destination of a written route."""
    if route.to == DEFAULT:
        return DEFAULTS[IPV6 if ":" in route.via else IPV4]
    return parse(route.to)[1]


def _gateway(name: str, known: _Map) -> int | None:
    """Return the neighbour's end that is the default gateway of a host with one link; None if there is none."""
    own = known.ends_of.get(name, [])
    if len(own) != 1:
        return None
    number = known.layout.segment_of[own[0]]
    if not known.layout.segments[number].switched:
        return own[0] ^ 1
    routers = known.routers[number]
    return routers[0] if len({known.layout.ends[end].node for end in routers}) == 1 else None


def _transit(topology: Topology, known: _Map) -> tuple[dict[str, dict[int, int]], str]:
    """Return, for each host without a default gateway, the neighbour's end that leads to each segment it is not on."""
    found: dict[str, dict[int, int]] = {}
    total = 0
    for node in topology.nodes:
        if known.ends_of.get(node.name) and _gateway(node.name, known) is None:
            found[node.name] = _paths(node.name, known)
            total += len(found[node.name])
        if total > MAX_TRANSIT:
            return {}, f"more than {MAX_TRANSIT} routes between routers would be needed: none are set, write `routes:`"
    return found, ""


def _paths(name: str, known: _Map) -> dict[int, int]:
    """Return, by segment, the neighbour's end on the shortest path to every segment that a host is not on."""
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
    return {segment: end for segment, end in sorted(via.items()) if end is not None}
