"""Reads the networks, name servers and gateways of this host, which a lab that joins it must avoid. Needs no root.

For a lab that is up, they are taken from its record, not read again: so the same file still means the same lab.
"""

import os
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from netlab import paths
from netlab.errors import NetlabError
from netlab.kernel.netlink import Channel, attributes
from netlab.named_tuple import NamedTuple
from netlab.plan.host_steps import is_interface_of
from netlab.plan.surroundings import NOWHERE, SPECIAL, Surroundings, Taken
from netlab.record import lock, store
from netlab.record.model import LabRecord
from netlab.topology.ip_arithmetic import BITS, DEFAULT, FAMILIES, IPV4, IPV6, Subnet, parse
from netlab.topology.model import Topology

_RTM_GETADDR, _RTM_GETROUTE = 22, 26
_REQUEST_ALL = 0x301  # NLM_F_REQUEST, NLM_F_DUMP
_QUESTION = struct.Struct("=IHHII BxHiII")  # struct nlmsghdr; struct ifinfomsg, larger than the others' structs
_ADDRESS, _ROUTE = struct.Struct("=BBBBI"), struct.Struct("=8BI")
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY = 1, 4, 5
_RTN_UNICAST, _RTN_NOWHERE = 1, (6, 7, 8)  # blackhole, unreachable, prohibit
_FAMILIES = {socket.AF_INET: IPV4, socket.AF_INET6: IPV6}
# Routes with a prefix no longer than this count as default routes, such as those of a VPN: 0.0.0.0/1, 2000::/3.
_WIDEST = {IPV4: 1, IPV6: 3}


def around(topology: Topology) -> Surroundings:
    """Return the networks that a lab must avoid; none for a lab without a node that is this host."""
    if not any(node.kind == "host" for node in topology.nodes):
        return NOWHERE
    return _of_standing(topology.name) or _read(topology.name)


def _of_standing(lab: str) -> Surroundings | None:
    """Return the networks that a lab avoids that is up already; None if no such lab is up."""
    if not os.path.exists(f"{paths.folder_of(lab)}/{paths.RECORD}"):
        return None
    try:
        record = store.read(lab)
    except NetlabError:  # `up` reads the record again later, and reports this
        return None
    if not any(node.kind == "host" for node in record.nodes.values()):
        return None
    return Surroundings(tuple(Taken(parse(network)[1]) for network in record.avoided), record.outside)


class OutdatedError(NetlabError):
    """Somebody else uses a network of a lab since that was planned: it is to be planned again."""


@contextmanager
def claimed(record: LabRecord) -> Iterator[None]:
    """Hold the lock of this host's networks while a lab's record is written, which claims those of the lab.

    Two labs that are planned at the same moment choose the same ones. OutdatedError for the second, which may plan
    again: then it sees the record of the first.
    """
    with lock.of_host(record.lab):
        own = [*_networks(record)]
        for one in _read(record.lab).taken:
            if found := next((net for net in own if net.covers(one.network) or one.network.covers(net)), None):
                raise OutdatedError(
                    f"{found} of the lab {record.lab} is now in use on this host ({one.what}): try again"
                )
        yield


def _networks(record: LabRecord) -> Iterator[Subnet]:
    """Yield the networks that this host has addresses in, or routes to, for a lab."""
    for node in record.nodes.values():
        if node.kind != "host":
            continue
        for end in node.interfaces.values():
            for address in (*end.addresses, *end.peers.values()):
                yield parse(address)[1]
        for route in node.routes:
            if route.to != DEFAULT:
                yield parse(route.to)[1]


def _of_others(lab: str) -> Iterator[tuple[Subnet, str]]:
    """Yield the networks of other labs that join this host: one that has just been begun has no interface here yet."""
    here = os.stat("/proc/thread-self/ns/net")
    for other in store.labs():
        with suppress(NetlabError):  # it is not ours to read, or has just gone
            record = store.read(other) if other != lab else None
            if record and not _is_elsewhere(record, here):
                for network in _networks(record):
                    yield network, f"the lab {other}"


