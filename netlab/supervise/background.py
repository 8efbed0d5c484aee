"""In the supervisor: what commands leave in the background is followed in their place."""

import os
from collections.abc import Callable
from functools import partial

from netlab.supervise.child import Child
from netlab.supervise.loop import Loop
from netlab.supervise.telling import Telling


class Background:
    """The commands that have ended, and have left others; `end` and `has_ended` are called when these have ended."""

    def __init__(
        self, loop: Loop, tell: Telling, end: Callable[[Child, int], None], has_ended: Callable[[Child], None]
    ) -> None:
        self._loop = loop
        self._tell = tell
        self._end = end
        self._has_ended = has_ended
        self._left: list[Child] = []

    @property
    def waits(self) -> bool:
        """Whether there is something to be followed in the next turn."""
        return bool(self._left)

    def add(self, child: Child) -> None:
        """Follow what this command has left, from the next turn on."""
        self._left.append(child)

    def turn(self) -> None:
        """Follow what was added."""
        while self._left:
            self._follow(self._left.pop())

    def _follow(self, child: Child) -> None:
        """Follow the oldest process that an ended command has left, in the place of the command."""
        before = child.pid
        for pid in child.left():
            try:
                pidfd = os.pidfd_open(pid)
            except OSError:  # it has just ended
                continue
            child.go_on_as(pid)
            self._tell.goes_on(child, before)
            self._loop.watch(pidfd, partial(self._end, child, pidfd))
            return
        self._has_ended(child)
