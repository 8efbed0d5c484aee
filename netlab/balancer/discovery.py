"""Finds the backends among the nodes of a lab: the addresses of each, and the interface of ours that leads to it."""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from netlab import paths
from netlab.balancer.counters import has_balancer
from netlab.balancer.settings import Backend
from netlab.errors import NetlabError, UsageError

if TYPE_CHECKING:
    from netlab.record.model import InterfaceRecord, LabRecord, NodeRecord, ProgramRecord

    Nodes = Mapping[str, NodeRecord]


def own_lab() -> "tuple[LabRecord, str]":
    """Return the lab and the node that this process runs in; NetlabError if it runs in none."""
    from netlab.record import store  # which only the balancer's own role needs

    return store.own_lab()


def carried(lab: "LabRecord") -> "dict[str, ProgramRecord]":
    """Return the programs of a lab that are balancers, by key."""
    return {key: program for key, program in lab.programs() if has_balancer(program.pins)}


def own_program(lab: "LabRecord", here: str, name: str = "") -> "ProgramRecord":
    """Return the balancer in node `here`, the one of this name if there are several; or NetlabError."""
    there = [program for key, program in carried(lab).items() if paths.node_of(key) == here]
    found = [program for program in there if name in ("", program.name)]
    if not there:
        raise NetlabError(f"{here} carries no balancer program; give the node `xdp: balancer`")
    names = ", ".join(program.name for program in there)
    if not found:
        raise NetlabError(f"{here} carries no balancer named {name}; it carries {names}")
    if found[1:]:
        raise NetlabError(f"{here} carries several balancers: choose one of {names} by the option program")
    return found[0]


def expand(nodes: "Nodes", names: list[str]) -> list[str]:
    """Replace the name of a replicated node by the names of its replicas; keep the order, and each name once."""
    found: dict[str, None] = {}
    for name in names:
        members = [name] if name in nodes else [node for node in nodes if nodes[node].replica_of == name]
        if not members:
            raise NetlabError(f"this lab has no node {name}; it has {', '.join(nodes)}")
        found.update(dict.fromkeys(members))
    return list(found)


def addresses(interface: "InterfaceRecord") -> list[ipaddress.IPv4Interface | ipaddress.IPv6Interface]:
    """Return an interface's addresses, of both families."""
    return [ipaddress.ip_interface(address) for address in interface.addresses]


def shared(ours: "InterfaceRecord", theirs: "InterfaceRecord") -> dict[int, str]:
    """Return, by IP version, the first address of `theirs` in a network that both interfaces have."""
    networks = [address.network for address in addresses(ours)]
    found: dict[int, str] = {}
    for address in addresses(theirs):
        if any(address.ip in network for network in networks):
            found.setdefault(address.version, str(address.ip))
    return found


def find(
    nodes: "Nodes", here: str, program: "ProgramRecord", names: Sequence[str], capacity: int
) -> tuple[Backend, ...]:
    """Find the backends of a balancer, a program of node `here`.

    Raises UsageError if one is the balancer itself. Raises NetlabError if one is no neighbour, or is behind an
    interface that does not carry the program.
    """
    if here in names:
        raise UsageError(f"{here} is the balancer itself")
    found = tuple(_find(nodes, here, name, capacity) for name in names)
    _check_program(program, found)
    return found


def _check_program(program: "ProgramRecord", backends: Sequence[Backend]) -> None:
    """Refuse backends behind interfaces without the program, and a mode in which frames cannot grow."""
    if program.mode != "native":
        raise NetlabError("the balancer needs native mode: in generic mode no frame can take a queued request out")
    for backend in backends:
        if backend.interface not in program.interfaces:
            raise NetlabError(
                f"the program is not on {backend.interface}, where {backend.name} lives; add it to its `interfaces`"
            )


def _find(nodes: "Nodes", here: str, name: str, capacity: int) -> Backend:
    """Find a backend in a network of ours; of several, in the one in which it has addresses of both families."""
    ways = [
        (shared(our, their), interface, our, their)
        for interface, our in nodes[here].interfaces.items()
        for their in nodes[name].interfaces.values()
    ]
    if not any(found for found, *_ in ways):
        raise NetlabError(f"{name} shares no network with {here}; link them, or link both to one switch")
    found, interface, our, their = max(ways, key=lambda way: len(way[0]))
    networks = [address.network for address in addresses(our)]
    common = [each for each in networks if any(ipaddress.ip_address(address) in each for address in found.values())]
    mtu, ours = min(our.mtu, their.mtu), tuple(map(str, common))
    return Backend(name, found.get(4), found.get(6), their.mac, interface, our.mac, mtu, capacity, ours)
