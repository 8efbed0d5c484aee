"""The process that holds packets up in the middle of links, where the kernel has no netem.

The program in the middle sends it each packet with a tag before it: when it is due, and by which interface it leaves.
So a delay that is changed reaches it with the next packet, and it needs no settings. It keeps the order of packets in
each direction, and counts in a map what it has sent and what it had to drop.
"""

import errno
import gc
import mmap
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from heapq import heapify, heappop, heappush, heapreplace

from netlab.errors import explain
from netlab.kernel import syscalls
from netlab.named_tuple import NamedTuple
from netlab.network.middle import ALL_TARGETS, Middle, stage_name, stage_of
from netlab.network.packet_ring import Ring
from netlab.plan.steps import LO_INDEX
from netlab.programs.impairment_layout import HAS_VLAN, HELD, IS_DOUBLED, TAG

MOST_HELD = 100_000  # packets of one direction
_SECOND_NS = 1_000_000_000
_LOOK_NS = _SECOND_NS  # how often it looks whether the middle is still there
_START_S = 0.02  # how often it looks whether there is something to hold up
_NAP_NS = 250_000  # so long a packet that has come may wait to be read: each wake-up costs some 20 µs
_AT_ONCE = 512  # packets that are read before those that are due are sent
_SEND_BYTES = 1 << 26  # room for all that a limit of the rate makes wait
_SO_SNDBUFFORCE = 32
_PRIORITY = -15
_PR_SET_TIMERSLACK = 29
_TCI = 0xFFFF
_MACS = 12  # bytes of the addresses before a VLAN tag
_FRAME = 14 + 4
_PLACE = HELD.size // 8  # words
_SENT, _LOST = 1, 2  # in layout.HELD


class _Line:
    """Packets of one direction, in their order."""

    __slots__ = ("at", "given", "last_due", "out", "queue", "target")

    def __init__(self, target: int, place: int) -> None:
        self.target = target
        self.out = _opened(target)
        self.queue: deque[tuple[int, bytes, int]] = deque()  # when each is due, the frame, how often it is sent
        self.last_due = 0
        self.given = 0  # by the program, with the last packet that has come
        self.at = place * _PLACE  # where its counts begin

    def close(self) -> None:
        """Close the socket."""
        if self.out:
            self.out.close()


class Counts(NamedTuple):
    """The counts of all directions, which the program in the middle has, and the number of their map."""

    number: int
    words: memoryview


class Holder:
    """What is held up at one interface. `is_cut_off` if a packet was too long for the ring's slots."""

    def __init__(self, ring: Ring, is_over: Callable[[], bool]) -> None:
        self._ring = ring
        self._is_over = is_over
        self.is_cut_off = False
        self._lines: dict[int, _Line] = {}
        self._due: list[tuple[int, int]] = []  # when, and which place: of each line with packets
        self._counts: Counts | None = None

    def run(self) -> None:
        """Take packets, and send them when due, until the interface is gone, or `is_over`, or one was cut off."""
        look_ns = 0
        while not self.is_cut_off:
            took = self._take()
            now = time.monotonic_ns()
            self._send(now)
            if now >= look_ns:
                if self._is_over():
                    return
                look_ns = now + _LOOK_NS
            if took == _AT_ONCE:
                continue
            until = min(self._due[0][0] if self._due else look_ns, look_ns) - time.monotonic_ns()
            if until <= 0:
                continue
            if took:
                time.sleep(min(until, _NAP_NS) / _SECOND_NS)
            elif select.select([self._ring.socket], (), (), until / _SECOND_NS)[0] and self._ring.problem():
                return

    def close(self) -> None:
        """Drop what is held up."""
        for line in self._lines.values():
            line.close()
        if self._counts:
            self._counts.words.release()

    def _take(self) -> int:
        """Take what has come; returns how many packets."""
        following, unpack = self._ring.next, TAG.unpack_from
        for count in range(_AT_ONCE):
            found = following()
            if found is None:
                return count
            packet, length = found
            target, place, flags, _, vlan_type, due, before = unpack(packet)
            line = self._lines.get(place)
            if line is None or line.target != target or not before:
                line = self._begin(place, target, before)
            copies = 2 if flags & IS_DOUBLED else 1
            if before != line.given:
                self._lose(line, before - line.given)
            line.given = before + copies
            if length > len(packet) or len(line.queue) >= MOST_HELD:
                self.is_cut_off |= length > len(packet)
                self._lose(line, copies)
                continue
            if flags & HAS_VLAN:
                tag = vlan_type.to_bytes(2, sys.byteorder) + (flags & _TCI).to_bytes(2)
                frame = packet[TAG.size : TAG.size + _MACS] + tag + packet[TAG.size + _MACS :]
            else:
                frame = packet[TAG.size :]
            due = max(due, line.last_due)
            line.last_due = due
            if not line.queue:
                heappush(self._due, (due, place))
            line.queue.append((due, frame, copies))
        return _AT_ONCE

    def _send(self, now: int) -> None:
        """Send what is due."""
        heap, lines = self._due, self._lines
        while heap and heap[0][0] <= now:
            place = heap[0][1]
            line = lines[place]
            queue = line.queue
            sent = 0
            while queue and queue[0][0] <= now:
                _, frame, copies = queue.popleft()
                for _ in range(copies):
                    sent += self._emit(line, frame)
            if self._counts:
                self._counts.words[line.at + _SENT] += sent
            if queue:
                heapreplace(heap, (queue[0][0], place))
            else:
                heappop(heap)

    def _emit(self, line: _Line, frame: bytes) -> bool:
        """Send a frame; returns whether it has left."""
        try:
            if line.out:
                line.out.send(frame)
                return True
        except OSError as error:
            if error.errno == errno.ENOBUFS:  # the limit of the rate has dropped it, and counted that
                return True
        self._lose(line, 1)
        return False

    def _lose(self, line: _Line, packets: int) -> None:
        """Count packets as lost; fewer than none if one has come late."""
        if self._counts:
            self._counts.words[line.at + _LOST] = max(0, self._counts.words[line.at + _LOST] + packets)

    def _begin(self, place: int, target: int, before: int) -> _Line:
        """Begin with a direction: it is new, or another one at the place, or this process is new."""
        if self._counts is None or not before:  # a direction that begins may be of another program, with other counts
            found = _opened_counts(self._counts)
            if self._counts and found is not self._counts:
                self._counts.words.release()
            self._counts = found
        if earlier := self._lines.get(place):
            self._due = [each for each in self._due if each[1] != place]
            heapify(self._due)
            earlier.close()
        line = self._lines[place] = _Line(target, place)
        line.given = before
        if self._counts:  # what earlier processes have neither sent nor lost is lost with them
            self._counts.words[line.at + _LOST] = max(0, before - self._counts.words[line.at + _SENT])
        return line


