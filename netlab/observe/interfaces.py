"""Interfaces of a lab's nodes as the kernel tells of them: their state and what they have counted (linux/if_link.h)."""

import os
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TypeVar

from netlab.kernel.netlink import attributes
from netlab.kernel.syscalls import in_threads, setns
from netlab.lab.standing import Standing
from netlab.named_tuple import NamedTuple
from netlab.record.model import LabRecord

_T = TypeVar("_T")
DONE, NEW_LINK, GONE_LINK = 3, 16, 17
HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_LINK = struct.Struct("=BxHiII")  # struct ifinfomsg
_RTM_GETLINK, _REQUEST_ALL = 18, 0x301
ASK = HEADER.pack(HEADER.size + _LINK.size, _RTM_GETLINK, _REQUEST_ALL, 0, 0) + _LINK.pack(0, 0, 0, 0, 0)
_IFF_UP, _IFF_LOOPBACK, _IFF_LOWER_UP = 0x1, 0x8, 0x10000
_IFLA_IFNAME, _IFLA_STATS64 = 3, 23
_STATS = struct.Struct("=8Q")  # the first fields of struct rtnl_link_stats64
UP, NO_CARRIER, DOWN, GONE = "up", "no carrier", "down", "gone"


class Counted(NamedTuple):
    """What an interface has counted since it was made."""

    rx_packets: int
    tx_packets: int
    rx_bytes: int
    tx_bytes: int
    rx_errors: int
    tx_errors: int
    rx_dropped: int
    tx_dropped: int


class Interface(NamedTuple):
    """An interface: its number, name, state (one of the constants above), and counts, None if these were not told."""

    number: int
    name: str
    state: str
    counted: Counted | None


def parse(body: bytes) -> Interface | None:
    """Return what a message of the kernel, without its header, tells; None for the loopback interface."""
    _, _, number, flags, _ = _LINK.unpack_from(body)
    if flags & _IFF_LOOPBACK:
        return None
    about = dict(attributes(body[_LINK.size :]))
    name = about.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace")
    state = DOWN if not flags & _IFF_UP else UP if flags & _IFF_LOWER_UP else NO_CARRIER
    stats = about.get(_IFLA_STATS64, b"")
    return Interface(number, name, state, Counted(*_STATS.unpack_from(stats)) if len(stats) >= _STATS.size else None)


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the kinds and bodies of the messages in what a socket has received."""
    offset = 0
    while offset + HEADER.size <= len(data):
        length, kind, *_ = HEADER.unpack_from(data, offset)
        yield kind, data[offset + HEADER.size : offset + length]
        offset += max(HEADER.size, (length + 3) & ~3)


def in_nodes(lab: LabRecord, make: Callable[[], _T], known: Mapping[str, _T]) -> dict[str, _T]:
    """Return what `make` returns in the namespace of each node that is not in `known`; those of `known` otherwise.

    Nodes that are the host, and those that cannot be entered, are left out. The calling thread stays where it is.
    """
    standing = Standing(lab)
    found = {node: known[node] for node in lab.nodes if node in known}

    def enter(nodes: Iterator[str]) -> None:
        for node in nodes:
            with suppress(OSError):
                descriptor = os.open(standing.runtime.netns_path(node), os.O_RDONLY | os.O_CLOEXEC)
                try:
                    setns(descriptor)
                finally:
                    os.close(descriptor)
                found[node] = make()

    new = [node for node, about in lab.nodes.items() if about.kind != "host" and node not in known]
    if new:
        in_threads(1, enter, new)
    return found


def listening(room_bytes: int) -> socket.socket:
    """Return a socket that hears of the interfaces of the namespace that the thread is in, and asks for all of them."""
    heard = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
    try:
        heard.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room_bytes)
        heard.bind((0, 1))  # RTMGRP_LINK
        heard.send(ASK)
    except BaseException:
        heard.close()
        raise
    return heard
