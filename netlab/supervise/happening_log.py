"""Writes down what happens to a lab from outside: faults, changes, checks; in the supervisor also for readers."""

import time
from collections.abc import Callable, Mapping

from netlab import paths
from netlab.supervise import logs

NOBODY = "-"  # stands in the log for what is about no single node or process
_OLDEST_NS = 10_000_000_000
LONGEST = 1000  # characters
LONGEST_DATA = 1 << 14  # bytes


class HappeningLog:
    """The log in a lab's folder; `tell` gets each as an event."""

    def __init__(self, folder: str, limit: int, tell: Callable[..., None] = lambda *_, **__: None) -> None:
        self._log = logs.Writer(f"{folder}/{paths.HAPPENINGS_LOG}", limit)
        self._tell = tell

    def write(self, kind: str, about: str, text: str, ns: int, data: Mapping[str, object] | None = None) -> None:
        """Write down what has happened at this time (CLOCK_MONOTONIC); times do not go back."""
        now = time.monotonic_ns()
        self._log.latest = min(max(ns, now - _OLDEST_NS, self._log.latest), now)
        self._log.write(now, logs.entry(self._log.latest, kind, f"{about or NOBODY} {text}", data))
        self._tell(kind, self._log.latest, about=about or None, text=text, **({"data": data} if data else {}))
