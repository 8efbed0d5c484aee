"""What is known of registers and of the stack at calls of a program, before it is loaded: constants and addresses.

The program is gone through block by block, until nothing changes. Where ways meet, what they agree on stays known.
Compilers let the ends of several ways, which pass different constants to one call, be one: there each way counts apart.
What is said to be known is so on every run; what is not said may be anything.
"""

import struct
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence

from netlab.programs import instructions
from netlab.programs.instructions import CALL, IS_MAP_VALUE, LOAD_64, Instruction
from netlab.programs.known_state import ENTRY, PACKET, STACK, Address, Known, Number, State, met

_CONTEXT = -3  # a memory, as those of known_state
_FRAME = 10
_LOOKUP = 1  # bpf_map_lookup_elem
_TAKE_OUT = (88, 89)  # bpf_map_pop_elem and bpf_map_peek_elem, which write where R2 points to, and behind that
_MOST_WAYS = 64
# Helpers that write nowhere but into maps and packets, so that what is on the stack stays known
_WRITE_NOTHING = frozenset(
    (
        *(1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 18, 19, 23, 25, 28, 32, 34, 38, 39, 40, 41, 43, 44, 48, 50, 51, 54),
        *(65, 87, 93, 94, 118, 125, 130, 152, 155, 160, 177, 188, 190),
    )
)
# Those after which the packet is where it was
_KEEP_PACKET = frozenset((1, 2, 3, 5, 6, 7, 8, 23, 25, 28, 34, 51, 87, 88, 89, 93, 94, 118, 125, 130, 160, 177, 188))
_SIZES = {0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8}
_MASK = (1 << 64) - 1
_ADD, _SUBTRACT = 0x00, 0x10
_JUMP, _JUMP_LONG, _EXIT = 0x05, 0x06, 0x95
_IF_ZERO, _IF_NOT_ZERO = 0x15, 0x55  # of all 64 bits, with a number in the instruction


class _Begin:
    """What is known where a block begins: what all ways agree on, or each way apart."""

    def __init__(self, *, is_apart: bool) -> None:
        self._is_apart = is_apart
        self.states: list[State] = []

    def add(self, state: State) -> bool:
        """Add a way that leads here; say whether that has changed anything."""
        if state in self.states:
            return False
        known = [*self.states, state.copy()]
        self._is_apart &= len(known) <= _MOST_WAYS
        known = known if self._is_apart else [met(known)]
        is_new = known != self.states
        self.states = known
        return is_new


def at_calls(text: bytes, helpers: Collection[int], data_at: int) -> Iterator[tuple[State, Instruction]]:
    """Yield what is known at each call of one of these helpers, for each way that leads there, and the call.

    `data_at` is where the context, with which the program is called, has the packet's address. The state is the one
    before the call, and valid until the next is asked for.
    """
    blocks = _blocks(list(instructions.each(text)))
    begins = _begins(blocks, helpers)
    begins[0].add(State({_FRAME: Address(STACK, 0), 1: Address(_CONTEXT, 0)}, {}, {}))
    waiting = list(blocks)
    while waiting:
        at = waiting.pop(0)
        for state in begins[at].states:
            after = state.copy()
            for one in blocks[at]:
                _do(one, after, text, data_at)
            for following in _following(blocks[at]):
                there = _compared(after, blocks[at], following)
                if following in begins and begins[following].add(there) and following not in waiting:
                    waiting.append(following)
    for at, block in blocks.items():
        for state in begins[at].states:
            for one in block:
                if _is_call_of(one, helpers):
                    yield state, one
                _do(one, state, text, data_at)


def _blocks(code: Sequence[Instruction]) -> dict[int, list[Instruction]]:
    """Return the blocks of a program by where they begin: into none leads a jump but to its begin."""
    leaders = {target for one in code for target in (*_targets(one), *_functions(one))}
    blocks: dict[int, list[Instruction]] = {}
    is_new = True
    for one in code:
        if is_new or one.at in leaders:
            block = blocks.setdefault(one.at, [])
        block.append(one)
        is_new = bool(_targets(one)) or one.code == _EXIT
    return blocks


def _begins(blocks: Mapping[int, list[Instruction]], helpers: Collection[int]) -> dict[int, _Begin]:
    """Return what is known at the begins at first: nothing at all where a function begins."""
    apart = {at for at, block in blocks.items() if any(_is_call_of(one, helpers) for one in block)}
    for at in reversed(list(blocks)):  # and those that lead to these and nowhere else
        following = _following(blocks[at])
        apart |= {at} if len(following) == 1 and apart.issuperset(following) else set()
    begins = {at: _Begin(is_apart=at in apart) for at in blocks}
    for begin in (target for block in blocks.values() for one in block for target in _functions(one)):
        if begin in begins:
            begins[begin].add(State({_FRAME: Address(STACK, 0)}, {}, {}))
    return begins


def _is_call_of(one: Instruction, helpers: Collection[int]) -> bool:
    return one.code == CALL and one.source == 0 and one.value in helpers


def _functions(one: Instruction) -> list[int]:
    """Return the function of the program that an instruction calls, or gives to a helper that will."""
    is_one = (one.code == CALL and one.source == 1) or (one.code == LOAD_64 and one.source == instructions.IS_FUNCTION)
    return [one.at + 1 + one.value] if is_one else []


