"""Planned routes and routes of a node, in one form that can be compared. Pure."""

from netlab.named_tuple import NamedTuple
from netlab.record.model import RouteRecord
from netlab.topology.ip_arithmetic import DEFAULT, DEFAULTS, IPV4, IPV6, Subnet, parse

_IPV6_METRIC = 1024  # what the kernel makes of 0 (IP6_RT_PRIO_USER)
_LINK_LOCAL = Subnet(IPV6, 0xFE80 << 112, 10)


class Route(NamedTuple):
    """A route: its network, and its next hop `via` as a number, 0 for none.

    `kind` is "", or the kind of a route that forwards nothing, such as blackhole. `index` is the interface's if `via`
    does not determine the interface, otherwise 0.
    """

    to: Subnet
    via: int
    metric: int
    kind: str = ""
    index: int = 0  # type: ignore[assignment]  # it hides tuple.index, which nobody calls

    @classmethod
    def known(cls, to: Subnet, via: int, metric: int, kind: str, interface: int) -> "Route":
        """Return a route as the kernel knows it."""
        far = via and not (to.family == IPV6 and _LINK_LOCAL.covers(Subnet(IPV6, via, 128)))
        rest = metric or (_IPV6_METRIC if to.family == IPV6 else 0)
        return cls(to, via, rest, kind, 0 if far or kind else interface)


def planned(route: RouteRecord) -> Route:
    """Return a planned route in the form in which the kernel reports it."""
    via, alone = parse(route.via) if route.via else (0, None)
    to = DEFAULTS[alone.family if alone else IPV4] if route.to == DEFAULT else parse(route.to)[1]
    return Route.known(to, via, route.metric, route.kind, route.index)


def called(route: RouteRecord) -> str:
    """Return the name of a route in messages."""
    what = "default route" if route.to == DEFAULT else f"route to {route.to}"
    if route.kind:
        return f"{route.kind} {what}"
    return f"{what} through {route.via}" if route.via else f"{what} at {route.interface}"
