"""A program in a wrapper that tells each packet's bytes, verdict and reason: instructions around its own. Pure.

The program becomes a function that the wrapper calls (a call between BPF functions), so none of its instructions
changes, except that a look at the counts of a reason goes through a function that notes the reason. The wrapper puts
an event into a ring buffer before the program runs and one after. What has no room there is counted by packets.
"""

import struct
from collections.abc import Mapping, Sequence

from netlab.named_tuple import NamedTuple
from netlab.programs import assembly as asm
from netlab.programs import bpf
from netlab.programs.assembly import DOUBLE, FRAME, R0, R1, R2, R3, R4, R6, R7, R8, R9, WORD, Op

# What a wrapper holds of the packet at work, per CPU: packets lost in all, the packet's number, and whether it is lost
# already; then the event. Each program has its own, as one may run inside another (bpf_clone_redirect).
STATE = struct.Struct("=QII")
# When (CLOCK_MONOTONIC), the program's number, whether after it, the packet's number, the CPU, the interface, how many
# bytes it has, the verdict, the reason (NO_REASON for none), which map of reasons, how many bytes follow.
EVENT = struct.Struct("=Q10I")
MOST_BYTES = 16384  # of a packet that are told
SCRATCH_BYTES = STATE.size + EVENT.size + MOST_BYTES
NO_REASON = (1 << 32) - 1

_LOST, _NUMBER, _IS_LOST = 0, 8, 12
_EVENT = STATE.size
_NS, _PROGRAM, _AFTER, _OWN_NUMBER, _CPU, _INTERFACE, _LENGTH, _VERDICT, _REASON, _REASONS, _CAUGHT = (
    _EVENT,
    *(_EVENT + 8 + 4 * at for at in range(10)),
)
_DATA = _EVENT + EVENT.size
_LOOKUP, _CLOCK, _CPU_NUMBER, _SKB_BYTES, _RING_OUTPUT, _LENGTH_OF, _XDP_BYTES = 1, 5, 8, 26, 130, 188, 189
_SKB_INTERFACE, _XDP_INGRESS, _XDP_EGRESS = 40, 12, 20  # in struct __sk_buff and struct xdp_md
_LOAD_64, _IS_MAP, _IS_FUNCTION = 0x18, (1, 2), 4  # what LD_IMM64 loads, by its source register
_CALL, _EXIT = 0x85, 0x95
_JUMPS = (0x05, 0x06)  # classes of instructions: BPF_JMP, BPF_JMP32
_WRITES = (0x00, 0x01, 0x04, 0x07)  # classes that write their destination: BPF_LD, BPF_LDX, BPF_ALU, BPF_ALU64
_LONG_JUMP = 0x06  # BPF_JMP32 | BPF_JA: its distance is the immediate


class Tap(NamedTuple):
    """Where a wrapper tells: descriptors of the scratch map and the ring buffer, and the program's number in both."""

    scratch: int
    ring: int
    number: int


def uses_functions(instructions: bytes) -> bool:
    """Say whether a program gives functions of its own to helpers, such as bpf_loop, which takes types of functions."""
    return any(op.code == _LOAD_64 and op.source == _IS_FUNCTION for op in asm.given(instructions))


def wrapped(
    instructions: bytes,
    tap: Tap,
    kind: int,
    attach_type: int,
    reasons: Mapping[int, int] = {},
) -> bytes:
    """Return a program of a kind (enum bpf_prog_type) with a wrapper that tells into `tap`.

    `reasons` has descriptors of maps with counts by reason, in the form in which the instructions have them, and the
    number of each.
    """
    own, used = asm.given(instructions), set()
    for at, fd in _lookups(own):
        if fd in reasons:
            own[at] = asm.call_here(f"note {reasons[fd]}")
            used.add(reasons[fd])
    noted = [op for number in sorted(used) for op in _note(tap, number)]
    tell = _tell(tap, kind, attach_type)
    return asm.assembled([*_main(), asm.here("program"), *own, *tell, *noted])


def _main() -> list[Op]:
    return [
        asm.copy(R6, R1),
        *(asm.put(R2, 0), asm.put(R3, 0), asm.call_here("tell")),
        *(asm.copy(R1, R6), asm.call_here("program")),
        asm.copy(R7, R0),
        *(asm.copy(R1, R6), asm.put(R2, 1), asm.copy(R3, R7), asm.call_here("tell")),
        *(asm.copy(R0, R7), asm.leave()),
    ]


def _scratch(tap: Tap, missing: str) -> list[Op]:
    """Set R0 to this CPU's scratch, or go to a label."""
    return [
        asm.store_value(WORD, FRAME, -4, tap.number),
        *asm.put_map(R1, tap.scratch),
        *(asm.copy(R2, FRAME), asm.add(R2, -4), asm.call(_LOOKUP)),
        asm.jump_if(R0, "==", 0, missing),
    ]


