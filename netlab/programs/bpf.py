"""The system call bpf(2), and descriptors of what it makes. Attribute layouts are those of `union bpf_attr`."""

import ctypes
import os
import struct
from types import TracebackType
from typing import Self

from netlab.errors import HostError

_SYSCALL_NUMBER = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "s390x": 351, "ppc64le": 361}
_OBJ_PIN, _OBJ_INFO = 6, 15
_ATTR_BYTES = 128
_INFO_BYTES = 256

_libc = ctypes.CDLL(None, use_errno=True)


def call(command: int, attr: "ctypes.Array[ctypes.c_char]", what: str) -> int:
    """Call bpf(2) and return its result; raise OSError naming what was tried."""
    machine = os.uname().machine
    if machine not in _SYSCALL_NUMBER:
        raise HostError(f"netlab does not know the number of bpf(2) on {machine}")
    result: int = _libc.syscall(_SYSCALL_NUMBER[machine], command, attr, _ATTR_BYTES)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def attributes(layout: str, *values: int | bytes) -> "ctypes.Array[ctypes.c_char]":
    """Return a `union bpf_attr` that begins with these values, in native order and without padding."""
    attr = ctypes.create_string_buffer(_ATTR_BYTES)
    struct.pack_into("=" + layout, attr, 0, *values)
    return attr


def info(fd: int, begin: bytes = b"") -> bytes:
    """Return what the kernel says of an object: struct bpf_map_info, bpf_prog_info or bpf_btf_info.

    `begin` is what stands in it before: where the kernel is to write what does not fit in.
    """
    room = ctypes.create_string_buffer(begin, _INFO_BYTES)
    call(_OBJ_INFO, attributes("IIQ", fd, len(room), ctypes.addressof(room)), "ask about a BPF object")
    return room.raw


def pin(fd: int, path: str) -> None:
    """Give an object a name in a BPF file system."""
    name = ctypes.create_string_buffer(os.fsencode(path))
    call(_OBJ_PIN, attributes("QII", ctypes.addressof(name), fd, 0), f"cannot pin {path}")


class Object:
    """A file descriptor of a BPF object, closed at the end of a `with`, or as soon as nobody has it any more."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def close(self) -> None:
        """Close the descriptor, once."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __del__(self) -> None:
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
