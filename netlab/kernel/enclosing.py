"""System calls that enclose a process: a root of its own, files only below a folder, copies of its descriptors."""

import os
import struct

from netlab.kernel import syscalls

_PIDFD_GETFD = 438
_OPENAT2, _RESOLVE_NO_MAGIC_LINKS, _RESOLVE_BENEATH = 437, 2, 8


def open_below(folder: int, path: str, flags: int) -> int:
    """Open a file below an open folder; OSError (EXDEV) if its path, or a link on the way, leads out (Linux 5.6)."""
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGIC_LINKS)
    return syscalls.call(_OPENAT2, "openat2", folder, os.fsencode(path), how, len(how), path=path)


def enter_root(path: str) -> None:
    """Make a folder on which something is mounted this process's root, and let go of all other mounts; raises OSError.

    The process has mounts of its own.
    """
    os.chdir(path)
    syscalls.call(_number_of_pivot_root(), "pivot_root", b".", b".", path=path)
    syscalls.umount(".")
    os.chdir("/")


def _number_of_pivot_root() -> int:
    """Return the number of a call that no library has a function for."""
    return {"x86_64": 155, "s390x": 217, "ppc64le": 203}.get(os.uname().machine, 41)


def descriptor_of(process: int, number: int) -> int:
    """Return a copy of another process's descriptor, by its number there; `process` is a pidfd. Raises OSError."""
    fd = syscalls.call(_PIDFD_GETFD, "pidfd_getfd", process, number, 0)
    os.set_inheritable(fd, False)
    return fd
