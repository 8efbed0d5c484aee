"""Sets interfaces up and down in a node, and gives back what the kernel takes from one that goes down.

That is its IPv6 addresses, and the routes that lead through it. They are kept as the kernel's own messages (linux/
rtnetlink.h), as `ip route save` does. What a routing daemon has added is left out: the daemon adds it again, if it is
still right, and so does the kernel what it has added itself.
"""

import errno
import os
import socket
import struct
from collections.abc import Sequence

from netlab.errors import NetlabError
from netlab.kernel.netlink import Channel, attributes
from netlab.kernel.syscalls import inside

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_LINK, _ADDRESS, _ROUTE = struct.Struct("=BxHiII"), struct.Struct("=BBBBI"), struct.Struct("=8BI")
_HOP = struct.Struct("=HBBi")  # struct rtnexthop
_RTM_NEWLINK, _RTM_GETLINK, _RTM_NEWADDR, _RTM_GETADDR, _RTM_NEWROUTE, _RTM_GETROUTE = 16, 18, 20, 22, 24, 26
_REQUEST, _REQUEST_ALL, _NEW = 1, 0x301, 0x601  # NLM_F_*: REQUEST; and DUMP; and CREATE, EXCL
_IFF_UP = 1
_IFA_F_PERMANENT, _RT_SCOPE_LINK = 0x80, 253
_RTA_OIF, _RTA_GATEWAY, _RTA_MULTIPATH, _RTA_VIA = 4, 5, 9, 18
_BY_PEOPLE = (3, 4)  # RTPROT_BOOT, as `ip route` and netlab add routes, and RTPROT_STATIC
_THERE = (errno.EEXIST,)


def is_up(netns: str, interface: str) -> bool:
    """Say whether an interface is set up, in the namespace whose file this is; NetlabError if there is none."""
    return inside(netns, lambda: _is_up(interface))


def lost_when_down(netns: str, interface: str) -> list[str]:
    """Return what the kernel takes from an interface that goes down, for `set_up`."""
    return inside(netns, lambda: _lost(_index(interface)))


def set_down(netns: str, interface: str) -> None:
    """Set an interface down."""
    inside(netns, lambda: _set(_index(interface), 0))


def set_up(netns: str, interface: str) -> None:
    """Set an interface up."""
    inside(netns, lambda: _set(_index(interface), _IFF_UP))


def give_back(netns: str, kept: Sequence[str]) -> list[str]:
    """Add addresses and routes again that an interface has lost, and return why some could not be added."""
    return inside(netns, lambda: _give_back(kept)) if kept else []


def _index(interface: str) -> int:
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        raise NetlabError(f"there is no interface {interface}") from None


def _message(kind: int, flags: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, 0, 0) + body


def _is_up(interface: str) -> bool:
    channel, index = Channel(), _index(interface)
    try:
        answer = channel.ask(_message(_RTM_GETLINK, _REQUEST, _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0)))
        return bool(_LINK.unpack_from(answer)[3] & _IFF_UP)
    finally:
        channel.close()


def _set(index: int, flags: int) -> None:
    channel = Channel()
    try:
        body = _LINK.pack(socket.AF_UNSPEC, 0, index, flags, _IFF_UP)
        if refusal := channel.request([_message(_RTM_NEWLINK, _REQUEST, body)]):
            raise NetlabError(f"the kernel refuses to set an interface up or down: {os.strerror(refusal.errno)}")
    finally:
        channel.close()


def _lost(index: int) -> list[str]:
    channel = Channel()
    try:
        addresses = channel.ask_all(_message(_RTM_GETADDR, _REQUEST_ALL, bytes(_LINK.size)))
        routes = channel.ask_all(_message(_RTM_GETROUTE, _REQUEST_ALL, bytes(_ROUTE.size)))
    finally:
        channel.close()
    found = [_message(_RTM_NEWADDR, _NEW, each) for each in addresses if _is_lost_address(each, index)]
    ways = [each for each in routes if _is_lost_route(each, index)]
    ways.sort(key=lambda each: not {_RTA_GATEWAY, _RTA_MULTIPATH, _RTA_VIA}.isdisjoint(_about(each)))
    return [each.hex() for each in (*found, *(_message(_RTM_NEWROUTE, _NEW, _bare(each)) for each in ways))]


def _is_lost_address(answer: bytes, index: int) -> bool:
    family, _, flags, scope, its = _ADDRESS.unpack_from(answer)
    written = flags & _IFA_F_PERMANENT and scope != _RT_SCOPE_LINK  # the kernel makes an address of its link by itself
    return bool(family == socket.AF_INET6 and its == index and written)


def _is_lost_route(answer: bytes, index: int) -> bool:
    protocol = _ROUTE.unpack_from(answer)[5]
    return protocol in _BY_PEOPLE and index in _interfaces(_about(answer))


def _interfaces(about: dict[int, bytes]) -> list[int]:
    """Return the indexes of the interfaces that a route leads through."""
    if _RTA_OIF in about:
        return [int(struct.unpack("=i", about[_RTA_OIF])[0])]
    found, hops = [], about.get(_RTA_MULTIPATH, b"")
    while len(hops) >= _HOP.size:
        length, _, _, index = _HOP.unpack_from(hops)
        found.append(index)
        hops = hops[max(_HOP.size, (length + 3) & ~3) :]
    return found


def _about(answer: bytes) -> dict[int, bytes]:
    return dict(attributes(answer[_ROUTE.size :]))


def _bare(answer: bytes) -> bytes:
    """Return a route without what the kernel says of its state."""
    fields = _ROUTE.unpack_from(answer)
    return _ROUTE.pack(*fields[:-1], 0) + answer[_ROUTE.size :]


def _give_back(kept: Sequence[str]) -> list[str]:
    channel, problems = Channel(), []
    try:
        for message in map(bytes.fromhex, kept):
            refusal = channel.request([message])
            if refusal and refusal.errno not in _THERE:
                problems.append(refusal.words or os.strerror(refusal.errno))
    finally:
        channel.close()
    return problems
