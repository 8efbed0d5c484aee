"""Events are read from the bytes of ring buffers and perf buffers, whatever their writers are doing."""

import struct

import pytest

from netlab.programs import perf_buffer, ring_buffer
from netlab.programs.ring_buffer import BUSY, DISCARDED, Taken

SIZE = 64


def ring(*records: tuple[bytes, int], begin: int = 0) -> tuple[memoryview, int]:
    """Return a ring buffer, as it is mapped twice, with records from a position on; and where they end."""
    once = bytearray(SIZE)
    for data, bits in records:
        whole = (struct.pack("=II", len(data) | bits, 0) + data).ljust((8 + len(data) + 7) & ~7, b"\xee")
        for place, byte in enumerate(whole):
            once[(begin + place) % SIZE] = byte
        begin += len(whole)
    return memoryview(bytes(once) * 2), begin


@pytest.mark.parametrize("begin", [0, 8, 40, 56, SIZE * 1000 + 48])
def test_events_have_their_own_length_wherever_they_are(begin: int) -> None:
    """Also across the end of the buffer, and after many rounds."""
    data, end = ring((b"one", 0), (b"eight888", 0), (b"", 0), begin=begin)
    taken = Taken(10)

    assert ring_buffer.take(data, SIZE, begin, end, taken) == end
    assert [b"one", b"eight888", b""] == taken.events


def test_what_is_discarded_is_no_event_and_what_is_being_written_comes_later() -> None:
    data, end = ring((b"thrown", DISCARDED), (b"kept", 0), (b"half", BUSY), (b"later", 0))
    taken = Taken(10)

    assert ring_buffer.take(data, SIZE, 0, end, taken) == 32
    assert [b"kept"] == taken.events


def test_a_dropped_event_that_is_half_written_is_not_passed_over() -> None:
    """Both bits stand while a writer has not decided yet."""
    data, end = ring((b"half", BUSY | DISCARDED))

    assert ring_buffer.take(data, SIZE, 0, end, Taken(10)) == 0


def test_events_without_room_are_counted() -> None:
    data, end = ring((b"1", 0), (b"2", DISCARDED), (b"3", 0), (b"4", 0))
    taken = Taken(1)

    assert ring_buffer.take(data, SIZE, 0, end, taken) == end
    assert ([b"1"], 2) == (taken.events, taken.lost)


def perf(*records: tuple[int, bytes], begin: int = 0, size: int = 128) -> tuple[memoryview, int]:
    """Return a perf buffer with records of these kinds and contents from a position on; and where they end."""
    once = bytearray(size)
    for kind, data in records:
        for place, byte in enumerate(struct.pack("=IHH", kind, 0, 8 + len(data)) + data):
            once[(begin + place) % size] = byte
        begin += 8 + len(data)
    return memoryview(bytes(once)), begin


def sample(ns: int, data: bytes) -> tuple[int, bytes]:
    filled = data.ljust((len(data) + 4 + 7) // 8 * 8 - 4, b"\0")
    return perf_buffer.SAMPLE, struct.pack("=QI", ns, len(filled)) + filled


@pytest.mark.parametrize("begin", [0, 64, 104, 112, 120, 128 * 9 + 96])
def test_samples_have_the_kernels_times_and_go_on_at_the_beginning(begin: int) -> None:
    data, end = perf(sample(7, b"four"), sample(9, b"twelve bytes"), begin=begin)
    taken = Taken(10)

    assert [7, 9] == perf_buffer.take(data, begin, end, taken)
    assert [b"four", b"twelve bytes"] == taken.events


def test_records_that_are_no_events_are_passed_over() -> None:
    """And events without room are counted."""
    data, end = perf(sample(1, b"1234"), (2, bytes(16)), (5, bytes(8)), sample(2, b"5678"))
    taken = Taken(1)

    assert [1] == perf_buffer.take(data, 0, end, taken)
    assert ([b"1234"], 1) == (taken.events, taken.lost)


def test_a_record_without_a_length_ends_it() -> None:
    """The kernel writes none; one that is damaged is no reason to look at it for ever."""
    assert [] == perf_buffer.take(memoryview(bytes(64)), 0, 64, Taken(1))
