"""Watches interfaces of a lab: hands each frame to a function when it is seen, and writes no file.

A packet socket at an interface without a program sees what arrives there and what leaves from there. Behind a program
it sees only what the program has let pass. `capture` has the same for files.
"""

import errno
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from netlab.errors import NetlabError
from netlab.kernel import signals, syscalls
from netlab.lab.standing import Standing
from netlab.named_tuple import NamedTuple
from netlab.observe import packet_sockets
from netlab.observe.capture import until_the_pipe_ends
from netlab.observe.packet_sockets import ANCILLARY_BYTES, SNAPLEN, is_unfinished, packet_socket, time_of

_FRAMES_AT_ONCE = 256


class Sight(NamedTuple):
    """A frame as it was seen: when (wall clock), where, and whether it left from there or arrived.

    `is_unfinished` says that its checksum is still to be computed, so what it has now is no mistake.
    """

    ns: int
    node: str
    interface: str
    leaves: bool
    is_unfinished: bool
    frame: bytes


class Watch:
    """The watch on some interfaces of a lab; the constructor touches nothing.

    `hear` is called by a thread of the watch, with one frame after the other.
    """

    def __init__(self, hear: Callable[[Sight], None]) -> None:
        self._hear = hear
        self._sockets: list[tuple[str, str, socket.socket]] = []
        self._thread = threading.Thread(target=self._run, name="netlab-watch", daemon=True)
        self._hears, self._says = -1, -1  # a pipe whose end means: stop
        self._error: BaseException | None = None

    def start(self, lab: Standing, places: Sequence[tuple[str, str]]) -> None:
        """Watch interfaces, each with its node; NetlabError, with nothing left open, if one cannot be watched."""
        try:
            syscalls.in_threads(1, partial(self._open, lab), iter(places))
            self._hears, self._says = os.pipe()
        except BaseException:
            self._close()
            raise
        signals.start_thread(self._thread)

    def stop(self) -> None:
        """Hand over what was seen until now, and end; a second call does nothing.

        NetlabError if not everything could be handed over.
        """
        if self._says >= 0:
            os.close(self._says)
            self._says = -1
        if self._thread.ident is not None:
            self._thread.join()
        if self._error:
            error, self._error = self._error, None
            raise NetlabError(f"the watch on the links has ended too early: {error}") from error

    def _open(self, lab: Standing, places: Iterator[tuple[str, str]]) -> None:
        for node, interface in places:
            try:
                opened = packet_socket(lab.runtime.netns_path(node), interface)
            except OSError as error:
                raise NetlabError(f"cannot watch {node} {interface}: {error}") from error
            self._sockets.append((node, interface, opened))

    def _run(self) -> None:
        """Run the thread: read until the pipe ends, and then once more what is left."""
        buffer = memoryview(bytearray(SNAPLEN))
        try:
            self._read(buffer)
            for node, interface, opened in self._sockets:
                while self._take(node, interface, opened, buffer):
                    pass
        except OSError as error:
            self._error = error
        finally:
            self._close()

    def _read(self, buffer: memoryview) -> None:
        until_the_pipe_ends(self._hears, [(each[2], partial(self._take, *each, buffer)) for each in self._sockets])

    def _take(self, node: str, interface: str, opened: socket.socket, buffer: memoryview) -> bool:
        """Hand over some frames without waiting; say whether there may be more."""
        for _ in range(_FRAMES_AT_ONCE):
            try:
                length, ancillary, _, sender = opened.recvmsg_into((buffer,), ANCILLARY_BYTES, socket.MSG_TRUNC)
            except BlockingIOError:
                return False
            except OSError as error:
                if error.errno != errno.ENETDOWN:  # reported once, when the interface goes down
                    raise
            else:
                seconds, nanoseconds = time_of(ancillary)
                leaves = packet_sockets.leaves(sender)
                about = (seconds * 10**9 + nanoseconds, node, interface, leaves, is_unfinished(ancillary))
                self._hear(Sight(*about, bytes(buffer[:length])))
        return True

    def _close(self) -> None:
        for _, _, opened in self._sockets:
            opened.close()
        if self._hears >= 0:
            os.close(self._hears)
            self._hears = -1
