"""In the supervisor: probes that check whether a process is ready, by its port, its file, a command or HTTP.

A probe that needs no waiting returns why the process is not ready, "" if it is. One that takes a while is a Try.
"""

import errno
import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol

from netlab import paths
from netlab.kernel import clone, files, syscalls
from netlab.kernel.kill import signal_name
from netlab.supervise import logs
from netlab.supervise.child import Child, Inherited
from netlab.supervise.loop import Loop

_LISTENS, _IS_BOUND = b"0A", b"07"  # TCP_LISTEN; a UDP socket without a peer (TCP_CLOSE): net/tcp_states.h
_OLDER_NS = 20_000_000  # the clock of files goes in steps
_READ_BYTES = 1 << 12
_MOST_SHOWN = 100
_GOOD = range(200, 400)  # of HTTP


class Try(Protocol):
    """A probe that takes a while: `result` is None until it is over, then as that of other probes."""

    result: str | None

    def cancel(self) -> None:
        """Release everything."""


@contextmanager
def _network_of(node: str) -> Iterator[None]:
    """Enter the network namespace of a node for a while; OSError if it is gone. This process has one thread."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        theirs = os.open(f"{paths.NETNS}/{node}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            syscalls.setns(theirs)
        finally:
            os.close(theirs)
        try:
            yield
        finally:
            syscalls.setns(own)
    finally:
        os.close(own)


def port(child: Child) -> str:
    """Look for a socket of the node that is bound to a port, such as 80/tcp."""
    number, _, protocol = child.ready.what.partition("/")
    wanted, state = b"%04X" % int(number), _LISTENS if protocol == "tcp" else _IS_BOUND
    try:
        with _network_of(paths.node_of(child.name)):
            for name in (protocol, f"{protocol}6"):
                if os.path.exists(f"/proc/self/net/{name}"):
                    lines = (line.split() for line in files.read(f"/proc/self/net/{name}").splitlines()[1:])
                    if any(words[1].endswith(b":" + wanted) and words[3] == state for words in lines):
                        return ""
    except OSError as error:
        return f"its network cannot be looked into: {error.strerror}"
    return f"nobody listens at port {child.ready.what}"


def file(child: Child) -> str:
    """Look for a file, as the process sees it, that has changed since the process was started."""
    path, root = child.ready.what, f"/proc/{child.pid}/root"
    try:
        inside = os.stat(f"/proc/{child.pid}/ns/mnt")
        if (child.place or child.entrance) and os.path.samestat(inside, os.stat("/proc/self/ns/mnt")):
            return "it has not entered its node yet"
        found = clone.stat_inside(root, path)
    except (FileNotFoundError, NotADirectoryError):
        return f"there is no {path}"
    except OSError as error:
        return f"{path} cannot be looked at: {error.strerror}"
    started_ns = time.time_ns() - (time.monotonic_ns() - child.started_ns)
    return "" if found.st_ctime_ns > started_ns - _OLDER_NS else f"{path} is older than this run of it"


class _Memory(logs.Writer):
    """Keeps the last line that is written, and no file."""

    def __init__(self) -> None:
        super().__init__("")
        self.text = ""

    def write(self, ns: int, entries: bytes) -> None:  # noqa: ARG002 - as that of a log
        last = entries.rstrip(b"\n").rpartition(b"\n")[2]
        self.text = last.split(b" ", 2)[-1].decode(errors="replace")[:_MOST_SHOWN]


class CommandTry:
    """Runs a command in the node; the process is ready if it ends with exit code 0."""

    def __init__(self, child: Child, inherited: Inherited, loop: Loop) -> None:
        self.result: str | None = None
        self._what = child.ready.what
        self._loop = loop
        self._memory = _Memory()
        self._child = child.beside(child.ready.argv, self._memory)
        self._pidfd = -1
        try:
            self._pidfd = self._child.start(inherited)
        except OSError as error:
            self.result = f"{self._what} cannot be started: {error.strerror}"
            return
        for fd in self._child.pipes:
            loop.watch(fd, partial(self._read, fd))
        loop.watch(self._pidfd, self._end)

    def cancel(self) -> None:
        """Kill the command, and do not wait for its end."""
        if self._child.pid and not self._child.end:
            self._child.signal(signal.SIGKILL)
            self.result = f"{self._what} takes too long"
        for fd in list(self._child.pipes):
            self._close(fd)

    def _read(self, fd: int) -> None:
        try:
            data = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return
        self._child.take(fd, data)
        if not data:
            self._close(fd)

    def _close(self, fd: int) -> None:
        self._loop.close(fd)
        del self._child.pipes[fd]

    def _end(self) -> None:
        self._loop.close(self._pidfd)
        for fd in list(self._child.pipes):
            self._read(fd)
        how = self._child.result()
        self._child.reap()
        number, said = how.get("signal", 0), f": {self._memory.text}" if self._memory.text else ""
        ended = f"was killed by {signal_name(number)}" if number else f"ends with exit code {how.get('exit')}"
        self.result = "" if how == {"exit": 0} else f"{self._what} {ended}{said}"


class HttpTry:
    """Requests a page over HTTP from inside the node; the process is ready if the status is 2xx or 3xx."""

    def __init__(self, child: Child, loop: Loop) -> None:
        import socket  # it is there already, for the supervisor's own

        self.result: str | None = None
        self._url = child.ready.what
        self._loop = loop
        self._answer = b""
        where, _, path = self._url.removeprefix("http://").partition("/")
        host, _, number = where.rpartition(":")
        request = f"GET /{path} HTTP/1.0\r\nHost: {where}\r\nUser-Agent: netlab\r\nAccept: */*\r\n\r\n"
        self._request = request.encode()
        try:
            with _network_of(paths.node_of(child.name)):
                family = socket.AF_INET6 if ":" in host else socket.AF_INET
                self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            self.result = f"{self._url} cannot be asked: {error.strerror}"
            return
        number_of_error = self._socket.connect_ex((host.strip("[]"), int(number)))
        loop.watch(self._socket.fileno(), self._connected, select.EPOLLOUT)
        if number_of_error not in (0, errno.EINPROGRESS):
            self._over(f"{self._url} cannot be asked: {os.strerror(number_of_error)}")

    def cancel(self) -> None:
        """Close the connection, and do not wait for the answer."""
        self._over(f"{self._url} gives no answer")

    def _connected(self) -> None:
        try:
            self._socket.sendall(self._request)
        except OSError as error:
            self._over(f"{self._url} cannot be asked: {error.strerror}")
        else:
            self._loop.watch(self._socket.fileno(), self._read, select.EPOLLIN)

    def _read(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._over(f"{self._url} gives no answer: {error.strerror}")
            return
        self._answer += data
        line, end, _ = self._answer.partition(b"\n")
        if end or not data or len(line) > _READ_BYTES:
            self._over(self._judged(line.decode("ascii", "replace").strip()))

    def _judged(self, line: str) -> str:
        words = line.split(None, 2)
        if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdigit():
            return f"{self._url} gives no answer of HTTP, but {line[:_MOST_SHOWN]!r}"
        return "" if int(words[1]) in _GOOD else f"{self._url} answers {' '.join(words[1:])[:_MOST_SHOWN]}"

    def _over(self, result: str) -> None:
        if self.result is None:
            self.result = result
            self._loop.forget(self._socket.fileno())
            self._socket.close()
