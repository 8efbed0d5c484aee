"""The part of `up` for a lab that joins this host's own network: what it opens, and what it says of it."""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from netlab.errors import HostError
from netlab.kernel import commands
from netlab.kernel.sysctls import Sysctls
from netlab.lab import name_servers
from netlab.lab.name_servers import Names
from netlab.plan.host_steps import FORWARDING, GuardHost, OpenInternet, table_name
from netlab.plan.steps import AddRoute, Interface, Step
from netlab.plan.surroundings import is_private
from netlab.topology.ip_arithmetic import IPV6, parse
from netlab.words import few

if TYPE_CHECKING:
    from netlab.network.internet import Opened

Say = Callable[[str], None]


def names(steps: Sequence[Step], interfaces: Sequence[Interface]) -> Names | None:
    """Return the name servers of a lab that reaches the outside; None for another lab. HostError if nft is missing."""
    step = next((each for each in steps if isinstance(each, OpenInternet)), None)
    if not step:
        return None
    if commands.problem("nft", os.environ):
        raise HostError("internet: true needs nft, which is not installed; on Debian: apt-get install nftables")
    return name_servers.chosen(_addresses(step.node, interfaces))


def opened(steps: Sequence[Step], interfaces: Sequence[Interface], names: Names | None, lab: str, say: Say) -> None:
    """Let the lab reach the outside if the plan says so, and tell the user what of this host is open to the lab."""
    guards = [step for step in steps if isinstance(step, GuardHost)]
    for node in dict.fromkeys(step.node for step in guards):
        at = few([address.partition("/")[0] for address in _addresses(node, interfaces)]) or "no address"
        where = few([step.interface for step in guards if step.node == node])
        say(f"netlab: {lab}: {node} is this host: the lab reaches all that listens here, at {at} ({where})")
        if public := _public(node, steps, interfaces):
            what = "it is no private network" if len(public) == 1 else "they are no private networks"
            say(f"netlab: {lab}: {node}: note: this host reaches {', '.join(public)} only in the lab; {what}")
        if not all(step.forwards for step in guards) and _forwards_ipv6():
            say(f"netlab: {lab}: {node}: note: this host forwards IPv6 packets, also those of the lab")
    for step in (each for each in steps if isinstance(each, OpenInternet)):
        from netlab.network import internet

        found = internet.open_way(step, *(names[1:] if names else ()))
        for line in _told(step, found, names):
            say(f"netlab: {lab}: {step.node}: {line}")


def _public(node: str, steps: Sequence[Step], interfaces: Sequence[Interface]) -> list[str]:
    """Return the public networks to which the lab gives the host a route or an address."""
    words = [step.to for step in steps if isinstance(step, AddRoute) and step.node == node]
    words += [peer for end in interfaces if end.node == node for _, peer in end.peers]
    networks = dict.fromkeys(parse(word)[1] for word in (*_addresses(node, interfaces), *words))
    return [str(network) for network in networks if not is_private(network)]


def _told(step: OpenInternet, found: "Opened", names: Names | None) -> list[str]:
    families = " and ".join(f"IPv{family}" for family in step.families)
    table = f"table inet {table_name(step.lab)} of nftables"
    lines = [f"the lab reaches the outside through this host ({families}), with the host's addresses: {table}"]
    if found.changed:
        own = " ".join(f"{name}=1" for name in found.changed)
        lines.append(f"{own} until the last such lab goes; packets of others are not forwarded")
    if found.tools:
        lines.append(f"the host drops what it forwards ({', '.join(found.tools)}): new rules let the lab through")
    lines += [
        f"note: the chain {chain.name} of {chain.family} {chain.table} drops what this host forwards: allow it for"
        f" {few(step.interfaces)}"
        for chain in found.others
    ]
    if names and names.resolver:
        lines.append(f"its name server {names.resolver} is asked at {names.at}")
    return lines


def _forwards_ipv6() -> bool:
    """Say whether this host forwards IPv6 packets: unlike for IPv4, one setting decides for all interfaces."""
    reader = Sysctls()
    try:
        return "1" in reader.read_all([FORWARDING[IPV6]]).values()
    finally:
        reader.close()


def _addresses(node: str, interfaces: Sequence[Interface]) -> list[str]:
    return [address for end in interfaces if end.node == node for address in end.addresses]
