"""What programs that want to deceive make known of their registers and stack: nothing that is not so on every run."""

import struct
from collections.abc import Iterable

import pytest

from netlab.programs import known_values
from netlab.programs.assembly import (
    BYTE,
    DOUBLE,
    FRAME,
    R0,
    R1,
    R2,
    R3,
    R4,
    R6,
    R7,
    WORD,
    Op,
    add,
    add_register,
    assembled,
    call,
    call_here,
    copy,
    copy_word,
    fetch_and_add,
    here,
    jump,
    jump_if,
    keep_bits,
    leave,
    load,
    put,
    put_long,
    set_bits,
    store,
    store_value,
    subtract,
)
from netlab.programs.known_state import ENTRY, PACKET, STACK, Address, Known, Number, State

SHOW = 6  # the helper before whose call is asked what is known
UNKNOWN_7 = [load(WORD, R7, R1, 4)]
STACK_80 = [copy(R3, FRAME), add(R3, -80)]
AT_80 = Address(STACK, -80)


def states(*ops: Op | Iterable[Op]) -> list[State]:
    """Return what is known when a program has done this."""
    flat = [op for each in ops for op in ([each] if isinstance(each, Op) else each)]
    found = known_values.at_calls(assembled([*flat, call(SHOW), put(R0, 0), leave()]), (SHOW,), 0)
    return [state.copy() for state, _ in found]


def third(*ops: Op | Iterable[Op]) -> set[Known | None]:
    """Return all that R3 may be known to hold then."""
    return {state.registers.get(3) for state in states(UNKNOWN_7, *ops)}


MOVED = {
    "by its lower half": [copy_word(R3, R3)],
    "by its lower half, extended by its sign": [Op(0xBF, R3, R3, 32)],
    "added to by halves": [Op(0x04, R3, value=4)],
    "added to a half of it": [Op(0x0C, R3, R3)],
    "negated": [Op(0x87, R3)],
    "with bits cleared": [keep_bits(R3, -1)],
    "with bits set": [set_bits(R3, 0)],
    "from network order": [Op(0xDC, R3, value=64)],
    "taken from itself": [subtract(R3, R3)],
    "read as a packet": [Op(0x20, value=12), copy(R3, R0)],
    "fetched": [fetch_and_add(FRAME, -8, R3)],
    "exchanged": [copy(R0, R3), Op(0xDB, FRAME, R4, -8, 0xF1), copy(R3, R0)],
    "read by a load that acquires": [Op(0xDB, R3, FRAME, -8, 0x100)],
}
SPILLED = [store(DOUBLE, FRAME, -8, R3)]
BACK = [put(R3, 0), load(DOUBLE, R3, FRAME, -8)]
CHANGED = {
    "a byte": [store_value(BYTE, FRAME, -1, 0)],
    "a word across its begin": [store_value(WORD, FRAME, -10, 0)],
    "all of it, by adding": [put(R4, 8), Op(0xDB, FRAME, R4, -8)],
    "all of it, by a store that releases": [put(R4, 8), Op(0xDB, FRAME, R4, -8, 0x110)],
    "some place": [copy(R4, FRAME), add_register(R4, R7), store_value(BYTE, R4, 0, 0)],
    "by a helper": [copy(R1, FRAME), add(R1, -8), call(26)],
    "by a kernel's function": [Op(0x85, source=2, value=1)],
}


@pytest.mark.parametrize("ops", MOVED.values(), ids=MOVED.keys())
def test_an_address_that_is_reckoned_with_is_not_known(ops: list[Op]) -> None:
    assert third(STACK_80, ops) == {None}


@pytest.mark.parametrize("ops", CHANGED.values(), ids=CHANGED.keys())
def test_an_address_on_the_stack_that_may_have_changed_is_not_known(ops: list[Op]) -> None:
    assert third(STACK_80, SPILLED, BACK) == {AT_80}
    assert third(STACK_80, SPILLED, ops, BACK) == {None}