def _is_elsewhere(record: LabRecord, here: os.stat_result) -> bool:
    """Say whether a lab joins another host, as in a container; before its node stands, nobody can tell."""
    held = [f"{record.folder}/{paths.OUTSIDE}/{name}" for name, node in record.nodes.items() if node.kind == "host"]
    with suppress(OSError):
        there = os.stat(held[0]) if held else here
        return there.st_dev == here.st_dev and there.st_ino != here.st_ino
    return False


class _Route(NamedTuple):
    """A route of the host: its network, its gateway (None if it has none), and its interface's index."""

    to: Subnet
    via: Subnet | None
    index: int  # type: ignore[assignment]  # it hides tuple.index, which nobody calls


def _read(lab: str) -> Surroundings:
    names = dict(socket.if_nameindex())
    own = {index for index, name in names.items() if is_interface_of(name, lab)}
    channel = Channel()
    try:
        addresses, routes = [*_addresses(channel)], [*_routes(channel)]
    finally:
        channel.close()
    taken: dict[Subnet, str] = {}
    for network, index in addresses:
        if index not in own:
            taken.setdefault(network, f"address of {names.get(index, 'an interface')}")
    outside = set()
    for route in routes:
        if route.index in own:
            continue
        if route.to.length <= _WIDEST[route.to.family]:
            outside.add(route.to.family)
            if route.via:
                taken.setdefault(route.via, "its gateway")
        else:
            taken.setdefault(route.to, f"route through {names.get(route.index, 'nothing')}")
    for network, what in _of_others(lab):
        taken.setdefault(network, what)
    for server in _name_servers():
        taken.setdefault(server, "its name server")
    found = tuple(Taken(*each) for each in sorted(taken.items()) if not any(known.covers(each[0]) for known in SPECIAL))
    return Surroundings(found, tuple(family for family in FAMILIES if family == IPV4 or family in outside))


def _all(channel: Channel, kind: int) -> list[bytes]:
    return channel.ask_all(_QUESTION.pack(_QUESTION.size, kind, _REQUEST_ALL, 0, 0, socket.AF_UNSPEC, 0, 0, 0, 0))


def _addresses(channel: Channel) -> Iterator[tuple[Subnet, int]]:
    """Yield the network of each address, with the interface's index; of a point-to-point one, both ends."""
    for answer in _all(channel, _RTM_GETADDR):
        family, length, _, _, index = _ADDRESS.unpack_from(answer)
        about = dict(attributes(answer[_ADDRESS.size :]))
        if family in _FAMILIES:
            for data in {about.get(_IFA_ADDRESS, b""), about.get(_IFA_LOCAL, b"")} - {b""}:
                yield _network(_FAMILIES[family], data, length), index


def _routes(channel: Channel) -> Iterator[_Route]:
    """Yield the routes of all tables, because a rule may use any of them."""
    for answer in _all(channel, _RTM_GETROUTE):
        family, length, _, _, _, _, _, kind, _ = _ROUTE.unpack_from(answer)
        about = dict(attributes(answer[_ROUTE.size :]))
        if family in _FAMILIES and (kind == _RTN_UNICAST or (kind in _RTN_NOWHERE and length)):
            via = about.get(_RTA_GATEWAY)
            bits = BITS[_FAMILIES[family]]
            yield _Route(
                _network(_FAMILIES[family], about.get(_RTA_DST, b""), length),
                _network(_FAMILIES[family], via, bits) if via else None,
                _number(about),
            )


def _number(about: Mapping[int, bytes]) -> int:
    data = about.get(_RTA_OIF, b"")
    return struct.unpack("=I", data)[0] if len(data) == struct.calcsize("=I") else 0


def _network(family: int, data: bytes, length: int) -> Subnet:
    rest = BITS[family] - length
    return Subnet(family, int.from_bytes(data, "big") >> rest << rest, length)


def _name_servers() -> Iterator[Subnet]:
    from netlab.lab import name_servers

    for server in name_servers.servers(name_servers.RESOLV_CONF):
        yield parse(server)[1]
