"""A map of events that is being read: a ring buffer, or a perf event array."""

from collections.abc import Iterator
from typing import Any

from netlab.named_tuple import NamedTuple
from netlab.programs import bpf
from netlab.programs.event_types import Chooser
from netlab.programs.lab_names import LabNames
from netlab.programs.maps import Map
from netlab.programs.perf_buffer import PerfBuffers
from netlab.programs.ring_buffer import RingBuffer
from netlab.programs.shown_values import Shower
from netlab.record.layouts import Layouts

_LONGEST = 1024  # bytes of an event that are shown as digits


class Event(NamedTuple):
    """An event: when (CLOCK_MONOTONIC), on which CPU (None for a ring buffer), and its bytes."""

    ns: int
    cpu: int | None
    data: bytes


class EventMap:
    """Reads one map of a program, and shows its events by their types."""

    def __init__(self, program: str, name: str, of: Map, known: Layouts, names: LabNames) -> None:
        """Begin to read; OSError if the kernel does not let us. The map is open until `close`."""
        self.program = program
        self.name = name
        self.map = of
        self._ring: RingBuffer | None = None
        self._perf: PerfBuffers | None = None
        if of.type == bpf.RING_BUFFER:
            self._ring = RingBuffer(of)
        else:
            self._perf = PerfBuffers(of)
        self.learn(known, names)

    def learn(self, known: Layouts, names: LabNames) -> None:
        """Take the types from what is known of a new build."""
        self._chooser = Chooser(self.name, known, is_padded=self._perf is not None)
        self._shower = Shower(known, names)

    def descriptors(self) -> Iterator[int]:
        """Yield what poll(2) can wait for."""
        if self._perf:
            yield from (buffer.fd for buffer in self._perf.buffers)
        else:
            yield self.map.fd

    def take(self, now: int, room: int) -> tuple[list[Event], int]:
        """Take what is there at this moment; return at most so many events, and how many are lost."""
        if self._ring:
            taken = self._ring.take(room)
            return [Event(now, None, data) for data in taken.events], taken.lost  # a ring buffer has no times
        found: list[Event] = []
        lost = 0
        for buffer in self._perf.buffers if self._perf else ():
            samples, missing = buffer.take(max(0, room - len(found)))
            found += [Event(ns, buffer.cpu, data) for ns, data in samples]
            lost += missing
        return found, lost

    def shown(self, event: Event) -> dict[str, Any]:
        """Return an event as what JSON has."""
        data, size = event.data, len(event.data)
        known: dict[str, Any] = {"map": self.name, "cpu": event.cpu, "type": None, "size": size}
        field = self._chooser.of_size(size)
        if not field:
            return {**known, "value": f"0x{data[:_LONGEST].hex()}"}
        known |= {"type": field.type, "value": self._shower.value(field, data[: field.size])}
        rest = data[field.size :]
        if rest and not self._chooser.fits(field.size, size):
            known["rest"] = f"0x{rest[:_LONGEST].hex()}"
        return known

    def close(self) -> None:
        """Read no more, and leave the map as it was."""
        if self._ring:
            self._ring.close()
        if self._perf:
            self._perf.close()
        self.map.close()
