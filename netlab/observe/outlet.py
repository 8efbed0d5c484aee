"""Where the bytes of a capture go: a file, or a pipe whose reader may stall, so that no write ever waits for ever."""

import os
import select
import stat
import time
from collections.abc import Callable
from contextlib import suppress

from netlab.errors import HostError

_AT_ONCE = 4096  # PIPE_BUF: a pipe that can be written takes as much without waiting
_LOOK_S = 0.2
_END_S = 2.0


class Outlet:
    """Writes to a descriptor, as far as whoever reads takes it; `may_wait` says whether it may still wait for that."""

    def __init__(self, fd: int, may_wait: Callable[[], bool], name: str = "stdout") -> None:
        self.fd, self._name = fd, name
        self._may_wait = may_wait
        self._is_plain = stat.S_ISREG(os.fstat(fd).st_mode)
        self._ends_at: float | None = None
        self.unwritten = 0

    def write(self, data: bytes) -> None:
        """Write bytes; what nobody takes two seconds after the end is counted. Raises OSError, as BrokenPipeError.

        HostError if a file takes no more; then none of these bytes are in it.
        """
        if self._is_plain:
            self._write_plain(data)
            return
        left = memoryview(data)
        while left:
            if not self._is_ready():
                self.unwritten += len(left)
                return
            left = left[os.write(self.fd, left[:_AT_ONCE]) :]

    def _write_plain(self, data: bytes) -> None:
        left, size = memoryview(data), os.fstat(self.fd).st_size
        try:
            while left:
                left = left[os.write(self.fd, left) :]
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self.fd, size)
            raise HostError(f"cannot write {self._name}: {error.strerror}; what is in it is whole") from error

    def _is_ready(self) -> bool:
        poll = select.poll()
        poll.register(self.fd, select.POLLOUT)
        while not poll.poll(0 if self._is_late() else _LOOK_S * 1000):
            if self._is_late():
                return False
        return True

    def _is_late(self) -> bool:
        if self._may_wait():
            return False
        self._ends_at = self._ends_at or time.monotonic() + _END_S
        return time.monotonic() > self._ends_at
