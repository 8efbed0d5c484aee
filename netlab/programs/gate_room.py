"""The process in a room, as its gate sees it: its memory, and its descriptors, which are copied."""

import errno
import os
import struct

from netlab.kernel import enclosing
from netlab.programs import bpf

MAP, PROGRAM, TYPES = "anon_inode:bpf-map", "anon_inode:bpf-prog", "anon_inode:btf"  # kinds of descriptors


class RoomProcess:
    """A process that waits to be reaped by this one, so its number is no other's."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._process = os.pidfd_open(pid)
        self._memory = os.open(f"/proc/{pid}/mem", os.O_RDWR | os.O_CLOEXEC)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._process)
        os.close(self._memory)

    def descriptor(self, fd: int, kind: str = "") -> int:
        """Return a descriptor of this process for one of the room's, which is of this kind; it is the caller's."""
        found = enclosing.descriptor_of(self._process, fd)
        is_one = os.readlink(f"/proc/self/fd/{found}")
        if is_one != kind and (kind or is_one not in (MAP, PROGRAM, TYPES)):
            os.close(found)
            raise OSError(errno.EBADF, "")
        return found

    def map(self, fd: int) -> int:
        """Return a descriptor of this process for a map of the room's."""
        return self.descriptor(fd, MAP)

    def program(self, fd: int) -> int:
        """Return a descriptor of this process for a program of the room's."""
        return self.descriptor(fd, PROGRAM)

    def read(self, address: int, size: int) -> bytes:
        """Return bytes of its memory; OSError (EFAULT) if they are not all there."""
        data = b""
        while len(data) < size:
            part = self._some(address + len(data), size - len(data))
            if not part:
                raise OSError(errno.EFAULT, "")
            data += part
        return data

    def _some(self, address: int, size: int) -> bytes:
        try:
            return os.pread(self._memory, size, address)
        except (OSError, OverflowError):
            raise OSError(errno.EFAULT, "") from None

    def text(self, address: int, most: int) -> str:
        """Return text of its memory that ends with a zero."""
        page = os.sysconf("SC_PAGE_SIZE")
        data = self.read(address, min(most, page - address % page))
        if b"\0" not in data and len(data) < most:
            data += self.read(address + len(data), most - len(data))
        text, end, _ = data.partition(b"\0")
        if not end:
            raise OSError(errno.EINVAL, "")
        return text.decode(errors="surrogateescape")

    def write(self, address: int, data: bytes) -> None:
        """Write into its memory, unless the address is 0."""
        if address and data:
            try:
                os.pwrite(self._memory, data, address)
            except (OSError, OverflowError):
                raise OSError(errno.EFAULT, "") from None


def number_of_types(fd: int) -> int:
    """Return the kernel's number of types (BTF) that were loaded."""
    (number,) = struct.unpack_from("=I", bpf.info(fd), 12)
    return int(number)
