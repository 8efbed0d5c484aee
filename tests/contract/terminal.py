"""A person at a terminal: a command on a pseudo terminal of its own, what is typed there, and what is seen."""

import os
import pty
import select
import time
from collections.abc import Sequence

from netlab.testing.waiting import PATIENCE_S


class Terminal:
    """A command at work on a terminal; it is killed if it has not been waited for."""

    def __init__(self, argv: Sequence[str], cwd: str) -> None:
        self.seen = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(cwd)
                os.execvp(argv[0], list(argv))
            finally:
                os._exit(99)

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self.fd, text.encode())

    def until(self, text: str) -> None:
        """Wait until this is seen, after what was awaited before."""
        end = time.monotonic() + PATIENCE_S
        while text not in self.seen:
            assert time.monotonic() < end, f"expected {text!r}, saw {self.seen!r}"
            self._look()
        self.seen = self.seen.partition(text)[2]

    def wait(self) -> int:
        """Wait for the command's end, and return its exit code, or the number of the signal as a negative one."""
        end = time.monotonic() + PATIENCE_S
        while not (ended := os.waitpid(self.pid, os.WNOHANG))[0]:
            assert time.monotonic() < end, f"it does not end; saw {self.seen!r}"
            self._look()
        self.pid = 0
        return os.waitstatus_to_exitcode(ended[1])

    def close(self) -> None:
        """Hang up."""
        os.close(self.fd)
        if self.pid:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)

    def _look(self) -> None:
        if select.select([self.fd], [], [], 0.05)[0]:
            try:
                self.seen += os.read(self.fd, 4096).decode(errors="replace")
            except OSError:  # nobody is at the other end any more
                time.sleep(0.01)
