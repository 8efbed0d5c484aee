"""Ready objects: what they are, what they are instead, and whether they may transmit."""

import struct

import pytest

from netlab.topology import object_file
from netlab.topology.object_file import BadObjectError
from tests.unit.topology.objects import EXIT, instruction, made, returning

GOOD = made({"xdp": returning(2), "license": b"GPL\0"})


def test_sections_have_their_names_and_content() -> None:
    """Code is told from data."""
    found = object_file.sections(GOOD)

    assert found["license"] == (b"GPL\0", False)
    assert found["xdp"] == (returning(2), True)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (GOOD[:20], "cut off after 20 bytes"),
        (GOOD[:200], "no table of sections in its 200 bytes"),
        (made({"xdp": EXIT}, machine=62), "for x86-64 rather than BPF"),
        (made({"xdp": EXIT}, machine=9999), "for machine 9999 rather than BPF"),
        (made({"xdp": EXIT}, kind=3), "that was linked"),
        (made({"xdp": EXIT}, order=2), "not of 64 bits in little-endian order"),
        (GOOD[:62] + b"\xff\xff" + GOOD[64:], "its sections have no names"),
    ],
)
def test_what_is_no_object_is_reported(data: bytes, words: str) -> None:
    """The message says what the file is instead."""
    with pytest.raises(BadObjectError, match=words):
        object_file.sections(data)


def test_a_section_that_leads_out_of_the_file() -> None:
    """Its end is compared with that of the file."""
    data = bytearray(GOOD)
    data[-64 + 32 : -64 + 40] = (1 << 40).to_bytes(8, "little")  # the size of the last one

    with pytest.raises(BadObjectError, match="is cut off: 1,099,511"):
        object_file.sections(bytes(data))


def test_sections_that_overlap() -> None:
    """They are refused before any is copied, as together they may take all memory."""
    data = bytearray(GOOD)
    table = int.from_bytes(data[40:48], "little")
    for number in range(1, 4):
        data[table + 64 * number + 24 : table + 64 * number + 40] = struct.pack("=QQ", 0, len(data) // 2)

    with pytest.raises(BadObjectError, match=r"damaged: its sections have .* more than the file"):
        object_file.sections(bytes(data))


def test_a_name_without_an_end_is_cut() -> None:
    """Names may overlap, too."""
    assert max(map(len, object_file.sections(made({"x" * 1000: b""})))) == 255


@pytest.mark.parametrize(
    ("code", "may"),
    [
        (returning(2), False),
        (returning(3), True),
        (instruction(0xB4, 6, 3) + instruction(0xBF, 0x60) + EXIT, True),  # w6 = 3; r0 = r6
        (instruction(0x47, 0, 2) + EXIT, True),  # r0 |= 2: of a truth value it makes 2 or 3
        (instruction(0x07, 1, 3) + returning(1), False),  # r1 += 3
    ],
)
def test_whether_a_program_may_transmit(code: bytes, may: bool) -> None:
    """The number of XDP_TX has to get into a register."""
    assert object_file.may_transmit(made({"xdp": code})) is may


@pytest.mark.parametrize(
    ("name", "content", "may"),
    [
        (".rodata", b"\2\0\0\0\3\0\0\0", True),
        (".data.mine", b"\3\0\0\0!", True),
        (".rodata", b"\3\3\0\0\0\3\0\0", False),
        (".BTF", b"\3\0\0\0", False),
    ],
)
def test_a_variable_may_be_the_verdict(name: str, content: bytes, may: bool) -> None:
    """Its initial value is a word of a section of variables."""
    assert object_file.may_transmit(made({"xdp": returning(1), name: content})) is may


def test_the_words_of_an_object_are_its_names() -> None:
    """Maps of a topology are looked for among them."""
    assert {"hits", "flow"} <= set(object_file.words(made({".strtab": b"\0hits\0", ".BTF": b"\0flow\0"})))
