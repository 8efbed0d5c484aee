"""Reads one log: its lines forwards, from the last ones if wanted, and on into the files that follow it.

`logs` says what a line consists of, and writes it.
"""

import os
import re
from collections.abc import Iterator

from netlab import paths
from netlab.errors import NetlabError
from netlab.kernel import files
from netlab.named_tuple import NamedTuple

_BLOCK = 1 << 18
_BACK_BLOCK = 1 << 16
_LINE = re.compile(rb"^\d+ [^ \n]+ [^\n]*\n", re.MULTILINE)
_SIZE_DIGITS = 5
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(9), *range(10, 32), *range(127, 160))}


HAPPENED = ("fault", "reloaded", "applied", "checked")  # what is done to a lab, and what is found out of it
OF_KERNEL = ("trace", "event", "lost", "xdp", *HAPPENED)  # streams that no process prints on


class LogLine(NamedTuple):
    r"""One line: its time (CLOCK_MONOTONIC), its source, its stream, and its text, safe to print on a terminal.

    `source` is the key of a process or of a program (see `paths`), a node for an error of XDP on an interface without a
    program of netlab's, or what something is about that has happened, "" for the whole lab. Bytes that are no UTF-8,
    and control characters but the tab, are shown as `\x1b`. `cut` says that the text goes on in the source's next line
    of this stream. An event's text is JSON; where it is replaced by another, `data` keeps it. Of another line, `data`
    is its record: what the text says, as JSON.
    """

    ns: int
    source: str
    stream: str
    text: str
    cut: bool = False
    data: str = ""

    @property
    def node(self) -> str:
        """The node of the source."""
        return paths.node_of(self.source)


def parse(raw: bytes, source: str) -> LogLine | None:
    """Return a line of a file; None for what is none, such as half a line."""
    ns, _, rest = raw.partition(b" ")
    kind, space, printed = rest.partition(b" ")
    if not (space and ns.isdigit()):
        return None
    kind, _, size = kind.partition(b"=")
    at = len(printed) - int(size) if size.isdigit() and len(size) <= _SIZE_DIGITS else len(printed)
    data, printed = printed[at:].decode("utf-8", "replace"), printed[:at]
    stream = kind.decode("ascii", "replace")
    text = printed.removesuffix(b"\r").decode("utf-8", "backslashreplace").translate(_CONTROL)
    if stream == "trace":  # LAB/KEY text, or LAB/KEY: text
        name, _, text = text.partition(" ")
        source = name.partition("/")[2].rstrip(":")
    elif stream in {"xdp", "event"}:  # KEY text
        source, _, text = text.partition(" ")
    elif stream in HAPPENED:  # KEY text, or - text
        source, _, text = text.partition(" ")
        source = source.removeprefix("-")
    return LogLine(int(ns), source, stream.rstrip("+"), text, stream.endswith("+"), data)


class File:
    """A log that is being read: the older part first, then the newer one, and on into the files that follow."""

    def __init__(self, path: str, source: str) -> None:
        self.path = path
        self.source = source
        self._fd = -1
        self._rest = b""

    def lines(self) -> Iterator[LogLine]:
        """Yield the lines that are there now; the next call yields what has come since."""
        current, older = self._inode(self.path), self._inode(self.path + ".1")
        if self._fd < 0 and not self._enter(self.path + ".1" if older else self.path):
            return
        yield from self._read()
        # `current` is a limit, in case the writer goes from file to file faster than we read.
        while (here := os.fstat(self._fd).st_ino) not in (current, newest := self._inode(self.path)) and newest:
            older = self._inode(self.path + ".1")
            yield from self._read()  # what was written between the last read and the change of files
            self.close()
            if not self._enter(self.path + ".1" if older not in (0, here) else self.path):
                return
            yield from self._read()

    def skip_to_last(self, count: int) -> None:
        """Go to the beginning of the last `count` lines that are there now; read no more than these."""
        left = count
        for path in (self.path, self.path + ".1"):
            newer = self._fd
            if not self._enter(path):
                continue
            if newer >= 0:
                left = count if os.path.sameopenfile(newer, self._fd) else left  # it has just become the older one
                os.close(newer)
            left -= self._rewind(left)
            if not left:
                return

    def _rewind(self, count: int) -> int:
        """Go to the last `count` lines of the file, or to its start if it has fewer; return how many there are."""
        start, found, rest = os.lseek(self._fd, 0, os.SEEK_END), 0, b""
        while start and count:
            end, start = start, max(0, start - _BACK_BLOCK)
            data = os.pread(self._fd, end - start, start) + rest
            first = data.find(b"\n") + 1 if start else 0
            if start and not first:  # all of it is the end of a line
                rest = data
                continue
            lines = [line.start() for line in _LINE.finditer(data, first)]
            if found + len(lines) >= count:
                os.lseek(self._fd, start + lines[found - count], os.SEEK_SET)
                return count
            found, rest = found + len(lines), data[:first]
        os.lseek(self._fd, 0, os.SEEK_SET if count else os.SEEK_END)
        return found

    def close(self) -> None:
        """Close the file; the next read begins at the start of the current one."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._rest = b""

    def _enter(self, path: str) -> bool:
        try:
            with files.opened(path) as file:
                self._fd = os.dup(file.fileno())
        except FileNotFoundError:
            return False
        except OSError as error:
            raise NetlabError(f"cannot read the log {path}: {error.strerror}") from error
        return True

    def _inode(self, path: str) -> int:
        try:
            return os.stat(path).st_ino
        except OSError:
            return 0

    def _read(self) -> Iterator[LogLine]:
        left = os.fstat(self._fd).st_size - os.lseek(self._fd, 0, os.SEEK_CUR)
        while left > 0 and (block := os.read(self._fd, min(left, _BLOCK))):
            left -= len(block)
            *whole, self._rest = (self._rest + block).split(b"\n")
            for raw in whole:
                line = parse(raw, self.source)
                if line is not None:
                    yield line