def _opened(target: int) -> socket.socket | None:
    """Return a socket that sends frames by an interface; None if it is gone."""
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        out.setblocking(False)
        out.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _SEND_BYTES)
        out.bind((socket.if_indextoname(target), 0))
    except OSError:
        out.close()
        return None
    return out


def _opened_counts(now: Counts | None) -> Counts | None:
    """Return the counts of the program that is there: those of `now`, if they are its; None without one."""
    with Middle() as middle:
        if middle.program is None:
            return None
        held = middle.program.held
        if now and now.number == held.id:
            return now
        return Counts(held.id, memoryview(mmap.mmap(held.fd, held.max_entries * HELD.size)).cast("Q"))


def main(netns: str, parent: str = "0") -> int:
    """Hold up what comes in the middle whose namespace is this file, until that is gone, or the parent."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    syscalls.die_with_parent(int(parent))
    try:
        with open(netns, "rb") as file:
            syscalls.setns(file.fileno())
            number = os.fstat(file.fileno()).st_ino
        with suppress(OSError):  # this may be forbidden in a container
            os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)
        syscalls.libc().prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
        gc.disable()  # nothing here refers to itself, and a pause would be a delay
        _hold(lambda: _is_gone(netns, number))
    except Exception as error:  # noqa: BLE001 - the last resort, as in the command line
        print(explain(error)[0], file=sys.stderr)
        return 1
    return 0


def _hold(is_over: Callable[[], bool]) -> None:
    """Hold packets up at the interface of the middle that is for it, whenever that is there."""
    most = 0
    while not is_over():
        try:
            socket.if_nametoindex(stage_name(ALL_TARGETS))
            ring = Ring(stage_name(ALL_TARGETS), max(most, _longest()) + TAG.size + _FRAME)
        except OSError as error:
            if error.errno not in (None, errno.ENODEV, errno.ENETDOWN):  # None: there is no such interface
                raise
            time.sleep(_START_S)
            continue
        holder = Holder(ring, is_over)
        try:
            holder.run()
        finally:
            holder.close()
            ring.close()
        most = 2 * ring.slot_bytes if holder.is_cut_off else 0


def _longest() -> int:
    """Return the largest MTU of a link in the middle."""
    with Middle() as middle:
        return max((mtu for index, _, mtu in middle.links.values() if LO_INDEX < index < stage_of(0)), default=0)


def _is_gone(netns: str, number: int) -> bool:
    try:
        return os.stat(netns).st_ino != number
    except OSError:
        return True
