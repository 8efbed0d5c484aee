"""Writes down faults: in a log of their own, where `netlab timeline` finds them; in the supervisor also for readers."""

import time
from collections.abc import Callable

from netlab import paths
from netlab.supervise import logs

NOBODY = "-"  # stands in the log for a fault that is about no single node or process
_OLDEST_NS = 10_000_000_000
LONGEST = 1000  # characters


class FaultLog:
    """The log in a lab's folder; `tell` gets each fault as an event."""

    def __init__(self, folder: str, limit: int, tell: Callable[..., None] = lambda *_, **__: None) -> None:
        self._log = logs.Writer(f"{folder}/{paths.FAULTS_LOG}", limit)
        self._tell = tell

    def write(self, about: str, text: str, ns: int) -> None:
        """Write down a fault that has happened at this time (CLOCK_MONOTONIC); times do not go back."""
        now = time.monotonic_ns()
        self._log.latest = min(max(ns, now - _OLDEST_NS, self._log.latest), now)
        self._log.write(now, logs.entry(self._log.latest, "fault", f"{about or NOBODY} {text}"))
        self._tell("fault", self._log.latest, about=about or None, text=text)
