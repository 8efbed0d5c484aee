"""What a lab's supervisor has written down: the file `processes` in the lab's folder, a line of JSON for each event."""

import json
import os
import time
from contextlib import suppress
from typing import Any

from netlab import paths
from netlab.kernel import files
from netlab.record import shapes
from netlab.supervise import logs

_REST_S = 0.5  # between two tries to write into a full file system


class Recorder:
    """Appends to the file in the current folder. What finds no room there waits for it, so that no line is half."""

    def __init__(self) -> None:
        self.due = 0.0  # when to try again, CLOCK_MONOTONIC; 0 while nothing waits
        self._waiting = b""

    def add(self, **what: object) -> None:
        """Append a line, now or when there is room."""
        self._waiting += json.dumps(what).encode() + b"\n"
        self.retry()

    def retry(self) -> None:
        """Write what waits, if it is time."""
        if not self._waiting or time.monotonic() < self.due:
            return
        with suppress(OSError), open(paths.PROCESSES, "ab", buffering=0, opener=_at_once) as file:
            if logs.write_whole(file.fileno(), self._waiting, file.seek(0, os.SEEK_END)):
                self._waiting, self.due = b"", 0.0
                return
        self.due = time.monotonic() + _REST_S


def _at_once(path: str, flags: int) -> int:
    """Open a file, and no pipe in its place that nobody reads."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)


def is_damaged(folder: str) -> bool:
    """Say whether what the supervisor has written down cannot be read, or not all of it."""
    return not _written(folder) or None in _written(folder)


def _written(folder: str) -> list[dict[str, Any] | None]:
    """Return everything that the supervisor has written down, None for each line that nobody could have meant."""
    try:
        lines = files.read(f"{folder}/{paths.PROCESSES}").split(b"\n")[:-1]
    except OSError:
        return []
    found: list[dict[str, Any] | None] = []
    for line in lines:
        try:
            fact = json.loads(line)
        except (ValueError, RecursionError):
            fact = None
        found.append(fact if shapes.is_fact(fact) else None)
    return found


def read(folder: str) -> dict[str, dict[str, Any]]:
    """Return what is known of each node's process; what cannot be read is left out."""
    found: dict[str, dict[str, Any]] = {}
    for fact in filter(None, _written(folder)):
        for node in fact.get("nodes", ()):
            found[node] = {}
        if "argv" in fact:  # it is started, perhaps once more
            found[fact["node"]] = {}
        if "node" in fact:
            found.setdefault(fact["node"], {}).update(fact)
    return found
