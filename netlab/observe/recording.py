"""A capture that a thread reads while its caller does something else."""

import os
import threading
from collections.abc import Callable
from typing import Protocol

from netlab.errors import NetlabError
from netlab.kernel import signals
from netlab.observe.capturing import Capturing
from netlab.observe.seen import Seen


class Sink(Protocol):
    """Where packets go: `capture_file.CaptureFile`, or whatever has its methods."""

    def begin(self) -> None:
        """Begin, before the first packet."""

    def take(self, batch: list[Seen]) -> None:
        """Take packets."""

    def end(self) -> None:
        """End, after the last packet."""


class Recording:
    """Moves the packets of an open capture into a sink, until `stop`."""

    def __init__(self, of: Capturing, sink: Sink, say: Callable[[str], None]) -> None:
        self._capture, self._sink, self._say = of, sink, say
        self._error: BaseException | None = None
        self._hears, self._says = -1, -1  # a pipe whose end means: stop
        self._thread = threading.Thread(target=self._run, name="netlab-recording", daemon=True)

    def start(self) -> None:
        """Begin; the thread takes no signals, which would otherwise reach the process through it."""
        self._sink.begin()
        self._hears, self._says = os.pipe()
        signals.start_thread(self._thread)

    def stop(self) -> None:
        """Take what was seen until now, and end; NetlabError if not all of it could be taken."""
        os.close(self._says)
        self._thread.join()
        os.close(self._hears)
        if self._error:
            raise NetlabError(f"the capture has ended too early: {self._error}") from self._error
        for batch in self._capture.rest():
            self._sink.take(batch)
        self._sink.end()

    def _run(self) -> None:
        try:
            for batch in self._capture.batches(self._hears, self._say):
                self._sink.take(batch)
        except (OSError, NetlabError) as error:  # such as: no space left on device
            self._error = error
