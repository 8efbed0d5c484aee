"""What processes printed: the files that the supervisor writes, and everything that reads them.

A log is a text file of `NS STREAM TEXT` lines: CLOCK_MONOTONIC nanoseconds, then `out`, `err`, `note` (the supervisor
speaks: started, ready, exited), `trace` (a print statement of a program), `event` (one from a program's map; its text
is the program's key and JSON), `lost` (how many of these were lost), `xdp` (the kernel has lost frames, and why) or
`fault` (something was broken, or mended, on purpose), `reloaded`, `applied` or `checked`. A
`+` behind the stream says that the line was cut there and goes on in the next one. TEXT is what was printed, byte for
byte. `=N` behind the stream says that the last N bytes of the line are no text, but a record: what the text says, as
JSON. NODE.log, or NODE.NAME.log (paths.log), holds a process's lines, and NODE.log.1 the ones before it once it has
reached its limit; the trace and the errors of XDP are kept one folder higher, where no process's name can meet them.
"""

import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from netlab import paths
from netlab.errors import NetlabError
from netlab.kernel import files
from netlab.supervise.log_reader import File, LogLine, parse
from netlab.words import count

__all__ = ["LogLine", "Writer", "entry", "last_words", "limit_for", "merged", "opened", "read", "tail", "write_whole"]

FILE_LIMIT = 16 << 20  # bytes, at most; one to two times this much of the newest is kept, because /run is memory
_TAIL = 1 << 16
_LAST_LINES = 10
_FOLLOW_INTERVAL_S = 0.05
_SETTLE_NS = 30_000_000  # a line is in its file this long after its stamp, unless the machine is overloaded
_NOTE = 120  # bytes kept free for the note on lost lines
STARTED = "started as process "  # a note: a run begins here
SETUP = "setup: "  # a note: a command of the node's setup begins here
_PAGE = 4096  # what a file takes at least, and by which it grows


def entry(ns: int, stream: str, text: str, record: Mapping[str, object] | None = None) -> bytes:
    """Return one line of a log; `record` is what the text says, as data."""
    if record is None:
        return b"%d %s %s\n" % (ns, stream.encode(), text.encode())
    data = json.dumps(record).encode()
    return b"%d %s=%d %s%s\n" % (ns, stream.encode(), len(data), text.encode(), data)


class Writer:
    """Appends to one log.

    It keeps no file open between two writes. So a thousand logs need no descriptors, and none of them keeps a removed
    lab's file system alive. It never raises. Lines without room, or longer than a whole file may be, are counted; the
    next lines that fit come with the count.
    """

    def __init__(self, path: str, limit: int = FILE_LIMIT) -> None:
        self.path = path
        self.limit = limit
        self.lost = 0
        self.latest = 0  # the time of the newest line, for writers whose times must not go back

    def write(self, ns: int, entries: bytes) -> None:
        """Append whole entries; `ns` is the time of the newest."""
        for part in _parts(entries, self.limit - _NOTE):
            text, record = f"{count(self.lost, 'line')} lost here: no room for the log", {"count": self.lost}
            note = entry(ns, "note", text, record) if self.lost else b""
            if len(note + part) <= self.limit and self._append(note + part):
                self.lost = 0
            else:
                self.lost += part.count(b"\n")

    def _append(self, data: bytes) -> bool:
        """Append, in a new file if this one would pass the limit; all of it or nothing; say which."""
        try:
            fd = self._open()
            try:
                size = os.fstat(fd).st_size
                if size and size + len(data) > self.limit:
                    os.rename(self.path, self.path + ".1")
                    fresh = self._open()
                    os.close(fd)
                    fd, size = fresh, 0
                return write_whole(fd, data, size)
            finally:
                os.close(fd)
        except OSError:  # no space, or the lab is being removed
            return False

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o640)


def _parts(entries: bytes, limit: int) -> Iterator[bytes]:
    """Yield whole entries in parts that do not pass the limit, unless a single entry does."""
    while len(entries) > limit:
        cut = entries.rfind(b"\n", 0, limit) + 1 or entries.find(b"\n") + 1
        yield entries[:cut]
        entries = entries[cut:]
    if entries:
        yield entries


def write_whole(fd: int, data: bytes, size: int) -> bool:
    """Append all of it or nothing to an open file of this size, as when the file system is full; say which."""
    written = 0
    try:
        written = os.write(fd, data)
    finally:
        if written < len(data):
            os.ftruncate(fd, size)
    return written == len(data)


