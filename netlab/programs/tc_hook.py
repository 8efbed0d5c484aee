"""The tc hooks of interfaces: tcx where the kernel has it (Linux 6.6), else cls_bpf filters at a clsact qdisc.

Several programs may be attached at such a hook, so each is known by the kernel's number of it. Both ways are looked
into, whichever is used to attach. Source: linux/bpf.h, linux/pkt_sched.h, linux/pkt_cls.h, linux/rtnetlink.h.
"""

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache

from netlab.kernel.netlink import Channel, attributes
from netlab.named_tuple import NamedTuple
from netlab.programs import bpf
from netlab.topology.hooks import EGRESS, INGRESS

_TCX = {INGRESS: 46, EGRESS: 47}  # enum bpf_attach_type
_LO_INDEX = 1
_CLSACT, _CLSACT_HANDLE = 0xFFFFFFF1, 0xFFFF0000
_PARENTS = {INGRESS: 0xFFFFFFF2, EGRESS: 0xFFFFFFF3}
_RTM_NEWQDISC, _RTM_NEWTFILTER, _RTM_DELTFILTER, _RTM_GETTFILTER = 36, 44, 45, 46
_REQUEST, _REPLACING, _NEW, _ALL = 0x1, 0x101, 0x601, 0x301  # NLM_F_REQUEST; with REPLACE; EXCL and CREATE; DUMP
_HEADER = struct.Struct("=IHHII BxxxiIII")  # struct nlmsghdr; struct tcmsg: family, index, handle, parent, info
_INFO_BYTES = 20  # of struct tcmsg
_TCA_KIND, _TCA_OPTIONS, _NESTED = 1, 2, 0x8000
_TCA_BPF_FD, _TCA_BPF_NAME, _TCA_BPF_FLAGS, _TCA_BPF_ID = 6, 7, 8, 11
_DIRECT_ACTION = 1  # TCA_BPF_FLAG_ACT_DIRECT: the program's verdict decides
_EVERY_PROTOCOL = socket.htons(3)  # ETH_P_ALL


class _Filter(NamedTuple):
    """A filter of cls_bpf: its program's number, and by what the kernel knows it: its handle, priority and protocol."""

    program: int
    handle: int
    info: int


class TcHook:
    """The hook in one direction, which takes several programs."""

    is_shared = True

    def __init__(self, channel: Channel, hook: str) -> None:
        self._channel = channel
        self._hook = hook

    def attached(self, index: int) -> list[int]:
        """Return the kernel's numbers of the programs that are attached to an interface, in their order."""
        by_tcx = bpf.attached(index, _TCX[self._hook]) if has_tcx() else []
        return [*by_tcx, *(each.program for each in self._filters(index))]

    def add(self, index: int, program: int) -> None:
        """Attach a loaded program beside others; OSError if the kernel refuses."""
        if has_tcx():
            bpf.attach(program, index, _TCX[self._hook])
            return
        with suppress(FileExistsError):
            qdisc = _attribute(_TCA_KIND, b"clsact\0")
            self._request(_message(_RTM_NEWQDISC, _NEW, index, _CLSACT_HANDLE, _CLSACT, 0, qdisc))
        self._change(_NEW, index, _Filter(0, 0, _EVERY_PROTOCOL), program)  # the kernel chooses priority and handle

    def replace(self, index: int, number: int, program: int) -> None:
        """Attach a loaded program in the place of the one with this number, without a gap; OSError on refusal."""
        if found := self._filter(index, number):
            self._change(_REPLACING, index, found, program)
            return
        with _opened(number) as before:
            bpf.attach(program, index, _TCX[self._hook], before.fd)

    def remove(self, index: int, number: int) -> None:
        """Detach the program with this number; OSError if the kernel refuses."""
        if found := self._filter(index, number):
            place = (index, found.handle, _PARENTS[self._hook], found.info)
            self._request(_message(_RTM_DELTFILTER, _REQUEST, *place, _attribute(_TCA_KIND, b"bpf\0")))
            return
        with _opened(number) as program:
            bpf.detach(program.fd, index, _TCX[self._hook])

    def problem(self, code: int) -> str:
        """Return why the kernel refuses, by its error, "" if there is no more to say than that."""
        missing = (errno.EINVAL, errno.ENOENT, errno.EOPNOTSUPP)
        return "this kernel has neither tcx nor clsact with cls_bpf" if code in missing and not has_tcx() else ""

    def _change(self, flags: int, index: int, at: _Filter, program: int) -> None:
        """Make or change a filter."""
        name = f"netlab {self._hook}".encode() + b"\0"
        options = _attribute(_TCA_BPF_FD, struct.pack("=i", program)) + _attribute(_TCA_BPF_NAME, name)
        options += _attribute(_TCA_BPF_FLAGS, struct.pack("=I", _DIRECT_ACTION))
        text = _attribute(_TCA_KIND, b"bpf\0") + _attribute(_TCA_OPTIONS | _NESTED, options)
        self._request(_message(_RTM_NEWTFILTER, flags, index, at.handle, _PARENTS[self._hook], at.info, text))

    def _request(self, message: bytes) -> None:
        if refusal := self._channel.request([message]):
            raise OSError(refusal.errno, refusal.words or os.strerror(refusal.errno))

    def _filter(self, index: int, number: int) -> _Filter | None:
        return next((each for each in self._filters(index) if each.program == number), None)

    def _filters(self, index: int) -> Iterator[_Filter]:
        """Yield the filters of an interface; none if it has no such qdisc."""
        for answer in self._channel.ask_all(_message(_RTM_GETTFILTER, _ALL, index, 0, _PARENTS[self._hook], 0)):
            _, _, handle, _, info = struct.unpack_from("=BxxxiIII", answer)
            options = dict(attributes(dict(attributes(answer[_INFO_BYTES:])).get(_TCA_OPTIONS, b"")))
            if number := int.from_bytes(options.get(_TCA_BPF_ID, b""), sys.byteorder):
                yield _Filter(number, handle, info)


@cache
def has_tcx() -> bool:
    """Say whether this kernel has tcx."""
    try:
        bpf.attached(_LO_INDEX, _TCX[INGRESS])
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return False
    return True


def _opened(number: int) -> bpf.Object:
    return bpf.Object(bpf.open_by_id(bpf.PROG_BY_ID, number, f"open the program {number}"))


def _message(kind: int, flags: int, index: int, handle: int, parent: int, info: int, text: bytes = b"") -> bytes:
    size = _HEADER.size + len(text)
    return _HEADER.pack(size, kind, flags, 0, 0, socket.AF_UNSPEC, index, handle, parent, info) + text


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
