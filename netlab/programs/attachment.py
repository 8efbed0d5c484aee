"""Attaches loaded programs to interfaces by netlink, and sees that the kernel agrees.

Source: linux/if_link.h, and what libbpf does with it in bpf_xdp_attach and bpf_xdp_query.
"""

import errno
import os
import socket
import struct
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from netlab.errors import refuse_lack
from netlab.kernel.netlink import Channel, attributes
from netlab.programs import bpf
from netlab.programs.build import Refused

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

_ATTACH_PROBLEMS = {
    errno.ENODEV: "the node has no such interface",
    errno.ERANGE: "the peer's packets may be too large for {mode} mode: give the link an `mtu` of at most 3500",
    errno.EBUSY: "another program is attached there",
    errno.EEXIST: "another program is attached there, in another mode",
    errno.EOPNOTSUPP: "its driver has no {mode} mode: try `mode: generic`",
}


def attach(program: int, interfaces: Sequence[str], mode: str, *, replaces: bool) -> None:
    """Attach a loaded program to these interfaces of this process's namespace.

    When it `replaces` others, it takes their places without a gap; if it cannot take all of them, they get them back.
    """
    channel = Channel()
    before: dict[int, int] = {}
    try:
        for interface in interfaces:
            _attach(channel, program, interface, mode, before if replaces else None)
    except Refused:
        for index, earlier in before.items():
            with suppress(OSError):
                _set(channel, index, earlier, _FLAGS[mode])
        raise
    finally:
        channel.close()


def attach_where_none(program: int, interfaces: Sequence[str]) -> list[str]:
    """Attach a loaded program natively to those of these interfaces that have none, and return their names.

    Where it cannot be attached to one of them, it is attached to none.
    """
    channel = Channel()
    attached: list[str] = []
    try:
        for interface in interfaces:
            if not any(_attached(channel, _index(interface), mode) for mode in _FLAGS):
                _attach(channel, program, interface, "native", None)
                attached.append(interface)
    except (Refused, OSError):
        detach(attached)
        raise
    finally:
        channel.close()
    return attached


def numbers(interfaces: Sequence[str], mode: str) -> dict[str, int]:
    """Return the kernel's numbers of what is attached to these interfaces of this process's namespace, 0 for none.

    An interface that is gone is left out.
    """
    channel = Channel()
    found = {}
    try:
        for interface in interfaces:
            with suppress(OSError):
                found[interface] = _attached(channel, _index(interface), mode)
    finally:
        channel.close()
    return found


def put_back(before: Mapping[str, int], mode: str) -> None:
    """Attach again what `numbers` has found, in the place of whatever is there now."""
    channel = Channel()
    try:
        for interface, number in before.items():
            with suppress(OSError):
                fd = _open(number)
                try:
                    _set(channel, _index(interface), fd, _FLAGS[mode])
                finally:
                    if fd != _NONE:
                        os.close(fd)
    finally:
        channel.close()


def detach(interfaces: Sequence[str]) -> None:
    """Take the native programs off these interfaces of this process's namespace; one that is gone has none."""
    channel = Channel()
    try:
        for interface in interfaces:
            with suppress(OSError):
                _set(channel, _index(interface), _NONE, _FLAGS["native"])
    finally:
        channel.close()


def _attach(channel: Channel, program: int, interface: str, mode: str, before: dict[int, int] | None) -> None:
    """Attach a program to an interface, and see that the kernel agrees.

    `before` is told what it replaces, as index and descriptor; where there is no `before`, it replaces nothing.
    """
    try:
        index = _index(interface)
        if before is not None:
            before[index] = _open(_attached(channel, index, mode))
        _set(channel, index, program, _FLAGS[mode] | (_UPDATE_IF_NOEXIST if before is None else 0))
        attached = _attached(channel, index, mode)
    except OSError as error:
        refuse_lack(error, f"a program cannot be attached to {interface}")
        problem = _ATTACH_PROBLEMS.get(error.errno or 0, error.strerror or str(error)).format(mode=mode)
        kind = "attach" if error.errno == errno.EOPNOTSUPP else "plain"
        raise Refused(kind, f"cannot be attached to {interface}: {problem}") from error
    if attached != _program_id(program):
        raise Refused("plain", f"is not attached to {interface} in {mode} mode, though the kernel said so")


def _index(interface: str) -> int:
    try:
        return socket.if_nametoindex(interface)
    except OSError as error:  # it has no errno, even if the cause is that no descriptor is left
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
        raise OSError(errno.ENODEV, str(error)) from None


def _set(channel: Channel, index: int, program: int, flags: int) -> None:
    """Attach a program to an interface; OSError when the kernel refuses."""
    xdp = (20, _IFLA_XDP | _NESTED, 8, _IFLA_XDP_FD, program, 8, _IFLA_XDP_FLAGS, flags)
    order = _ORDER.pack(_ORDER.size, _RTM_SETLINK, _NLM_F_REQUEST, 0, 0, 0, 0, index, 0, 0, *xdp)
    if refusal := channel.request([order]):
        raise OSError(refusal.errno, os.strerror(refusal.errno))


def _attached(channel: Channel, index: int, mode: str) -> int:
    """Return the kernel's number of the program that is attached to an interface in this mode; 0 when there is none."""
    question = _QUESTION.pack(_QUESTION.size, _RTM_GETLINK, _NLM_F_REQUEST, 0, 0, 0, 0, index, 0, 0)
    about = dict(attributes(channel.ask(question)[_INFO_BYTES:]))
    number = dict(attributes(about.get(_IFLA_XDP, b""))).get(_IFLA_XDP_PROG_ID[mode], bytes(4))
    return int.from_bytes(number, sys.byteorder)


def _open(number: int) -> int:
    """Return a descriptor of the program that has this number, or what stands for none."""
    if not number:
        return _NONE
    return bpf.open_by_id(bpf.PROG_BY_ID, number, f"open the program {number}")


def _program_id(fd: int) -> int:
    """Return the kernel's number of a loaded program."""
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as file:
        return int(dict(line.split(":", 1) for line in file)["prog_id"])
