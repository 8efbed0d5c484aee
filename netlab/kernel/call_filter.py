"""A filter of system calls (seccomp(2)) for code that nobody vouches for: what is not needed in a node is refused.

Refused is what changes the machine, or gives a way out of namespaces, or to others' memory; families of sockets that
are no network of a node's; and calls that are newer than this list. A filter is inherited, and can only get stricter.
"""

import struct
from collections.abc import Iterator, Mapping

from netlab.errors import HostError

# The numbers of calls on x86-64, and on architectures with the kernel's generic table, such as aarch64.
REFUSED = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, -1),
    "iopl": (172, -1),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "modify_ldt": (154, -1),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "name_to_handle_at": (303, 264),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
}
_CLONE, _CLONE3, _UNSHARE = (56, 220), (435, 435), (272, 97)
_SOCKET, _SOCKETPAIR, _IOCTL = (41, 198), (53, 199), (16, 29)
_NEWEST = 456  # futex_requeue, of Linux 6.7
_X32 = 0x40000000  # begins another table of x86-64
_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}  # AUDIT_ARCH_…, and the column
# Families: AF_UNIX, AF_INET, AF_INET6, AF_PACKET; and of AF_NETLINK routes and sockets. Others, such as AF_VSOCK,
# which leads to the machine around a virtual one, know nothing of network namespaces.
_FAMILIES, _NETLINK, _PROTOCOLS = (1, 2, 10, 17), 16, (0, 4)
_INJECTING = (0x5412, 0x541C)  # TIOCSTI and TIOCLINUX, which type into a terminal
_NEW_NAMESPACES = 0x7E020080  # every CLONE_NEW… flag
_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _RETURN = 0x20, 0x06
_EQUAL, _GREATER, _AT_LEAST, _HAS_BITS = 0x15, 0x25, 0x35, 0x45
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16  # where in struct seccomp_data; of an argument the lower half, as all are ints

_Step = tuple[int, int, int, int]  # struct sock_filter: code, jump if true, jump if false, value


def program(machine: str) -> bytes:
    """Return the filter for a machine, as `uname -m` calls it: an array of struct sock_filter.

    HostError for a machine whose numbers are not known here.
    """
    if machine not in _ARCHITECTURES:
        raise HostError(f"untrusted labs run on {' and '.join(_ARCHITECTURES)}, and this machine is {machine}")
    architecture, column = _ARCHITECTURES[machine]
    steps = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    if column == 0:
        steps += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _KILL)]
    steps += [(_GREATER, 0, 1, _NEWEST), (_RETURN, 0, 0, _ERRNO | _ENOSYS)]
    # Its flags are in memory, where a filter cannot see them. C libraries then call clone.
    steps += [(_EQUAL, 0, 1, _CLONE3[column]), (_RETURN, 0, 0, _ERRNO | _ENOSYS)]
    for numbers in REFUSED.values():
        if numbers[column] >= 0:
            steps += [(_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, _ERRNO | _EPERM)]
    for number, rest in _looked_into(column).items():
        steps += [(_EQUAL, 0, len(rest), number), *rest]
    steps.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _looked_into(column: int) -> Mapping[int, "list[_Step]"]:
    """Return what decides about calls by their arguments, by the numbers of the calls."""
    return {
        _CLONE[column]: list(_without_namespaces()),
        _UNSHARE[column]: list(_without_namespaces()),
        _SOCKET[column]: list(_sockets()),
        _SOCKETPAIR[column]: list(_sockets()),
        _IOCTL[column]: list(_no_typing()),
    }


def _without_namespaces() -> Iterator[_Step]:
    yield from ((_LOAD, 0, 0, _ARGUMENTS), (_HAS_BITS, 0, 1, _NEW_NAMESPACES), (_RETURN, 0, 0, _ERRNO | _EPERM))
    yield (_RETURN, 0, 0, _ALLOW)


def _sockets() -> Iterator[_Step]:
    yield (_LOAD, 0, 0, _ARGUMENTS)
    for family in _FAMILIES:
        yield from ((_EQUAL, 0, 1, family), (_RETURN, 0, 0, _ALLOW))
    yield from ((_EQUAL, 1, 0, _NETLINK), (_RETURN, 0, 0, _ERRNO | _EAFNOSUPPORT))
    yield (_LOAD, 0, 0, _ARGUMENTS + 16)  # the third
    for protocol in _PROTOCOLS:
        yield from ((_EQUAL, 0, 1, protocol), (_RETURN, 0, 0, _ALLOW))
    yield (_RETURN, 0, 0, _ERRNO | _EPERM)


def _no_typing() -> Iterator[_Step]:
    yield (_LOAD, 0, 0, _ARGUMENTS + 8)
    for request in _INJECTING:
        yield from ((_EQUAL, 0, 1, request), (_RETURN, 0, 0, _ERRNO | _EPERM))
    yield (_RETURN, 0, 0, _ALLOW)
