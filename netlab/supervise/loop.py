"""Waits for descriptors, and calls their handlers: everything that the supervisor does starts here."""

import os
import select
from collections.abc import Callable

_READS_AT_ONCE = 64


class Loop:
    """An epoll(7) whose descriptors have handlers.

    A handler may close any descriptor. It opens none, except for connections. Otherwise a new descriptor could get the
    number of a closed one, and would get the old one's events. So processes are started between two turns.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[], object]] = {}
        self._events: dict[int, int] = {}

    def turn(self, timeout_s: float) -> None:
        """Wait for events, for so many seconds at most (-1: without limit), and call the handlers."""
        for fd, _ in self._epoll.poll(timeout_s):
            if fd in self._handlers:  # otherwise a handler has closed it before, in this turn
                self._handlers[fd]()

    def watch(self, fd: int, handler: Callable[[], object], events: int = select.EPOLLIN) -> None:
        """Call the handler whenever one of the events is there; a second call changes the events."""
        if fd not in self._events:
            self._epoll.register(fd, events)
        elif events != self._events[fd]:
            self._epoll.modify(fd, events)
        self._handlers[fd], self._events[fd] = handler, events

    def forget(self, fd: int) -> None:
        """Stop watching a descriptor; one that is not watched does no harm."""
        if self._handlers.pop(fd, None):
            del self._events[fd]
            self._epoll.unregister(fd)

    def close(self, fd: int) -> None:
        """Close a descriptor, and watch it no more."""
        self.forget(fd)
        os.close(fd)


def repeat(read: Callable[[], bool]) -> None:
    """Read until nothing is left; stop after many reads, in case the writer is as fast as the reader."""
    for _ in range(_READS_AT_ONCE):
        if not read():
            return
