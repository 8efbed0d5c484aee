"""Captures every link of a lab into a pcap file: a packet socket at one end of each link, and one reader.

A file has both directions and whole frames, with the kernel's wall-clock times in nanoseconds (draft-ietf-opsawg-pcap).
Wireshark, tcpdump and scapy can read it. At an interface with an XDP program, frames reach the program before a packet
socket. So a link is captured at an end without a program, if it has such an end.

A packet socket does not see exactly what crosses the link. A TCP segment that leaves may still have to be cut, and
several that arrived may have been merged (GSO and GRO: frames longer than the MTU). The checksum of a segment that
leaves may not be computed yet, except towards a program, because netlab switches that offload off there.
"""

import errno
import os
import selectors
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial

from netlab.errors import NetlabError
from netlab.kernel import signals, syscalls
from netlab.lab.standing import Standing
from netlab.named_tuple import NamedTuple
from netlab.observe import packet_sockets
from netlab.observe.packet_sockets import ANCILLARY_BYTES, SNAPLEN, packet_socket, time_of, whole
from netlab.record.model import LabRecord
from netlab.topology.hooks import XDP

# Magic number of nanoseconds, version, two fields that are zero, longest frame, LINKTYPE_ETHERNET.
_HEADER = struct.pack("<IHHIIII", 0xA1B23C4D, 2, 4, 0, 0, SNAPLEN, 1)
_RECORD = struct.Struct("<IIII")  # seconds, nanoseconds, bytes in the file, bytes of the frame
_FRAMES_AT_ONCE = 256  # of one link, before the other links have their turn


class End(NamedTuple):
    """The end of a link at which it is captured, and the other end."""

    node: str
    interface: str
    peer: str
    peer_interface: str
    is_blind: bool = False  # both ends carry programs

    @property
    def file(self) -> str:
        """Return the name of the link's file; it is unique, because no node's name has a dot."""
        return f"{self.node}.{self.interface}--{self.peer}.{self.peer_interface}.pcap"

    @property
    def note(self) -> str:
        """Return what a reader of the file must know, "" for nothing."""
        what = "what it drops or redirects on arrival, and what it sends itself, is not in the file"
        return f"{self.node}'s program is in front of the capture: {what}" if self.is_blind else ""


class Captured(NamedTuple):
    """A link's file: `frames` are in it; `lost` came faster than they could be written."""

    end: End
    path: str
    frames: int
    lost: int


def ends(lab: LabRecord) -> list[End]:
    """Return, for every link of a lab, where it is captured: at an end without an XDP program.

    If both ends have such programs, or neither has, it is the end whose node comes first in the file. Programs that
    netlab attaches at the peers of other nodes' programs do not count: they pass everything.
    """

    def carries(node: str, interface: str) -> bool:
        return any(each.hook == XDP and interface in each.interfaces for each in lab.nodes[node].programs)

    found, seen = [], set()
    for node, about in lab.nodes.items():
        for interface, link in about.interfaces.items():
            first, second = (node, interface), (link.peer, link.peer_interface)
            if second not in seen:
                seen.add(first)
                if carries(*first) and not carries(*second):
                    first, second = second, first
                found.append(End(*first, *second, carries(*first)))
    return found


