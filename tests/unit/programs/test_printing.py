"""What a program prints is known before it is loaded, and reads no memory but its own."""

import struct
from collections.abc import Iterable

import pytest

from netlab.programs import instructions
from netlab.programs.assembly import (
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
    copy,
    here,
    jump,
    jump_if,
    leave,
    load,
    put,
    put_long,
    store,
)
from netlab.programs.printing import accesses, problem

LINE = "lab/lb seen %u"
PRINT = 6
MEMORY = {7: b"lab/lb of a map, %d\0lab/lb %s\0"}


def constant(fd: int, offset: int, count: int) -> bytes | None:
    """Return bytes of a map that cannot change: the one of the descriptor 7."""
    found = MEMORY.get(fd, b"")[offset : offset + count]
    return found if len(found) == count else None


def wrong(*ops: Op | Iterable[Op]) -> str:
    """Return what is wrong with a program that is called with a packet's context."""
    return problem(code(*ops), "lab/lb", constant, 0)


def code(*ops: Op | Iterable[Op]) -> bytes:
    """Return a program that does this and passes the packet."""
    flat = [op for each in ops for op in ([each] if isinstance(each, Op) else each)]
    return assembled([*flat, put(R0, 2), leave()])


def on_stack(text: str) -> list[Op]:
    """Put a text at the end of the stack."""
    data = text.encode().ljust(64, b"\0")
    ops: list[Op] = []
    for at in range(0, 64, 8):
        ops += [*put_long(R1, struct.unpack_from("=Q", data, at)[0]), store(DOUBLE, FRAME, at - 64, R1)]
    return ops


def printing(text: str = LINE) -> list[Op]:
    """Print the text at the end of the stack."""
    return [copy(R1, FRAME), add(R1, -64), put(R2, len(text) + 1), call(PRINT)]


@pytest.mark.parametrize("text", [LINE, "plain %d", "lab/lb %llx and 5%%\n", "lab/lb %-5d|%08x", "no more/than this"])
def test_numbers_and_words_are_printed(text: str) -> None:
    assert wrong(on_stack(text), printing(text)) == ""


@pytest.mark.parametrize("text", ["lab/lb %s", "lab/lb %px", "lab/lb %pK", "lab/lb %p", "lab/lb %c", "lab/lb %pB", "%"])
def test_what_follows_pointers_is_refused(text: str) -> None:
    assert "may read the kernel's memory" in wrong(on_stack(text), printing(text))


@pytest.mark.parametrize("text", ["other/lb seen", "lab/lb2 seen", "%d/lb seen"])
def test_nobody_speaks_for_another(text: str) -> None:
    assert "begins as those of another program do" in wrong(on_stack(text), printing(text))


@pytest.mark.parametrize("line", ["other/lb seen", "lab/lb2 seen"])
def test_no_later_line_speaks_for_another(line: str) -> None:
    text = f"lab/lb seen\n{line}"

    assert "begins as those of another program do" in wrong(on_stack(text), printing(text))
    assert wrong(on_stack("lab/lb seen\n---"), printing("lab/lb seen\n---")) == ""


NAMES = b"far\0two\nlines\0other/lb seen\0" + b"x" * 300 + b"\0no end"


def named(text: str, offset: int, fd: int = 7) -> str:
    """Return what is wrong with printing by R3 what is there in a map, if the map of the descriptor 7 has NAMES."""

    def constant(fd: int, offset: int, count: int) -> bytes | None:
        found = NAMES[offset : offset + count] if fd == 7 else b""
        return found if len(found) == count else None

    place = [Op(0x18, R3, 2, value=fd), Op(0, value=offset)]
    return problem(code(on_stack(text), place, printing(text)), "lab/lb", constant, 0)


def test_a_constant_text_of_a_map_is_printed() -> None:
    """Of one that can change, of one that has no end, and of other ways to print it, nobody knows."""
    assert named("lab/lb it is %s", 0) == ""
    for text, offset, fd in (("lab/lb %s", 0, 8), ("lab/lb %s", -4, 7), ("lab/lb %s", 40, 7), ("lab/lb %s", 332, 7)):
        assert "write the text into the format" in named(text, offset, fd)
    assert "may read the kernel's memory" in named("lab/lb %.9s", 0)
    assert "write the text into the format" in named("lab/lb %s and %s", 0)  # nothing is known of R4


def test_a_constant_text_speaks_for_no_other() -> None:
    assert "begins as those of another program do" in named("%s", 14)
    assert "begins as those of another program do" in named("lab/lb\n%s", 14)
    assert named("lab/lb %s", 14) == named("lab/lb %s", 4) == ""


def test_what_follows_a_constant_text_is_looked_at() -> None:
    """Each has its own register."""
    assert "neither in the packet" in named("lab/lb %s %pI4", 0)


def test_a_text_of_a_constant_map_is_known() -> None:
    """Of other maps it is not, as they may change."""

    def printed(fd: int, offset: int) -> str:
        return wrong([Op(0x18, R1, 2, value=fd), Op(0, value=offset)], put(R2, 10), call(PRINT))

    assert printed(7, 0) == ""
    assert "may read the kernel's memory" in printed(7, 20)
    assert "not constant" in printed(8, 0)
    assert "not constant" in printed(7, 200)


UNKNOWN = {
    "a byte that is reckoned": [load(WORD, R3, R1, 4), store(WORD, FRAME, -60, R3)],
    "written by a helper": [copy(R1, FRAME), add(R1, -64), call(69)],
    "taken out of a queue": [copy(R2, FRAME), add(R2, -64), call(88)],
    "written by who knows where": [load(DOUBLE, R3, R6, 0), store(DOUBLE, R3, 0, R2)],
}


