"""In the supervisor: ends processes, step by step: SIGTERM, and SIGKILL for what is left after a grace time."""

import signal
import time
from collections.abc import Callable

from netlab.kernel.kill import GRACE_S
from netlab.supervise.child import Child

_LOOK_S = 0.02  # at what is left of a command


class Stops:
    """The processes that are being stopped.

    `is_gone` is called when nothing of a process is left, or nothing more can be done after SIGKILL.
    """

    def __init__(self, is_gone: Callable[[Child], None]) -> None:
        self._is_gone = is_gone
        self._all: list[Child] = []

    def __contains__(self, child: Child) -> bool:
        """Return whether a process is being stopped."""
        return child in self._all

    @property
    def due(self) -> float:
        """Return when something is due (CLOCK_MONOTONIC in seconds), infinity if nothing is."""
        soon = time.monotonic() + _LOOK_S
        return min((_look(each, soon) for each in self._all), default=float("inf"))

    def stop(self, child: Child) -> None:
        """Ask a process to end. May be called twice."""
        if not child.patience:
            self._all.append(child)
            child.patience = time.monotonic() + GRACE_S
            child.resume()
            child.signal(signal.SIGTERM)
            child.signal(signal.SIGCONT)  # a stopped process does not handle SIGTERM

    def forget(self, child: Child) -> None:
        """Do no more about a process."""
        if child in self._all:
            self._all.remove(child)

    def turn(self) -> None:
        """Take the next steps that are due."""
        for child in list(self._all):
            if child.is_grouped and child.end and not child.left():
                self._all.remove(child)
                self._is_gone(child)
            elif time.monotonic() < child.patience:
                continue
            elif child.killed:  # nothing more can be done
                self._all.remove(child)
            else:
                child.killed = True
                child.patience = time.monotonic() + GRACE_S
                child.signal(signal.SIGKILL)
                self._is_gone(child)


def _look(child: Child, soon: float) -> float:
    return min(child.patience, soon) if child.is_grouped and child.end else child.patience
