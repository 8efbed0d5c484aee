"""What a room may ask for is bounded: kinds of maps and programs, their sizes, and how many."""

from typing import Any

import pytest

from netlab.programs import bpf
from netlab.programs.gate_rules import Allowance, MapAsked, NotAllowed, ProgramAsked, TooMuch, bytes_of

ARRAY = MapAsked(bpf.ARRAY, 4, 8, 100, 0, 0, 0, b"m", 0, 0, 0, 0, 0, 0)
PROGRAM = ProgramAsked(bpf.XDP, 2, 0, 0, 0, 0, 0, 0, 0, b"p", 0, 37, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def test_ordinary_ones_are_allowed() -> None:
    allowance = Allowance()

    allowance.map(ARRAY, 2)
    allowance.types(1000)
    for kind in (bpf.XDP, bpf.SCHED_CLS):
        allowance.program(PROGRAM._replace(kind=kind))


@pytest.mark.parametrize("kind", ["sockmap", "sockhash", "cgroup_array", "struct_ops", "task_storage", "stacktrace"])
def test_maps_of_the_kernels_own_things_are_refused(kind: str) -> None:
    with pytest.raises(NotAllowed, match=f"makes a map of the type {kind}"):
        Allowance().map(ARRAY._replace(kind=bpf.MAP_TYPES.index(kind)), 2)


@pytest.mark.parametrize("more", [{"flags": 1 << 17}, {"flags": 1 << 2}, {"interface": 2}, {"kernels_type": 5}])
def test_maps_for_other_devices_and_types_are_refused(more: dict[str, Any]) -> None:
    with pytest.raises(NotAllowed):
        Allowance().map(ARRAY._replace(**more), 2)


def test_maps_are_bounded_together() -> None:
    """Each is small enough, and both are too much."""
    allowance, half = Allowance(), ARRAY._replace(value_bytes=1 << 20, entries=200)
    allowance.map(half, 2)

    with pytest.raises(TooMuch, match="more than 256 MB"):
        allowance.map(half, 2)


def test_every_cpu_has_its_copy() -> None:
    per_cpu = ARRAY._replace(kind=bpf.PERCPU_ARRAY)

    assert bytes_of(per_cpu, 4) == 100 * (8 + 4 * 8)
    assert bytes_of(ARRAY, 4) == 100 * (8 + 8)
    assert bytes_of(ARRAY._replace(kind=bpf.RING_BUFFER, entries=4096), 4) == 4096


@pytest.mark.parametrize(
    "more",
    [{"flags": 1 << 4}, {"interface": 3}, {"attach_to": 5}, {"attach_to_program": 6}, {"attach_type": 23}],
)
def test_programs_for_something_else_are_refused(more: dict[str, Any]) -> None:
    """Those that sleep, are for a device, extend another program, or are for a tracepoint."""
    with pytest.raises(NotAllowed):
        Allowance().program(PROGRAM._replace(**more))


@pytest.mark.parametrize("kind", [2, 5, 17, 26, 31])
def test_libbpf_is_told_that_the_kernel_has_no_other_kinds(kind: int) -> None:
    """It tries the kernel by them, which is no attempt of the author's."""
    with pytest.raises(OSError, match="22"):
        Allowance().program(PROGRAM._replace(kind=kind))


def test_programs_and_types_are_bounded() -> None:
    with pytest.raises(TooMuch):
        Allowance().program(PROGRAM._replace(instructions=1 << 19))
    with pytest.raises(TooMuch):
        Allowance().types(1 << 23)
    allowance = Allowance()
    for _ in range(512):
        allowance.program(PROGRAM)
    with pytest.raises(TooMuch):
        allowance.program(PROGRAM)
