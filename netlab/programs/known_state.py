"""What is known at one instruction of a program (`known_values`), and what is known where ways meet."""

from collections.abc import Mapping, Sequence

from netlab.named_tuple import NamedTuple

STACK, PACKET, ENTRY = -1, -2, -4  # memories; that of a map that is named in the code is the map's descriptor
STACK_BYTES = 512


class Number(NamedTuple):
    """A register that holds this number."""

    value: int


class Address(NamedTuple):
    """A register that points so far into a memory; into the stack from its end, into the packet from its begin.

    The verifier lets no program reckon its way from one memory to another. How far may be unknown: None. With `or_null`
    there may be NULL instead, or what was reckoned from it by known numbers: no further from 0 than `_agreed` says.
    What is unknown, and added to that, could be an address of another memory; then nothing is known of the sum.
    """

    memory: int
    offset: int | None
    or_null: bool = False


Known = Number | Address
_NULL = Number(0)
_NEAR = 512  # so far from its memory's begin or end, an address may be NULL instead: see `_agreed`


class State(NamedTuple):
    """What is known at an instruction: of registers, of bytes of the stack, and of registers that were put there."""

    registers: dict[int, Known]
    stack: dict[int, int]
    saved: dict[int, Known]

    def copy(self) -> "State":
        """Return a copy that can be changed."""
        return State(dict(self.registers), dict(self.stack), dict(self.saved))

    def bytes_at(self, offset: int, count: int) -> bytes | None:
        """Return bytes of the stack; None if not all are known."""
        found = [self.stack[n] for n in range(offset, offset + count) if n in self.stack]
        return bytes(found) if len(found) == count else None

    def put(self, register: int, value: Known | None) -> None:
        """Note what a register holds."""
        if value is None:
            self.registers.pop(register, None)
        else:
            self.registers[register] = value

    def branch(self, register: int, *, is_null: bool) -> None:
        """Note that a register was compared with 0, and that it was, or was not."""
        value = self.registers.get(register)
        if is_null:
            self.registers[register] = _NULL
        elif isinstance(value, Address) and value.offset == 0:
            self.registers[register] = value._replace(or_null=False)

    def forget_stack(self, begin: int = -STACK_BYTES) -> None:
        """Note that the stack may have changed from here on."""
        for known, size in ((self.stack, 1), (self.saved, 8)):
            for key in [key for key in known if key > begin - size]:
                del known[key]

    def forget_packet(self) -> None:
        """Note that the packet may be elsewhere now."""
        for known in (self.registers, self.saved):
            for key in [key for key, each in known.items() if isinstance(each, Address) and each.memory == PACKET]:
                del known[key]


def met(states: Sequence[State]) -> State:
    """Return what all of these agree on."""
    first, *others = states
    saved, *others_saved = _saved(states)
    stacks = [each.stack.items() for each in others]
    return State(
        _agreed(first.registers, [each.registers for each in others]),
        {key: each for key, each in first.stack.items() if all((key, each) in items for items in stacks)},
        _agreed(saved, others_saved),
    )


def _saved(states: Sequence[State]) -> list[dict[int, Known]]:
    """Return the registers on the stacks, with NULL where another state has one."""
    keys = {key for each in states for key in each.saved}
    return [each.saved | {key: _NULL for key in keys if each.bytes_at(key, 8) == bytes(8)} for each in states]


def _agreed(first: Mapping[int, Known], others: Sequence[Mapping[int, Known]]) -> dict[int, Known]:
    """Return the registers that all agree on; of an address perhaps only in which memory it is.

    An address that is NULL on some ways stays known: the verifier lets nobody read or write by NULL, and there is no
    memory within 4096 bytes of it, so that a print shows zeros. But only one that is near to where its memory begins
    or ends: what is reckoned from it, and is in that memory, is near to NULL on the other ways.
    """
    agreed: dict[int, Known] = {}
    for key, value in first.items():
        values = {value, *(each.get(key) for each in others)}
        found = {each._replace(or_null=False) if isinstance(each, Address) else each for each in values}
        or_null = any(isinstance(each, Address) and each.or_null for each in values)
        if len(found) > 1 and _NULL in found and all(map(_is_near, found - {_NULL})):
            found.discard(_NULL)
            or_null = True
        one = next((each for each in found if each), None)
        if len(found) == 1 and one:
            agreed[key] = one._replace(or_null=or_null) if isinstance(one, Address) else one
        elif isinstance(one, Address) and {one.memory} == {_memory(each) for each in found}:
            agreed[key] = Address(one.memory, None, or_null)
    return agreed


def _is_near(value: Known | None) -> bool:
    return isinstance(value, Address) and value.offset is not None and -_NEAR <= value.offset <= _NEAR


def _memory(value: Known | None) -> int | None:
    return value.memory if isinstance(value, Address) else None
