"""One end of a link as it is, to be made anew as it was: flags, bridge, addresses, routes, neighbours, sysctls.

All of it is read from the kernel, so what people and daemons have added is kept, too. It is kept as JSON data, so that
another command can go on where one was killed. See linux/if_link.h, if_addr.h, rtnetlink.h, neighbour.h.
"""

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress

from netlab.errors import NetlabError
from netlab.kernel.netlink import Channel, Refusal, attributes
from netlab.named_tuple import NamedTuple

_HEADER, _LINK = struct.Struct("=IHHII"), struct.Struct("=BxHiII")  # struct nlmsghdr, ifinfomsg
_RTM_NEWLINK, _RTM_GETLINK, _RTM_SETLINK = 16, 18, 19
_RTM_NEWADDR, _RTM_GETADDR, _RTM_NEWROUTE, _RTM_GETROUTE, _RTM_NEWNEIGH, _RTM_GETNEIGH = 20, 22, 24, 26, 28, 30
_REQUEST, _DUMP, _REPLACE, _CREATE = 0x1, 0x300, 0x100, 0x400
_IFF_UP = 1
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_IFALIAS, _IFLA_NET_NS_FD, _IFLA_NEW_IFINDEX = (
    *(1, 3, 4, 10, 20, 28, 49),
)
_ADDRESS_BYTES, _ROUTE_BYTES, _NEIGHBOUR_BYTES = 8, 12, 12  # struct ifaddrmsg, rtmsg, ndmsg
_RTA_OIF, _RTA_GATEWAY, _RTA_MULTIPATH = 4, 5, 9
_MADE_BY_KERNEL, _BY_ADVERTISEMENT = 2, 9  # RTPROT_KERNEL, RTPROT_RA
_CLONED, _ONLINK = 0x200, 0x4
_LOCAL_TABLE = 255
_LONGEST_VALUE = 4096
_PERMANENT = 0x80  # NUD_PERMANENT
_PER_INTERFACE = ("ipv4/conf", "ipv6/conf", "ipv4/neigh", "ipv6/neigh")
_MOST_HOPS = struct.Struct("=HBBi")  # struct rtnexthop


class Saved(NamedTuple):
    """An end as it was; messages as hexadecimal text, in the order in which they are sent.

    `programs` are hooks and modes, each with the kernel's numbers of what was attached there. `entries` are those of
    maps that lead to it: the kernel's number of a map, key and value.
    """

    index: int  # type: ignore[assignment]  # it hides tuple.index, which nobody calls
    mac: str
    mtu: int
    is_up: bool
    master: int
    alias: str
    addresses: tuple[str, ...]
    routes: tuple[str, ...]
    neighbours: tuple[str, ...]
    sysctls: tuple[tuple[str, str], ...]
    programs: tuple[tuple[str, str, tuple[int, ...]], ...] = ()
    entries: tuple[tuple[int, str, str], ...] = ()


def save(name: str) -> Saved:
    """Return an interface of the thread's namespace as it is; OSError if it is gone."""
    index = socket.if_nametoindex(name)
    channel = Channel()
    try:
        asked = _message(_RTM_GETLINK, _REQUEST, _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0))
        about = channel.ask(asked)
        flags, found = _LINK.unpack_from(about)[3], dict(attributes(about[_LINK.size :]))
        return Saved(
            index,
            found.get(_IFLA_ADDRESS, b"").hex(":"),
            _number(found.get(_IFLA_MTU, b"")),
            bool(flags & _IFF_UP),
            _number(found.get(_IFLA_MASTER, b"")),
            found.get(_IFLA_IFALIAS, b"").rstrip(b"\0").decode(errors="replace"),
            tuple(each.hex() for each in _all(channel, _RTM_GETADDR, _ADDRESS_BYTES) if _number(each[4:8]) == index),
            tuple(each.hex() for each in sorted(_routes(channel, index), key=_has_gateway)),
            tuple(each.hex() for each in _all(channel, _RTM_GETNEIGH, _NEIGHBOUR_BYTES) if _is_kept(each, index)),
            tuple(_sysctls(name)),
        )
    finally:
        channel.close()


def move(index: int, namespace: int, name: str, new_index: int) -> None:
    """Put an interface of the thread's namespace into another one, given by a descriptor, with another name and index.

    It is down afterwards. NetlabError if the kernel refuses.
    """
    parts = (
        (_IFLA_NET_NS_FD, _u32(namespace)),
        (_IFLA_IFNAME, name.encode() + b"\0"),
        (_IFLA_NEW_IFINDEX, _u32(new_index)),
    )
    _do([_message(_RTM_NEWLINK, _REQUEST, _LINK.pack(0, 0, index, 0, 0) + _attributes(parts))], f"lead it to {name}")


def set_up(names: Iterable[str]) -> None:
    """Set interfaces of the thread's namespace up; NetlabError if the kernel refuses."""
    numbers = [socket.if_nametoindex(name) for name in names]
    _do([_flags(number, up=True) for number in numbers], "set it up")


