"""`routes:`: static routes, through neighbours."""

from typing import NamedTuple

from netlab.topology.document.tree import Item, Mapping
from netlab.topology.ip_arithmetic import IPV4, IPV6, Subnet
from netlab.topology.model import Route
from netlab.topology.validate.addresses import Addressing
from netlab.topology.validate.findings import Findings, Name
from netlab.topology.validate.ip import Address, parse_address, read_address, read_subnet
from netlab.topology.validate.names import Names
from netlab.topology.validate.rules import Fields, name, sequence

DEFAULT = "default"
SHOWN = 4  # subnets in a message
EVERYTHING = (Subnet(IPV4, 0, 0), Subnet(IPV6, 0, 0))


class WrittenRoute(NamedTuple):
    """A route whose two parts could be read; `to` is canonical."""

    to: str
    via: Address

    def route(self) -> Route:
        """Return the route of the topology."""
        return Route(self.to, str(self.via))


def _read_route(findings: Findings, item: Item, path: str) -> WrittenRoute | None:
    fields = Fields(findings, item, path, ("to", "via"), "a mapping with to and via")
    if not isinstance(item, Mapping):
        return None
    to, via = fields.require("to", name, None), fields.require("via", name, None)
    gateway = read_address(findings, via, "10.0.1.1 or fd00:1::1") if via else None
    if gateway and gateway.length is not None:
        findings.add(gateway.name.place, f"expected an address without a prefix length, found {gateway}")
        gateway = None
    network = _read_target(findings, to) if to and to.text != DEFAULT else None
    if not to or not gateway or (to.text != DEFAULT and not network):
        return None
    if network and network.family != gateway.family:
        message = f"expected an IPv{network.family} address for {network}, found {gateway}"
        findings.add(gateway.name.place, message)
        return None
    return WrittenRoute(str(network) if network and network not in EVERYTHING else DEFAULT, gateway)


def _read_target(findings: Findings, to: Name) -> Subnet | None:
    """Return the destination of a route; an address alone is a network of one."""
    address = parse_address(to)
    if address and address.length is None:
        return address.subnet()
    return read_subnet(findings, to, "`default` or a network")


read_routes = sequence(_read_route, "a list of routes, each with to and via")


class Neighbours:
    """Checks that the gateways of routes are neighbours, as far as written subnets show."""

    def __init__(self, findings: Findings, names: Names, addressing: Addressing) -> None:
        self._findings = findings
        self._names = names
        self._addressing = addressing
        self._segments: dict[str, list[int]] = {}
        self._own: dict[str, set[tuple[int, int]]] = {}
        for number, wire in enumerate(addressing.wires):
            for side, node in enumerate(wire.nodes):
                self._segments.setdefault(node, []).append(wire.segment)
                own = self._own.setdefault(node, set())
                own.update((address.family, address.number) for address in addressing.written(number, side))

    def check(self, group: str, routes: tuple[WrittenRoute, ...]) -> None:
        """Add the mistakes in the routes of one node, or replicated node."""
        seen: dict[tuple[str, int], Name] = {}
        for route in routes:
            place, family = route.via.name.place, route.via.family
            if (first := seen.setdefault((route.to, family), route.via.name)) is not route.via.name:
                message = f"expected one route to {route.to}, found a second (also line {first.place.line})"
                self._findings.add(place, message)
            for node in self._names.members[group]:
                expected = self._unreachable(node, route.via)
                if expected:
                    self._findings.add(place, f"expected {expected}, found {route.via}")
                    break

    def _unreachable(self, node: str, via: Address) -> str:
        """Return what was expected of a gateway; "" if it is good, or if only the plan can know."""
        segments = self._segments.get(node)
        if not segments:
            return f"the address of a neighbour, but {node} has no link"
        if (via.family, via.number) in self._own[node]:
            return f"the address of a neighbour, not of {node} itself"
        subnets = [self._addressing.segments[segment].subnets.get(via.family) for segment in segments]
        known = [written[0] for written in subnets if written]
        if len(known) < len(subnets) or any(subnet.base <= via.number <= subnet.last for subnet in known):
            return ""
        shown = ", ".join(map(str, known[:SHOWN])) + (", …" if len(known) > SHOWN else "")
        return f"the address of a neighbour of {node}, in {shown}"
