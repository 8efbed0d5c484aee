"""BPF instructions by name, with labels to jump to: enough for programs of some dozens of them.

Such programs need no compiler, and are there at once. Source: Documentation/bpf/standardization/instruction-set.rst.
"""

import struct
from collections.abc import Iterable

from netlab.named_tuple import NamedTuple

R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, FRAME = range(11)  # FRAME is the end of the stack
BYTE, HALF, WORD, DOUBLE = 0x10, 0x08, 0x00, 0x18  # sizes: of 1, 2, 4 and 8 bytes

_INSTRUCTION = struct.Struct("=BBhi")
_JUMPS = {"==": 0x15, "!=": 0x55, ">": 0x25, ">=": 0x35, "<": 0xA5, "signed <": 0xC5}


class Op(NamedTuple):
    """An instruction; `label` is where a jump goes to, or, with the code 0, what the next instruction is called."""

    code: int
    to: int = 0
    source: int = 0
    offset: int = 0
    value: int = 0
    label: str = ""


def here(label: str) -> Op:
    """Name the next instruction."""
    return Op(0, label=label)


def load(size: int, to: int, base: int, offset: int = 0) -> Op:
    """Read from memory at a register."""
    return Op(0x61 | size, to, base, offset)


def store(size: int, base: int, offset: int, source: int) -> Op:
    """Write a register to memory."""
    return Op(0x63 | size, base, source, offset)


def store_value(size: int, base: int, offset: int, value: int) -> Op:
    """Write a number to memory."""
    return Op(0x62 | size, base, offset=offset, value=value)


def add_atomically(base: int, offset: int, source: int) -> Op:
    """Add a register to 8 bytes of memory, which other CPUs may change at the same time."""
    return Op(0xDB, base, source, offset)


def copy(to: int, source: int) -> Op:
    """Copy a register."""
    return Op(0xBF, to, source)


def copy_word(to: int, source: int) -> Op:
    """Copy the lower 4 bytes of a register; the upper ones become zeros."""
    return Op(0xBC, to, source)


def put(to: int, value: int) -> Op:
    """Set a register to a number."""
    return Op(0xB7, to, value=value)


def put_map(to: int, fd: int) -> list[Op]:
    """Set a register to a map, by its descriptor; this takes the room of two instructions."""
    return [Op(0x18, to, 1, value=fd), Op(0)]


def add(to: int, value: int) -> Op:
    """Add a number to a register."""
    return Op(0x07, to, value=value)


def subtract(to: int, source: int) -> Op:
    """Subtract a register from another."""
    return Op(0x1F, to, source)


def negate_word(to: int) -> Op:
    """Negate the lower 4 bytes of a register; the upper ones become zeros."""
    return Op(0x84, to)


def jump(label: str) -> Op:
    """Go to a label."""
    return Op(0x05, label=label)


def jump_if(register: int, how: str, value: int, label: str) -> Op:
    """Go to a label if a register compares so with a number."""
    return Op(_JUMPS[how], register, value=value, label=label)


def call(helper: int) -> Op:
    """Call a helper of the kernel by its number in enum bpf_func_id: R1 to R5 go in, R0 comes back."""
    return Op(0x85, value=helper)


def leave() -> Op:
    """End the program; R0 is its result."""
    return Op(0x95)


def assembled(ops: Iterable[Op]) -> bytes:
    """Return the instructions as the kernel takes them; KeyError for a jump to a label that is not there."""
    places: dict[str, int] = {}
    code: list[Op] = []
    for op in ops:
        if op.label and not op.code:
            places[op.label] = len(code)
        else:
            code.append(op)
    return b"".join(
        _INSTRUCTION.pack(
            op.code, op.source << 4 | op.to, places[op.label] - at - 1 if op.label else op.offset, op.value
        )
        for at, op in enumerate(code)
    )
