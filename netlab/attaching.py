"""Attaches loaded programs to interfaces with bcc, and sees that the kernel agrees."""

import ctypes
import errno
import os

from netlab import compiling
from netlab.compiling import Refused

_ATTACH_PROBLEMS = {
    errno.ENODEV: "the node has no such interface",
    errno.ERANGE: "the peer's packets may be too large for {mode} mode: give the link an `mtu` of at most 3500",
    errno.EBUSY: "another program is attached there",
    errno.EEXIST: "another program is attached there, in another mode",
    errno.EOPNOTSUPP: "its driver has no {mode} mode: try `mode: generic`",
}


def attach(program: int, interfaces: list[str], mode: str, *, replaces: bool) -> None:
    """Attach a loaded program to these interfaces of this process's namespace.

    When it `replaces` others, it takes their places without a gap; if it cannot take all of them, they get them back.
    """
    compiling.bcc()
    from bcc import BPF, lib

    flag = BPF.XDP_FLAGS_DRV_MODE if mode == "native" else BPF.XDP_FLAGS_SKB_MODE
    before: dict[str, int] = {}
    try:
        for interface in interfaces:
            if replaces:
                before[interface] = lib.bpf_prog_get_fd_by_id(_attached(interface, flag))
            _attach(program, interface, mode, flag if replaces else flag | BPF.XDP_FLAGS_UPDATE_IF_NOEXIST)
    except Refused:
        for interface, fd in before.items():
            lib.bpf_attach_xdp(interface.encode(), fd, flag)
        raise


def _attach(program: int, interface: str, mode: str, flags: int) -> None:
    """Attach a loaded program to an interface, and see that the kernel agrees."""
    from bcc import lib

    if lib.bpf_attach_xdp(interface.encode(), program, flags) < 0:
        number = ctypes.get_errno()
        problem = _ATTACH_PROBLEMS.get(number, os.strerror(number)).format(mode=mode)
        raise Refused("plain", f"cannot be attached to {interface}: {problem}")
    if _attached(interface, flags) != _program_id(program):
        raise Refused("plain", f"is not attached to {interface} in {mode} mode, though the kernel said so")


def _attached(interface: str, flags: int) -> int:
    """Return the kernel's number of the program that is attached in the mode of these flags; 0 when there is none."""
    from bcc import lib

    number = ctypes.c_uint32()
    lib.bpf_xdp_query_id(lib.if_nametoindex(interface.encode()), flags, ctypes.byref(number))
    return number.value


def _program_id(fd: int) -> int:
    """Return the kernel's number of a loaded program."""
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as file:
        return int(dict(line.split(":", 1) for line in file)["prog_id"])
