"""What is to be set in the middle of links for an impairment."""

import pytest

from netlab.network.impairment_settings import bucket_of, settings_of
from netlab.network.queue_messages import Link, Netem, Tbf, add_netem, add_tbf, read_queue
from netlab.programs import impairment_layout as layout
from netlab.programs.impairment_maps import Settings
from netlab.topology.impairment import PLAIN, Choice, Impairment

MS = 1_000_000
TARGET = Link(7, "eth1", 1500)
DELAYED = Impairment(delay_ns=20 * MS)
MESSAGE_HEAD = 16  # bytes that the kernel's answers come without


def settled(impairment: Impairment, before: Settings | None = None, *, netem: bool = False) -> Settings:
    return settings_of({}, before, TARGET, impairment, held_by_netem=netem)


@pytest.mark.parametrize(
    ("impairment", "bucket"),
    [
        pytest.param(Impairment(rate=100_000_000), Tbf(12_500_000, 125_000, 625_000), id="fast"),
        pytest.param(Impairment(rate=1_000_000), Tbf(125_000, 3036, 24_288), id="two frames at once, 16 may wait"),
        pytest.param(Impairment(rate=1_000_000, queue_bytes=5000), Tbf(125_000, 3036, 5000), id="a queue"),
        pytest.param(Impairment(rate=1_000_000, queue_bytes=1), Tbf(125_000, 3036, 1518), id="one frame at least"),
        pytest.param(Impairment(rate=1), Tbf(1, 3036, 24_288), id="a byte a second at least"),
        pytest.param(
            Impairment(rate=10**13), Tbf(125 * 10**10, (1 << 32) - 1, (1 << 32) - 1), id="no more than the kernel takes"
        ),
    ],
)
def test_a_rate_is_a_bucket(impairment: Impairment, bucket: Tbf) -> None:
    """Bytes a second, how many may leave at once, how many may wait."""
    assert bucket == bucket_of(impairment, 1500)


def test_packets_are_held_up_by_the_process_where_there_is_no_netem() -> None:
    """The process has one pair of interfaces for all directions, netem one for each."""
    by_process, by_netem = settled(DELAYED), settled(DELAYED, netem=True)

    assert layout.HOLDS | layout.BY_PROCESS == by_process.flags
    assert 1 == by_process.place
    assert layout.HOLDS == by_netem.flags
    assert 0 == by_netem.place
    assert by_process.stage != by_netem.stage


def test_places_are_given_once() -> None:
    """The lowest that is free."""
    there = {1: Settings(2, place=1), 2: Settings(1, place=3)}

    assert 2 == settings_of(there, None, TARGET, DELAYED, held_by_netem=False).place


def test_what_is_not_held_up_goes_straight() -> None:
    assert 0 == settled(PLAIN).stage
    assert 0 == settled(PLAIN).flags


def test_a_delay_that_ends_keeps_the_order_meanwhile() -> None:
    """Packets go the same way until those under way have left; setting it once more changes nothing."""
    before = settled(DELAYED)

    after = settled(PLAIN, before)

    assert (before.stage, before.place, layout.BY_PROCESS) == (after.stage, after.place, after.flags)
    assert after.until_ns > before.until_ns
    assert after == settled(PLAIN, after)


def test_who_holds_up_stays_the_same() -> None:
    """A module that is loaded meanwhile changes nothing for what is under way."""
    assert settled(DELAYED).stage == settled(DELAYED, settled(DELAYED), netem=True).stage


def test_jitter_needs_numbers_of_packets() -> None:
    assert settled(Impairment(jitter_ns=MS)).flags & layout.CHOOSES
    assert settled(Impairment(loss=Choice("every", every=2))).flags & layout.CHOOSES
    assert not settled(DELAYED).flags & layout.CHOOSES


@pytest.mark.parametrize("rate", [1, 125_000, 5_000_000_000])
def test_a_bucket_is_read_as_it_was_sent(rate: int) -> None:
    """Also of more than 4 GB a second. The kernel tells the burst as a time."""
    message = add_tbf(3, Tbf(rate, 4000, 9000))

    index, queue = read_queue(message[MESSAGE_HEAD:])

    assert 3 == index
    assert queue.tbf is not None
    assert (rate, 9000) == (queue.tbf.rate, queue.tbf.limit)


def test_a_changed_queue_is_not_made_anew() -> None:
    """Without NLM_F_CREATE and NLM_F_EXCL the kernel changes the one that is there, and what waits in it stays."""
    for new, changed in (
        (add_tbf(3, Tbf(1, 2, 3)), add_tbf(3, Tbf(1, 2, 3), changes=True)),
        (add_netem(3, Netem(1, 0, 9)), add_netem(3, Netem(1, 0, 9), changes=True)),
    ):
        assert 0x601 == int.from_bytes(new[6:8], "little")
        assert 0x1 == int.from_bytes(changed[6:8], "little")
        assert new[8:] == changed[8:]
