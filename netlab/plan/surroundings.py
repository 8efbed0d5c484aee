"""What of this host a lab that joins it must not disturb. Pure: `lab/host_networks` reads it."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from netlab.plan.mistakes import Misfit, PlanError
from netlab.topology.ip_arithmetic import DEFAULT, Subnet, parse
from netlab.topology.model import Topology


class Taken(NamedTuple):
    """A network that this host uses, and how people know it, such as `route through wlan0`."""

    network: Subnet
    what: str = ""


class Surroundings(NamedTuple):
    """Networks that this host uses, and the families of which it has a way outside."""

    taken: tuple[Taken, ...] = ()
    outside: tuple[int, ...] = ()


NOWHERE = Surroundings()


def refuse(topology: Topology, taken: Sequence[Taken]) -> None:
    """Raise PlanError if a network that the file writes overlaps one that this host uses."""
    wrong: dict[tuple[str, ...], Misfit] = {}
    for keys, network in _written(topology):
        for one in taken:
            if one.network.covers(network) or network.covers(one.network):
                expected = "expected a network that this host does not use"
                found = f"found {network}, which overlaps its {one.network} ({one.what})"
                wrong.setdefault(keys, Misfit(keys, f"{expected}, {found}"))
    if wrong:
        raise PlanError([*wrong.values()])


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
