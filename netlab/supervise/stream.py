"""Who hears what happens in a lab: readers, each with a buffer of its own, so that none holds up anybody else."""

import os
import select
from collections.abc import Callable, Collection

from netlab.supervise import schema
from netlab.supervise.log_reader import parse
from netlab.supervise.loop import Loop

_WRITE_BYTES = 1 << 16
_ROOM = 1 << 18  # bytes that wait for a reader
_ROOM_FOR_ALL = 1 << 24  # and for all of them together: where there are many, each has less
_LEAST_ROOM = 1 << 15


class Reader:
    """One who hears, by a descriptor that is never waited for, and what has still to be written there.

    An event that finds no room is lost. When half of the room is free again, the reader is told how many were.
    `readable` is called when the other side has said something. `kinds` are the events that it wants. `is_ending` says
    that it goes once everything is written.
    """

    def __init__(
        self, fd: int, readable: Callable[[], object] | None = None, kinds: Collection[str] = (), room: int = _ROOM
    ) -> None:
        self.fd = fd
        self.readable = readable
        self.kinds = kinds
        self.room = room
        self.is_ending = False
        self.is_blocked = False  # until the other side has read
        self.waiting = bytearray()
        self._lost = 0

    def hear(self, event: bytes) -> None:
        """Take an event, or count it as lost."""
        if self._lost or (self.waiting and len(self.waiting) + len(event) > self.room):
            self._lost += 1
        else:
            self.waiting += event

    def answer(self, message: bytes) -> None:
        """Take what must not be lost; while a reader is full, nothing is asked for it."""
        self.waiting += message

    @property
    def is_full(self) -> bool:
        """Say whether as much waits as may."""
        return len(self.waiting) >= self.room

    def flush(self) -> None:
        """Write what the descriptor takes now; raises OSError when the other side has gone."""
        self.is_blocked = False
        while self.waiting:
            try:
                del self.waiting[: os.write(self.fd, bytes(self.waiting[:_WRITE_BYTES]))]
            except BlockingIOError:
                self.is_blocked = True
                return
            if self._lost and len(self.waiting) <= self.room // 2:
                self.waiting += schema.event("lost", count=self._lost)
                self._lost = 0


class Stream:
    """All readers of a lab, and what is told to them."""

    def __init__(self, loop: Loop) -> None:
        self.readers: dict[int, Reader] = {}  # by descriptor, the oldest first
        self._loop = loop
        self._wanted: frozenset[str] = frozenset()  # by anybody

    def add(self, reader: Reader) -> None:
        """Let one hear from now on."""
        self.readers[reader.fd] = reader
        self.reckon()
        self._settle(reader)

    def remove(self, reader: Reader) -> None:
        """Let one hear no more; the descriptor is the caller's again."""
        if self.readers.pop(reader.fd, None):
            self._loop.forget(reader.fd)
            self.reckon()

    def close(self, reader: Reader) -> None:
        """Let one hear no more, and hang up."""
        if reader.fd in self.readers:
            self.remove(reader)
            os.close(reader.fd)

    def reckon(self) -> None:
        """See anew what anybody wants to hear, and how much may wait for each: after a change of either."""
        self._wanted = frozenset(kind for reader in self.readers.values() for kind in reader.kinds)
        room = max(_LEAST_ROOM, min(_ROOM, _ROOM_FOR_ALL // max(1, len(self.readers))))
        for reader in self.readers.values():
            if reader.readable:  # that is, not the pipe of `up`, of which nothing may be lost
                reader.room = room

    def tell(self, kind: str, ns: int = 0, **what: object) -> None:
        """Tell everybody who wants to hear it an event: of now, unless its time is given."""
        if kind in self._wanted:
            event = schema.event(kind, ns, **what)
            for reader in self.readers.values():
                if kind in reader.kinds:
                    reader.hear(event)

    def tell_lines(self, process: str, entries: Collection[bytes]) -> None:
        """Tell what a process has printed, as its log has it."""
        if "line" in self._wanted:
            for entry in entries:
                if (line := parse(entry.rstrip(b"\n"), process)) and line.stream in ("out", "err"):
                    more = {"cut": True} if line.cut else {}
                    self.tell("line", line.ns, process=process, stream=line.stream, text=line.text, **more)

    def tell_trace(self, entries: Collection[bytes]) -> None:
        """Tell what programs have printed, as the lab's trace has it."""
        if "trace" in self._wanted:
            for entry in entries:
                if (line := parse(entry.rstrip(b"\n"), "")) and line.stream == "trace":
                    self.tell("trace", line.ns, node=line.node, text=line.text)

    def flush(self) -> bool:
        """Write to everybody what can be written, and say whether there is more to write at once."""
        for reader in list(self.readers.values()):
            if (reader.waiting and not reader.is_blocked) or reader.is_ending:
                self._flush(reader)
        return any(reader.waiting and not reader.is_blocked for reader in self.readers.values())

    def _flush(self, reader: Reader) -> None:
        was_full = reader.is_full
        try:
            reader.flush()
        except OSError:  # the other side has gone
            reader.waiting.clear()
            reader.is_ending = True
        if was_full and not reader.is_full and reader.readable and not reader.is_ending:
            reader.readable()  # some of what it has asked may still be there, unanswered
        self._settle(reader)

    def _wake(self, reader: Reader) -> None:
        """See to a reader of whose descriptor something is to be told."""
        if reader.is_blocked:
            self._flush(reader)
        if reader.readable and not reader.is_ending and reader.fd in self.readers:
            reader.readable()
            self._settle(reader)

    def _settle(self, reader: Reader) -> None:
        """Wait for what a reader needs next, or let it go."""
        if reader.fd not in self.readers:
            return
        if reader.is_ending and not reader.waiting:
            (self.close if reader.readable else self.remove)(reader)
            return
        hears = bool(reader.readable) and not reader.is_ending and not reader.is_full
        events = (select.EPOLLIN if hears else 0) | (select.EPOLLOUT if reader.is_blocked else 0)
        if events:
            self._loop.watch(reader.fd, lambda: self._wake(reader), events)
        else:
            self._loop.forget(reader.fd)
