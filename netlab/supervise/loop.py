"""Waits for descriptors, and calls whoever has asked for one: all that the supervisor does, it does from here."""

import os
import select
from collections.abc import Callable


class Loop:
    """An epoll(7) whose descriptors have handlers.

    A handler may close any descriptor. It opens none but for connections: the number of a descriptor that was closed
    goes to the next one that is opened, and what had happened to the old one would be told of the new one. So
    processes are started between two turns.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[], object]] = {}
        self._events: dict[int, int] = {}

    def turn(self, timeout_s: float) -> None:
        """Wait until something happens, for so many seconds at most (-1: for ever), and have it handled."""
        for fd, _ in self._epoll.poll(timeout_s):
            if fd in self._handlers:  # else one that was handled before it in this turn has closed it
                self._handlers[fd]()

    def watch(self, fd: int, handler: Callable[[], object], events: int = select.EPOLLIN) -> None:
        """Have the handler called whenever one of the events is there; said again, it is for other events."""
        if fd not in self._events:
            self._epoll.register(fd, events)
        elif events != self._events[fd]:
            self._epoll.modify(fd, events)
        self._handlers[fd], self._events[fd] = handler, events

    def forget(self, fd: int) -> None:
        """Watch a descriptor no more; one that nobody watches does no harm."""
        if self._handlers.pop(fd, None):
            del self._events[fd]
            self._epoll.unregister(fd)

    def close(self, fd: int) -> None:
        """Close a descriptor, and watch it no more."""
        self.forget(fd)
        os.close(fd)
