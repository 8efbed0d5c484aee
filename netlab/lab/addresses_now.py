"""Finds the addresses that interfaces of a node have now. Pure."""

from collections.abc import Mapping

from netlab.lab.node_drift import Inside
from netlab.record.model import NodeRecord
from netlab.topology.ip_arithmetic import IPV4, IPV6, Subnet, text

# Networks of addresses that the kernel gives to interfaces: loopback and link-local.
_KERNEL = (Subnet(IPV4, 127 << 24, 8), Subnet(IPV6, 1, 128), Subnet(IPV6, 0xFE80 << 112, 10))


def of(about: NodeRecord, seen: Inside) -> Mapping[str, tuple[str, ...]]:
    """Return the addresses by interface, without those that the kernel gives to every interface.

    Interfaces that were not planned are included. In a node that is this host, only the lab's interfaces count.
    """
    planned = about.all_addresses()
    links = [link for link in seen.links if about.kind != "host" or link.name in planned]
    now: dict[str, list[str]] = {link.name: [] for link in links}
    names = {link.index: link.name for link in links}
    for index, number, network in sorted(seen.addresses):
        own = Subnet(network.family, number, network.length)
        if index in names and not any(one.family == own.family and one.base <= number <= one.last for one in _KERNEL):
            now[names[index]].append(f"{text(own.family, number)}/{own.length}")
    return {name: tuple(its) for name, its in now.items()}
