"""Entries of large maps are read by many at a time, whole, and no further than they are wanted."""

import errno
import struct
from itertools import islice
from typing import Any

import pytest

from netlab.programs import bpf
from netlab.programs.map_reader import Entry, entries
from netlab.programs.maps import Map, possible_cpus

pytestmark = pytest.mark.root

MANY = 20_000


def number(value: int) -> bytes:
    return struct.pack("=I", value)


def filled(kind: int, count: int, value_size: int = 4) -> Map:
    made = Map.create(kind, 4, value_size, count)
    for each in range(count):
        made.set(number(each), number(each + 1).ljust(value_size, b"\0"))
    return made


@pytest.mark.parametrize("kind", [bpf.HASH, bpf.LRU_HASH, bpf.ARRAY])
def test_every_entry_is_read_once(kind: int) -> None:
    # an LRU map is never full: its lists are per CPU
    made = filled(kind, MANY) if kind != bpf.LRU_HASH else Map.create(kind, 4, 4, 4 * MANY)
    for each in range(MANY if kind == bpf.LRU_HASH else 0):
        made.set(number(each), number(each + 1))
    with made:
        found = list(entries(made))

    assert sorted(found, key=lambda entry: struct.unpack("=I", entry.key)) == [
        Entry(number(each), (number(each + 1),)) for each in range(MANY)
    ]


@pytest.mark.parametrize("kind", [bpf.PERCPU_HASH, bpf.PERCPU_ARRAY])
def test_each_cpu_has_its_value(kind: int) -> None:
    """Also of values whose size is no multiple of eight."""
    cpus = possible_cpus()
    with Map.create(kind, 4, 6, 300) as made:
        for each in range(300):
            made.set_per_cpu(number(each), [number(each + cpu).ljust(6, b"\7") for cpu in range(cpus)])
        found = {entry.key: entry.values for entry in entries(made)}

    assert found == {
        number(each): tuple(number(each + cpu).ljust(6, b"\7") for cpu in range(cpus)) for each in range(300)
    }


def test_no_more_is_read_than_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    call = bpf.call

    def counted(command: int, *rest: Any) -> int:
        calls.append(command)
        return call(command, *rest)

    with filled(bpf.HASH, MANY) as made:
        monkeypatch.setattr(bpf, "call", counted)
        found = list(islice(entries(made), 10))

    assert len(found) == 10
    assert calls == [bpf.MAP_LOOKUP_BATCH]


@pytest.mark.parametrize("refusal", [errno.EINVAL, errno.ENOTSUP, 524, errno.ENOSPC])
def test_a_kernel_that_cannot_read_many_reads_one_by_one(monkeypatch: pytest.MonkeyPatch, refusal: int) -> None:
    call = bpf.call

    def refused(command: int, *rest: Any) -> int:
        if command == bpf.MAP_LOOKUP_BATCH:
            raise OSError(refusal, "refused")
        return call(command, *rest)

    with filled(bpf.HASH, 100) as made:
        monkeypatch.setattr(bpf, "call", refused)
        found = {entry.key for entry in entries(made)}

    assert found == {number(each) for each in range(100)}


@pytest.mark.parametrize("refusal", [0, 524])
def test_many_entries_are_written(monkeypatch: pytest.MonkeyPatch, refusal: int) -> None:
    """In one call, or one by one where the kernel has no such call."""
    calls: list[int] = []
    call = bpf.call

    def counted(command: int, *rest: Any) -> int:
        calls.append(command)
        if command == bpf.MAP_UPDATE_BATCH and refusal:
            raise OSError(refusal, "refused")
        return call(command, *rest)

    wanted = {number(each): number(each * each) for each in range(10)}
    with Map.create(bpf.HASH, 4, 4, 10) as made:
        monkeypatch.setattr(bpf, "call", counted)
        made.set_all(wanted)
        monkeypatch.undo()

        assert {entry.key: entry.values[0] for entry in entries(made)} == wanted
        assert calls == [bpf.MAP_UPDATE_BATCH, *([bpf.MAP_UPDATE] * len(wanted) if refusal else [])]


def test_another_error_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> int:
        raise OSError(errno.EPERM, "no")

    with filled(bpf.HASH, 1) as made:
        monkeypatch.setattr(bpf, "call", broken)
        with pytest.raises(PermissionError):
            list(entries(made))
