"""What the supervisor decides about the carrier of links in the middle: with a socket that stands in for the kernel."""

import os
import signal
import socket
import struct
from collections.abc import Iterator

import pytest

from netlab.supervise import middle
from netlab.supervise.loop import Loop
from netlab.testing.waiting import PATIENCE_S

UP, CARRIER = 0x1, 0x10000
_MESSAGE = struct.Struct("=IHHII BxHiII HH")


class Kernel:
    """Interfaces with their numbers and flags; `set` are those that were set up (True) or down."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.ours.setblocking(False)
        theirs.setblocking(False)
        monkeypatch.setattr(middle, "inside", lambda *_: theirs)
        self.loop = Loop()
        self.carriers = middle.Carriers(self.loop)
        self.ours.recv(100)  # the question for all interfaces

    def tells(self, name: str, number: int, flags: int, kind: int = 16) -> None:
        """Tell of an interface, and let it be heard."""
        data = name.encode() + b"\0"
        padded = data + bytes(-len(data) % 4)
        length = _MESSAGE.size + len(padded)
        self.ours.send(_MESSAGE.pack(length, kind, 0, 0, 0, 0, 0, number, flags, 0, 4 + len(data), 3) + padded)
        self.loop.turn(0)

    @property
    def was_set(self) -> list[tuple[int, bool]]:
        """Return which interfaces were set up or down since the last look."""
        found: list[tuple[int, bool]] = []
        while True:
            try:
                *_, number, flags, _ = struct.unpack("=IHHII BxHiII", self.ours.recv(100))
            except BlockingIOError:
                return found
            found.append((number, bool(flags & UP)))


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    made = Kernel(monkeypatch)
    made.tells("l3a", 4, UP | CARRIER)
    made.tells("l3b", 5, UP | CARRIER)
    assert made.was_set == []
    yield made
    made.carriers.close()
    made.ours.close()


def test_the_other_end_loses_its_carrier_and_gets_it_back(kernel: Kernel) -> None:
    kernel.tells("l3b", 5, UP)
    assert kernel.was_set == [(4, False)]
    kernel.tells("l3a", 4, 0)
    assert kernel.was_set == []
    kernel.tells("l3b", 5, UP | CARRIER)
    assert kernel.was_set == [(4, True)]


def test_two_ends_that_are_down_wait_for_each_other(kernel: Kernel) -> None:
    """Whichever comes back is seen, and loses its carrier again until the other is there."""
    kernel.tells("l3a", 4, UP)
    kernel.tells("l3b", 5, 0)
    assert kernel.was_set == [(5, False)]
    kernel.tells("l3a", 4, UP | CARRIER)
    assert kernel.was_set == [(5, True)]
    kernel.tells("l3b", 5, UP)
    assert kernel.was_set == [(4, False)]
    kernel.tells("l3a", 4, 0)
    kernel.tells("l3b", 5, UP | CARRIER)
    assert kernel.was_set == [(4, True)]


def test_other_interfaces_and_links_are_left_alone(kernel: Kernel) -> None:
    kernel.tells("l4b", 7, UP)
    kernel.tells("lo", 1, UP)
    kernel.tells("hold5", 9, UP)
    kernel.tells("l3", 10, UP)
    assert kernel.was_set == []


def test_an_interface_that_is_gone_is_forgotten(kernel: Kernel) -> None:
    kernel.tells("l3a", 4, UP, kind=17)
    kernel.tells("l3b", 5, UP)
    assert kernel.was_set == []


@pytest.mark.parametrize("is_needed", [True, False])
def test_the_process_that_holds_packets_up_starts_again_only_while_it_is_needed(is_needed: bool) -> None:
    """One that is not needed any more stays for what it holds."""
    loop, said = Loop(), list[str]()
    holder = middle.Holder(loop, said.append)
    holder.run(["/bin/sleep", "inf"])
    holder.turn()
    holder.run(["/bin/sleep", "inf"] if is_needed else [])
    os.kill(holder._pid, signal.SIGKILL)
    loop.turn(PATIENCE_S)

    assert is_needed == bool(said) == (holder.due < float("inf"))
    holder.finish()
