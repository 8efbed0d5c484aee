"""In the supervisor: reads what processes print, for their logs and for readers of the stream."""

import os
from collections.abc import Callable
from functools import partial

from netlab.supervise.child import Child
from netlab.supervise.loop import Loop, repeat
from netlab.supervise.stream import Stream

_READ_BYTES = 1 << 16


class Intake:
    """Reads the pipes of processes; `is_ready` is called when a line shows that, `is_closed` when both pipes are.

    `is_cut` is called when a process prints more than it may, whose pipes are then closed.
    """

    def __init__(
        self,
        loop: Loop,
        stream: Stream,
        is_ready: Callable[[Child], None],
        is_closed: Callable[[Child], None],
        is_cut: Callable[[Child], None] = lambda _: None,
    ) -> None:
        self._loop = loop
        self._stream = stream
        self._is_ready = is_ready
        self._is_closed = is_closed
        self._is_cut = is_cut

    def watch(self, child: Child) -> None:
        """Read what a process prints from now on."""
        for fd in child.pipes:
            self._loop.watch(fd, partial(self._read, child, fd))

    def read(self, child: Child) -> None:
        """Read what is there now, such as the last lines of a process that has just ended."""
        for fd in list(child.pipes):
            repeat(partial(self._read, child, fd))

    def drain(self, child: Child) -> None:
        """Read what is there for the last time; a last line without its end counts as a line."""
        self.read(child)
        for fd in list(child.pipes):
            self._take(child, fd, b"")

    def _read(self, child: Child, fd: int) -> bool:
        """Read what a pipe holds, but no more than is fair to others; say whether there was anything."""
        try:
            data = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return False
        self._take(child, fd, data)
        if not data:
            self._close(child, fd)
        elif child.prints_too_much(data):
            self._stream.tell_lines(
                child.name, child.note(f"its output is cut off here, as its log holds {child.may_print:,} bytes")
            )
            self._is_cut(child)
            for other in list(child.pipes):
                self._close(child, other)
            return False
        return bool(data)

    def _close(self, child: Child, fd: int) -> None:
        self._loop.close(fd)
        del child.pipes[fd]
        if not child.pipes:
            self._is_closed(child)

    def _take(self, child: Child, fd: int, data: bytes) -> None:
        ready, lines = child.take(fd, data)
        self._stream.tell_lines(child.name, lines)
        if ready:
            self._is_ready(child)
