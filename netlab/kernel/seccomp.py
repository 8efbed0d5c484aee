"""Filters of system calls (seccomp), by libseccomp, and the calls that a filter leaves to another process to answer.

Source: seccomp(2), seccomp_unotify(2), and seccomp.h of libseccomp 2.5.
"""

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Iterable
from functools import cache
from typing import Any

from netlab.errors import HostError
from netlab.named_tuple import NamedTuple

_ALLOW, _NOTIFY, _ERRNO = 0x7FFF0000, 0x7FC00000, 0x00050000
_MASKED_EQUAL = 7  # enum scmp_compare
_NO_SUCH_CALL = -1
_NEW_SPACES = 0x7E020080  # all CLONE_NEW… flags
# struct seccomp_notif: its number, the thread, flags, seccomp_data; struct seccomp_notif_resp and seccomp_notif_addfd
_ASKED, _ANSWER, _ADD = struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI"), struct.Struct("=QIIII")
_RECEIVE, _SEND, _IS_VALID, _ADD_FD = 0xC0502100, 0xC0182101, 0x40082102, 0x40182103
_ADD_AND_SEND = 2  # SECCOMP_ADDFD_FLAG_SEND: Linux 5.14


class _Compare(ctypes.Structure):
    """struct scmp_arg_cmp."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("how", ctypes.c_int),
        ("mask", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
    )


@cache
def library() -> Any:
    """Return libseccomp; HostError if it cannot be used."""
    try:
        found = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        found.seccomp_init.restype = ctypes.c_void_p
        found.seccomp_rule_add_array.argtypes = (
            *(ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint),
            ctypes.POINTER(_Compare),
        )
        found.seccomp_load.argtypes = found.seccomp_notify_fd.argtypes = (ctypes.c_void_p,)
    except (OSError, AttributeError) as error:
        raise HostError(
            f"what nobody trusts is confined by libseccomp.so.2, which cannot be used ({error}): install Debian's "
            "package libseccomp2, 2.5 or later"
        ) from error
    return found


def number_of(name: str) -> int:
    """Return this machine's number of a system call; -1 if it has none of this name."""
    return int(library().seccomp_syscall_resolve_name(name.encode()))


class Filter:
    """A filter: it allows some system calls, leaves one to a listener, and refuses all others as unknown (ENOSYS).

    `clone` is allowed for processes and threads, not for new namespaces.
    """

    def __init__(self, allowed: Iterable[str], left: str) -> None:
        self._handle = library().seccomp_init(_ERRNO | errno.ENOSYS)
        for name in allowed:
            self._add(_ALLOW, name)
        no_spaces = _Compare(1 if os.uname().machine == "s390x" else 0, _MASKED_EQUAL, _NEW_SPACES, 0)
        self._add(_ALLOW, "clone", no_spaces)
        self._add(_NOTIFY, left)

    def _add(self, action: int, name: str, *rules: _Compare) -> None:
        number = number_of(name)
        if number == _NO_SUCH_CALL:
            return
        array = (_Compare * len(rules))(*rules)
        _check(library().seccomp_rule_add_array(self._handle, action, number, len(rules), array))

    def load(self) -> int:
        """Set it, for good, for this process and all that it starts; return the listener's descriptor.

        No privilege can be gained any more (no_new_privs).
        """
        _check(library().seccomp_load(self._handle))
        return int(library().seccomp_notify_fd(self._handle))


def _check(code: int) -> None:
    if code < 0:
        raise OSError(-code, f"seccomp: {os.strerror(-code)}")


class Asked(NamedTuple):
    """A system call that waits for its answer: its number among such, the thread that makes it, and its arguments."""

    number: int
    thread: int
    arguments: tuple[int, ...]


class Listener:
    """The other end of a filter: hears the calls that are left to it, and answers them."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def receive(self) -> Asked | None:
        """Return the next call; None if its process has ended meanwhile."""
        room = bytearray(_ASKED.size)
        try:
            fcntl.ioctl(self.fd, _RECEIVE, room)
        except FileNotFoundError:
            return None
        number, thread, _, _, _, _, *arguments = _ASKED.unpack(room)
        return Asked(number, thread, tuple(arguments))

    def is_valid(self, asked: Asked) -> bool:
        """Say whether a call still waits: if so, what was read of its process before was that process's."""
        try:
            fcntl.ioctl(self.fd, _IS_VALID, struct.pack("=Q", asked.number))
        except OSError:
            return False
        return True

    def answer(self, asked: Asked, value: int = 0, error: int = 0) -> None:
        """Let a call return a value, or fail with an error's number. A process that has ended needs no answer."""
        self._control(_SEND, _ANSWER.pack(asked.number, value, -error, 0))

    def give(self, asked: Asked, fd: int) -> None:
        """Let a call return a new descriptor of its process, a copy of this one."""
        self._control(_ADD_FD, _ADD.pack(asked.number, _ADD_AND_SEND, fd, 0, os.O_CLOEXEC))

    def _control(self, request: int, data: bytes) -> None:
        try:
            fcntl.ioctl(self.fd, request, data)
        except FileNotFoundError:
            pass
