"""Reads a ring (BPF_MAP_TYPE_RINGBUF) that programs write to: Documentation/bpf/ringbuf.rst in the kernel."""

import mmap
import struct
from collections.abc import Iterator

from netlab.programs.maps import Map

_POSITION, _LENGTH = struct.Struct("=Q"), struct.Struct("=I")
_BUSY, _DISCARDED = 1 << 31, 1 << 30  # bits of a length
_HEAD = 8  # bytes in front of each record


class RingBuffer(Map):
    """A ring. Its descriptor, `fd`, can be read when there are records."""

    def __init__(self, fd: int) -> None:
        """Take over the descriptor, and map the ring into memory."""
        super().__init__(fd)
        page = mmap.PAGESIZE
        self._consumed = mmap.mmap(fd, page)
        # The data is mapped twice in a row, so that no record has a gap.
        self._produced = mmap.mmap(fd, page + 2 * self.max_entries, prot=mmap.PROT_READ, offset=page)

    def close(self) -> None:
        """Close the ring, once."""
        if self.fd >= 0:
            self._consumed.close()
            self._produced.close()
        super().close()

    def records(self) -> Iterator[bytes]:
        """Take out the records that are there now. Each makes room before it is yielded."""
        (at,) = _POSITION.unpack_from(self._consumed)
        while at < _POSITION.unpack_from(self._produced)[0]:
            place = mmap.PAGESIZE + at % self.max_entries
            (length,) = _LENGTH.unpack_from(self._produced, place)
            if length & _BUSY:  # its writer is at it
                return
            size = length & ~_DISCARDED
            data = self._produced[place + _HEAD : place + _HEAD + size]
            at += (_HEAD + size + 7) & ~7
            _POSITION.pack_into(self._consumed, 0, at)
            if not length & _DISCARDED:
                yield data
