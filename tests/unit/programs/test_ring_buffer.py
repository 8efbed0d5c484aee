"""A ring that programs write to, read from memory that looks like one."""

import mmap
import struct

from netlab.programs.ring_buffer import RingBuffer

SIZE = 4096
BUSY, DISCARDED = 1 << 31, 1 << 30


def ring(produced: int, consumed: int, **records: tuple[int, bytes]) -> RingBuffer:
    """Return a ring with these records, by `at_POSITION`."""
    made = RingBuffer.__new__(RingBuffer)
    made.fd = -1
    made.max_entries = SIZE
    data = bytearray(mmap.PAGESIZE + 2 * SIZE)
    struct.pack_into("=Q", data, 0, produced)
    for name, (length, content) in records.items():
        at = mmap.PAGESIZE + int(name.removeprefix("at_")) % SIZE
        data[at : at + 8 + len(content)] = struct.pack("=II", length, 0) + content
    made._produced = data  # type: ignore[assignment]
    made._consumed = bytearray(struct.pack("=Q", consumed))  # type: ignore[assignment]
    return made


def position(of: RingBuffer) -> int:
    return int(struct.unpack_from("=Q", of._consumed)[0])


def test_records_are_taken_out_in_their_order() -> None:
    """Without those that their writers have thrown away; one may go over the end of the ring."""
    found = ring(
        SIZE + 32, SIZE - 32, at_4064=(3, b"one"), at_4080=(DISCARDED | 2, b"no"), at_4096=(20, b"two".ljust(20))
    )

    assert [b"one", b"two".ljust(20)] == list(found.records())
    assert SIZE + 32 == position(found)
    assert [] == list(found.records())


def test_a_record_that_is_being_written_is_waited_for() -> None:
    found = ring(32, 0, at_0=(1, b"a"), at_16=(BUSY | 1, b"b"))

    assert [b"a"] == list(found.records())
    assert 16 == position(found)