def _targets(one: Instruction) -> list[int]:
    """Return where an instruction may jump to."""
    kind, operation = one.code & 7, one.code & 0xF0
    if kind not in (5, 6) or operation in (0x80, 0x90):
        return []
    return [one.at + 1 + (one.value if one.code == _JUMP_LONG else one.offset)]


def _following(block: Sequence[Instruction]) -> list[int]:
    """Return the begins of the blocks that may come after one."""
    last = block[-1]
    if last.code == _EXIT:
        return []
    straight = [] if last.code in (_JUMP, _JUMP_LONG) else [last.at + (2 if last.code == LOAD_64 else 1)]
    return [*_targets(last), *straight]


def _compared(state: State, block: Sequence[Instruction], following: int) -> State:
    """Return what is known where a way goes on, after a comparison with 0 at the end of a block."""
    last, targets = block[-1], _following(block)
    if last.code not in (_IF_ZERO, _IF_NOT_ZERO) or last.value or targets[0] == targets[1]:
        return state
    there = state.copy()
    there.branch(last.to, is_null=(last.code == _IF_ZERO) == (following == targets[0]))
    return there


def _do(one: Instruction, state: State, text: bytes, data_at: int) -> None:
    """Change a state as an instruction does."""
    kind = one.code & 7
    if one.code == LOAD_64:
        state.put(one.to, _long(one, text))
    elif kind in (4, 7):
        state.put(one.to, _reckoned(one, state.registers))
    elif kind == 0:
        for register in range(6):
            state.put(register, None)
    elif kind == 1:
        state.put(one.to, _read(one, state, data_at))
    elif kind in (2, 3):
        _store(one, state)
    elif one.code == CALL:
        _call(one, state)


def _call(one: Instruction, state: State) -> None:
    """Note what a function may have changed."""
    target = state.registers.get(2) if not one.source and one.value in _TAKE_OUT else None
    for register in range(6):
        state.put(register, None)
    if not one.source and one.value == _LOOKUP:
        state.put(0, Address(ENTRY, 0, or_null=True))
    if isinstance(target, Address) and target.memory == STACK and target.offset is not None:
        state.forget_stack(target.offset)
    elif one.source or one.value not in _WRITE_NOTHING:
        state.forget_stack()
    if one.source or one.value not in _KEEP_PACKET:
        state.forget_packet()


def _long(one: Instruction, text: bytes) -> Known | None:
    (high,) = struct.unpack_from("=i", text, (one.at + 1) * instructions.BYTES + 4)
    if one.source == IS_MAP_VALUE:
        return Address(one.value, high)
    return Number((one.value & 0xFFFFFFFF) | (high & 0xFFFFFFFF) << 32) if one.source == 0 else None


def _reckoned(one: Instruction, registers: Mapping[int, Known]) -> Known | None:
    """Return what a register holds after it was moved or added to."""
    operation, is_long, by_register = one.code & 0xF0, one.code & 7 == 7, bool(one.code & 8)
    other = registers.get(one.source) if by_register else Number(one.value & _MASK)
    if operation == 0xB0 and not one.offset:
        if is_long:
            return other
        return Number(other.value & 0xFFFFFFFF) if isinstance(other, Number) else None
    if operation in (_ADD, _SUBTRACT) and is_long:
        return _moved(registers.get(one.to), other, is_added=operation == _ADD)
    return None


def _moved(before: Known | None, other: Known | None, *, is_added: bool) -> Known | None:
    """Return an address after something was added to it, or taken away; two addresses make a number."""
    if isinstance(before, Address) and isinstance(other, Number) and before.offset is not None:
        by = other.value - (1 << 64) if other.value >> 63 else other.value
        return before._replace(offset=before.offset + (by if is_added else -by))
    places = [each for each in (before, other) if isinstance(each, Address)]
    is_known = len(places) == 1 and is_added and not places[0].or_null
    return places[0]._replace(offset=None) if is_known else None


def _read(one: Instruction, state: State, data_at: int) -> Known | None:
    """Return what is known of what is read: the packet's address, or a register that was put on the stack."""
    base = state.registers.get(one.source)
    if not isinstance(base, Address) or base.offset is None or one.code & 0xE0 != 0x60:
        return None
    at = base.offset + one.offset
    if base.memory == _CONTEXT:
        return Address(PACKET, 0) if at == data_at and _SIZES[one.code & 0x18] == 4 else None
    return state.saved.get(at) if base.memory == STACK and _SIZES[one.code & 0x18] == 8 else None


def _store(one: Instruction, state: State) -> None:
    """Note what is stored on the stack; a store to a place that is not known may be there, too."""
    base = state.registers.get(one.to)
    value = state.registers.get(one.source) if one.code & 7 == 3 else Number(one.value & _MASK)
    is_atomic = one.code & 0xE0 == 0xC0
    for register in {0, one.to, one.source} - {_FRAME} if is_atomic else ():
        state.put(register, None)
    if isinstance(base, Address) and base.memory != STACK:
        return
    if not isinstance(base, Address) or base.offset is None:
        state.forget_stack()
        return
    size, begin = _SIZES[one.code & 0x18], base.offset + one.offset
    for n in range(begin - 7, begin + size):
        state.saved.pop(n, None)
        if n >= begin:
            state.stack.pop(n, None)
    if isinstance(value, Number) and not is_atomic:
        data = (value.value & (1 << 8 * size) - 1).to_bytes(size, sys.byteorder)
        state.stack.update(zip(range(begin, begin + size), data, strict=True))
    elif value and size == 8 and not is_atomic:
        state.saved[begin] = value
