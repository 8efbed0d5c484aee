"""In the supervisor: what goes wrong with XDP in the lab, from the kernel's ring into a log and to whoever listens.

Of each error the kernel tells only the first frames in each second. How many more there were is in its count, at which
this looks one second later, and so on until no more have come. What is lost after a redirect that went well is counted
only while somebody reads these events.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from netlab import paths
from netlab.errors import NetlabError
from netlab.programs import xdp_error_code as code
from netlab.programs import xdp_errors, xdp_reasons
from netlab.programs.maps import Map
from netlab.programs.ring_buffer import RingBuffer
from netlab.programs.xdp_errors import Error, Report
from netlab.programs.xdp_places import Node, place_of
from netlab.supervise import logs
from netlab.supervise.stream import Stream
from netlab.words import count


class _Told:
    """How many frames of an error were told or summed up, how many there were at the last look, when the next is."""

    def __init__(self) -> None:
        self.frames = 0
        self.looked = 0
        self.due_ns = 0  # 0: never


class ErrorCollector:
    """Moves errors from the kernel into the lab's log of them."""

    def __init__(self, folder: str, nodes: Sequence[Node], log_limit: int, stream: Stream) -> None:
        """Open the ring and the counts; OSError or NetlabError if there are none."""
        pins = paths.xdp_errors(folder)
        self._counts = Map.open(f"{pins}/{xdp_errors.COUNTS}")
        self._ring = RingBuffer.open(f"{pins}/{xdp_errors.RING}")
        self._nodes = nodes
        self._log = logs.Writer(f"{folder}/{paths.XDP_LOG}", log_limit)
        self._stream = stream
        self._told: dict[Error, _Told] = {}
        self._due_ns = 0  # of the next look at any count; 0: there is none
        self._folder = folder
        self._more: ExitStack | None = None  # what counts frames on their way, as long as somebody reads

    def know(self, nodes: Sequence[Node]) -> None:
        """Know the nodes of the lab as they are now; errors are then numbered in this order."""
        self._nodes = nodes
        self._told.clear()
        self._due_ns = 0

    @property
    def fd(self) -> int:
        """What can be read when there is something."""
        return self._ring.fd

    @property
    def due(self) -> float:
        """When there is something to sum up, by time.monotonic()."""
        return self._due_ns / 1e9 if self._due_ns else float("inf")

    def heed_readers(self) -> None:
        """Count frames on their way as long as somebody reads; a kernel that cannot is left alone."""
        if self._stream.wants("xdp") is (self._more is not None):
            return
        if self._more is not None:
            self._more.close()
            self._more = None
            return
        try:
            self._more = xdp_errors.count_on_the_way(self._folder)
        except (NetlabError, OSError):
            self._more = ExitStack()  # so that it is tried once for each reader, and not in each turn

    def move(self, *, at_all: bool = False) -> None:
        """Move what is there now, without waiting, and sum up the rest of seconds that are over, or of all."""
        events = list(map(xdp_errors.report_of, self._ring.records()))
        for event in events:
            told = self._told.setdefault(event.error, _Told())
            told.frames += event.frames
        lines = [(event, True) for event in self._summed_up(time.monotonic_ns(), at_all)]
        lines += [(event, False) for event in events]
        for event, is_sum in sorted(lines, key=lambda line: line[0].ns):
            self._tell(event, is_sum)
        for event in events:
            told = self._told[event.error]
            told.due_ns = told.due_ns or event.ns + code.SECOND_NS
        self._due_ns = min((told.due_ns for told in self._told.values() if told.due_ns), default=0)

    def _summed_up(self, now_ns: int, at_all: bool) -> Iterator[Report]:
        """Yield what was not told of errors whose second is over; as long as more come, another second begins then."""
        for error, told in self._told.items():
            if not (at_all or 0 < told.due_ns <= now_ns):
                continue
            ends_ns, frames = min(told.due_ns or now_ns, now_ns), self._frames(error)
            told.due_ns = now_ns + code.SECOND_NS if frames != told.looked else 0
            told.looked = frames
            if (more := frames - told.frames) > 0:
                told.frames = frames
                yield Report(error, ends_ns, more, 0)

    def _frames(self, error: Error) -> int:
        try:
            value = self._counts.get(xdp_errors.key_of(error))
        except (KeyError, OSError):
            return 0
        return int(code.COUNT.unpack(value)[0])

    def _tell(self, event: Report, is_sum: bool) -> None:
        """Write one line, and send it to readers."""
        where = place_of(self._nodes, event.error)
        ns = self._log.latest = max(event.ns, self._log.latest)
        why = xdp_reasons.words(event.error, where.target)
        if is_sum:
            lost = f"… and {event.frames:,} more lost in this second: {why}"
        else:
            lost = f"{count(event.frames, 'frame')} lost: {why}{xdp_reasons.example(event.error, event.detail)}"
        text = f"{where.interface}: {lost}" if where.interface else lost
        about = {"node": where.node, "program": where.program or None, "interface": where.interface or None}
        reason = {"reason": xdp_reasons.reason(event.error).name, "target": where.target or None}
        more = {"more": True} if is_sum else {}
        what = {**about, **reason, "frames": event.frames, **more}
        self._log.write(ns, logs.entry(ns, "xdp", f"{where.program or where.node} {text}", what))
        self._stream.tell("xdp", ns, **what, text=text)
