"""Two hosts with a middle between them, by hand, and packets that are sent from the one to the other."""

import os
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Self

from netlab.network import impairments
from netlab.network.impairment_settings import Direction
from netlab.network.impairments import Counters
from netlab.plan.steps import FaceProgram
from netlab.testing.waiting import PATIENCE_S, eventually
from netlab.topology.chosen_packets import Flow
from netlab.topology.impairment import PLAIN, Impairment
from tests.lab.namespaces import HOST, Lab, lab

A, B, PORT = "10.0.0.1", "10.0.0.2", 7000
A6, B6 = "fd00::1", "fd00::2"
FLOW = Flow(A, B, socket.IPPROTO_UDP, PORT)
QUIET = (*HOST, ("net.ipv6.conf.all.disable_ipv6", "1"), ("net.ipv6.conf.default.disable_ipv6", "1"))
THERE, BACK = ("eth0", "eth1"), ("eth1", "eth0")  # the middle's interfaces, from a to b and back
_NUMBER = struct.Struct("!IQ")
_ROOM = 1 << 23
_SO_RCVBUFFORCE = 33


class Line:
    """The line from host a to host b, with a middle m; what goes back is plain unless `back` is said."""

    def __init__(self, made: Lab, processors: set[int]) -> None:
        self.lab = made
        self._processors = processors
        self.netns = made.runtime.netns_path("m")
        self.process: subprocess.Popen[bytes] | None = None
        self.receiver = self._socket("b", B)
        self.sender = self._socket("a", A)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.receiver.close()
        self.sender.close()

    def _socket(self, node: str, address: str) -> socket.socket:
        found = self.lab.inside(node, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        found.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM)
        found.bind((address, PORT))
        return found

    def impair(self, impairment: Impairment = PLAIN, back: Impairment = PLAIN) -> None:
        """Set both directions, and begin the process that they need if it is not there."""
        pairs = zip((THERE, BACK), (impairment, back), strict=True)
        impairments.set_directions(self.netns, [Direction(*names, each) for names, each in pairs])
        if self.process is None and (argv := impairments.process_of(self.netns, [impairment, back])):
            self.process = subprocess.Popen(argv)
            os.sched_setaffinity(self.process.pid, self._processors)
            eventually(lambda: impairments.listens(self.netns), "the process listens")

    def afresh(self, impairment: Impairment = PLAIN, back: Impairment = PLAIN) -> None:
        """Set both directions, and number packets anew."""
        self.impair(PLAIN)
        self.settle()
        self.drain()
        self.impair(impairment, back)

    def counters(self) -> Counters:
        """Return what was counted from a to b."""
        return impairments.read_direction(self.netns, *THERE)

    def missing(self, impairment: Impairment) -> list[str]:
        """Return what is missing of both directions."""
        pairs = zip((THERE, BACK), (impairment, PLAIN), strict=True)
        return impairments.missing(self.netns, [Direction(*names, each) for names, each in pairs])

    def send(self, numbers: Sequence[int], size: int = 20) -> None:
        """Send a packet with each of these numbers."""
        rest = bytes(size - _NUMBER.size)
        for number in numbers:
            self.sender.sendto(_NUMBER.pack(number, time.monotonic_ns()) + rest, (B, PORT))

    def settle(self) -> None:
        """Wait until nothing is under way."""
        eventually(lambda: not self.counters().delayed_now, "nothing is delayed")

    def drain(self) -> list[int]:
        """Return the numbers of what has come so far."""
        return [number for number, _ in self.arrivals()]

    def arrivals(self) -> Iterator[tuple[int, int]]:
        """Yield the numbers of what has come so far, and how many ns each has taken at most."""
        self.receiver.setblocking(False)
        while True:
            try:
                yield read(self.receiver.recv(2048))
            except BlockingIOError:
                return

    def came(self, count: int) -> list[int]:
        """Wait until so many packets have come, and return their numbers in their order."""
        found: list[int] = []

        def enough() -> bool:
            found.extend(self.drain())
            return len(found) >= count

        eventually(enough, f"{count} packets have come")
        self.settle()
        return [*found, *self.drain()]

    def delay_ns(self) -> int:
        """Send one packet, and return how long it took."""
        self.send([0])
        self.receiver.settimeout(PATIENCE_S)
        return read(self.receiver.recv(2048))[1]


def read(data: bytes) -> tuple[int, int]:
    """Return the number of a packet, and how long ago it was sent."""
    number, sent = _NUMBER.unpack_from(data)
    return number, time.monotonic_ns() - sent


@contextmanager
def line() -> Iterator[Line]:
    """Yield a plain line, and remove it; the process ends with it."""
    process = None
    try:
        with on_one_processor() as processors, lab() as made:
            made.node("a", "b")
            made.node("m", sysctls=QUIET)
            for node, addresses in (("a", (f"{A}/24", f"{A6}/64")), ("b", (f"{B}/24", f"{B6}/64"))):
                made.address(made.link(node, "m").a, *addresses)
                made.steps.append(FaceProgram(node, "eth0", made.name))
            made.build()
            with Line(made, processors) as found:
                found.impair()
                try:
                    yield found
                finally:
                    process = found.process
        if process:
            assert 0 == process.wait(PATIENCE_S)
    finally:
        if process and process.poll() is None:
            process.kill()
            process.wait()


@contextmanager
def on_one_processor() -> Iterator[set[int]]:
    """Stay on one processor, where packets cannot overtake each other by themselves; yield those that there are."""
    processors = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(processors)})
    try:
        yield processors
    finally:
        os.sched_setaffinity(0, processors)
