"""Part B's claims on packets that were never sent: all hold of a right balancer, and each fails of its mistake."""

from collections.abc import Callable

import pytest

from netlab.judge import partb
from netlab.judge.claim import Claim
from netlab.judge.packets import NONE, UNFINISHED, WRONG, Packet
from tests.unit.judge import synthetic
from tests.unit.judge.synthetic import (
    HIGH,
    Balancer,
    arrival,
    completion,
    facts,
    failed,
    high,
    high_play,
    low,
    low_play,
    open_,
    request,
)

Change = Callable[[list[Packet]], list[Packet]]


def texts(claims: dict[str, Claim], name: str) -> str:
    return claims[f"partb.{name}"].figures


def arrivals(packets: list[Packet]) -> list[int]:
    """Return where the packets that come to workers are."""
    return [at for at, each in enumerate(packets) if each.node != "client" and not each.leaves]


def changed(at: int, **values: object) -> Change:
    """Change the `at`-th packet that comes to a worker."""

    def change(packets: list[Packet]) -> list[Packet]:
        place = arrivals(packets)[at]
        packets[place] = packets[place]._replace(**values)  # type: ignore[arg-type]
        return packets

    return change


def without(at: int) -> Change:
    """Lose the `at`-th packet that comes to a worker."""
    return lambda packets: [each for place, each in enumerate(packets) if place != arrivals(packets)[at]]


# --- right ones -------------------------------------------------------------------------------------------------------


def test_every_claim_holds_of_a_right_balancer() -> None:
    assert {"met"} == {claim.verdict for claim in low(low_play()).values()}
    assert {"met"} == {claim.verdict for claim in high(high_play()).values()}


@pytest.mark.parametrize("way_ms", [0.01, 4.0, 30.0])
def test_a_busy_machine_changes_nothing_within_the_tolerance(way_ms: float) -> None:
    assert failed(high(Balancer().play(HIGH, 400.0, way_ms))) == set()


def test_any_policy_that_uses_a_free_thread_is_right() -> None:
    def last(balancer: Balancer) -> str:
        return next((name for name in reversed(balancer.free) if balancer.free[name]), "")

    assert failed(high(high_play(Balancer(last)))) == failed(low(low_play(Balancer(last)))) == set()


@pytest.mark.parametrize("padding", [b"\0\0\0", b"   ", b" \n\0"])
def test_padding_is_no_part_of_the_data(padding: bytes) -> None:
    """A balancer of fixed slots pads: five bytes asked, sixteen arrive."""
    packets = [each if each.leaves else each._replace(data=each.data + padding) for each in high_play()]

    claims = high(packets)

    assert failed(claims) == set()
    assert "22 of them padded" in texts(claims, "data")


@pytest.mark.parametrize("checksum", [NONE, UNFINISHED])
def test_a_checksum_that_is_not_there_is_not_wrong(checksum: str) -> None:
    packets = [each._replace(checksum=checksum) for each in high_play()]

    assert failed(high(packets)) == set()


def test_a_balancer_may_put_its_own_address_as_the_source() -> None:
    packets = [each if each.leaves else each._replace(source="10.0.1.2", source_port=77) for each in high_play()]

    assert failed(high(packets)) == set()


def test_two_requests_on_different_links_may_arrive_the_wrong_way_round_by_a_moment() -> None:
    """Two processors carry them."""
    packets = [request(0, b"0.1"), request(1, b"0.2"), arrival(2.5, "worker1", b"0.1"), arrival(2.0, "worker2", b"0.2")]

    assert "fifo" not in failed(high([*packets, completion(300, "worker1"), completion(300, "worker2")]))


# --- wrong ones -------------------------------------------------------------------------------------------------------


def six_for_five(balancer: Balancer) -> str:
    """Forget that a thread is taken, once."""
    if balancer.count == 7:
        return "worker1"
    return balancer.most_free()


def too_shy(balancer: Balancer) -> str:
    """Let every fifth request wait."""
    return "" if balancer.count % 5 == 0 else balancer.most_free()


WRONG_BALANCERS: dict[str, tuple[Balancer, str]] = {
    "last in, first out": (Balancer(take=lambda waiting: len(waiting) - 1), "fifo"),
    "one too many": (Balancer(six_for_five), "capacity"),
}


@pytest.mark.parametrize("mistake", WRONG_BALANCERS)
def test_a_wrong_balancer_fails_its_claims(mistake: str) -> None:
    balancer, expected = WRONG_BALANCERS[mistake]

    assert set(expected.split()) == failed(high(high_play(balancer)))


def test_a_request_that_waits_in_vain_in_a_low_play() -> None:
    found = failed(low(low_play(Balancer(too_shy))))

    assert {"waits_only_while_all_are_busy", "low_sleeps_wait_for_nothing"} == found


