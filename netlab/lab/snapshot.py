"""Reads nodes of a lab from inside: links, addresses, routes, sysctls, offloads; and what is pinned of their programs.

A thread enters one namespace after the other, and sends three routing netlink requests in each. See linux/if_link.h,
if_addr.h, rtnetlink.h.
"""

import os
import socket
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial

from netlab import paths
from netlab.kernel import snmp, sysctls
from netlab.kernel.netlink import Channel, attributes
from netlab.kernel.syscalls import in_threads, setns
from netlab.lab import port_vlans
from netlab.lab.node_drift import Inside, Link
from netlab.lab.program_drift import Pins
from netlab.lab.route_drift import Route
from netlab.record.model import InterfaceRecord, NodeRecord
from netlab.record.notes import Pinned
from netlab.topology.hooks import XDP
from netlab.topology.ip_arithmetic import IPV4, IPV6, Subnet

THREADS_FROM = 100  # nodes
_RTM_GETLINK, _RTM_GETADDR, _RTM_GETROUTE = 18, 22, 26
_REQUEST_ALL = 0x301  # NLM_F_REQUEST, NLM_F_DUMP
_QUESTION = struct.Struct("=IHHII BxHiII")  # struct nlmsghdr; struct ifinfomsg, larger than the others' structs
_LINK, _ADDRESS, _ROUTE = struct.Struct("=BxHiII"), struct.Struct("=BBBBI"), struct.Struct("=8BI")
_IFF_UP, _IFF_LOWER_UP = 1, 0x10000
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_XDP = 1, 3, 4, 10, 43
_IFLA_LINKINFO, _IFLA_INFO_KIND, _IFLA_INFO_DATA, _IFLA_INFO_SLAVE_KIND, _IFLA_INFO_SLAVE_DATA = 18, 1, 2, 4, 5
_IFLA_BRPORT_STATE = 1
_BRIDGE_OPTIONS = {"stp_state": 5, "vlan_filtering": 7}  # IFLA_BR_*, as `ip` calls them
_PORT_STATES = {
    bytes([n]): word for n, word in enumerate(("disabled", "listening", "learning", "forwarding", "blocking"))
}
_IFLA_XDP_PROG_ID = {"native": 5, "generic": 6}
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_MULTIPATH = 1, 4, 5, 6, 9
_RTN_KINDS = {1: "", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
_RT_TABLE_MAIN = 254
_NEXT_HOP = struct.Struct("=HBBi")  # struct rtnexthop
_FAMILIES = {socket.AF_INET: IPV4, socket.AF_INET6: IPV6}
_ETHTOOL_GTXCSUM, _ETHTOOL_GGRO = 0x16, 0x2B


def nodes(planned: Mapping[str, NodeRecord], netns_path: Callable[[str], str]) -> dict[str, Inside | None]:
    """Return what is in each of these nodes of a lab, None for a node that cannot be entered.

    PermissionError if this process may enter none. The calling thread stays in its own namespace.
    """
    found: dict[str, Inside | None] = {}
    count = 2 if len(planned) >= THREADS_FROM else 1
    in_threads(count, partial(_visit_all, found, netns_path), planned.items())
    return found


def udp_rcvbuf_errors(planned: Iterable[str], netns_path: Callable[[str], str]) -> dict[str, int]:
    """Return how many datagrams were dropped in each of these nodes because their socket's buffer was full.

    Nodes that cannot be entered are left out. The calling thread stays in its own namespace.
    """
    found: dict[str, int] = {}

    def count(names: Iterator[str]) -> None:
        for node in names:
            with suppress(OSError):
                _enter(netns_path(node))
                found[node] = snmp.udp_rcvbuf_errors()

    in_threads(1, count, planned)
    return found


def _visit_all(
    found: dict[str, Inside | None],
    netns_path: Callable[[str], str],
    items: Iterator[tuple[str, NodeRecord]],
) -> None:
    reader = sysctls.Sysctls()
    try:
        for node, about in items:
            try:
                found[node] = _visit(about, netns_path(node), reader)
            except PermissionError:
                raise
            except OSError:
                found[node] = None
    finally:
        reader.close()


def _visit(about: NodeRecord, netns: str, reader: sysctls.Sysctls) -> Inside:
    """Enter a node and read it; raises OSError."""
    _enter(netns)
    channel = Channel()
    try:
        return Inside(
            tuple(_link(answer) for answer in _all(channel, _RTM_GETLINK)),
            frozenset(filter(None, map(_address, _all(channel, _RTM_GETADDR)))),
            frozenset(route for answer in _all(channel, _RTM_GETROUTE) for route in _routes(answer)),
            reader.read_all(about.sysctls),
            dict(_faces(channel, about.interfaces)),
            snmp.udp_rcvbuf_errors(),
            port_vlans.read(channel.ask_all(port_vlans.ALL)) if about.bridge and about.bridge.filters else {},
            _at_tc(about),
        )
    finally:
        channel.close()


def _at_tc(about: NodeRecord) -> dict[tuple[str, str], tuple[int, ...]]:
    """Return what is attached at tc hooks for which a program is planned."""
    found: dict[tuple[str, str], tuple[int, ...]] = {}
    for program in about.programs:
        if program.hook != XDP:
            from netlab.programs import attachment  # here, as most labs have none

            there = attachment.numbers(program.interfaces, program.hook, program.mode)
            found.update(((name, program.hook), tuple(numbers)) for name, numbers in there.items())
    return found


def _enter(netns: str) -> None:
    descriptor = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(descriptor)
    finally:
        os.close(descriptor)


def _all(channel: Channel, kind: int) -> list[bytes]:
    return channel.ask_all(_QUESTION.pack(_QUESTION.size, kind, _REQUEST_ALL, 0, 0, socket.AF_UNSPEC, 0, 0, 0, 0))


def _link(answer: bytes) -> Link:
    _, _, index, flags, _ = _LINK.unpack_from(answer)
    about = dict(attributes(answer[_LINK.size :]))
    xdp = dict(attributes(about.get(_IFLA_XDP, b"")))
    kind = dict(attributes(about.get(_IFLA_LINKINFO, b"")))
    own, port = (dict(attributes(kind.get(each, b""))) for each in (_IFLA_INFO_DATA, _IFLA_INFO_SLAVE_DATA))
    is_bridge = kind.get(_IFLA_INFO_KIND, b"").rstrip(b"\0") == b"bridge"
    is_port = kind.get(_IFLA_INFO_SLAVE_KIND, b"").rstrip(b"\0") == b"bridge"
    return Link(
        about.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace"),
        index,
        about.get(_IFLA_ADDRESS, b"").hex(":"),
        _number(about.get(_IFLA_MTU, b"")),
        bool(flags & _IFF_UP),
        _number(about.get(_IFLA_MASTER, b"")),
        {mode: _number(xdp.get(which, b"")) for mode, which in _IFLA_XDP_PROG_ID.items()},
        _PORT_STATES.get(port.get(_IFLA_BRPORT_STATE, b"")[:1], "") if is_port else "",
        frozenset(name for name, which in _BRIDGE_OPTIONS.items() if is_bridge and any(own.get(which, b""))),
        bool(flags & _IFF_LOWER_UP),
    )


def _address(answer: bytes) -> tuple[int, int, Subnet] | None:
    family, length, _, _, index = _ADDRESS.unpack_from(answer)
    about = dict(attributes(answer[_ADDRESS.size :]))
    own = about.get(_IFA_LOCAL) or about.get(_IFA_ADDRESS)
    if family not in _FAMILIES or not own:
        return None
    return index, int.from_bytes(own, "big"), _network(_FAMILIES[family], own, length)


def _routes(answer: bytes) -> Iterator[Route]:
    """Yield a route of the main table; a multipath route becomes one route for each next hop."""
    family, length, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(answer)
    if family not in _FAMILIES or table != _RT_TABLE_MAIN or kind not in _RTN_KINDS:
        return
    about = dict(attributes(answer[_ROUTE.size :]))
    to = _network(_FAMILIES[family], about.get(_RTA_DST, b""), length)
    metric = _number(about.get(_RTA_PRIORITY, b""))
    for index, via in _hops(about):
        yield Route.known(to, int.from_bytes(via, "big"), metric, _RTN_KINDS[kind], index)


def _hops(about: Mapping[int, bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the interface's index and the address of each next hop of a route."""
    data = about.get(_RTA_MULTIPATH, b"")
    if not data:
        yield _number(about.get(_RTA_OIF, b"")), about.get(_RTA_GATEWAY, b"")
    while len(data) >= _NEXT_HOP.size:
        length, _, _, index = _NEXT_HOP.unpack_from(data)
        length = max(length, _NEXT_HOP.size)
        yield index, dict(attributes(data[_NEXT_HOP.size : length])).get(_RTA_GATEWAY, b"")
        data = data[(length + 3) & ~3 :]


def _faces(channel: Channel, interfaces: Mapping[str, InterfaceRecord]) -> Iterator[tuple[str, tuple[bool, bool]]]:
    for name, port in interfaces.items():
        if port.faces:
            with suppress(OSError):  # the interface is gone, which `node_drift` reports
                yield name, (bool(channel.ethtool(name, _ETHTOOL_GGRO)), bool(channel.ethtool(name, _ETHTOOL_GTXCSUM)))


def _network(family: int, address: bytes, length: int) -> Subnet:
    """Return the network of an address; no bytes are the address 0."""
    rest = (32 if family == IPV4 else 128) - length
    return Subnet(family, int.from_bytes(address, "big") >> rest << rest, length)


def _number(value: bytes) -> int:
    return int.from_bytes(value, sys.byteorder)


def pins(folder: str, known: Pinned) -> Pins:
    """Return what is pinned below a folder; `known` is what the lab's record says of it."""
    coming = frozenset(_programs(paths.program_pins(paths.successor_pins(folder))).values())
    maps = frozenset(_listed(paths.map_pins(folder)))
    return Pins(_programs(paths.program_pins(folder)), maps, coming, *known)


def _programs(folder: str) -> dict[str, int]:
    """Return the kernel's numbers of the programs that are pinned in a folder, by the names of the pins."""
    from netlab.errors import NetlabError
    from netlab.programs.maps import LoadedProgram

    found = {}
    for name in _listed(folder):
        with suppress(OSError, NetlabError), LoadedProgram.open(f"{folder}/{name}") as program:
            found[name] = program.id
    return found


def _listed(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
