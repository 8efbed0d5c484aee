"""Reads a ring buffer (BPF_MAP_TYPE_RINGBUF): takes events out of it, for all who want to know of them.

Source: kernel/bpf/ringbuf.c. The first page says how far the reader is, the second how far writers are; then come the
events, mapped twice one after the other, so that none has a gap.
"""

import mmap
import struct
import sys
from typing import Self

from netlab.programs.maps import Map

BUSY, DISCARDED = 1 << 31, 1 << 30  # BPF_RINGBUF_BUSY_BIT: somebody is still writing it; BPF_RINGBUF_DISCARD_BIT
HEADER_BYTES = 8
_LENGTH = (1 << 30) - 1
_AT_ONCE = 1 << 14  # bytes, after which writers get their room back


class Taken:
    """Events that were taken, and how many more there were for which was no room."""

    def __init__(self, room: int) -> None:
        self.events: list[bytes] = []
        self.room = room
        self.lost = 0

    def add(self, event: bytes | memoryview) -> None:
        """Take an event, or count it."""
        if len(self.events) < self.room:
            self.events.append(bytes(event))
        else:
            self.lost += 1


def take(data: memoryview, size: int, begin: int, end: int, into: Taken) -> int:
    """Take the events between two positions; return where to go on.

    `data` is twice the `size` bytes of the buffer. An event that is still being written is where it ends.
    """
    while begin < end:
        at = begin & (size - 1)
        (header,) = struct.unpack_from("=I", data, at)
        if header & BUSY:
            break
        length = header & _LENGTH
        if not header & DISCARDED:
            into.add(data[at + HEADER_BYTES : at + HEADER_BYTES + length])
        begin += (HEADER_BYTES + length + 7) & ~7
    return begin


class RingBuffer:
    """A ring buffer that is being read. Whoever else reads it gets what we do not, and the other way round."""

    def __init__(self, of: Map) -> None:
        """Map it into memory; OSError if the kernel does not let us."""
        self.fd = of.fd  # for poll(2); it belongs to the map
        self._of = of
        self._size = of.max_entries
        page = mmap.PAGESIZE
        own = mmap.mmap(of.fd, page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        theirs = mmap.mmap(of.fd, page + 2 * self._size, mmap.MAP_SHARED, mmap.PROT_READ, offset=page)
        self._consumer = memoryview(own).cast("Q")
        whole = memoryview(theirs)
        self._producer, self._data = whole[:page].cast("Q"), whole[page:]
        self._parts = (self._consumer, self._producer, self._data, whole)
        self._mapped = (own, theirs)

    @classmethod
    def open(cls, path: str) -> Self:
        """Open a pinned one; a missing pin is a NetlabError."""
        return cls(Map.open(path))

    def records(self) -> list[bytes]:
        """Take all events that are there now, however many there are."""
        return self.take(sys.maxsize).events

    def take(self, room: int) -> Taken:
        """Take the events that are there now.

        If there is no room for more, the rest stays where it is. If it fills half of the buffer, only its number is
        taken: writers would find no room.
        """
        taken = Taken(room)
        at, end = self._consumer[0], self._producer[0]
        while at < end and (len(taken.events) < room or end - at > self._size // 2):
            following = take(self._data, self._size, at, min(end, at + _AT_ONCE), taken)
            if following == at:
                break
            self._consumer[0] = at = following
        return taken

    def close(self) -> None:
        """Give the memory back."""
        for part in self._parts:
            part.release()
        for mapped in self._mapped:
            mapped.close()