@pytest.mark.parametrize("between", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_a_text_that_may_have_changed_is_refused(between: list[Op]) -> None:
    assert "not constant" in wrong(on_stack(LINE), between, printing())


def test_ways_that_print_different_texts_by_one_call() -> None:
    """Each counts, and one that is bad is found."""
    choice = jump_if(R7, "==", 0, "other")

    def both(other: str) -> str:
        return wrong(choice, on_stack(LINE), jump("print"), here("other"), on_stack(other), here("print"), printing())

    assert both("lab/lb else %x") == ""
    assert "may read the kernel's memory" in both("lab/lb else %s")


def test_what_a_queue_writes_behind_a_text_changes_nothing_of_it() -> None:
    shorter = [copy(R1, FRAME), add(R1, -64), put(R2, 8), call(PRINT)]

    assert wrong(on_stack("seen it"), copy(R2, FRAME), add(R2, -56), call(88), shorter) == ""


def test_a_text_from_before_a_loop_stays_known() -> None:
    """Unless the loop changes it."""
    again = [jump_if(R7, "!=", 0, "again")]
    changes = [load(DOUBLE, R7, R6, 0), store(DOUBLE, FRAME, -64, R7)]

    assert wrong(on_stack(LINE), put(R7, 9), here("again"), add(R7, -1), again, printing()) == ""
    assert "not constant" in wrong(on_stack(LINE), put(R7, 9), here("again"), printing(), changes, again)


ADDRESS = "lab/lb %pI4"
OWN = {
    "of the stack": [copy(R3, FRAME), add(R3, -80)],
    "of the packet": [load(WORD, R3, R1, 0), add(R3, 26)],
    "somewhere in the packet": [load(WORD, R3, R1, 0), load(WORD, R4, R1, 8), add_register(R3, R4)],
    "of a map's value": [call(1), copy(R3, R0), add(R3, 4)],
    "saved meanwhile": [load(WORD, R3, R1, 0), store(DOUBLE, FRAME, -80, R3), put(R3, 0), load(DOUBLE, R3, FRAME, -80)],
}
NOT_OWN = {
    "a number": put_long(R3, 0xFFFFFFFF81000000),
    "below the stack": [copy(R3, FRAME), add(R3, -600)],
    "above the stack": [copy(R3, FRAME), add(R3, -2)],
    "behind a map's value": [call(1), copy(R3, R0), add(R3, 8)],
    "the packet's end": [load(WORD, R3, R1, 4)],
    "of unknown origin": [load(DOUBLE, R3, R6, 0)],
}


def addressed(ops: list[Op]) -> str:
    """Return what is wrong with printing the address behind R3; the context is kept in R6 meanwhile."""
    return wrong(copy(R6, R1), on_stack(ADDRESS), copy(R1, R6), ops, printing(ADDRESS))


@pytest.mark.parametrize("ops", OWN.values(), ids=OWN.keys())
def test_addresses_of_its_own_are_printed(ops: list[Op]) -> None:
    assert addressed(ops) == ""


@pytest.mark.parametrize("ops", NOT_OWN.values(), ids=NOT_OWN.keys())
def test_addresses_elsewhere_are_refused(ops: list[Op]) -> None:
    assert "neither in the packet nor in a variable of its own" in addressed(ops)


def accessed(text: str, *ops: Op | list[Op]) -> list[list[tuple[int, int]]]:
    """Return the reads of eight bytes in each copy of a program that prints: register and offset; R0 has the bytes."""
    program = code(copy(R6, R1), on_stack(text), copy(R1, R6), *ops, printing(text))
    copies = accesses(program, constant, 0)
    assert all(len(each) == len(program) for each in copies)
    read = [[one for one in instructions.each(each) if (one.code, one.to) == (0x79, 0)] for each in copies]
    return [[(one.source, one.offset) for one in each] for each in read]


PACKET_IN_3 = [load(WORD, R3, R1, 0), add(R3, 26)]


def test_what_is_printed_of_the_packet_is_read_in_a_copy() -> None:
    """By eight bytes, so that no more is known of the result than after a print."""
    both = [load(WORD, R4, R1, 0), add(R4, 40)]

    assert accessed(ADDRESS, PACKET_IN_3) == [[(3, -4)]]
    assert accessed("lab/lb %pI6", PACKET_IN_3) == [[(3, 0)], [(3, 8)]]
    assert accessed("lab/lb %pI4 %pI4", PACKET_IN_3, both) == [[(3, -4)], [(4, -4)]]
    assert accessed(ADDRESS, OWN["of the stack"]) == []
    assert accessed(LINE, PACKET_IN_3) == []


def test_a_packet_that_was_moved_is_elsewhere() -> None:
    """bpf_xdp_adjust_head and the like leave old addresses behind."""
    ops = [load(WORD, R7, R1, 0), call(44), copy(R3, R7)]

    assert "neither in the packet" in addressed(ops)


def test_an_array_of_values_has_no_addresses() -> None:
    """bpf_trace_vprintk takes them from memory, where they may be anything."""
    text = [copy(R1, FRAME), add(R1, -64), put(R2, 12), copy(R3, FRAME), add(R3, -80), call(177)]

    assert "neither in the packet" in wrong(on_stack(ADDRESS), text)


def test_what_a_map_of_maps_holds_is_not_printed() -> None:
    """It is the kernel's own description of a map."""
    text = code(on_stack(ADDRESS), OWN["of a map's value"], printing(ADDRESS))

    assert problem(text, "lab/lb", constant, 0) == ""
    assert "copy it into one" in problem(text, "lab/lb", constant, 0, has_bytes=False)