MISTAKES: dict[str, tuple[Change, str]] = {
    "a request is lost": (without(3), "served_once completed waits_only_while_all_are_busy"),
    "a request that waited is lost": (without(9), "served_once completed high_sleeps_wait idle_thread_is_used"),
    "a request is served twice": (
        lambda packets: [*packets, packets[arrivals(packets)[4]]._replace(ns=9_000_000_000)],
        "served_once completed",
    ),
    "the data of another": (changed(5, data=b"0.100"), "served_once"),
    "data of nobody": (changed(5, data=b"0.1"), "served_once data"),
    "another MAC": (changed(2, target_mac="02:00:00:00:00:02"), "headers"),
    "another address": (changed(2, target="10.0.0.2"), "headers"),
    "another port": (changed(2, target_port=8081), "headers"),
    "another source": (changed(2, source="10.0.1.13"), "headers"),
    "another port of the source": (changed(2, source_port=1), "headers"),
    "no time to live": (changed(2, ttl=0), "headers"),
    "lengths that differ": (changed(2, mistakes=("UDP says 9 bytes",)), "headers"),
    "the checksum of IPv4": (changed(2, ip_checksum=WRONG), "ip_checksum"),
    "the checksum of UDP": (changed(2, checksum=WRONG), "udp_checksum"),
    "a completion is missing": (lambda packets: packets[:-1], "completed"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_fails_its_claims(mistake: str) -> None:
    change, expected = MISTAKES[mistake]

    assert failed(high(change(high_play()))) == set(expected.split())


def test_a_thread_that_becomes_free_and_is_not_used() -> None:
    """One waits, a thread becomes free, and only the next one brings it out."""
    sent = [request(at, b"%d" % (at + 10)) for at in range(7)]
    got = [arrival(at + 0.1, f"worker{at % 3 + 1}", b"%d" % (at + 10)) for at in range(6)]
    rest = [completion(500, "worker1"), completion(700, "worker2"), arrival(700.1, "worker2", b"16")]
    rest += [completion(900, worker) for worker in ("worker1", "worker2", "worker2", "worker3", "worker3")]

    claims = high([*sent, *got, *rest])

    assert failed(claims) == {"idle_thread_is_used"}
    assert 'request 7 ("16") waited for 200.1 ms from 500.0 ms on, beside 1 free thread' in texts(
        claims, "idle_thread_is_used"
    )


def test_a_request_that_waits_for_ever_waits_beside_free_threads() -> None:
    sent = [request(at, b"%d" % (at + 10)) for at in range(7)]
    got = [arrival(at + 0.1, f"worker{at % 3 + 1}", b"%d" % (at + 10)) for at in range(6)]
    done = [completion(500 + at, f"worker{at % 3 + 1}") for at in range(6)]

    assert {"served_once", "idle_thread_is_used", "high_sleeps_wait"} == failed(high([*sent, *got, *done]))


@pytest.mark.parametrize(("answer", "fails"), [("connection refused", False), ("answered", False), ("no answer", True)])
def test_other_traffic(answer: str, fails: bool) -> None:
    claims = partb.high(synthetic.story(high_play()), {"TCP to port 1 of lb": answer})

    assert [claim.holds for claim in claims if claim.id == "partb.other_traffic"] == [not fails]


# --- what cannot be judged --------------------------------------------------------------------------------------------


def test_nothing_is_judged_of_nothing_but_that_it_is_missing() -> None:
    """Nothing holds for want of anything to say it of."""
    for claims in (high([]), low([])):
        assert failed(claims) == {"requests"}
        assert {claim.verdict for claim in claims.values()} == {"failed", "unjudged", "met"}
        assert {name for name, claim in claims.items() if claim.holds} == {"partb.other_traffic"}


def test_order_cannot_be_judged_of_equal_data() -> None:
    packets = [each if each.node != "client" and each.leaves else each._replace(data=b"1") for each in high_play()]

    claims = high(packets)

    assert (failed(claims), open_(claims)) == (set(), {"fifo"})
    assert "22 requests have the same data" in texts(claims, "fifo")


def test_order_is_wrong_if_those_that_can_be_told_apart_show_it() -> None:
    packets = high_play(Balancer(take=lambda waiting: len(waiting) - 1))
    twin = {b"0.100": b"0.101"}
    packets = [each._replace(data=twin.get(each.data, each.data)) for each in packets]

    assert failed(high(packets)) == {"fifo"}


def test_a_play_that_is_too_slow_is_no_low_play() -> None:
    claims = low(high_play())

    assert open_(claims) == {"low_sleeps_wait_for_nothing"}
    assert failed(claims) == set()


def test_nothing_waits_in_a_play_that_was_to_be_high() -> None:
    assert open_(high(low_play())) == {"high_sleeps_wait", "idle_thread_is_used", "fifo"}


# --- depth ------------------------------------------------------------------------------------------------------------


def shallow(depth: int) -> list[Packet]:
    """Return the play of a balancer that lets so many requests wait."""
    balancer = Balancer()
    packets = [request(at * 5.0, f"0.{100 + at}".encode()) for at in range(20)]
    kept = packets[: 6 + depth]
    after = packets[6 + depth :]
    played = balancer.play([each.ns / 1e6 for each in kept], 400.0)
    return [*played, *after, request(5000, b"0.9"), arrival(5000.1, "worker1", b"0.9"), completion(5400, "worker1")]


@pytest.mark.parametrize(("promised", "kept", "fails"), [(8, 8, False), (8, 4, True), (4, 4, False), (0, 4, True)])
def test_depth_is_judged_as_far_as_it_is_promised(promised: int, kept: int, fails: bool) -> None:
    claims = high(shallow(kept), facts(queue=promised))

    assert ("served_once" in failed(claims)) == fails
    if promised:
        assert ("depth" in failed(claims)) == fails


def test_a_depth_that_was_never_reached_cannot_be_judged() -> None:
    assert open_(high(high_play(), facts(queue=64))) == {"depth"}


# --- other labs -------------------------------------------------------------------------------------------------------


def test_workers_may_have_different_threads() -> None:
    known = facts(threads={"worker1": 1, "worker2": 2, "worker3": 2})

    claims = high(high_play(), known)

    assert "worker1 has 2 in hand at" in texts(claims, "capacity")


def test_markers_of_netlabs_own_balancer_are_no_requests() -> None:
    """Where workers report, it asks them what has come."""
    packets = [*high_play(), arrival(20, "worker1", b"NLM1" + bytes(40))]

    assert failed(high(packets, facts(reports=True))) == set()
    assert "data" in failed(high(packets))
