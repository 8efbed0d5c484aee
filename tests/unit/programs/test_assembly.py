"""Instructions of BPF as bytes."""

import pytest

from netlab.programs import assembly as asm
from netlab.programs.assembly import FRAME, R0, R1, R2


def test_instructions_are_bytes_and_jumps_go_to_labels() -> None:
    """Forwards and backwards; a map takes two places, and a label none."""
    code = asm.assembled(
        [
            asm.here("again"),
            asm.put(R0, 2),
            *asm.put_map(R1, 7),
            asm.jump_if(R2, "<", 5, "out"),
            asm.load(asm.WORD, R2, R1, 8),
            asm.store(asm.DOUBLE, FRAME, -16, R2),
            asm.jump("again"),
            asm.here("out"),
            asm.leave(),
        ]
    )

    assert [code[at : at + 8].hex() for at in range(0, len(code), 8)] == [
        "b700000002000000",
        "1811000007000000",
        "0000000000000000",
        "a502030005000000",
        "6112080000000000",
        "7b2af0ff00000000",
        "0500f9ff00000000",
        "9500000000000000",
    ]


def test_a_jump_to_nowhere_is_refused() -> None:
    with pytest.raises(KeyError, match="nowhere"):
        asm.assembled([asm.jump("nowhere")])


def test_arithmetic_is_of_eight_bytes_without_signs() -> None:
    """By registers and by numbers; a number of 8 bytes takes two places, the lower half first."""
    code = asm.assembled(
        [
            *asm.put_long(R1, 0x9E3779B97F4A7C15),
            asm.add_register(R1, R2),
            asm.multiply(R1, R2),
            asm.multiply_by(R1, 8),
            asm.remainder(R1, R2),
            asm.differ(R1, R2),
            asm.keep_bits(R1, 7),
            asm.set_bits(R1, 7),
            asm.shift_right(R1, 30),
            asm.shift_left_by(R1, R2),
            asm.from_network(R1),
            asm.fetch_and_add(R2, 8, R1),
            asm.jump_if(R1, "has", 4, "out"),
            asm.jump_by_register(R1, ">=", R2, "out"),
            asm.here("out"),
            asm.leave(),
        ]
    )

    assert [code[at : at + 8].hex() for at in range(0, len(code), 8)] == [
        "18010000157c4a7f",
        "00000000b979379e",
        "0f21000000000000",
        "2f21000000000000",
        "2701000008000000",
        "9f21000000000000",
        "af21000000000000",
        "5701000007000000",
        "4701000007000000",
        "770100001e000000",
        "6f21000000000000",
        "dc01000010000000",
        "db12080001000000",
        "4501010004000000",
        "3d21000000000000",
        "9500000000000000",
    ]


def test_a_call_of_a_function_has_its_distance() -> None:
    """It is in the place of the number of a helper; instructions that are given stay as they are."""
    own = asm.assembled([asm.put(R0, 1), asm.leave()])
    code = asm.assembled([asm.call_here("own"), asm.leave(), asm.here("own"), *asm.given(own)])

    assert ["8510000001000000", "9500000000000000", own.hex()] == [code[:8].hex(), code[8:16].hex(), code[16:].hex()]
