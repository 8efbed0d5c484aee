"""Routes of a node as they are, beside those that are planned. Pure."""

from typing import NamedTuple

from netlab.record.model import RouteRecord
from netlab.topology.ip_arithmetic import DEFAULT, DEFAULTS, IPV4, IPV6, Subnet, parse

_IPV6_METRIC = 1024  # what the kernel makes of 0 (IP6_RT_PRIO_USER)
_LINK_LOCAL = Subnet(IPV6, 0xFE80 << 112, 10)


class Route(NamedTuple):
    """A route: to which network, and through whom, as a number; 0 for nobody.

    `kind` is "" or what takes packets no further. `index` is that of the interface where `via` does not say which: 0
    elsewhere.
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
    """Return what the kernel knows of a route that is there."""
    via, alone = parse(route.via) if route.via else (0, None)
    to = DEFAULTS[alone.family if alone else IPV4] if route.to == DEFAULT else parse(route.to)[1]
    return Route.known(to, via, route.metric, route.kind, route.index)


def called(route: RouteRecord) -> str:
    """Return what people are told of a route."""
    what = "default route" if route.to == DEFAULT else f"route to {route.to}"
    if route.kind:
        return f"{route.kind} {what}"
    return f"{what} through {route.via}" if route.via else f"{what} at {route.interface}"
