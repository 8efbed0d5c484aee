"""What the instructions of a program that nobody trusts may do: which helpers of the kernel they may call.

The verifier proves that a program ends and reads no memory that is not its own. It lets root's programs call every
helper of their kind, also those that read and write the kernel's memory, or send signals. Source: enum bpf_func_id and
the numbers of instructions in include/uapi/linux/bpf.h.
"""

import struct
import sys
from collections.abc import Iterator

from netlab.named_tuple import NamedTuple

BYTES = 8
_LAYOUT = struct.Struct("=BBhi")
LOAD_64 = 0x18  # takes two instructions' room
IS_MAP, IS_MAP_VALUE = 1, 2  # in the place of the source register: the immediate is a map's descriptor
IS_FUNCTION = 4
CALL, CALL_REGISTER = 0x85, 0x8D
_OF_HELPER, _OF_FUNCTION = 0, 1

# Helpers of packets, maps and time, by their numbers; all others are refused, those of later kernels too.
ALLOWED = frozenset(
    (
        *(1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13),  # entries of maps, time, printing, random, bytes, checksums, calls
        *(18, 19, 20, 21, 23, 24, 25, 26, 28, 29, 30, 31, 32, 34),  # VLANs, tunnels, redirects, events, sums, protocol
        *(38, 39, 40, 41, 42, 43, 44, 48, 50, 51, 54, 65, 68, 69),  # size and hash of a packet, redirects, routes
        *(84, 85, 86, 87, 88, 89, 93, 94, 95, 96, 97, 99, 100),  # sockets of the node, queues, locks, ECN
        *(105, 106, 110, 118, 125, 130, 131, 132, 133, 134, 135),  # numbers in text, cookies, time, ring buffers, sums
        *(152, 155, 160, 163, 164, 169, 170, 171, 177),  # redirects, time, MTU, each entry, timers, printing
        *(
            181,
            182,
            188,
            189,
            190,
            195,
            197,
            198,
            201,
            202,
            203,
            204,
            205,
            206,
            207,
            208,
        ),  # loops, bytes, cookies, time
    )
)
# The rest of those by which one reaches far, for the message
_NAMES = dict(
    (
        *((4, "probe_read"), (14, "get_current_pid_tgid"), (16, "get_current_comm"), (35, "get_current_task")),
        *((36, "probe_write_user"), (45, "probe_read_str"), (58, "override_return"), (109, "send_signal")),
        *((112, "probe_read_user"), (113, "probe_read_kernel"), (114, "probe_read_user_str")),
        *((115, "probe_read_kernel_str"), (117, "send_signal_thread"), (158, "get_current_task_btf")),
        *(
            (166, "sys_bpf"),
            (167, "btf_find_by_name_kind"),
            (168, "sys_close"),
            (165, "snprintf"),
            (179, "kallsyms_lookup_name"),
        ),
    )
)


class Instruction(NamedTuple):
    """An instruction: its place in the program, operation, registers, offset, and the number in it."""

    at: int
    code: int
    to: int
    source: int
    offset: int
    value: int


def each(text: bytes) -> Iterator[Instruction]:
    """Yield a program's instructions; the second half of one that takes two instructions' room is left out."""
    skip = False
    for at, (code, registers, offset, value) in enumerate(_LAYOUT.iter_unpack(text)):
        if skip:
            skip = False
            continue
        low, high = registers & 15, registers >> 4
        to, source = (low, high) if sys.byteorder == "little" else (high, low)
        skip = code == LOAD_64
        yield Instruction(at, code, to, source, offset, value)


def put(text: bytearray, at: int, code: int, to: int, source: int, offset: int = 0, value: int = 0) -> None:
    """Put an instruction in the place of another, which takes no more room."""
    registers = source << 4 | to if sys.byteorder == "little" else to << 4 | source
    _LAYOUT.pack_into(text, at * BYTES, code, registers, offset, value)


def forbidden(text: bytes) -> str:
    """Return the first thing that a program may not do; "" if there is none. Pure."""
    for one in each(text):
        if one.code == CALL and one.source == _OF_HELPER and one.value not in ALLOWED:
            name = f"bpf_{_NAMES[one.value]}()" if one.value in _NAMES else f"number {one.value}"
            return f"calls the kernel's helper {name}"
        if one.code == CALL_REGISTER or (one.code == CALL and one.source not in (_OF_HELPER, _OF_FUNCTION)):
            return "calls a function of the kernel that is no helper"
        if one.code == LOAD_64 and one.source not in (0, IS_MAP, IS_MAP_VALUE, IS_FUNCTION):
            return "reads a variable of the kernel"
    return ""


def maps_named(text: bytes) -> Iterator[tuple[int, int]]:
    """Yield where an instruction names a map, and the descriptor by which it does."""
    for one in each(text):
        if one.code == LOAD_64 and one.source in (IS_MAP, IS_MAP_VALUE):
            yield one.at, one.value


def with_descriptors(text: bytes, found: dict[int, int]) -> bytes:
    """Return a program whose maps have other descriptors, by the places of the instructions."""
    changed = bytearray(text)
    for at, fd in found.items():
        struct.pack_into("=i", changed, at * BYTES + 4, fd)
    return bytes(changed)
