"""How long to wait for other processes: as long as they make progress, also on a slow machine.

A process makes progress while it, or a process below it, uses CPU time. A process that hangs uses none. A process that
could work for ever needs its own limit of CPU time.
"""

import os
import time
from collections.abc import Callable, Collection
from contextlib import suppress

_LOOK_S = 1.0


class Patience:
    """Waits until processes have used no CPU time for `patience_s` seconds; `look` returns what they have used.

    The first look comes after `pause_s`. So a wait that is shorter costs nothing.
    """

    def __init__(self, look: Callable[[], object], patience_s: float) -> None:
        self.pause_s = min(_LOOK_S, patience_s / 2)  # between two looks
        self._look = look
        self._patience_s = patience_s
        self._seen: object = None
        self._since = time.monotonic()

    def is_over(self) -> bool:
        """Look, and say whether they have made no progress for too long."""
        seen, now = self._look(), time.monotonic()
        if seen != self._seen:
            self._seen, self._since = seen, now
        return now >= self._since + self._patience_s


def of_holders(*files: str, pids: Collection[int] = ()) -> dict[int, int]:
    """Return the CPU time, in ticks, of each process that holds a lock on a file (flock(2)), and of those below it.

    And of `pids`, and of those below them.
    """
    wanted = set()
    for path in files:
        with suppress(FileNotFoundError):  # let go of, a moment ago
            about = os.stat(path)
            wanted.add(f"{os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x}:{about.st_ino}")
    with open("/proc/locks", encoding="ascii") as file:
        found = [line.split() for line in file]
    return _family({*pids, *(int(words[4]) for words in found if words[1] == "FLOCK" and words[5] in wanted)})


def _family(roots: Collection[int]) -> dict[int, int]:
    """Return the CPU time of these processes and of all below them."""
    parents: dict[int, int] = {}
    used: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:  # it has ended
                continue
            parents[int(name)] = int(fields[1])
            used[int(name)] = int(fields[11]) + int(fields[12])
    return {pid: ticks for pid, ticks in used.items() if _is_below(pid, roots, parents)}


def _is_below(pid: int, roots: Collection[int], parents: dict[int, int]) -> bool:
    while pid and pid not in roots:
        pid = parents.get(pid, 0)
    return bool(pid)
