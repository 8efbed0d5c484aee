"""The networks of this host that a lab which joins it must avoid. Pure: `lab/host_networks` reads them."""

from collections.abc import Iterator, Sequence

from netlab.named_tuple import NamedTuple
from netlab.plan.mistakes import Misfit, PlanError
from netlab.topology.ip_arithmetic import DEFAULT, IPV4, IPV6, Subnet, parse
from netlab.topology.model import Topology


class Taken(NamedTuple):
    """A network that this host uses, and how people know it, such as `route through wlan0`."""

    network: Subnet
    what: str = ""


class Surroundings(NamedTuple):
    """Networks that this host uses, and the families in which it has a default route."""

    taken: tuple[Taken, ...] = ()
    outside: tuple[int, ...] = ()


NOWHERE = Surroundings()
# Of the kernel and of each link: loopback, link-local and multicast. A cloud's metadata are at a link-local address.
SPECIAL = (
    *(Subnet(IPV4, 127 << 24, 8), Subnet(IPV4, 169 << 24 | 254 << 16, 16), Subnet(IPV4, 224 << 24, 4)),
    *(Subnet(IPV6, 1, 128), Subnet(IPV6, 0xFE80 << 112, 10), Subnet(IPV6, 0xFF00 << 112, 8)),
)
_WIDEST = 8  # the shortest prefix that a lab may use: a wider network, such as 64.0.0.0/2, must be a mistake
_PRIVATE = (
    *(Subnet(IPV4, 10 << 24, 8), Subnet(IPV4, 172 << 24 | 16 << 16, 12), Subnet(IPV4, 192 << 24 | 168 << 16, 16)),
    *(Subnet(IPV4, 100 << 24 | 64 << 16, 10), Subnet(IPV4, 198 << 24 | 18 << 16, 15), Subnet(IPV6, 0xFC00 << 112, 7)),
)


def is_private(network: Subnet) -> bool:
    """Say whether no public address is in a network."""
    return any(known.covers(network) for known in _PRIVATE)


def refuse(topology: Topology, taken: Sequence[Taken]) -> None:
    """Raise PlanError if a lab that this host joins would hide networks that the host itself reaches.

    That is so if a network of the file overlaps one that this host uses, is a special one, or is very wide.
    """
    if not any(node.kind == "host" for node in topology.nodes):
        return
    wrong: dict[tuple[str, ...], Misfit] = {}
    for keys, network in _written(topology):
        if expected := _unfit(network, is_route="routes" in keys):
            wrong[keys] = Misfit(keys, f"expected {expected} beside this host, found {network}")
        for one in taken:
            if one.network.covers(network) or network.covers(one.network):
                expected = "expected a network that this host does not use"
                found = f"found {network}, which overlaps its {one.network} ({one.what})"
                wrong.setdefault(keys, Misfit(keys, f"{expected}, {found}"))
    if wrong:
        raise PlanError([*wrong.values()])


def _unfit(network: Subnet, *, is_route: bool) -> str:
    """Return what is expected instead of a network that no lab beside this host may have; "" for any other.

    Addresses of IPv6 that are link-local do no harm: each link has some.
    """
    if network.length < _WIDEST:
        return f"no wider network than /{_WIDEST}"
    is_special = any(special.covers(network) or network.covers(special) for special in SPECIAL)
    return "no loopback, link-local or multicast network" if is_special and (is_route or network.family == IPV4) else ""


def _written(topology: Topology) -> Iterator[tuple[tuple[str, ...], Subnet]]:
    """Yield all networks that the file gives to the lab, each with the keys that lead to it."""
    for number, link in enumerate(topology.links):
        for word in link.subnets:
            yield ("links", str(number), "subnet"), parse(word)[1]
        for side, end in enumerate((link.a, link.b)):
            for word in end.addresses:
                yield ("links", str(number), "endpoints", str(side), "address"), parse(word)[1]
            for word in end.peers:
                yield ("links", str(number), "endpoints", str(side), "peer"), parse(word)[1]
    for node in topology.nodes:
        name = node.replica_of or node.name
        for word in node.loopback:
            yield ("nodes", name, "loopback"), parse(word)[1]
        for at, route in enumerate(node.routes if node.kind == "host" else ()):
            if route.to != DEFAULT:
                yield ("nodes", name, "routes", str(at)), parse(route.to)[1]
