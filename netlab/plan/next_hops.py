"""The routes that the file writes, with the addresses of their next hops. Pure.

A next hop that is the name of a node becomes its first address on a link that both are on, in the order of the file. A
default route through a name becomes one in each family that the neighbour has there.
"""

from collections.abc import Iterator

from netlab.named_tuple import NamedTuple
from netlab.plan.addresses import Layout, interface_names
from netlab.plan.mistakes import Misfit, PlanError
from netlab.topology.ip_arithmetic import DEFAULT, DEFAULTS, FAMILIES, IPV4, IPV6, Subnet, parse
from netlab.topology.model import Node, Route, Topology


class Hop(NamedTuple):
    """A route of a node: what AddRoute (plan/steps) says of it. Without `via`, `to` is never `default`."""

    node: str
    to: str
    via: str
    metric: int = 0
    interface: str = ""
    kind: str = ""

    def network(self) -> Subnet:
        """Return the destination."""
        return DEFAULTS[IPV6 if ":" in self.via else IPV4] if self.to == DEFAULT else parse(self.to)[1]


def written(topology: Topology, layout: Layout) -> dict[str, list[Hop]]:
    """Return each node's written routes; PlanError where a next hop is no neighbour."""
    writing = [node for node in topology.nodes if node.routes]
    if not writing:
        return {}
    there = _There(topology, layout)
    wrong: dict[tuple[str, ...], Misfit] = {}
    found: dict[str, list[Hop]] = {}
    for node in writing:
        for number, route in enumerate(node.routes):
            try:
                found.setdefault(node.name, []).extend(there.hops(node, route))
            except LookupError as error:
                keys = ("nodes", node.replica_of or node.name, "routes", str(number), "via")
                wrong.setdefault(keys, Misfit(keys, str(error)))  # replicas share the line: report it once
    if wrong:
        raise PlanError([*wrong.values()])
    return found


class _There:
    """Finds neighbours: the nodes that a name means, and the ends of each."""

    def __init__(self, topology: Topology, layout: Layout) -> None:
        self.layout = layout
        self.called: dict[str, list[str]] = {}
        for node in topology.nodes:
            for name in filter(None, (node.name, node.replica_of)):
                self.called.setdefault(name, []).append(node.name)
        self.names = interface_names(topology)
        self.ends: dict[str, list[int]] = {node.name: [] for node in topology.nodes}
        for number, end in enumerate(layout.ends):
            self.ends[end.node].append(number)

    def hops(self, node: Node, route: Route) -> Iterator[Hop]:
        """Yield a route, one for each family that it is of; LookupError says what was expected of its next hop."""
        families = FAMILIES if route.to == DEFAULT else (parse(route.to)[1].family,)
        if route.via in self.called:
            vias = [via for family in families if (via := self._address(node.name, route, family))]
            if not vias:
                kinds = "" if len(families) > 1 else f" with an IPv{families[0]} address"
                where = f" at {route.interface}" if route.interface else ""
                raise LookupError(f"expected a neighbour of {node.name}{where}{kinds}, found {route.via}")
        else:
            vias = [route.via] if route.via else []
            for via in vias:
                self._check(node.name, via, route.interface)
        for via in vias:
            to = route.to if route.to == DEFAULT or parse(route.to)[1].length else DEFAULT
            yield Hop(node.name, to, via, route.metric, route.interface)
        for family in families if not vias else ():
            to = str(DEFAULTS[family]) if route.to == DEFAULT else route.to
            yield Hop(node.name, to, "", route.metric, route.interface, route.kind)

    def _own(self, node: str, interface: str) -> list[int]:
        """Return the ends of a node; with an interface, only that one."""
        return [end for end in self.ends[node] if interface in ("", self.names[end])]

    def _address(self, node: str, route: Route, family: int) -> str:
        """Return the address of a neighbour, "" where it has none of this family."""
        segment_of, addresses = self.layout.segment_of, self.layout.addresses
        for own in self._own(node, route.interface):
            for neighbour in self.called[route.via]:
                for end in self.ends[neighbour]:
                    if segment_of[end] == segment_of[own] and neighbour != node and family in addresses[end]:
                        return addresses[end][family].partition("/")[0]
        return ""

    def _check(self, node: str, via: str, interface: str) -> None:
        """Raise LookupError for an address that is no neighbour's, now that all addresses are chosen."""
        ends = self._own(node, interface)
        own = [each for end in ends for each in (*self.layout.addresses[end].values(), *self.layout.further[end])]
        hop, alone = parse(via)
        on_link = (each for end in ends for each in self.layout.on_link(end))
        neighbours = [subnet for at, subnet in on_link if at != hop and subnet.covers(alone)]
        if not neighbours and not via.lower().startswith("fe80:"):
            at = f" at {interface}" if interface else ""
            has = f"{node} has {', '.join(own) or 'no address'}{at}"
            raise LookupError(f"expected the address of a neighbour, found {via} ({has})")
