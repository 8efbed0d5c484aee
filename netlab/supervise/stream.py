"""The readers of a lab's events, each with a buffer of its own, so that none delays the others."""

import json
import os
import select
from collections.abc import Callable, Collection
from contextlib import suppress

from netlab.supervise import schema
from netlab.supervise.log_reader import LogLine, parse
from netlab.supervise.loop import Loop

_WRITE_BYTES = 1 << 16
_ROOM = 1 << 18  # bytes that wait for a reader
_ROOM_FOR_ALL = 1 << 24  # for all of them together: if there are many readers, each has less
_LEAST_ROOM = 1 << 15


class Reader:
    """One reader: its descriptor, which never blocks, and the bytes that must still be written there.

    An event that does not fit is lost. When half of the room is free again, the reader is told how many were lost.
    `readable` is called when the other side has sent something. `kinds` are the events that it wants. `is_ending` says
    that it is removed when everything is written.
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
        """Add an event to the buffer, or count it as lost."""
        if self._lost or (self.waiting and len(self.waiting) + len(event) > self.room):
            self._lost += 1
        else:
            self.waiting += event

    def answer(self, message: bytes) -> None:
        """Add a message that must not be lost. While the buffer is full, the reader's requests are not read."""
        self.waiting += message

    @property
    def is_full(self) -> bool:
        """Say whether the buffer is full."""
        return len(self.waiting) >= self.room

    def flush(self) -> None:
        """Write what the descriptor takes now; raises OSError if the other side is gone."""
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
    """All readers of a lab, and what is sent to them."""

    def __init__(self, loop: Loop) -> None:
        self.readers: dict[int, Reader] = {}  # by descriptor, the oldest first
        self._loop = loop
        self._wanted: frozenset[str] = frozenset()  # by any reader

    def add(self, reader: Reader) -> None:
        """Send events to a reader from now on."""
        self.readers[reader.fd] = reader
        self.reckon()
        self._settle(reader)

    def remove(self, reader: Reader) -> None:
        """Send nothing more to a reader; the caller gets the descriptor back."""
        if self.readers.pop(reader.fd, None):
            self._loop.forget(reader.fd)
            self.reckon()

    def close(self, reader: Reader) -> None:
        """Send nothing more to a reader, and close its descriptor."""
        if reader.fd in self.readers:
            self.remove(reader)
            os.close(reader.fd)

    def reckon(self) -> None:
        """After a change of readers or kinds: compute which events are wanted, and how much room each reader has."""
        self._wanted = frozenset(kind for reader in self.readers.values() for kind in reader.kinds)
        room = max(_LEAST_ROOM, min(_ROOM, _ROOM_FOR_ALL // max(1, len(self.readers))))
        for reader in self.readers.values():
            if reader.readable:  # that is, not the pipe of `up`, for which nothing may be lost
                reader.room = room

    def wants(self, kind: str) -> bool:
        """Say whether any reader wants events of a kind."""
        return kind in self._wanted

    def tell(self, kind: str, ns: int = 0, **what: object) -> None:
        """Send an event to every reader that wants it: of this moment, unless a time is given."""
        if kind in self._wanted:
            event = schema.event(kind, ns, **what)
            for reader in self.readers.values():
                if kind in reader.kinds:
                    reader.hear(event)

    def tell_lines(self, process: str, entries: Collection[bytes]) -> None:
        """Send what a process has printed, and what was noted of it, as in its log."""
        if not self._wanted.isdisjoint(("line", "note")):
            for entry in entries:
                line = parse(entry.rstrip(b"\n"), process)
                if line and line.stream in ("out", "err"):
                    more = {**_record(line), **({"cut": True} if line.cut else {})}
                    self.tell("line", line.ns, process=process, stream=line.stream, text=line.text, **more)
                elif line:
                    self.tell("note", line.ns, process=process, text=line.text, **_record(line))

    def tell_trace(self, entries: Collection[bytes]) -> None:
        """Send what programs have printed, as in the lab's trace."""
        if "trace" in self._wanted:
            for entry in entries:
                if (line := parse(entry.rstrip(b"\n"), "")) and line.stream == "trace":
                    self.tell("trace", line.ns, node=line.node, program=line.source, text=line.text)

    def tell_events(self, entries: Collection[bytes]) -> None:
        """Send events of programs, as in their log: what they consist of is in JSON already."""
        if "event" in self._wanted:
            for entry in entries:
                ns, _, program, what = entry.split(b" ", 3)
                about = (ns, program.partition(b"/")[0], program, what[1:])
                event = b'{"kind": "event", "ns": %s, "node": "%s", "program": "%s", %s\n' % about
                for reader in self.readers.values():
                    if "event" in reader.kinds:
                        reader.hear(event)

    def flush(self) -> bool:
        """Write to all readers what can be written; say whether there is more to write at once."""
        for reader in list(self.readers.values()):
            if (reader.waiting and not reader.is_blocked) or reader.is_ending:
                self._flush(reader)
        return any(reader.waiting and not reader.is_blocked for reader in self.readers.values())

    def _flush(self, reader: Reader) -> None:
        was_full = reader.is_full
        try:
            reader.flush()
        except OSError:  # the other side is gone
            reader.waiting.clear()
            reader.is_ending = True
        if was_full and not reader.is_full and reader.readable and not reader.is_ending:
            reader.readable()  # some requests may still be there, unanswered
        self._settle(reader)

    def _wake(self, reader: Reader) -> None:
        """Handle a reader whose descriptor has an event."""
        if reader.is_blocked:
            self._flush(reader)
        if reader.readable and not reader.is_ending and reader.fd in self.readers:
            reader.readable()
            self._settle(reader)

    def _settle(self, reader: Reader) -> None:
        """Wait for what a reader needs next, or remove it."""
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


def _record(line: LogLine) -> dict[str, object]:
    """Return the record of a line as a field of its event; a role may have written what is none."""
    if line.data:
        with suppress(ValueError, RecursionError):
            return {"data": json.loads(line.data)}
    return {}
