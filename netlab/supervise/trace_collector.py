"""In the supervisor: moves the lines of the lab's trace from the kernel to the lab's log and to readers of events."""

import os
import time
from collections.abc import Iterator

from netlab import paths
from netlab.record import mark
from netlab.supervise import logs, trace
from netlab.supervise.stream import Stream
from netlab.words import count

_READ_BYTES = 1 << 16
_MARK = b": bpf_trace_printk: "


class Collector:
    """Moves the lab's trace from the kernel into the lab's log, if there is a trace."""

    def __init__(self, folder: str, lab: str, log_limit: int, stream: Stream) -> None:
        """Open the instance; OSError if there is none. The lines also go to the stream."""
        self.fd = os.open(f"{trace.instance(folder, lab)}/trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
        self._prefix = f"{mark.printed(lab)}/".encode()
        self._log = logs.Writer(f"{folder}/{paths.TRACE_LOG}", log_limit)
        self._stream = stream
        self._rest = b""
        self._lost = 0

    def read(self) -> bool:
        """Move some lines without waiting, and say whether there were any."""
        try:
            data = os.read(self.fd, _READ_BYTES)
        except BlockingIOError:
            return False
        now = time.monotonic_ns()
        *lines, self._rest = (self._rest + data).split(b"\n")
        if entries := list(self._entries(lines, now)):
            self._log.write(now, b"".join(entries))
            self._stream.tell_trace(entries)
        return bool(data)

    def _entries(self, lines: list[bytes], now: int) -> Iterator[bytes]:
        for raw in lines:
            if line := parse(raw, self._prefix):
                yield b"%d trace %s\n" % line
            elif missing := lost(raw):
                self._lost += missing
                what = f"{count(missing, 'line')} lost, {self._lost} in all: they came too fast"
                self._stream.tell("overrun", now, count=missing, text=what)
                yield logs.entry(now, "lost", what, {"count": missing})


def parse(raw: bytes, prefix: bytes) -> tuple[int, bytes] | None:
    """Return the time in nanoseconds and the text of a line of the pipe, if its text begins with the prefix.

    A line is `TASK-PID [CPU] FLAGS SECONDS.MICROSECONDS: bpf_trace_printk: TEXT`. TASK may contain anything.
    """
    head, mark, text = raw.partition(_MARK)
    if not mark or not text.startswith(prefix):
        return None
    seconds, dot, fraction = head[head.rfind(b" ") + 1 :].partition(b".")
    if not (dot and seconds.isdigit() and fraction.isdigit()):
        return None
    return int(seconds) * 1_000_000_000 + int(fraction.ljust(9, b"0")), text


def lost(raw: bytes) -> int:
    """Return how many events a line of the pipe reports as overwritten before they were read; mostly none.

    Such a line is `CPU:1 [LOST 42 EVENTS]`; without a number it counts as one.
    """
    if not (raw.startswith(b"CPU:") and raw.endswith(b" EVENTS]")):
        return 0
    number = raw.split()[-2]
    return int(number) if number.isdigit() else 1