def test_an_address_is_read_back_whole() -> None:
    """Not by halves, and not from beside it."""
    half = [put(R3, 0), load(WORD, R3, FRAME, -8)]
    beside = [put(R3, 0), load(DOUBLE, R3, FRAME, -9)]
    by_sign = [put(R3, 0), Op(0x81, R3, FRAME, -8)]

    assert third(STACK_80, SPILLED, half) == third(STACK_80, SPILLED, beside) == {None}
    assert third(STACK_80, SPILLED, by_sign) == third(STACK_80, store(WORD, FRAME, -8, R3), BACK) == {None}


def test_a_loop_leaves_no_place_known() -> None:
    """But that of its first round, which is a way of its own; and in which memory it is."""
    again = jump_if(R7, "!=", 0, "again")
    word_again = Op(0x56, R7, label="again")
    may_go = Op(0xE5, label="out")

    for end in (again, word_again):
        assert third(STACK_80, here("again"), add(R3, 1), add(R7, -1), end) == {
            Address(STACK, -79),
            Address(STACK, None),
        }
    once = third(STACK_80, here("again"), may_go, add(R3, 1), jump("again"), here("out"))
    assert once <= {AT_80, Address(STACK, None)}


def test_a_loop_that_brings_numbers_near_null_keeps_none() -> None:
    """What was NULL in one round is a number in the next."""
    begin = [put(R3, 0), here("again"), jump_if(R7, "==", 1, "far"), *STACK_80, jump("both")]
    end = [here("far"), add(R3, 400), here("both"), add(R7, -1), jump_if(R7, "!=", 0, "again")]

    assert third(begin, end) <= {None, Address(STACK, None)}


def joined(one: list[Op], other: list[Op]) -> set[Known | None]:
    """Return what R3 may hold after one of two ways, which meet long before it is shown."""
    ways = [jump_if(R7, "==", 0, "other"), *one, jump("both"), here("other"), *other, here("both")]
    more = [jump_if(R7, "==", 5, "on"), put(R4, 1), here("on")]
    return third(copy(R6, R1), ways, more)


@pytest.mark.parametrize(
    "other",
    [put_long(R3, 0xFFFFFFFF81000000), [put(R3, 1)], [load(WORD, R3, R6, 0)], [call(1), copy(R3, R0)], UNKNOWN_7[:0]],
    ids=["the kernel's", "near NULL", "the packet", "a map's value", "nothing"],
)
def test_ways_that_bring_an_address_and_something_else_agree_on_nothing(other: list[Op]) -> None:
    assert joined(STACK_80, other) == joined(other, STACK_80) == {None}


def test_one_that_is_null_on_a_way_is_still_exact_after_large_steps() -> None:
    """So far as it is in its memory, it is near to NULL on the other way."""
    large = [add(R3, 1 << 30), add(R3, -(1 << 30))]

    assert joined([*STACK_80, *large], [put(R3, 0)]) == {AT_80._replace(or_null=True)}
    assert joined([*STACK_80, add(R3, 1 << 30)], [put(R3, 0)]) == {None}


PACKET_IN_3 = [load(WORD, R3, R1, 0)]
DECEIVING = {
    "the difference of addresses": [*PACKET_IN_3, subtract(R3, R3), add_register(R3, R7)],
    "an address less what may be one": [*PACKET_IN_3, subtract(R3, R7), add_register(R3, R7)],
    "NULL, as is the packet on another way": [
        *(put(R3, 0), jump_if(R7, "==", 0, "null"), *PACKET_IN_3, here("null"), jump_if(R7, "==", 5, "on"), put(R4, 1)),
        *(here("on"), add_register(R3, R7)),
    ],
    "what may be NULL, as is an entry of a map": [
        call(1),
        copy(R3, R0),
        copy(R4, R7),
        add_register(R4, R3),
        copy(R3, R4),
    ],
}


