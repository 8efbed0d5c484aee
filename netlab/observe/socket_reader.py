"""What passes interfaces of a lab, read from a packet socket at each; a program in front of it sees it before."""

import errno
import socket
import time
from collections.abc import Iterator

from netlab.lab.standing import Standing
from netlab.observe import packet_sockets
from netlab.observe.packet_filter import PacketFilter
from netlab.observe.packet_sockets import ANCILLARY_BYTES, SNAPLEN, packet_socket, time_of, whole
from netlab.observe.seen import Seen

_AT_ONCE = 1024  # frames of one interface, before the others have their turn
_GONE = (errno.ENETDOWN, errno.ENXIO, errno.ENODEV)


class SocketReader:
    """Reads one interface; leaves the thread that makes it in the interface's namespace.

    `skips` are directions that programs tell of: whether frames leave.
    """

    def __init__(self, lab: Standing, node: str, interface: str, skips: frozenset[bool]) -> None:
        """Open the socket, which takes nothing until `restrict` says what; raises OSError."""
        self.node, self.interface, self._skips = node, interface, skips
        self.socket = packet_socket(lab.runtime.netns_path(node), interface, packet_sockets.RETURN_NOTHING)
        self.index = socket.if_nametoindex(interface)
        self.seen = self.lost = 0

    def restrict(self, to: PacketFilter | None) -> None:
        """Let only frames in that match, and none of directions that programs tell of."""
        ways = b"".join(packet_sockets.one_way(leaving=not each) for each in sorted(self._skips))
        packet_sockets.restrict(self.socket, ways + (to.instructions if to else packet_sockets.RETURN_ALL))

    def skip(self, skips: frozenset[bool], to: PacketFilter | None) -> None:
        """Leave these directions out from now on, and restrict to what matches."""
        if skips != self._skips:
            self._skips = skips
            self.restrict(to)

    def take(self, buffer: memoryview) -> Iterator[Seen]:
        """Yield frames that are there now, without waiting."""
        ahead = time.time_ns() - time.monotonic_ns()
        for _ in range(_AT_ONCE):
            try:
                length, ancillary, _, sender = self.socket.recvmsg_into((buffer,), ANCILLARY_BYTES, socket.MSG_TRUNC)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in _GONE:  # told once; an interface that is down may come up again
                    raise
                return
            leaves = packet_sockets.leaves(sender)
            if leaves in self._skips:
                continue
            self.seen += 1
            seconds, nanoseconds = time_of(ancillary)
            data, length = whole(buffer[:length], length, ancillary)
            ns = seconds * 1_000_000_000 + nanoseconds - ahead
            yield Seen(ns, self.node, self.interface, leaves, data, length)

    def count(self) -> int:
        """Return how many frames had no room in the socket so far."""
        self.lost += packet_sockets.newly_lost(self.socket)
        return self.lost

    def close(self) -> None:
        """Read no more."""
        self.socket.close()


def buffer() -> memoryview:
    """Return room for a frame."""
    return memoryview(bytearray(SNAPLEN - 4))
