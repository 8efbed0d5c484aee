"""Netlink messages for queues of interfaces, and for the filter that runs a program where packets come in; pure.

Sources: linux/rtnetlink.h, linux/pkt_sched.h, linux/pkt_cls.h; net/sched/sch_tbf.c and sch_netem.c of the kernel.
"""

import socket
import struct
import sys

from netlab.kernel.netlink import attributes
from netlab.named_tuple import NamedTuple

_RTM_GETLINK, _RTM_NEWQDISC, _RTM_DELQDISC, _RTM_GETQDISC, _RTM_NEWTFILTER, _RTM_GETTFILTER = 18, 36, 37, 38, 44, 46
_REQUEST, _DUMP, _EXCL, _CREATE, _REPLACE = 0x1, 0x300, 0x200, 0x400, 0x100
_TC = struct.Struct("=IHHIIBxxxiIII")  # struct nlmsghdr; struct tcmsg: family, index, handle, parent, info
_TC_BYTES, _LINK_BYTES = 20, 16  # of struct tcmsg, struct ifinfomsg
_LINK = struct.Struct("=IHHIIBxHiII")
ROOT, _CLSACT, _CLSACT_HANDLE, _INGRESS = 0xFFFFFFFF, 0xFFFFFFF1, 0xFFFF0000, 0xFFFFFFF2
_HANDLE = 1 << 16  # 1:
_NESTED = 0x8000
_KIND, _OPTIONS, _STATS = 1, 2, 3
_STATS_STRUCT = struct.Struct("=QIIIIIII")
_BPF_FD, _BPF_NAME, _BPF_FLAGS, _BPF_ID, _DIRECT_ACTION = 6, 7, 8, 11, 1
_FIRST_FILTER, _FILTER_HANDLE = 1 << 16, 1  # a priority of 1
_ALL_PROTOCOLS = socket.htons(3)
_TICK_SHIFT = 6  # the kernel's unit of time here is 64 ns
_TBF_PARMS, _TBF_RATE64, _TBF_BURST = 1, 4, 6
_TBF = struct.Struct("=BBHhHIBBHhHIIII")  # two of struct tc_ratespec; limit, buffer, mtu
_ETHERNET_LAYER = 1  # TC_LINKLAYER_ETHERNET: without it the kernel wants tables that it no longer uses
_NETEM_RATE, _NETEM_RATE64, _NETEM_LATENCY64, _NETEM_JITTER64, _NETEM_SEED = 6, 8, 10, 11, 13
_NETEM = struct.Struct("=IIIIII")  # latency, limit, loss, gap, duplicate, jitter
_AT_ONCE = 10**15  # bytes per second: at such a rate each packet is sent after the one before it, which keeps the order
_U32 = (1 << 32) - 1
TBF, NETEM, CLSACT = "tbf", "netem", "clsact"
NO_QUEUES = (CLSACT, "ingress", "noqueue")  # these hold no packets


class Tbf(NamedTuple):
    """A token bucket: bytes a second, how many may leave at once, and how many may wait."""

    rate: int
    burst: int
    limit: int

    def is_as(self, other: "Tbf") -> bool:
        """Say whether the kernel has set this: it rounds the burst."""
        return self[::2] == other[::2] and abs(self.burst - other.burst) <= max(64, self.burst >> 6)


class Netem(NamedTuple):
    """A delay, its jitter, and how many packets may wait."""

    delay_ns: int
    jitter_ns: int
    limit: int
    seed: int = 0


class Queue(NamedTuple):
    """A queue that an interface has: `tbf` if it is one; packets dropped and waiting."""

    kind: str
    tbf: Tbf | None
    dropped: int
    waiting: int


class Link(NamedTuple):
    """An interface."""

    index: int  # type: ignore[assignment]  # it hides tuple.index, which nobody calls
    name: str
    mtu: int


def add_tbf(index: int, tbf: Tbf, *, changes: bool = False) -> bytes:
    """Return the message that gives an interface this queue, or changes the one that it has; nothing in it is lost."""
    rate = min(tbf.rate, _U32)
    spec = (0, _ETHERNET_LAYER, 0, -1, 0)
    parms = _TBF.pack(*spec, rate, 0, 0, 0, 0, 0, 0, tbf.limit, 0, 0)
    options = _attribute(_TBF_PARMS, parms) + _attribute(_TBF_BURST, struct.pack("=I", tbf.burst))
    if tbf.rate > _U32:
        options += _attribute(_TBF_RATE64, struct.pack("=Q", tbf.rate))
    return _queue(index, TBF, options, changes)