def _tell(tap: Tap, kind: int, attach_type: int) -> list[Op]:
    """Return the function that puts an event into the ring: R1 the context, R2 whether after it, R3 the verdict."""
    is_xdp = kind == bpf.XDP
    interface = _SKB_INTERFACE if not is_xdp else _XDP_EGRESS if attach_type == bpf.ATTACH_DEVMAP else _XDP_INGRESS
    length = [asm.copy(R1, R6), asm.call(_LENGTH_OF)] if is_xdp else [asm.load(WORD, R0, R6, 0)]
    return [
        asm.here("tell"),
        *(asm.copy(R6, R1), asm.copy(R7, R2), asm.copy(R8, R3)),
        *_scratch(tap, "told"),
        asm.copy(R9, R0),
        asm.jump_if(R7, "!=", 0, "after"),
        *(asm.load(WORD, R1, R9, _NUMBER), asm.add(R1, 1), asm.store(WORD, R9, _NUMBER, R1)),
        asm.store(WORD, R9, _OWN_NUMBER, R1),
        asm.store_value(WORD, R9, _IS_LOST, 0),
        *(asm.store_value(WORD, R9, _REASON, -1), asm.store_value(WORD, R9, _REASONS, 0)),
        asm.jump("fill"),
        asm.here("after"),
        *(asm.load(WORD, R1, R9, _IS_LOST), asm.jump_if(R1, "!=", 0, "told")),
        asm.here("fill"),
        asm.store_value(WORD, R9, _PROGRAM, tap.number),
        *(asm.store(WORD, R9, _AFTER, R7), asm.store(WORD, R9, _VERDICT, R8)),
        *(asm.call(_CLOCK), asm.store(DOUBLE, R9, _NS, R0)),
        *(asm.call(_CPU_NUMBER), asm.store(WORD, R9, _CPU, R0)),
        *(asm.load(WORD, R1, R6, interface), asm.store(WORD, R9, _INTERFACE, R1)),
        *length,
        asm.store(WORD, R9, _LENGTH, R0),
        *(asm.jump_if(R0, "<", MOST_BYTES + 1, "fits"), asm.put(R0, MOST_BYTES), asm.here("fits")),
        *(asm.copy(R7, R0), asm.jump_if(R7, "<", 1, "bytes")),
        *(asm.copy(R1, R6), asm.put(R2, 0), asm.copy(R3, R9), asm.add(R3, _DATA), asm.copy(R4, R7)),
        asm.call(_XDP_BYTES if is_xdp else _SKB_BYTES),
        *(asm.jump_if(R0, "==", 0, "bytes"), asm.put(R7, 0)),
        asm.here("bytes"),
        asm.store(WORD, R9, _CAUGHT, R7),
        *asm.put_map(R1, tap.ring),
        *(asm.copy(R2, R9), asm.add(R2, _EVENT), asm.copy(R3, R7), asm.add(R3, EVENT.size), asm.put(R4, 0)),
        asm.call(_RING_OUTPUT),
        asm.jump_if(R0, "==", 0, "told"),
        *(asm.load(DOUBLE, R1, R9, _LOST), asm.add(R1, 1), asm.store(DOUBLE, R9, _LOST, R1)),
        asm.store_value(WORD, R9, _IS_LOST, 1),
        *(asm.here("told"), asm.put(R0, 0), asm.leave()),
    ]


def _note(tap: Tap, number: int) -> list[Op]:
    """Return the function that looks up the count of a reason, as the program does, and notes the reason."""
    return [
        asm.here(f"note {number}"),
        *(asm.copy(R6, R1), asm.copy(R7, R2)),
        *_scratch(tap, f"noted {number}"),
        *(asm.load(WORD, R1, R7, 0), asm.store(WORD, R0, _REASON, R1)),
        asm.store_value(WORD, R0, _REASONS, number),
        asm.here(f"noted {number}"),
        *(asm.copy(R1, R6), asm.copy(R2, R7), asm.call(_LOOKUP), asm.leave()),
    ]


def _lookups(ops: Sequence[Op]) -> list[tuple[int, int]]:
    """Return where maps are looked into, with the descriptor of the map, where that is clear.

    It is if the map is loaded into R1 before, and nobody jumps in between or writes R1.
    """
    reached = _reached(ops)
    found, held, at = [], -1, 0
    while at < len(ops):
        op = ops[at]
        kind = op.code & 7
        if at in reached:
            held = -1
        if op.code == _CALL:
            if op.source == 0 and op.value == _LOOKUP and held >= 0:
                found.append((at, held))
            held = -1
        elif op.code == _LOAD_64 and op.to == R1:
            held = op.value if op.source == _IS_MAP[0] else -1
        elif kind in _WRITES and op.to == R1:
            held = -1
        at += 2 if op.code == _LOAD_64 else 1
    return found


def _reached(ops: Sequence[Op]) -> set[int]:
    """Return where jumps lead to."""
    found = set()
    for at, op in enumerate(ops):
        if op.code & 7 in _JUMPS and op.code not in (_CALL, _EXIT):
            found.add(at + 1 + (op.value if op.code == _LONG_JUMP else op.offset))
    return found