def restore(name: str, saved: Saved) -> None:
    """Make an interface of the thread's namespace as it was, but for programs; NetlabError if the kernel refuses.

    What is there already stays.
    """
    for path, value in saved.sysctls:
        with suppress(OSError):
            _write(f"/proc/sys/net/{path}", value)
    parts = [(_IFLA_MASTER, _u32(saved.master))] if saved.master else []
    parts += [(_IFLA_IFALIAS, saved.alias.encode())] if saved.alias else []
    about = _LINK.pack(0, 0, saved.index, _IFF_UP if saved.is_up else 0, _IFF_UP)
    _do([_message(_RTM_NEWLINK, _REQUEST, about + _attributes(parts))], f"set {name} as it was")
    for kind, messages in ((_RTM_NEWADDR, saved.addresses), (_RTM_NEWNEIGH, saved.neighbours)):
        _do(
            [_message(kind, _REQUEST | _CREATE | _REPLACE, bytes.fromhex(each)) for each in messages],
            f"give {name} back",
        )
    if saved.is_up:
        _do(
            [_message(_RTM_NEWROUTE, _REQUEST | _CREATE, bytes.fromhex(each)) for each in saved.routes],
            "add its routes",
        )


def _do(messages: Iterable[bytes], what: str) -> None:
    """Send messages one by one; what is there already is as it should be."""
    channel = Channel()
    try:
        for message in messages:
            refusal = channel.request([message])
            if refusal and refusal.errno != errno.EEXIST:
                raise _refused(what, refusal)
    except OSError as error:
        raise NetlabError(f"cannot {what}: {error}") from error
    finally:
        channel.close()


def _refused(what: str, refusal: Refusal) -> NetlabError:
    words = f" ({refusal.words})" if refusal.words else ""
    return NetlabError(f"cannot {what}: {os.strerror(refusal.errno)}{words}")


def _all(channel: Channel, kind: int, size: int) -> list[bytes]:
    return channel.ask_all(_message(kind, _REQUEST | _DUMP, bytes(max(size, _LINK.size))))


def _routes(channel: Channel, index: int) -> Iterator[bytes]:
    """Yield the routes that lead over an interface, but for those that the kernel makes itself."""
    for answer in _all(channel, _RTM_GETROUTE, _ROUTE_BYTES):
        table, protocol, flags = answer[4], answer[5], _number(answer[8:12])
        about = dict(attributes(answer[_ROUTE_BYTES:]))
        if table == _LOCAL_TABLE or protocol in (_MADE_BY_KERNEL, _BY_ADVERTISEMENT) or flags & _CLONED:
            continue
        if _number(about.get(_RTA_OIF, b"")) == index or index in _hops(about.get(_RTA_MULTIPATH, b"")):
            yield answer[:8] + _u32(flags & _ONLINK) + answer[_ROUTE_BYTES:]


def _hops(data: bytes) -> Iterator[int]:
    while len(data) >= _MOST_HOPS.size:
        length, _, _, index = _MOST_HOPS.unpack_from(data)
        yield index
        data = data[(max(length, _MOST_HOPS.size) + 3) & ~3 :]


def _has_gateway(route: bytes) -> bool:
    """Say whether a route needs another one to its next hop: such a one comes after those that need none."""
    about = dict(attributes(route[_ROUTE_BYTES:]))
    return _RTA_GATEWAY in about or _RTA_MULTIPATH in about


def _is_kept(neighbour: bytes, index: int) -> bool:
    return _number(neighbour[4:8]) == index and bool(_number(neighbour[8:10]) & _PERMANENT) and neighbour[0] != 7


def _sysctls(name: str) -> Iterator[tuple[str, str]]:
    for kind in _PER_INTERFACE:
        folder = f"{kind}/{name}"
        for file_name in sorted(os.listdir(f"/proc/sys/net/{folder}")) if _is_folder(folder) else ():
            with suppress(OSError), open(f"/proc/sys/net/{folder}/{file_name}", encoding="ascii") as file:
                yield f"{folder}/{file_name}", file.read().strip()


def _write(path: str, value: str) -> None:
    """Give a sysctl its value, if it has another; what is not written at the beginning counts as nothing."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        if os.pread(descriptor, _LONGEST_VALUE, 0).decode(errors="replace").strip() != value:
            os.pwrite(descriptor, value.encode(), 0)
    finally:
        os.close(descriptor)


def _is_folder(folder: str) -> bool:
    return os.path.isdir(f"/proc/sys/net/{folder}")


def _flags(index: int, *, up: bool) -> bytes:
    return _message(_RTM_NEWLINK, _REQUEST, _LINK.pack(0, 0, index, _IFF_UP if up else 0, _IFF_UP))


def _message(kind: int, flags: int, body: bytes) -> bytes:
    whole = _HEADER.pack(_HEADER.size + len(body), kind, flags, 0, 0) + body
    return whole + bytes(-len(whole) % 4)


def _attributes(parts: Iterable[tuple[int, bytes]]) -> bytes:
    return b"".join(struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4) for kind, data in parts)


def _u32(value: int) -> bytes:
    return value.to_bytes(4, sys.byteorder)


def _number(value: bytes) -> int:
    return int.from_bytes(value, sys.byteorder)
