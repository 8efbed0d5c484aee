"""The lab's own instance of the kernel's trace: what its programs print with `bpf_trace_printk`.

Every instance gets every print on the machine, and none takes another's lines. So each lab has an instance, which keeps
the lines that begin with the lab's name: the kernel filters, the reader checks. Its name is the lab's mark, because
containers on one machine see each other's instances. Its clock is CLOCK_MONOTONIC, as in the logs. See
Documentation/trace/ftrace.rst in the kernel.
"""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from netlab import paths
from netlab.kernel import syscalls
from netlab.record import mark
from netlab.supervise import logs
from netlab.supervise.stream import Stream
from netlab.words import count

_READ_BYTES = 1 << 16
_BUFFER_KB = 4096  # for each CPU: some 40,000 lines
_BUFFERS_KB = 64 << 10  # for all CPUs
_EVENT = "events/bpf_trace/bpf_trace_printk"
_MARK = b": bpf_trace_printk: "


def instance(folder: str, lab: str) -> str:
    """Return the folder of the lab's instance, in the tracefs of its folder."""
    return paths.trace_instance(folder, mark.mark(lab))


def open_instance(folder: str, lab: str) -> None:
    """Make the lab's instance, and let it collect what the lab's programs print from now on.

    This takes some 80 ms, almost all of it waiting in the kernel, while other threads may run. HostError if the kernel
    has no such event.
    """
    where = instance(folder, lab)
    try:
        if not os.path.isdir(where):
            os.mkdir(where)
        _write(f"{where}/trace_clock", "mono")
        _write(f"{where}/buffer_size_kb", str(min(_BUFFER_KB, _BUFFERS_KB // (os.cpu_count() or 1))))
        _write(f"{where}/buffer_percent", "0")  # wake the reader for every line, and not when the buffer is half full
        _write(f"{where}/{_EVENT}/filter", f'bpf_string ~ "{mark.printed(lab)}/*"')
        _write(f"{where}/{_EVENT}/enable", "1")
    except OSError as error:
        from netlab.errors import HostError

        raise HostError(f"this kernel cannot collect the trace of programs in {where}: {error.strerror}") from error


def close_instance(lab: str) -> bool:
    """Remove the lab's instance with its content; say whether there was one. OSError while somebody reads it."""
    with _instances() as folder:
        try:
            os.rmdir(f"{folder}/{mark.mark(lab)}")
        except FileNotFoundError:
            return False
    return True


def labs() -> list[str]:
    """Return the labs that have an instance; none without root."""
    try:
        with _instances() as folder:
            names = os.listdir(folder)
    except OSError:
        return []
    return [lab for name in names if (lab := mark.marked(name))]


@contextmanager
def _instances() -> Iterator[str]:
    """Yield the folder of all instances, in a tracefs that is mounted nowhere, because a lab's own may be gone.

    Yield a folder that does not exist, if the kernel has no tracing.
    """
    try:
        tracefs = syscalls.open_file_system("tracefs")
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        yield "/proc/self/fd/none"
        return
    try:
        yield f"/proc/self/fd/{tracefs}/instances"
    finally:
        os.close(tracefs)


class Collector:
    """Moves the lab's trace from the kernel into the lab's log, if there is a trace."""

    def __init__(self, folder: str, lab: str, log_limit: int, stream: Stream) -> None:
        """Open the instance; OSError if there is none. The lines also go to the stream."""
        self.fd = os.open(f"{instance(folder, lab)}/trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
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
                yield logs.entry(now, "lost", what)


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


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
