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
