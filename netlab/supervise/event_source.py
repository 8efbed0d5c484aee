"""In the supervisor: the events of the lab's programs, from the process that reads them into the lab's log and stream.

That process is `programs.event_collector`. It is another one, as a million events a second must not hold up what the
supervisor does for processes. A lab without maps of events has none.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from netlab import paths
from netlab.supervise import logs
from netlab.supervise.loop import Loop, repeat
from netlab.supervise.stream import Stream

_READER = "netlab.programs.event_collector"
_BOOT = f"import sys; sys.path.append(sys.argv[1]); from {_READER} import main; main(*sys.argv[2:])"
_READ_BYTES = 1 << 16
_REST_S = 0.01
_READY_S = 5.0  # for the reader to be there, before the first process is started without it
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
_END_S = 2.0
_EVENT, _BEGIN = b" event ", 40  # among the first bytes of a line


class EventSource:
    """The reader of events, and what it says."""

    def __init__(self, lab: str, log_limit: int, loop: Loop, stream: Stream) -> None:
        self._lab = lab
        self._log = logs.Writer(paths.EVENTS_LOG, log_limit)
        self._loop = loop
        self._stream = stream
        self._pid, self._pidfd, self._fd = 0, -1, -1
        self._rest = b""
        self._rests = 0.0  # until when, while nobody waits for its lines
        self._starts = 0.0  # when it is to be started; 0 for not at all
        self._pause_s = _FIRST_PAUSE_S
        self._then: Callable[[], None] | None = None
        self._patience = 0.0

    def start(self, then: Callable[[], None]) -> None:
        """Start the reader, and call `then` when it is there, or has had enough time."""
        self._starts = time.monotonic()
        self._then, self._patience = then, time.monotonic() + _READY_S

    def look(self) -> None:
        """Let the reader see which maps there are now."""
        if self._pid:
            os.kill(self._pid, signal.SIGHUP)
        else:
            self._starts = time.monotonic()

    @property
    def due(self) -> float:
        """When `turn` is to be called at the latest."""
        waits = (self._rests, self._starts, self._patience if self._then else 0.0)
        return min((each for each in waits if each), default=float("inf"))

    def turn(self) -> None:
        """Do what is due, between two turns of the loop."""
        now = time.monotonic()
        if self._starts and now >= self._starts:
            self._starts = 0.0
            self._spawn()
        if self._rests and now >= self._rests and self._fd >= 0:
            self._rests = 0.0
            self._loop.watch(self._fd, self._hear)
        if self._then and now >= self._patience:
            then, self._then = self._then, None
            then()

    def finish(self) -> None:
        """End the reader, and take what it still has to tell."""
        self._starts = 0.0
        if not self._pid:
            return
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGTERM)
        ends = time.monotonic() + _END_S
        while self._fd >= 0 and time.monotonic() < ends:
            repeat(self._read)
            time.sleep(_FIRST_PAUSE_S / 1000)
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        self._pid = 0

    def _spawn(self) -> None:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        argv = [sys.executable, "-IS", "-c", _BOOT, paths.IMPORTED_FROM, self._lab, str(os.getpid())]
        nothing = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 2)]
        actions = [*nothing, (os.POSIX_SPAWN_DUP2, writing, 1)]
        try:
            self._pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=actions, setpgroup=0, setsigmask=())
            self._pidfd = os.pidfd_open(self._pid)
        except OSError as error:
            os.close(reading)
            self._say(f"events are not read: {error.strerror}")
            self._again()
            return
        finally:
            os.close(writing)
        self._fd = reading
        self._loop.watch(reading, self._hear)
        self._loop.watch(self._pidfd, self._ended)

    def _hear(self) -> None:
        repeat(self._read)
        if self._fd >= 0:
            self._loop.forget(self._fd)
            self._rests = time.monotonic() + _REST_S

    def _read(self) -> bool:
        """Move some lines without waiting, and say whether there were any."""
        if self._fd < 0:
            return False
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._loop.close(self._fd)
            self._fd = -1
            return False
        *lines, self._rest = (self._rest + data).split(b"\n")
        if all(map(_is_event, lines)):
            self._keep(lines)
            return True
        for line in lines:  # in their order, which is that of time
            if _is_event(line):
                self._keep([line])
            else:
                self._note(line)
        return True

    def _keep(self, events: list[bytes]) -> None:
        """Write events into the log, and tell readers of them."""
        if events:
            self._log.write(time.monotonic_ns(), b"\n".join([*events, b""]))
            self._stream.tell_events(events)

    def _note(self, line: bytes) -> None:
        """Take a line that is no event."""
        ns, _, rest = line.partition(b" ")
        kind, _, text = rest.partition(b" ")
        if kind == b"overrun":
            about = json.loads(text)
            self._log.write(int(ns), logs.entry(int(ns), "lost", about["text"], about))
            self._stream.tell("overrun", int(ns), **about)
        elif kind == b"ready":
            self._pause_s = _FIRST_PAUSE_S
            self._patience = time.monotonic()

    def _ended(self) -> None:
        """Take the end of the reader, which nobody has asked for: start it again in a moment."""
        repeat(self._read)
        if self._fd >= 0:
            self._loop.close(self._fd)
        self._fd, self._rest, self._rests = -1, b"", 0.0
        self._loop.close(self._pidfd)
        os.waitpid(self._pid, 0)
        self._pid = 0
        self._say(f"the reader of events has ended, and starts again in {self._pause_s:g} s")
        self._again()

    def _again(self) -> None:
        self._starts = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    def _say(self, text: str) -> None:
        now = time.monotonic_ns()
        self._log.write(now, logs.entry(now, "lost", text, {"count": 0}))
        self._stream.tell("overrun", now, count=0, text=text)


def _is_event(line: bytes) -> bool:
    return _EVENT in line[:_BEGIN]