def limit_for(count: int, folder: str) -> int:
    """Return a limit for each of so many logs in a folder, so that all of them take at most half of its room.

    It is at least a page. A folder with less than 16 KiB for each log is too small for its lab.
    """
    about = os.statvfs(folder)
    share = about.f_blocks * about.f_frsize // 2 // (2 * max(1, count))
    return max(_PAGE, min(FILE_LIMIT, share // _PAGE * _PAGE))


@contextmanager
def opened(folder: str, processes: Sequence[str], trace: bool, events: bool = False) -> Iterator[list[File]]:
    """Yield the logs of these processes, by their keys, then those of the trace, of XDP, of events, of happenings."""
    files = [File(paths.log(folder, process), process) for process in processes]
    if trace:
        files += [File(f"{folder}/{name}", "") for name in (paths.TRACE_LOG, paths.XDP_LOG)]
    if events:
        files += [File(f"{folder}/{name}", "") for name in (paths.EVENTS_LOG, paths.HAPPENINGS_LOG)]
    _allow_files(2 * len(files) + 64)
    try:
        yield files
    finally:
        for file in files:
            file.close()


def read(
    folder: str,
    processes: Sequence[str],
    *,
    trace: bool = False,
    events: bool = False,
    last: int | None = None,
    follow: bool = False,
    until: Callable[[], bool] = lambda: False,
) -> Iterator[LogLine]:
    """Yield the lines of these processes, by their keys, of the trace and of events if wanted, in the order of time.

    A process that has printed nothing has no lines. With `last`, begin with so many of the last lines. With `follow`,
    wait for more lines until the lab is gone, or `until()`, which is called again and again, returns True. Lines of
    different processes are then in order if they reach their files within 30 ms.
    """
    with opened(folder, processes, trace, events) as files:
        if last is not None:
            for file in files:
                file.skip_to_last(last)
        yield from _follow(folder, files, last, until) if follow else _last(merged(files), last)


def tail(folder: str, process: str, count: int) -> list[str]:
    """Return the text of the last lines that the newest run of a process itself printed."""
    try:
        with files.opened(paths.log(folder, process)) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            raw = file.read().split(b"\n")[:-1]
    except OSError:
        return []
    lines = [line for line in (parse(text, process) for text in raw) if line is not None]
    starts = [at for at, line in enumerate(lines) if line.stream == "note" and line.text.startswith((STARTED, SETUP))]
    newest = lines[starts[-1] if starts else 0 :]
    return [line.text for line in newest if line.stream in ("out", "err")][-count:]


def last_words(folder: str, process: str) -> str:
    """Return the end of a message about a process that has failed: the last lines of its newest run."""
    lines = tail(folder, process, _LAST_LINES)
    return "; its last lines:\n" + "\n".join(f"  {line}" for line in lines) if lines else "; it has printed nothing"


def merged(files: list[File]) -> Iterator[LogLine]:
    """Yield what is in the files now, in the order of time, without loading all of it; the next call goes on there.

    Lines of the same time come in the order of the files.
    """
    import heapq

    return heapq.merge(*(file.lines() for file in files), key=lambda line: line.ns)


def _last(lines: Iterator[LogLine], count: int | None) -> Iterable[LogLine]:
    """Return the last lines, or all of them."""
    return lines if count is None else deque(lines, count)


def _follow(folder: str, files: list[File], last: int | None, until: Callable[[], bool]) -> Iterator[LogLine]:
    """Yield lines as they come, until `until()`, or until the folder of the logs is gone or is another lab's."""
    import time

    try:  # kept open, so that no later lab's file system can get this one's device number
        fd = os.open(f"{folder}/{paths.LOGS}", os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise NetlabError(f"there are no logs in {folder}: {error.strerror}") from error
    try:
        waiting: list[LogLine] = []
        settled = time.monotonic_ns() - _SETTLE_NS
        for line in _last(merged(files), last):
            if line.ns <= settled:
                yield line
            else:
                waiting.append(line)
        alive = True
        while alive:
            alive = _is(fd, f"{folder}/{paths.LOGS}") and not until()
            settled = time.monotonic_ns() - _SETTLE_NS if alive else 1 << 63
            for file in files:
                waiting.extend(file.lines())
            waiting.sort(key=lambda line: line.ns)
            ready = sum(line.ns <= settled for line in waiting)
            yield from waiting[:ready]
            del waiting[:ready]
            if alive:
                time.sleep(_FOLLOW_INTERVAL_S)
    finally:
        os.close(fd)


def _is(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except OSError:
        return False


def _allow_files(count: int) -> None:
    """Let this process open so many files, as far as its hard limit allows."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
