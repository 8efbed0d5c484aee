"""The process that holds packets up, on packets that were never on an interface."""

import sys

import pytest

from netlab.network import packet_holder
from netlab.network.packet_holder import Holder
from netlab.programs.impairment_layout import HAS_VLAN, HELD, IS_DOUBLED, TAG

PLACE, OTHER = 1, 2
FRAME = bytes(range(60))
WORDS = HELD.size // 8


class Ring:
    """Packets that come, instead of those of an interface."""

    def __init__(self) -> None:
        self.coming: list[tuple[bytes, int]] = []

    def give(
        self, number: int, due: int, frame: bytes = FRAME, *, place: int = PLACE, flags: int = 0, cut: int = 0
    ) -> None:
        """Let a packet come: `number` were given before it."""
        vlan_type = int.from_bytes(b"\x81\x00", sys.byteorder) if flags & HAS_VLAN else 0
        tagged = TAG.pack(9, place, flags, 0, vlan_type, due, number) + frame
        self.coming.append((tagged[: len(tagged) - cut], len(tagged)))

    def next(self) -> tuple[bytes, int] | None:
        """Return the next one."""
        return self.coming.pop(0) if self.coming else None


class Out:
    """A socket that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.refuses: OSError | None = None

    def send(self, frame: bytes) -> None:
        """Keep a frame."""
        if self.refuses:
            raise self.refuses
        self.sent.append(frame)

    def close(self) -> None:
        """Do nothing."""


class Held:
    """A holder with what goes in and comes out."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ring, self.out = Ring(), Out()
        self.counts = memoryview(bytearray(8 * WORDS * 4)).cast("Q")
        monkeypatch.setattr(packet_holder, "_opened", lambda _: self.out)
        monkeypatch.setattr(packet_holder, "_opened_counts", lambda now: now or packet_holder.Counts(1, self.counts))
        self.holder = Holder(self.ring, lambda: True)  # type: ignore[arg-type]

    def at(self, now: int) -> list[bytes]:
        """Take what has come, send what is due, and return that."""
        self.out.sent.clear()
        self.holder._take()
        self.holder._send(now)
        return list(self.out.sent)

    def counted(self, place: int = PLACE) -> tuple[int, int]:
        """Return how many were sent and lost."""
        return self.counts[place * WORDS + 1], self.counts[place * WORDS + 2]


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(monkeypatch)


def test_a_packet_leaves_when_it_is_due(held: Held) -> None:
    """Not before."""
    held.ring.give(0, due=100)

    assert [] == held.at(99)
    assert [FRAME] == held.at(100)
    assert (1, 0) == held.counted()


def test_the_order_of_a_direction_is_kept(held: Held) -> None:
    """One that would be due sooner waits for the one before it; another direction does not."""
    held.ring.give(0, due=100, frame=b"a" * 60)
    held.ring.give(1, due=50, frame=b"b" * 60)
    held.ring.give(0, due=60, frame=b"c" * 60, place=OTHER)

    assert [b"c" * 60] == held.at(60)
    assert [b"a" * 60, b"b" * 60] == held.at(100)


def test_a_doubled_packet_leaves_twice_and_counts_twice(held: Held) -> None:
    held.ring.give(0, due=1, flags=IS_DOUBLED)
    held.ring.give(2, due=1)

    assert [FRAME] * 3 == held.at(1)
    assert (3, 0) == held.counted()


def test_a_tag_is_put_back(held: Held) -> None:
    """Behind the addresses."""
    held.ring.give(0, due=1, flags=HAS_VLAN | 42)

    assert [FRAME[:12] + b"\x81\x00\x00\x2a" + FRAME[12:]] == held.at(1)


def test_what_the_ring_had_no_room_for_is_counted(held: Held) -> None:
    """Numbers that are missing tell how many; one that comes late is not missing after all."""
    for number in (0, 1, 5, 4, 6):
        held.ring.give(number, due=1)

    assert 5 == len(held.at(1))
    assert (5, 2) == held.counted()


def test_what_an_earlier_process_has_held_is_lost(held: Held) -> None:
    """It had sent 3 of the 10 that were given."""
    held.counts[PLACE * WORDS + 1] = 3
    held.ring.give(10, due=1)

    assert [FRAME] == held.at(1)
    assert (4, 7) == held.counted()


def test_a_direction_that_begins_anew_has_lost_nothing(held: Held) -> None:
    """The place may have been another one's."""
    held.ring.give(0, due=1)
    held.at(1)
    held.counts[PLACE * WORDS + 1] = 0
    held.ring.give(0, due=1)

    assert [FRAME] == held.at(1)
    assert (1, 0) == held.counted()


def test_a_full_queue_of_the_rate_is_not_counted_here(held: Held) -> None:
    """The queue has counted it; an interface that is down has not."""
    held.out.refuses = OSError(105, "no buffer space available")
    held.ring.give(0, due=1)
    held.at(1)
    assert (1, 0) == held.counted()

    held.out.refuses = OSError(100, "network is down")
    held.ring.give(1, due=1)
    held.at(1)
    assert (1, 1) == held.counted()


def test_too_many_are_dropped(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packet_holder, "MOST_HELD", 2)
    for number in range(3):
        held.ring.give(number, due=100)

    assert [FRAME] * 2 == held.at(100)
    assert (2, 1) == held.counted()


def test_a_packet_that_was_cut_off_asks_for_larger_slots(held: Held) -> None:
    held.ring.give(0, due=1, cut=10)

    assert [] == held.at(1)
    assert held.holder.is_cut_off
    assert (0, 1) == held.counted()