def add_netem(index: int, netem: Netem, *, changes: bool = False) -> bytes:
    """Return the message that gives an interface this delay, or changes it; the order of packets is kept."""
    parms = _NETEM.pack(_ticks(netem.delay_ns), netem.limit, 0, 0, 0, _ticks(netem.jitter_ns))
    options = parms + _attribute(_NETEM_LATENCY64, struct.pack("=q", netem.delay_ns))
    options += _attribute(_NETEM_JITTER64, struct.pack("=q", netem.jitter_ns))
    options += _attribute(_NETEM_RATE, struct.pack("=IiIi", _U32, 0, 0, 0))
    options += _attribute(_NETEM_RATE64, struct.pack("=Q", _AT_ONCE))
    options += _attribute(_NETEM_SEED, struct.pack("=Q", netem.seed))  # kernels before 6.6 do not read it
    return _queue(index, NETEM, options, changes)


def remove_queue(index: int) -> bytes:
    """Return the message that removes an interface's queue."""
    return _message(_RTM_DELQDISC, _REQUEST, index, 0, ROOT)


def add_hook(index: int) -> bytes:
    """Return the message that lets an interface have filters."""
    return _message(_RTM_NEWQDISC, _REQUEST | _EXCL | _CREATE, index, _CLSACT_HANDLE, _CLSACT, _named(CLSACT))


def remove_hook(index: int) -> bytes:
    """Return the message that removes an interface's filters."""
    return _message(_RTM_DELQDISC, _REQUEST, index, 0, _CLSACT)


def add_filter(index: int, program: int) -> bytes:
    """Return the message that runs a program, by its descriptor, on what comes in; it replaces an earlier one."""
    options = _attribute(_BPF_FD, struct.pack("=i", program)) + _attribute(_BPF_NAME, b"netlab impairments\0")
    options += _attribute(_BPF_FLAGS, struct.pack("=I", _DIRECT_ACTION))
    text = _named("bpf") + _attribute(_OPTIONS | _NESTED, options)
    flags = _REQUEST | _CREATE | _REPLACE
    return _message(_RTM_NEWTFILTER, flags, index, _FILTER_HANDLE, _INGRESS, text, _FIRST_FILTER | _ALL_PROTOCOLS)


def ask_filters(index: int) -> bytes:
    """Return the question for an interface's filters."""
    return _message(_RTM_GETTFILTER, _REQUEST | _DUMP, index, 0, _INGRESS)


def read_filter(answer: bytes) -> int:
    """Return the kernel's number of the program that a filter runs; 0 for another filter."""
    found = dict(attributes(answer[_TC_BYTES:]))
    return int.from_bytes(dict(attributes(found.get(_OPTIONS, b""))).get(_BPF_ID, b""), sys.byteorder)


def ask_queues() -> bytes:
    """Return the question for all queues of a namespace."""
    return _message(_RTM_GETQDISC, _REQUEST | _DUMP, 0, 0, 0)


def read_queue(answer: bytes) -> tuple[int, Queue]:
    """Return a queue, and the index of its interface."""
    _, index, *_ = struct.unpack_from("=BxxxiIII", answer)
    found = dict(attributes(answer[_TC_BYTES:]))
    kind = found.get(_KIND, b"").rstrip(b"\0").decode()
    _, _, dropped, _, _, _, waiting, _ = _STATS_STRUCT.unpack_from(found[_STATS]) if _STATS in found else (0,) * 8
    return index, Queue(kind, _read_tbf(found[_OPTIONS]) if kind == TBF else None, dropped, waiting)


def ask_links() -> bytes:
    """Return the question for all interfaces of a namespace."""
    return _LINK.pack(_LINK.size, _RTM_GETLINK, _REQUEST | _DUMP, 0, 0, socket.AF_UNSPEC, 0, 0, 0, 0)


def read_link(answer: bytes) -> Link:
    """Return an interface."""
    (index,) = struct.unpack_from("=i", answer, 4)
    found = dict(attributes(answer[_LINK_BYTES:]))
    return Link(index, found[3].rstrip(b"\0").decode(errors="surrogateescape"), struct.unpack("=I", found[4])[0])


def _read_tbf(options: bytes) -> Tbf:
    found = dict(attributes(options))
    *_, limit, buffer, _ = values = _TBF.unpack_from(found[_TBF_PARMS])
    rate = struct.unpack("=Q", found[_TBF_RATE64])[0] if _TBF_RATE64 in found else values[5]
    return Tbf(rate, (buffer << _TICK_SHIFT) * rate // 10**9, limit)


def _ticks(ns: int) -> int:
    return min(ns >> _TICK_SHIFT, _U32)


def _queue(index: int, kind: str, options: bytes, changes: bool) -> bytes:
    text = _named(kind) + _attribute(_OPTIONS, options)
    flags = _REQUEST if changes else _REQUEST | _EXCL | _CREATE
    return _message(_RTM_NEWQDISC, flags, index, _HANDLE, ROOT, text)


def _named(kind: str) -> bytes:
    return _attribute(_KIND, kind.encode() + b"\0")


def _message(kind: int, flags: int, index: int, handle: int, parent: int, text: bytes = b"", info: int = 0) -> bytes:
    size = _TC.size + len(text)
    return _TC.pack(size, kind, flags, 0, 0, socket.AF_UNSPEC, index, handle, parent, info) + text


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
