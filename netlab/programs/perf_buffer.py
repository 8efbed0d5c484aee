"""Reads what programs put into a perf event array (BPF_MAP_TYPE_PERF_EVENT_ARRAY): a buffer for each CPU.

Each slot of the array gets a descriptor of perf_event_open(2). The kernel takes all of these out again when the map's
descriptor by which they were put in is closed, so also when this process is killed. Source: linux/perf_event.h.
"""

import mmap
import os
import struct
import sys
from contextlib import suppress

from netlab.errors import HostError
from netlab.kernel import syscalls
from netlab.named_tuple import NamedTuple
from netlab.programs.maps import Map
from netlab.programs.ring_buffer import Taken

_NUMBERS = {"x86_64": 298, "aarch64": 241, "riscv64": 241, "s390x": 331, "ppc64le": 319}  # of perf_event_open(2)
# struct perf_event_attr up to `max_stack`, which is PERF_ATTR_SIZE_VER5
_ATTRIBUTES, _ATTRIBUTES_BYTES = "=IIQQQQQIIQQQQIiQIHH", 112
_SOFTWARE, _BPF_OUTPUT = 1, 10  # PERF_TYPE_SOFTWARE, PERF_COUNT_SW_BPF_OUTPUT
_TIME, _RAW = 1 << 2, 1 << 10  # PERF_SAMPLE_…, in the order of a record
_USE_CLOCK_ID, _MONOTONIC = 1 << 25, 1
_CLOSE_ON_EXEC = 8  # PERF_FLAG_FD_CLOEXEC
SAMPLE = 9  # PERF_RECORD_SAMPLE
_FORMAT_LOST = 1 << 4  # PERF_FORMAT_LOST: read(2) tells how many events had no room, since Linux 6.0
_HEAD_AT, _TAIL_AT = 1024 // 8, 1032 // 8  # data_head and data_tail in struct perf_event_mmap_page, in words of 8 bytes
_RECORD = struct.Struct("=IHH")
_PAGES, _BYTES = 64, 16 << 20  # of the buffer of one CPU, and at most of all
_FOUR = 4
_PRESERVE = 1 << 11  # BPF_F_PRESERVE_ELEMS: descriptors stay in the array


class Sample(NamedTuple):
    """An event as the kernel has written it down: when (CLOCK_MONOTONIC), and its bytes, with up to 7 more."""

    ns: int
    data: bytes


def take(data: memoryview, begin: int, end: int, into: Taken) -> list[int]:
    """Take the events between two positions of a buffer; return the times of those that were taken."""
    size, times = len(data), []
    while begin < end:
        kind, _, length = _RECORD.unpack(_part(data, begin % size, _RECORD.size))
        if length < _RECORD.size:
            break
        if kind == SAMPLE:
            record = _part(data, (begin + _RECORD.size) % size, length - _RECORD.size)
            ns, own = struct.unpack_from("=QI", record)
            if len(into.events) < into.room:
                times.append(ns)
            into.add(record[12 : 12 + own])
        begin += length
    return times


def _part(data: memoryview, at: int, length: int) -> bytes:
    """Return bytes of a buffer, which may go on at its beginning."""
    first = bytes(data[at : at + length])
    return first + bytes(data[: length - len(first)])


class CpuBuffer:
    """The buffer of one CPU."""

    def __init__(self, cpu: int, pages: int) -> None:
        """Open it; OSError if the kernel does not let us."""
        self.cpu = cpu
        self._lost = 0
        self.fd = _opened(cpu)
        try:
            self._mapped = mmap.mmap(self.fd, (pages + 1) * mmap.PAGESIZE, mmap.MAP_SHARED)
        except OSError:
            os.close(self.fd)
            raise
        self._whole = memoryview(self._mapped)
        self._head = self._whole[: mmap.PAGESIZE].cast("Q")
        self._data = self._whole[mmap.PAGESIZE :]

    def take(self, room: int) -> tuple[list[Sample], int]:
        """Take the events that are there now; return them, and how many are lost.

        If there is no room for any, they stay as long as they fill no more than half of the buffer.
        """
        taken, begin, end = Taken(room), self._head[_TAIL_AT], self._head[_HEAD_AT]
        if not room and end - begin <= len(self._data) // 2:
            return [], 0
        times = take(self._data, begin, end, taken)
        self._head[_TAIL_AT] = end
        lost = self._newly_lost() if end - begin > len(self._data) // 2 else 0  # with room, none was lost
        return list(map(Sample, times, taken.events)), taken.lost + lost

    def _newly_lost(self) -> int:
        """Return how many events the kernel had no room for since the last look.

        Records say so too (PERF_RECORD_LOST), but only when the next event comes.
        """
        before, self._lost = self._lost, struct.unpack("=QQ", os.read(self.fd, 16))[1]
        return self._lost - before

    def close(self) -> None:
        """Give the memory and the descriptor back."""
        for part in (self._data, self._head, self._whole):
            part.release()
        self._mapped.close()
        os.close(self.fd)


def _opened(cpu: int) -> int:
    machine = os.uname().machine
    if machine not in _NUMBERS:
        raise HostError(f"netlab does not know the number of perf_event_open(2) on {machine}")
    about = struct.pack(
        _ATTRIBUTES,
        *(_SOFTWARE, _ATTRIBUTES_BYTES, _BPF_OUTPUT, 1, _RAW | _TIME, _FORMAT_LOST, _USE_CLOCK_ID, 1, 0, 0, 0, 0, 0),
        *(0, _MONOTONIC, 0, 0, 0, 0),
    )
    return syscalls.call(_NUMBERS[machine], "perf_event_open", about, -1, cpu, -1, _CLOSE_ON_EXEC)


class PerfBuffers:
    """A perf event array that is being read, on each CPU. Whoever puts other descriptors into it takes it over."""

    def __init__(self, of: Map) -> None:
        """Put descriptors into the array; OSError if the kernel does not let us."""
        self._map = of
        self.buffers: list[CpuBuffer] = []
        cpus = [cpu for cpu in _online() if cpu < of.max_entries]
        pages = _PAGES
        while pages > 1 and pages * mmap.PAGESIZE * len(cpus) > _BYTES:
            pages //= 2
        try:
            for cpu in cpus:
                self.buffers.append(CpuBuffer(cpu, pages))
                of.set(_number(cpu), _number(self.buffers[-1].fd))
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Take the descriptors out again, and close them."""
        for buffer in self.buffers:
            if self._map.flags & _PRESERVE:  # else it is for the kernel, which leaves alone what others have put in
                with suppress(KeyError):
                    self._map.delete(_number(buffer.cpu))
            buffer.close()
        self.buffers.clear()


def _number(value: int) -> bytes:
    return value.to_bytes(_FOUR, sys.byteorder)


def _online() -> list[int]:
    """Return the CPUs that run."""
    with open("/sys/devices/system/cpu/online", encoding="ascii") as file:
        parts = [part.partition("-") for part in file.read().strip().split(",")]
    return [cpu for first, _, last in parts for cpu in range(int(first), int(last or first) + 1)]
