"""`routes:`: whether a node has automatic routes, and static ones, through neighbours or not."""

from netlab.named_tuple import NamedTuple
from netlab.topology.document.tree import Item, Mapping, Scalar, Sequence, show
from netlab.topology.ip_arithmetic import DEFAULT, DEFAULTS, FAMILIES, IPV6, Subnet
from netlab.topology.model import ROUTE_KINDS, Route
from netlab.topology.validate.addresses import Addressing
from netlab.topology.validate.findings import Findings, Name, Place, place
from netlab.topology.validate.ip import Address, parse_address, read_address, read_subnet
from netlab.topology.validate.links import Interfaces
from netlab.topology.validate.names import Names
from netlab.topology.validate.rules import Fields, choice, integer, name

AUTO, NONE = "auto", "none"
KEYS = ("to", "via", "interface", "type", "metric")
EXPECTED = "none, auto, or a list of routes, each with to and via"
SHOWN = 4  # subnets in a message
LINK_LOCAL = Subnet(IPV6, 0xFE80 << 112, 10)
IPV6_METRIC = 1024  # what the kernel makes of 0 in IPv6 (IP6_RT_PRIO_USER)
METRIC = integer(0, (1 << 32) - 2)  # the kernel's own last resort for IPv6 has the highest one


class WrittenRoute(NamedTuple):
    """A route that could be read; `to` is canonical, and `network` None where it is `default`.

    `via` is an address, or the name of a node, or None where the route has no next hop.
    """

    place: Place
    to: str
    network: Subnet | None
    via: Address | Name | None
    interface: Name | None = None
    kind: str = ""
    metric: int = 0

    def route(self) -> Route:
        """Return the route of the topology."""
        via = self.via.text if isinstance(self.via, Name) else str(self.via) if self.via else ""
        return Route(self.to, via, self.interface.text if self.interface else "", self.kind, self.metric)

    def families(self) -> tuple[int, ...]:
        """Return the families that it is a route of: a default route through a node may be one of both."""
        if isinstance(self.via, Address):
            return (self.via.family,)
        return (self.network.family,) if self.network else FAMILIES

    def identities(self) -> list[tuple[str, int, int]]:
        """Return what only one route of a node can be, for each of its families."""
        metrics = ((family, self.metric or (IPV6_METRIC if family == IPV6 else 0)) for family in self.families())
        return [(self.to, *one) for one in metrics]

    def is_link_local(self) -> bool:
        """Say whether only the interface tells where the next hop is."""
        return isinstance(self.via, Address) and LINK_LOCAL.covers(self.via.subnet())


class WrittenRoutes(NamedTuple):
    """The routes of a node, and whether it has automatic ones besides; None if that is not written."""

    automatic: bool | None = None
    routes: tuple[WrittenRoute, ...] = ()


def read_routes(findings: Findings, item: Item, path: str) -> WrittenRoutes | None:
    """Read `routes:`. An empty list means that there are none."""
    if isinstance(item, Scalar) and item.text in (AUTO, NONE):
        return WrittenRoutes(item.text == AUTO)
    if not isinstance(item, Sequence):
        findings.wrong(item, path, EXPECTED)
        return None
    automatic = None if item.items else False
    routes = []
    for index, child in enumerate(item.items):
        if index == 0 and isinstance(child, Scalar) and child.text in (AUTO, NONE):
            automatic = child.text == AUTO
        elif route := _read_route(findings, child, f"{path}.{index}"):
            routes.append(route)
    return WrittenRoutes(automatic, tuple(routes))


read_default = choice(AUTO, NONE)


def _read_route(findings: Findings, item: Item, path: str) -> WrittenRoute | None:
    fields = Fields(findings, item, path, KEYS, "a mapping with to and via")
    if not isinstance(item, Mapping):
        return None
    to, via = fields.require("to", name, None), fields.read("via", name, None)
    kind = fields.read("type", choice(*ROUTE_KINDS), "")
    interface, metric = fields.read("interface", name, None), fields.read("metric", METRIC, 0)
    _check_ways(fields)
    hop = _read_hop(findings, via) if via else None
    network = _read_target(findings, to) if to and to.text != DEFAULT else None
    if not to or (via and not hop) or (to.text != DEFAULT and not network):
        return None
    if network and isinstance(hop, Address) and network.family != hop.family:
        findings.add(hop.name.place, f"expected an IPv{network.family} address for {network}, found {hop}")
        return None
    named = not network or (network in DEFAULTS.values() and isinstance(hop, Address))
    where = hop.name.place if isinstance(hop, Address) else hop.place if hop else place(item, path)
    return WrittenRoute(where, DEFAULT if named else str(network), network, hop, interface, kind, metric)


