"""Instructions that reach further than packets and maps are found, whoever has made them."""

import struct

import pytest

from netlab.programs import instructions
from netlab.programs.assembly import R0, R1, R2, assembled, call, leave, put, put_long, put_map
from netlab.programs.bpf import MAP_TYPES


def code(operation: int, to: int = 0, source: int = 0, value: int = 0) -> bytes:
    return struct.pack("=BBhi", operation, to | source << 4, 0, value)


def test_packets_maps_and_time_are_allowed() -> None:
    """Helpers that every exercise uses."""
    allowed = assembled([*put_map(R1, 5), *(call(n) for n in (1, 2, 3, 5, 6, 7, 8, 23, 44, 51, 65, 130, 189)), leave()])

    assert instructions.forbidden(allowed) == ""


@pytest.mark.parametrize("helper", [4, 14, 16, 35, 36, 45, 58, 67, 109, 112, 113, 114, 115, 117, 158, 166, 168, 179])
def test_what_reaches_further_is_forbidden(helper: int) -> None:
    """Memory of the kernel and of processes, signals, who runs there, and bpf(2) itself; by name."""
    found = instructions.forbidden(assembled([put(R0, 0), call(helper), leave()]))

    assert found.startswith("calls the kernel's helper ")
    assert found.endswith("()") or helper == 67


@pytest.mark.parametrize("helper", [0, 226, 1000, -1])
def test_helpers_that_nobody_knows_are_forbidden(helper: int) -> None:
    """A later kernel may have them."""
    assert instructions.forbidden(code(0x85, value=helper)) == f"calls the kernel's helper number {helper}"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (code(0x85, source=2, value=1), "calls a function of the kernel that is no helper"),
        (code(0x8D, value=1), "calls a function of the kernel that is no helper"),
        (code(0x18, source=3, value=1) + code(0), "reads a variable of the kernel"),
        (code(0x18, source=5, value=1) + code(0), "reads a variable of the kernel"),
    ],
)
def test_functions_and_variables_of_the_kernel_are_forbidden(text: bytes, what: str) -> None:
    assert what == instructions.forbidden(text)


def test_the_second_half_of_a_long_number_is_no_instruction() -> None:
    """A number may look like any instruction."""
    looks_like_a_call = int.from_bytes(code(0x85, value=113)[4:], "little") << 32
    text = assembled([*put_long(R2, looks_like_a_call), call(1), leave()])

    assert instructions.forbidden(text) == ""
    assert "number 0" in instructions.forbidden(code(0x85))


def test_descriptors_are_found_and_changed() -> None:
    """Of maps, and of what is in them."""
    text = assembled([put(R0, 1), *put_map(R1, 7), leave()]) + code(0x18, source=2, value=9) + code(0, value=16)

    found = dict(instructions.maps_named(text))

    assert found == {1: 7, 4: 9}
    changed = instructions.with_descriptors(text, {1: 70, 4: 90})
    assert dict(instructions.maps_named(changed)) == {1: 70, 4: 90}
    assert changed[-4:] == text[-4:]


def test_map_types_are_named_as_the_kernel_counts_them() -> None:
    assert (MAP_TYPES.index("sockmap"), MAP_TYPES.index("ringbuf")) == (15, 27)
