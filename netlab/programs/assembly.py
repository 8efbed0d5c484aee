"""BPF instructions by name, with labels to jump to: enough for programs of some dozens of them.

Such programs need no compiler, and are there at once. Source: Documentation/bpf/standardization/instruction-set.rst.
"""

import struct
from collections.abc import Iterable

from netlab.named_tuple import NamedTuple

R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, FRAME = range(11)  # FRAME is the end of the stack
BYTE, HALF, WORD, DOUBLE = 0x10, 0x08, 0x00, 0x18  # sizes: of 1, 2, 4 and 8 bytes

_INSTRUCTION = struct.Struct("=BBhi")
_JUMPS = {"==": 0x15, "!=": 0x55, ">": 0x25, ">=": 0x35, "<": 0xA5, "signed <": 0xC5, "has": 0x45}
_CALL, _OWN_FUNCTION = 0x85, 1  # the source register says what is called: a helper, or a function by its distance
_BY_REGISTER = 0x08  # in the code of an instruction: its other operand is a register, not a number


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


def fetch_and_add(base: int, offset: int, source: int) -> Op:
    """Add a register to 8 bytes of memory, as `add_atomically`; the register gets what was there before."""
    return Op(0xDB, base, source, offset, 1)


def copy(to: int, source: int) -> Op:
    """Copy a register."""
    return Op(0xBF, to, source)


def copy_word(to: int, source: int) -> Op:
    """Copy the lower 4 bytes of a register; the upper ones become zeros."""
    return Op(0xBC, to, source)


def put(to: int, value: int) -> Op:
    """Set a register to a number."""
    return Op(0xB7, to, value=value)


def put_long(to: int, value: int) -> list[Op]:
    """Set a register to a number of 8 bytes without a sign; this takes the room of two instructions."""
    low, high = struct.unpack("=ii", struct.pack("=II", value & 0xFFFFFFFF, value >> 32))
    return [Op(0x18, to, value=low), Op(0, value=high)]


def put_map(to: int, fd: int) -> list[Op]:
    """Set a register to a map, by its descriptor; this takes the room of two instructions."""
    return [Op(0x18, to, 1, value=fd), Op(0)]


def add(to: int, value: int) -> Op:
    """Add a number to a register."""
    return Op(0x07, to, value=value)


def subtract(to: int, source: int) -> Op:
    """Subtract a register from another."""
    return Op(0x1F, to, source)


def add_register(to: int, source: int) -> Op:
    """Add a register to another."""
    return Op(0x0F, to, source)


def multiply(to: int, source: int) -> Op:
    """Multiply a register by another; the lower 8 bytes of the product stay."""
    return Op(0x2F, to, source)


def multiply_by(to: int, value: int) -> Op:
    """Multiply a register by a number."""
    return Op(0x27, to, value=value)


def remainder(to: int, source: int) -> Op:
    """Divide a register by another, without signs, and keep the remainder; dividing by 0 changes nothing."""
    return Op(0x9F, to, source)


def differ(to: int, source: int) -> Op:
    """Set a register to the bits in which it differs from another (exclusive or)."""
    return Op(0xAF, to, source)


def keep_bits(to: int, value: int) -> Op:
    """Keep only these bits of a register (and)."""
    return Op(0x57, to, value=value)


def set_bits(to: int, value: int) -> Op:
    """Set these bits of a register (or)."""
    return Op(0x47, to, value=value)


def shift_right(to: int, bits: int) -> Op:
    """Shift a register to lower places; zeros come in."""
    return Op(0x77, to, value=bits)


def shift_left_by(to: int, source: int) -> Op:
    """Shift a register to higher places, by a register."""
    return Op(0x6F, to, source)


def from_network(to: int) -> Op:
    """Turn the lower 2 bytes of a register from the network's order into this machine's; the others become zeros."""
    return Op(0xDC, to, value=16)


def negate_word(to: int) -> Op:
    """Negate the lower 4 bytes of a register; the upper ones become zeros."""
    return Op(0x84, to)


def jump(label: str) -> Op:
    """Go to a label."""
    return Op(0x05, label=label)


def jump_if(register: int, how: str, value: int, label: str) -> Op:
    """Go to a label if a register compares so with a number; `has`: if they have a bit in common."""
    return Op(_JUMPS[how], register, value=value, label=label)


def jump_by_register(register: int, how: str, other: int, label: str) -> Op:
    """Go to a label if a register compares so with another."""
    return Op(_JUMPS[how] | _BY_REGISTER, register, other, label=label)


def call(helper: int) -> Op:
    """Call a helper of the kernel by its number in enum bpf_func_id: R1 to R5 go in, R0 comes back."""
    return Op(_CALL, value=helper)


def call_here(label: str) -> Op:
    """Call a function of the same program: R1 to R5 go in, R0 comes back, and R6 to R9 stay."""
    return Op(_CALL, source=_OWN_FUNCTION, label=label)


def given(instructions: bytes) -> list[Op]:
    """Return instructions as they are."""
    return [
        Op(code, registers & 15, registers >> 4, offset, value)
        for code, registers, offset, value in _INSTRUCTION.iter_unpack(instructions)
    ]


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
    return b"".join(_packed(op, places[op.label] - at - 1 if op.label else None) for at, op in enumerate(code))


def _packed(op: Op, distance: int | None) -> bytes:
    """Return an instruction; `distance` is to its label, if it has one: in a call that is its number."""
    is_call = op.code == _CALL
    offset = op.offset if distance is None or is_call else distance
    value = distance if distance is not None and is_call else op.value
    return _INSTRUCTION.pack(op.code, op.source << 4 | op.to, offset, value)
