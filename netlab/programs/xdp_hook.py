"""The XDP hook of interfaces, by netlink.

Source: linux/if_link.h, and what libbpf does with it in bpf_xdp_attach and bpf_xdp_query.
"""

import errno
import os
import struct
import sys

from netlab.kernel.netlink import Channel, attributes

_RTM_GETLINK, _RTM_SETLINK = 18, 19
_NLM_F_REQUEST = 1
_HEADERS = "=IHHII BxHiII"  # struct nlmsghdr; struct ifinfomsg: family, type, index, flags, change
_QUESTION = struct.Struct(_HEADERS)
_ORDER = struct.Struct(f"{_HEADERS} HH HHi HHI")  # and IFLA_XDP, in which a descriptor and flags are
_INFO_BYTES = 16  # of struct ifinfomsg
_IFLA_XDP, _NESTED = 43, 0x8000
_IFLA_XDP_FD, _IFLA_XDP_FLAGS = 1, 3
_FLAGS = {"native": 4, "generic": 2}  # XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE
_IFLA_XDP_PROG_ID = {"native": 5, "generic": 6}  # of the program that is attached in this mode
_UPDATE_IF_NOEXIST = 1
_NONE = -1  # in the place of a descriptor: no program

_PROBLEMS = {
    errno.ERANGE: "the peer's packets may be too large for {mode} mode: give the link an `mtu` of at most 3500",
    errno.EBUSY: "another program is attached there",
    errno.EEXIST: "another program is attached there, in another mode",
    errno.EOPNOTSUPP: "its driver has no {mode} mode: try `mode: generic`",
}


class XdpHook:
    """The hook in one mode, which takes one program."""

    is_shared = False

    def __init__(self, channel: Channel, mode: str) -> None:
        self._channel = channel
        self._mode = mode

    def attached(self, index: int) -> list[int]:
        """Return the kernel's number of the program that is attached to an interface, if there is one."""
        question = _QUESTION.pack(_QUESTION.size, _RTM_GETLINK, _NLM_F_REQUEST, 0, 0, 0, 0, index, 0, 0)
        about = dict(attributes(self._channel.ask(question)[_INFO_BYTES:]))
        number = dict(attributes(about.get(_IFLA_XDP, b""))).get(_IFLA_XDP_PROG_ID[self._mode], b"")
        return [int.from_bytes(number, sys.byteorder)] if any(number) else []

    def add(self, index: int, program: int) -> None:
        """Attach a loaded program, where none is attached; OSError if the kernel refuses."""
        self._set(index, program, _UPDATE_IF_NOEXIST)

    def replace(self, index: int, number: int, program: int) -> None:  # noqa: ARG002 - there is no other
        """Attach a loaded program in the place of what is attached, without a gap; OSError if the kernel refuses."""
        self._set(index, program, 0)

    def remove(self, index: int, number: int) -> None:  # noqa: ARG002 - there is no other
        """Detach what is attached; OSError if the kernel refuses."""
        self._set(index, _NONE, 0)

    def problem(self, code: int) -> str:
        """Return why the kernel refuses, by its error, "" if there is no more to say than that."""
        return _PROBLEMS.get(code, "").format(mode=self._mode)

    def _set(self, index: int, program: int, flags: int) -> None:
        how = _FLAGS[self._mode] | flags
        xdp = (20, _IFLA_XDP | _NESTED, 8, _IFLA_XDP_FD, program, 8, _IFLA_XDP_FLAGS, how)
        order = _ORDER.pack(_ORDER.size, _RTM_SETLINK, _NLM_F_REQUEST, 0, 0, 0, 0, index, 0, 0, *xdp)
        if refusal := self._channel.request([order]):
            raise OSError(refusal.errno, os.strerror(refusal.errno))