def _check_ways(fields: Fields) -> None:
    """Add the mistakes of a route that leads nowhere, or in two ways."""
    if "type" in fields:
        for key in ("via", "interface"):
            if key in fields:
                message = f"expected no {key} beside type, which takes packets no further, found one"
                fields.findings.add(fields.key_place(key), message)
    elif "interface" not in fields and "via" not in fields:
        hint = f"or interface, or type: {' or '.join(ROUTE_KINDS)}"
        fields.findings.add(fields.place, "expected the key via, found none", hint)


def _read_hop(findings: Findings, via: Name) -> Address | Name | None:
    """Return a next hop, an address or the name of a node; None after adding the mistake."""
    if parse_address(via) is None and not {".", ":", "/"}.intersection(via.text):
        return via
    gateway = read_address(findings, via, "10.0.1.1 or fd00:1::1")
    if gateway and gateway.length is not None:
        findings.add(gateway.name.place, f"expected an address without a prefix length, found {gateway}")
        return None
    return gateway


def _read_target(findings: Findings, to: Name) -> Subnet | None:
    """Return the destination of a route; an address alone is a network of one."""
    address = parse_address(to)
    if address and address.length is None:
        return address.subnet()
    return read_subnet(findings, to, "`default` or a network")


class Neighbours:
    """Checks that the next hops of routes are neighbours, as far as written subnets show."""

    def __init__(self, findings: Findings, names: Names, addressing: Addressing, interfaces: Interfaces) -> None:
        self._findings = findings
        self._names = names
        self._addressing = addressing
        self._interfaces = interfaces
        self._segments: dict[str, list[int]] = {}
        self._own: dict[str, set[tuple[int, int]]] = {}
        self._networks: dict[str, list[Subnet]] = {}  # that addresses of a node say, besides those of its segments
        for number, wire in enumerate(addressing.wires):
            for side, node in enumerate(wire.nodes):
                self._segments.setdefault(node, []).append(wire.segment)
                own = self._own.setdefault(node, set())
                written = addressing.written(number, side)
                own.update((address.family, address.number) for address in written)
                further = [
                    *(one.subnet() for one in written if one.length),
                    *map(Address.subnet, addressing.peers(number, side)),
                ]
                self._networks.setdefault(node, []).extend(further)

    def check(self, group: str, routes: tuple[WrittenRoute, ...]) -> None:
        """Add the mistakes in the routes of one node, or replicated node."""
        seen: dict[tuple[str, int, int], WrittenRoute] = {}
        for route in routes:
            firsts = [seen.setdefault(identity, route) for identity in route.identities()]
            if first := next((each for each in firsts if each is not route), None):
                message = f"expected one route to {route.to}, found a second (also line {first.place.line})"
                self._findings.add(route.place, message, "with another metric there may be several")
            for node in self._names.members[group]:
                if not self._is_good(node, route):
                    break

    def _is_good(self, node: str, route: WrittenRoute) -> bool:
        """Return whether a node can have a route; add the mistake if not."""
        if route.interface and route.interface.text not in self._interfaces.get(node, {}):
            message = f"expected an interface of {node}, found {show(route.interface.text)}"
            hint = self._findings.nearest(route.interface.text, self._interfaces.get(node, {}))
            self._findings.add(route.interface.place, message, hint)
            return False
        if isinstance(route.via, Name):
            return self._is_near(node, route.via)
        if route.is_link_local():
            if not route.interface:
                message = f"expected an interface beside {route.via}, which every link has its own of, found none"
                self._findings.add(route.place, message, "such as interface: eth0")
            return bool(route.interface)
        expected = self._unreachable(node, route.via) if route.via else ""
        if expected:
            self._findings.add(route.place, f"expected {expected}, found {route.via}")
        return not expected

    def _is_near(self, node: str, via: Name) -> bool:
        """Return whether a next hop's name is that of one neighbour; add the mistake if not."""
        members = self._names.find_host(via)
        if not members:
            return False
        own = self._segments.get(node, ())
        near = [one for one in members if one != node and not {*own}.isdisjoint(self._segments.get(one, ()))]
        if len(near) == 1:
            return True
        found = f"{show(via.text)}, which is {', '.join(near[:SHOWN])} there" if near else show(via.text)
        self._findings.add(via.place, f"expected a neighbour of {node}, found {found}")
        return False

    def _unreachable(self, node: str, via: Address) -> str:
        """Return what was expected of a gateway; "" if it is good, or if only the plan can know."""
        segments = self._segments.get(node)
        if not segments:
            return f"the address of a neighbour, but {node} has no link"
        if (via.family, via.number) in self._own[node]:
            return f"the address of a neighbour, not of {node} itself"
        subnets = [self._addressing.segments[segment].subnets.get(via.family) for segment in segments]
        known = [written[0] for written in subnets if written]
        known += (one for one in self._networks[node] if one.family == via.family and one not in known)
        if len(known) < len(subnets) or any(subnet.base <= via.number <= subnet.last for subnet in known):
            return ""
        shown = ", ".join(map(str, known[:SHOWN])) + (", …" if len(known) > SHOWN else "")
        return f"the address of a neighbour of {node}, in {shown}"
