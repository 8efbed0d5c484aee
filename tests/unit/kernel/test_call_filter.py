"""The filter of calls, run as the kernel runs it: its numbers are those of the headers, its answers as meant."""

import os
import re
import struct
from pathlib import Path

import pytest

from netlab.errors import HostError
from netlab.kernel import call_filter

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97
X86, ARM = 0xC000003E, 0xC00000B7
HEADERS = {0: "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", 1: "/usr/include/asm-generic/unistd.h"}


def answer(number: int, *arguments: int, machine: str = "x86_64", architecture: int = X86) -> int:
    """Run the filter for a call, as linux/filter.h says what its steps do."""
    program = list(struct.iter_unpack("=HBBI", call_filter.program(machine)))
    data = struct.pack("=iIQ6Q", number, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    at, held = 0, 0
    while True:
        code, if_true, if_false, value = program[at]
        at += 1
        if code == 0x06:
            return int(value)
        if code == 0x20:
            held = struct.unpack_from("=I", data, value)[0]
            continue
        holds = {0x15: held == value, 0x25: held > value, 0x35: held >= value, 0x45: bool(held & value)}[code]
        at += if_true if holds else if_false


def test_usual_calls_are_allowed_and_those_of_administrators_refused() -> None:
    """On both tables of numbers."""
    assert [ALLOW] * 3 == [answer(0), answer(59), answer(202)]  # read, execve, futex
    assert [ERRNO | EPERM] * 3 == [answer(165), answer(321), answer(101)]  # mount, bpf, ptrace
    assert ALLOW == answer(63, machine="aarch64", architecture=ARM)
    assert ERRNO | EPERM == answer(40, machine="aarch64", architecture=ARM)


def test_other_tables_of_numbers_end_the_process() -> None:
    """Those of 32 bits, and x32, by which other numbers would mean these calls."""
    assert [KILL, KILL] == [answer(21, architecture=0x40000003), answer(165 | 0x40000000)]
    with pytest.raises(HostError, match="run on x86_64 and aarch64, and this machine is riscv64"):
        call_filter.program("riscv64")


def test_calls_that_are_newer_than_the_list_do_not_exist() -> None:
    """So C libraries do without them; clone3 hides its flags from a filter."""
    assert [ERRNO | ENOSYS] * 3 == [answer(457), answer(1000), answer(435)]
    assert ALLOW == answer(456)


def test_processes_and_threads_may_be_made_but_no_namespaces() -> None:
    """By clone and by unshare."""
    assert [ALLOW, ALLOW] == [answer(56, 0x3D0F00), answer(272, 0x200)]
    for flag in (0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert [ERRNO | EPERM] * 2 == [answer(56, flag | 17), answer(272, flag)]


def test_sockets_are_those_of_a_network_namespace() -> None:
    """Of unix, IP, packets, and of netlink routes and sockets."""
    assert [ALLOW] * 4 == [answer(41, family, 2, 0) for family in (1, 2, 10, 17)]
    assert [ALLOW, ALLOW, ERRNO | EPERM, ERRNO | EPERM] == [answer(41, 16, 3, kind) for kind in (0, 4, 12, 16)]
    assert [ERRNO | EAFNOSUPPORT] * 3 == [answer(41, family, 1, 0) for family in (40, 38, 44)]
    assert ERRNO | EAFNOSUPPORT == answer(53, 40)


def test_nobody_types_into_a_terminal() -> None:
    """All other requests are for the device to judge."""
    assert [ERRNO | EPERM, ERRNO | EPERM, ALLOW] == [answer(16, 0, request) for request in (0x5412, 0x541C, 0x5401)]


@pytest.mark.parametrize("column", HEADERS)
def test_numbers_are_those_of_the_headers(column: int) -> None:
    """Each call that is refused has the number that the kernel's header gives it."""
    if not os.path.exists(HEADERS[column]):
        pytest.skip(f"this machine has no {HEADERS[column]}")
    text = Path(HEADERS[column]).read_text()
    known = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
    ours = {name: numbers[column] for name, numbers in call_filter.REFUSED.items() if numbers[column] >= 0}

    assert {name: known[name] for name in ours} == ours