class Capture:
    """The capture of all links of one lab into a folder that exists; the constructor touches nothing.

    `start` it when the links are made. Until `stop`, a thread writes the frames; it ends with the process.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._taps: list[_Tap] = []
        self._thread = threading.Thread(target=self._run, name="netlab-capture", daemon=True)
        self._hears, self._says = -1, -1  # a pipe whose end means: stop
        self._error: OSError | None = None

    def start(self, lab: Standing) -> None:
        """Capture every frame of a lab's links from now on; the calling thread stays in its namespace.

        NetlabError, with nothing left open, if a link cannot be captured.
        """
        try:
            syscalls.in_threads(1, partial(self._open, lab.runtime.netns_path), ends(lab.record))
            self._hears, self._says = os.pipe()
        except BaseException:
            self._close()
            self._taps.clear()
            raise
        signals.start_thread(self._thread)

    def stop(self) -> list[Captured]:
        """Write what was captured until now, close the files, and return them in the order of `ends`.

        It does not wait for a frame that is on its way to the captured end. It does nothing if nothing was started, or
        if everything was stopped before. NetlabError if a file could not be written to its end.
        """
        if self._says >= 0:
            os.close(self._says)
            self._says = -1
        if self._thread.ident is not None:
            self._thread.join()
        if self._error:
            reason = self._error.strerror
            raise NetlabError(f"the capture in {self._folder} is not complete: {reason}") from self._error
        return [Captured(tap.end, tap.path, tap.frames, tap.lost) for tap in self._taps]

    def _open(self, netns_path: Callable[[str], str], chosen: Iterator[End]) -> None:
        for end in chosen:
            try:
                self._taps.append(_Tap(end, f"{self._folder}/{end.file}", netns_path(end.node)))
            except OSError as error:
                raise NetlabError(f"cannot capture at {end.node} {end.interface}: {error}") from error

    def _run(self) -> None:
        """Run the thread."""
        buffer = memoryview(bytearray(SNAPLEN - 4))  # a VLAN tag may have to be put back
        try:
            self._read(buffer)
            for tap in self._taps:
                tap.hush()
            for tap in self._taps:
                tap.finish(buffer)
        except OSError as error:  # such as: no space left on device
            self._error = error
        finally:
            self._close()

    def _read(self, buffer: memoryview) -> None:
        """Write the frames of the links' sockets, until the pipe ends."""
        until_the_pipe_ends(self._hears, [(tap.socket, partial(tap.take, buffer)) for tap in self._taps])

    def _close(self) -> None:
        """Close everything but the end of the pipe that `stop` closes."""
        for tap in self._taps:
            tap.close()
        if self._hears >= 0:
            os.close(self._hears)
            self._hears = -1


class _Tap:
    """A link's packet socket and file, and the counts of its frames."""

    def __init__(self, end: End, path: str, namespace: str) -> None:
        """Open both, and leave the calling thread in the namespace; raises OSError."""
        self.end = end
        self.path = path
        self.frames = 0
        self.lost = 0
        self.socket = packet_socket(namespace, end.interface)
        try:
            self._file = open(path, "xb", buffering=1 << 18)  # noqa: SIM115 - closed by `close`
            self._file.write(_HEADER)
        except BaseException:
            self.socket.close()
            raise

    def take(self, buffer: memoryview) -> bool:
        """Move some frames into the file without waiting; say whether there may be more."""
        for _ in range(_FRAMES_AT_ONCE):
            try:
                # MSG_TRUNC: the length is the frame's, even if the buffer is shorter.
                length, ancillary, _, _ = self.socket.recvmsg_into((buffer,), ANCILLARY_BYTES, socket.MSG_TRUNC)
            except BlockingIOError:
                return False
            except OSError as error:
                if error.errno != errno.ENETDOWN:  # reported once, when the interface goes down; it may come up again
                    raise
            else:
                self._file.write(packet_record(buffer[:length], length, ancillary))
                self.frames += 1
        return True

    def hush(self) -> None:
        """Let no more frames into the socket; those in it can still be taken."""
        packet_sockets.restrict(self.socket, packet_sockets.RETURN_NOTHING)

    def finish(self, buffer: memoryview) -> None:
        """Take what is left, and make sure that it is in the file; raises OSError."""
        while self.take(buffer):
            pass
        self.lost = packet_sockets.newly_lost(self.socket)
        self._file.flush()

    def close(self) -> None:
        """Close both, in any case."""
        self.socket.close()
        with suppress(OSError):  # the disk is full; `take` or `finish` has reported it
            self._file.close()


def until_the_pipe_ends(pipe: int, readers: Iterable[tuple[socket.socket, Callable[[], object]]]) -> None:
    """Call a socket's reader whenever it has frames, until the other end of the pipe is closed."""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        for opened, take in readers:
            selector.register(opened, selectors.EVENT_READ, take)
        while True:
            for key, _ in selector.select():
                if key.data is None:
                    return
                key.data()


def packet_record(frame: memoryview, length: int, ancillary: list[tuple[int, int, bytes]]) -> bytes:
    """Return a frame in the form of the file: with its time, and with the VLAN tag that the kernel has put aside.

    `length` is that of the whole frame, which may be longer than what was captured; `ancillary` came with the frame.
    """
    seconds, nanoseconds = time_of(ancillary)
    data, length = whole(frame, length, ancillary)
    return _RECORD.pack(seconds, nanoseconds, len(data), length) + data
