"""Where a wrapper notes reasons."""

import pytest

from netlab.programs import assembly as asm
from netlab.programs import bpf, verdict_code
from netlab.programs.assembly import FRAME, R0, R1, R2, R6, Op
from netlab.programs.verdict_code import Tap

TAP = Tap(3, 4, 0)
COUNTS, OTHER = 7, 8  # descriptors of maps
KEY = [asm.store_value(asm.WORD, FRAME, -4, 1), asm.copy(R2, FRAME), asm.add(R2, -4)]
END = [asm.put(R0, 2), asm.leave()]
FOUND = [asm.jump_if(R0, "==", 0, "none"), asm.here("none")]


def notes(ops: list[Op]) -> int:
    """Return how many looks at counts go through what notes the reason."""
    plain, noting = (
        verdict_code.wrapped(asm.assembled([*ops, *FOUND, *END]), TAP, bpf.XDP, 0, reasons)
        for reasons in ({}, {COUNTS: 0})
    )
    calls = [sum(1 for op in asm.given(each) if op.code == 0x85 and op.source == 1) for each in (plain, noting)]
    return calls[1] - calls[0]


@pytest.mark.parametrize(
    ("ops", "number"),
    [
        ([*KEY, *asm.put_map(R1, COUNTS), asm.call(1)], 1),
        ([*asm.put_map(R1, COUNTS), *KEY, asm.call(1)], 1),
        ([*KEY, *asm.put_map(R1, OTHER), asm.call(1)], 0),
        ([*KEY, *asm.put_map(R1, COUNTS), asm.call(2)], 0),  # an update
        ([*KEY, *asm.put_map(R1, COUNTS), asm.copy(R1, R6), asm.call(1)], 0),  # R1 is another map
        ([*KEY, asm.jump("in"), *asm.put_map(R1, COUNTS), asm.here("in"), asm.call(1)], 0),  # it may be another
        ([*KEY, *asm.put_map(R1, COUNTS), asm.call(1), *KEY, asm.call(1)], 1),  # a call has changed R1
    ],
)
def test_only_looks_that_are_surely_at_counts_are_noted(ops: list[Op], number: int) -> None:
    """A map that may be another one stays as it is: its reason is not told."""
    assert number == notes(ops)


def test_a_program_that_gives_functions_to_the_kernel_is_known() -> None:
    """LD_IMM64 with the mark of a function, as for bpf_loop."""
    assert verdict_code.uses_functions(asm.assembled([Op(0x18, R2, 4), Op(0), *END]))
    assert not verdict_code.uses_functions(asm.assembled([*asm.put_map(R1, 4), *END]))
