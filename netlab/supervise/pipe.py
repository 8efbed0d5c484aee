"""Lines of a process: read from the pipes of its outputs, each with its time."""

from collections.abc import Iterator

from netlab.named_tuple import NamedTuple

_LINE_LIMIT = 1 << 14  # a longer line is cut, so that output without line ends costs no memory
OLDEST_NS = 60_000_000_000  # an older stamp is none: the line only looks as if it had one
_DIGITS, _SIZE_DIGITS = 19, 5


class Printed(NamedTuple):
    """A line for a log: when it was printed (CLOCK_MONOTONIC), the stream as in the log, and the text."""

    ns: int
    stream: str
    text: bytes


class Pipe:
    """The lines read from a process's stdout or stderr; a role's may be `stamped`."""

    def __init__(self, stream: bytes, stamped: bool = False) -> None:
        self.stream = stream
        self.stamped = stamped
        self.rest = b""

    def take(self, data: bytes, earliest: int, now: int) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield the lines that these bytes complete: time, stream and text as in the log. No bytes end the last line.

        Times do not go back. They are between `earliest`, the time of the line before, and `now`.
        """
        lines = (self.rest + data).split(b"\n")
        self.rest = lines.pop()
        for line in lines:
            ns, size, text = self._when(line, now)
            earliest = max(ns, earliest)
            yield earliest, self.stream + size, text
        if self.rest and (not data or len(self.rest) >= _LINE_LIMIT):
            yield now, self.stream + (b"+" if data else b""), self._when(self.rest, now)[2]
            self.rest = b""

    def _when(self, line: bytes, now: int) -> tuple[int, bytes, bytes]:
        """Return when a line was printed, the size of its record, and its text, of which the record is the end.

        A role's line has its time, and maybe a record (netlab/role.py); others have neither. A size is as in a log.
        """
        if self.stamped and line.startswith(b"@"):
            stamp, blank, text = line[1:].partition(b" ")
            stamp, equals, size = stamp.partition(b"=")
            if blank and stamp.isdigit() and len(stamp) <= _DIGITS and now - OLDEST_NS <= int(stamp) <= now:
                is_whole = size.isdigit() and len(size) <= _SIZE_DIGITS and int(size) <= len(text)
                return int(stamp), equals + size if is_whole else b"", text
        return now, b"", line


def told(stream: bytes, text: bytes) -> tuple[bytes, bytes]:
    """Return a stream and the text of a line without its record, for those who show it."""
    stream, _, size = stream.partition(b"=")
    return stream, text[: -int(size)] if size else text
