"""Routes and loopback addresses of a plan as commands of a container that Compose has made. Pure."""

from collections.abc import Iterable, Sequence

from netlab.plan.routes import AUTOMATIC_METRIC
from netlab.plan.steps import AddRoute
from netlab.topology.ip_arithmetic import Subnet, parse
from netlab.topology.model import Node


def commands(routes: Iterable[AddRoute], reached: Sequence[Subnet]) -> list[str]:
    """Return the commands that set a node's routes whose next hops are in networks that the node is on."""
    return [
        _command(route)
        for route in routes
        if route.kind or (route.via and any(subnet.covers(parse(route.via)[1]) for subnet in reached))
    ]


def loopbacks(node: Node) -> list[str]:
    """Return the commands that set a node's loopback addresses."""
    return [f"ip addr replace {address} dev lo" for address in node.loopback]


def left_out(routes: Iterable[AddRoute]) -> list[str]:
    """Return the nodes of routes that need the name of an interface."""
    without = (each for each in routes if not each.kind and (not each.via or each.via.lower().startswith("fe80:")))
    return list(dict.fromkeys(each.node for each in without))


def not_automatic(nodes: Iterable[Node]) -> list[str]:
    """Return the nodes whose routes are all in the file."""
    return [node.name for node in nodes if not node.automatic_routes]


def _command(route: AddRoute) -> str:
    """Return the command that sets a route; an automatic one replaces the engine's, which has the metric 0."""
    family = "-6 " if ":" in (route.via or route.to) else ""
    metric = f" metric {route.metric}" if route.metric not in (0, AUTOMATIC_METRIC) else ""
    way = f"{route.to} via {route.via}" if route.via else f"{route.kind} {route.to}"
    return f"ip {family}route replace {way}{metric}"
