"""In the supervisor: the middle of the lab's links, where two links are to look like one.

If one end of a link loses its carrier, so does the other: this listens to what the kernel tells of the middle's
interfaces, and sets the one beside the other end down, and up again. Where the kernel cannot hold packets up by itself,
it also runs the process that does. A lab without such links does without this module.
"""

import os
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from netlab import paths
from netlab.kernel.netlink import attributes
from netlab.kernel.syscalls import inside
from netlab.named_tuple import NamedTuple
from netlab.supervise.loop import Loop

_HEADER, _LINK = struct.Struct("=IHHII"), struct.Struct("=BxHiII")  # struct nlmsghdr; struct ifinfomsg
_RTM_NEWLINK, _RTM_DELLINK, _RTM_GETLINK, _RTM_SETLINK = 16, 17, 18, 19
_REQUEST, _DUMP = 0x1, 0x300
_GROUP_LINK = 1
_IFF_UP, _IFF_LOWER_UP = 0x1, 0x10000
_IFLA_IFNAME = 3
_READ_BYTES = 1 << 16
_ROOM_BYTES = 1 << 20
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0


class _End(NamedTuple):
    """An interface of the middle, as the kernel has told last."""

    number: int
    is_up: bool
    has_carrier: bool


class Carriers:
    """Hands carrier loss through the middle."""

    def __init__(self, loop: Loop) -> None:
        """Open a socket in the middle; OSError if there is none."""
        self._ends: dict[str, _End] = {}
        self._loop = loop
        self._socket = inside(f"{os.curdir}/{paths.NETNS}/{paths.MIDDLE}", _listening)
        loop.watch(self._socket.fileno(), self._hear)
        self._ask()

    def close(self) -> None:
        """Listen no more."""
        self._loop.forget(self._socket.fileno())
        self._socket.close()

    def _ask(self) -> None:
        """Ask for all interfaces, whose answers come as what changes does."""
        about = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        self._socket.send(_HEADER.pack(_HEADER.size + len(about), _RTM_GETLINK, _REQUEST | _DUMP, 0, 0) + about)

    def _hear(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # more has changed than there was room for
            self._ask()
            return
        changed = {name[:-1] for name in self._read(data)}
        for link in changed:
            self._agree(f"{link}a", f"{link}b")
            self._agree(f"{link}b", f"{link}a")

    def _read(self, data: bytes) -> Iterator[str]:
        """Take in what the kernel tells, and yield the names of the interfaces that it tells of."""
        offset = 0
        while offset + _HEADER.size <= len(data):
            length, kind, *_ = _HEADER.unpack_from(data, offset)
            if kind in (_RTM_NEWLINK, _RTM_DELLINK):
                _, _, number, flags, _ = _LINK.unpack_from(data, offset + _HEADER.size)
                about = dict(attributes(data[offset + _HEADER.size + _LINK.size : offset + length]))
                name = about.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace")
                if _is_end(name):
                    self._ends[name] = _End(number, bool(flags & _IFF_UP), bool(flags & _IFF_LOWER_UP))
                    if kind == _RTM_DELLINK:
                        del self._ends[name]
                    yield name
            offset += max(_HEADER.size, (length + 3) & ~3)

    def _agree(self, name: str, other: str) -> None:
        """Let the interface `name` be up if the other one has a carrier, and down if that has lost it.

        If neither has one, both stay up: whose end comes back first is seen then.
        """
        end, beside = self._ends.get(name), self._ends.get(other)
        if not end or not beside or not beside.is_up:
            return
        if beside.has_carrier and not end.is_up:
            self._set(end.number, up=True)
        elif not beside.has_carrier and end.has_carrier:
            self._set(end.number, up=False)

    def _set(self, number: int, *, up: bool) -> None:
        about = _LINK.pack(socket.AF_UNSPEC, 0, number, _IFF_UP if up else 0, _IFF_UP)
        with suppress(OSError):
            self._socket.send(_HEADER.pack(_HEADER.size + len(about), _RTM_SETLINK, _REQUEST, 0, 0) + about)


def _listening() -> socket.socket:
    """Return a socket that hears of interfaces of the namespace that the thread is in."""
    listening = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM_BYTES)
    listening.bind((0, _GROUP_LINK))
    return listening


def _is_end(name: str) -> bool:
    return len(name) > len("la") and name[0] == "l" and name[-1] in "ab" and name[1:-1].isdigit()


class Holder:
    """The process that holds packets up, where the kernel cannot: started, and started again when it has ended."""

    def __init__(self, loop: Loop, say: Callable[[str], None]) -> None:
        self._loop = loop
        self._say = say
        self._argv: Sequence[str] = ()
        self._pid, self._pidfd = 0, -1
        self._starts = 0.0  # when it is to be started; 0 for not at all
        self._pause_s = _FIRST_PAUSE_S

    def run(self, argv: Sequence[str]) -> None:
        """Let it run from now on, if it does not; no words if it is not needed."""
        self._argv = argv
        if not argv:
            self._starts = 0.0
        elif not self._pid:
            self._starts = time.monotonic()

    @property
    def due(self) -> float:
        """When `turn` is to be called at the latest."""
        return self._starts or float("inf")

    def turn(self) -> None:
        """Start it if that is due, between two turns of the loop."""
        if not self._starts or time.monotonic() < self._starts:
            return
        self._starts = 0.0
        nothing = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
        try:
            self._pid = os.posix_spawn(
                self._argv[0], [*self._argv], os.environ, file_actions=nothing, setpgroup=0, setsigmask=()
            )
            self._pidfd = os.pidfd_open(self._pid)
        except OSError as error:
            self._again(f"delays of links: the process that holds packets up cannot be started: {error.strerror}")
            return
        self._loop.watch(self._pidfd, self._ended)

    def finish(self) -> None:
        """End it."""
        self._starts = 0.0
        if self._pid:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self._loop.close(self._pidfd)
            os.waitpid(self._pid, 0)
            self._pid = 0

    def _ended(self) -> None:
        self._loop.close(self._pidfd)
        os.waitpid(self._pid, 0)
        self._pid = 0
        if self._argv:
            self._again("delays of links: the process that holds packets up has ended")

    def _again(self, why: str) -> None:
        self._starts = time.monotonic() + self._pause_s
        self._say(f"{why}; it starts again in {self._pause_s:g} s")
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)


class Middle:
    """All that the supervisor does for the middle of the lab's links."""

    def __init__(self, loop: Loop, write: Callable[[str, str, int], None]) -> None:
        """Take what writes down what has happened."""
        self._loop = loop
        self._carriers: Carriers | None = None
        self.holder = Holder(loop, lambda text: write("", text, time.monotonic_ns()))

    def look(self, argv: Sequence[str] | None) -> None:
        """Take care of the middle from now on; `argv` is what holds packets up, empty if nothing has to.

        None says that the lab has no middle any more.
        """
        if argv is None:
            self.holder.finish()
            if self._carriers:
                self._carriers.close()
            self._carriers = None
            return
        if self._carriers is None:
            with suppress(OSError):  # the middle has just been removed
                self._carriers = Carriers(self._loop)
        self.holder.run(argv)
