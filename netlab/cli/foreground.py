"""Runs a process of a node once more, in the foreground: its lines go to the terminal, and into the process's log."""

import json
import os
import select
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import NoReturn

from netlab import role
from netlab.cli import become, signal_proxy
from netlab.cli.console import say
from netlab.errors import NetlabError
from netlab.kernel.kill import signal_name
from netlab.lab import launch
from netlab.lab.standing import Standing
from netlab.paths import process_key
from netlab.record import named
from netlab.runtime.base import home_of
from netlab.supervise import schema, talk
from netlab.supervise.pipe import Pipe, Printed, told

_READ_BYTES = 1 << 15
_PIECE = 1 << 12  # bytes of a line that go into the log at once
_REQUEST = schema.LINE_LIMIT // 2  # characters of lines in a request; the last piece may take six for each byte
_SHOWN_ON = {"out": 1, "err": 2}


def run(lab: Standing, called: str, options: Sequence[str]) -> NoReturn:
    """Run the process that is called so, with more options behind its own, and end as it does."""
    node, process = named.process(lab.record, called)
    argv, variables = launch.process(lab, node, process, options)
    if process.role:
        variables[role.STAMPED] = "1"
    os.chdir(home_of(lab.record))
    log = Log(lab.record.folder, process_key(node, process.name))
    (out, out_end), (err, err_end) = os.pipe(), os.pipe()
    pid = become.start(lab, node, argv, variables, (out_end, err_end), trusted=launch.runs_freely(lab, process))
    for end in (out_end, err_end):
        os.close(end)
    log.note(f"started in the foreground as process {pid}, with {' '.join(options) or 'no more options'}")
    reader = Reader({out: Pipe(b"out", bool(process.role)), err: Pipe(b"err")}, log)
    reader.start()

    def finish(code: int) -> None:
        reader.finish()
        log.note(f"in the foreground {f'exited with code {code}' if code >= 0 else f'killed by {signal_name(-code)}'}")

    signal_proxy.end_as(pid, finish)


class Log:
    """The log of a process. Its supervisor writes it; if there is none any more, that is said once."""

    def __init__(self, folder: str, process: str) -> None:
        self._process = process
        self._open = ExitStack()
        self._supervisor: talk.Talk | None = None
        try:
            self._supervisor = self._open.enter_context(talk.to(folder))
        except NetlabError as error:
            self._give_up(error)

    def note(self, text: str) -> None:
        """Write what happens, beside what is printed."""
        self.write([Printed(time.monotonic_ns(), "note", os.fsencode(text.replace("\n", " ")))])

    def write(self, lines: Sequence[Printed]) -> None:
        """Write lines, in requests that are not too long."""
        waiting: list[tuple[int, str, str]] = []
        length = 0
        for piece in (each for line in lines for each in _pieces(line)):
            waiting.append((piece.ns, piece.stream, piece.text.decode(errors="surrogateescape")))
            length += len(json.dumps(waiting[-1]))
            if length > _REQUEST:
                self._ask(waiting)
                waiting, length = [], 0
        if waiting:
            self._ask(waiting)

    def _ask(self, lines: Sequence[tuple[int, str, str]]) -> None:
        if self._supervisor:
            try:
                self._supervisor.ask("log", process=self._process, lines=lines)
            except NetlabError as error:
                self._give_up(error)

    def _give_up(self, error: NetlabError) -> None:
        say(f"netlab: note: what follows is not in the log of {self._process}: {error}")
        self._supervisor = None


def _pieces(line: Printed) -> Iterator[Printed]:
    """Yield a line in parts that fit into a request: each but the last goes on in the next."""
    stream, text = line.stream, line.text
    if len(text) > _PIECE and "=" in stream:  # a record is of one line
        kept, text = told(stream.encode(), text)
        stream = kept.decode()
    while len(text) > _PIECE:
        yield Printed(line.ns, stream.rstrip("+") + "+", text[:_PIECE])
        text = text[_PIECE:]
    yield Printed(line.ns, stream, text)


class Reader(threading.Thread):
    """Shows what comes out of a process's pipes, and writes it into its log."""

    def __init__(self, pipes: dict[int, Pipe], log: Log) -> None:
        super().__init__(daemon=True)
        self._pipes = pipes
        self._log = log
        self._is_ready = False
        self._ended, self._end = os.pipe()

    def run(self) -> None:
        """Read until the pipes are closed, or the process has ended and left nothing to read: others may hold them."""
        poll = select.poll()
        for fd in (*self._pipes, self._ended):
            poll.register(fd, select.POLLIN)
        while self._pipes:
            ready = [fd for fd, _ in poll.poll()]
            for fd in self._pipes.keys() & ready:
                if not self._read(fd):
                    poll.unregister(fd)
                    os.close(fd)
                    del self._pipes[fd]
            if ready == [self._ended]:
                for pipe in self._pipes.values():
                    self._take(pipe, b"")
                return

    def finish(self) -> None:
        """Wait until everything is shown that the process has printed, which has ended."""
        os.close(self._end)
        self.join()

    def _read(self, fd: int) -> bool:
        """Take what a pipe has; say whether there may be more, for somebody who reads it."""
        data = os.read(fd, _READ_BYTES)
        try:
            self._take(self._pipes[fd], data)
        except OSError:  # nobody reads our output: closing the pipe tells the process
            return False
        return bool(data)

    def _take(self, pipe: Pipe, data: bytes) -> None:
        stream = pipe.stream.decode()
        lines = [Printed(ns, kind.decode(), text) for ns, kind, text in pipe.take(data, 0, time.monotonic_ns())]
        if not self._is_ready and pipe.stamped:
            at = next((at for at, line in enumerate(lines) if line.text == b"READY"), -1)
            if at >= 0:
                self._is_ready = True
                lines[at] = Printed(lines[at].ns, "note", b"ready")
        self._log.write(lines)
        texts = [told(line.stream.encode(), line.text)[1] for line in lines]
        whole = b"".join(
            text + (b"" if line.stream.endswith("+") else b"\n") for text, line in zip(texts, lines, strict=True)
        )
        _write(_SHOWN_ON[stream], whole if pipe.stamped else data)


def _write(fd: int, data: bytes) -> None:
    """Write everything, also where the descriptor does not wait; OSError if nobody reads it."""
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            select.select([], [fd], [])
