"""What a lab's supervisor records: the file `processes` in the lab's folder, one line of JSON for each event."""

import json
import os
import time
from contextlib import suppress
from typing import Any

from netlab import paths
from netlab.kernel import files
from netlab.named_tuple import NamedTuple
from netlab.record import facts
from netlab.supervise import logs

_REST_S = 0.5  # between two tries to write into a full file system


class Recorder:
    """Appends to the file in the current folder. Lines without room wait, so that no line is half."""

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
    """Open a file without waiting, even if a pipe is in its place."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)


def is_damaged(folder: str) -> bool:
    """Say whether the supervisor's file cannot be read, or not completely."""
    return not _written(folder) or None in _written(folder)


class Fate(NamedTuple):
    """The recorded facts of a process: how it was started, that it is ready or late, how it has ended.

    `started` has the process that runs now, also if that is another one, in the background. `stop` says that a request
    has stopped it. After its end, `restarting` says that it starts again by itself, and `exhausted` that it does
    not. `restarts` counts the restarts in a row before this run. `paused` says that a request has paused it, `cut` that
    it has printed more than it may.
    """

    started: facts.Started | None = None
    ready: facts.Ready | None = None
    ended: facts.Ended | None = None
    stop: facts.StopRequested | None = None
    late: facts.Late | None = None
    restarting: facts.Restarting | None = None
    exhausted: facts.Exhausted | None = None
    restarts: int = 0
    paused: facts.Paused | None = None
    cut: facts.Cut | None = None


# Of what a fact changes nothing else.
_NOTED: dict[type[facts.Fact], str] = {
    facts.Late: "late",
    facts.Cut: "cut",
    facts.Restarting: "restarting",
    facts.Exhausted: "exhausted",
}


def _written(folder: str) -> list[facts.Fact | None]:
    """Return everything that the supervisor has recorded; None for each line that cannot be read."""
    try:
        lines = files.read(f"{folder}/{paths.PROCESSES}").split(b"\n")[:-1]
    except OSError:
        return []
    found: list[facts.Fact | None] = []
    for line in lines:
        try:
            found.append(facts.fact(json.loads(line)))
        except (ValueError, RecursionError):
            found.append(None)
    return found


def read(folder: str) -> dict[str, Fate]:
    """Return what is known of each process, by its key; what cannot be read is left out."""
    found: dict[str, Fate] = {}
    for fact in _written(folder):
        if isinstance(fact, facts.Begun):
            found.update(dict.fromkeys(fact.processes, Fate()))
        elif isinstance(fact, facts.Forgotten):
            found.pop(fact.forgotten, None)
        elif fact is not None:
            found[fact.process] = _after(found.get(fact.process, Fate()), fact)
    return found


def _after(fate: Fate, fact: facts.OfOne) -> Fate:
    """Return the facts of a process with one more added."""
    if field := _NOTED.get(type(fact)):
        change: dict[str, Any] = {field: fact}
        return fate._replace(**change)
    now = fate
    match fact:
        case facts.Started():
            now = Fate(fact, restarts=fate.restarting.count if fate.restarting else 0)
        case facts.Ready():
            now = fate._replace(ready=fact, late=None)
        case facts.Followed():
            began = fate.started and fate.started._replace(pid=fact.pid, start_ticks=fact.start_ticks)
            now = fate._replace(started=began)
        case facts.StopRequested():
            now = fate._replace(stop=fact, restarting=None)
        case facts.Paused() | facts.Resumed():
            now = fate._replace(paused=fact if isinstance(fact, facts.Paused) else None)
        case facts.Exited() | facts.Killed() | facts.Gone():
            now = fate._replace(ended=fact)
    return now