@pytest.mark.parametrize("ops", DECEIVING.values(), ids=DECEIVING.keys())
def test_the_stack_may_be_written_by_what_it_was_added_to(ops: list[Op]) -> None:
    """R7 may be an address of the stack, of which only the verifier knows: so a format could become another one."""
    begin = [*UNKNOWN_7, store_value(DOUBLE, FRAME, -64, 0x20206425)]

    assert {state.bytes_at(-64, 4) for state in states(begin, ops)} == {b"%d  "}
    assert {state.bytes_at(-64, 4) for state in states(begin, ops, store_value(BYTE, R3, -63, 0x73))} == {None}


def test_the_packet_is_written_and_the_stack_stays_known() -> None:
    begin = [store_value(DOUBLE, FRAME, -64, 0x20206425), *PACKET_IN_3, add(R3, 14)]

    assert {state.bytes_at(-64, 4) for state in states(begin, store_value(BYTE, R3, 2, 0))} == {b"%d  "}


@pytest.mark.parametrize("equal", [True, False])
def test_an_entry_is_written_somewhere_and_the_stack_stays_known(equal: bool) -> None:
    """If it was compared with NULL: on the other way, R7 could be an address of the stack."""
    begin = [*UNKNOWN_7, store_value(DOUBLE, FRAME, -64, 0x20206425), call(1)]
    found, null = [add_register(R0, R7), store_value(BYTE, R0, 0, 0)], [add_register(R0, R7), copy(R3, R0)]
    ways = [jump_if(R0, "==" if equal else "!=", 0, "there")]
    first, second = (found, null) if equal else (null, found)
    known = states(begin, ways, first, jump("end"), here("there"), second, here("end"))

    assert {state.bytes_at(-64, 4) for state in known} == {b"%d  "}
    assert {state.registers.get(3) for state in known} == {None}
    assert {state.bytes_at(-64, 4) for state in states(begin, found)} == {None}


def test_a_function_may_write_to_the_stack_of_its_caller() -> None:
    """And begins with nothing known of its arguments; its own stack is another one."""
    function = [here("function"), store_value(BYTE, R1, 0, 0), put(R0, 0), leave()]
    caller = [*STACK_80, *SPILLED, copy(R1, FRAME), call_here("function"), *BACK]
    asks = [copy(R3, R1), call(SHOW), put(R0, 0), leave()]

    assert third(caller, jump("end"), function, here("end")) == {None}
    called = states(
        UNKNOWN_7, STACK_80, copy(R1, R3), call_here("function"), jump("end"), here("function"), asks, here("end")
    )
    assert {state.registers.get(3) for state in called} == {None}
    assert {state.registers.get(10) for state in called} == {Address(STACK, 0)}


def test_a_function_may_move_the_packet() -> None:
    """So may a helper; an entry of a map stays where it is."""
    packet = [load(WORD, R6, R1, 0)]
    function = [here("function"), put(R0, 0), leave()]
    moves = [*packet, call_here("function"), copy(R3, R6), jump("end"), *function, here("end")]

    assert third(packet, copy(R3, R6)) == {Address(PACKET, 0)}
    assert third(moves) == third(packet, call(39), copy(R3, R6)) == {None}
    assert third(call(1), copy(R6, R0), call(39), copy(R3, R6)) == {Address(ENTRY, 0, or_null=True)}


def test_what_may_be_jumped_over_is_not_known() -> None:
    """Whatever the kind of the jump, and however sure the program is that it never jumps."""
    for over in (
        jump_if(R7, "==", 0, "over"),
        Op(0x16, R7, label="over"),
        Op(0xE5, label="over"),
        Op(0x1D, R2, R2, label="over"),
    ):
        assert third(put(R3, 0), over, put(R3, 5), here("over"), UNKNOWN_7[:0]) <= {None, Number(0), Number(5)}
        text = states(
            UNKNOWN_7, store_value(WORD, FRAME, -8, 1), over, store_value(WORD, FRAME, -8, 2), here("over"), put(R4, 0)
        )
        seen = {state.bytes_at(-8, 4) for state in text}
        assert seen == {None} or seen == {struct.pack("=I", 1), struct.pack("=I", 2)}
