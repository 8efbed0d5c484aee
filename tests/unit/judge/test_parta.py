"""Part A's claims on packets that were never sent: all hold of a right dropper, and each fails of its mistake."""

from collections.abc import Callable

import pytest

from netlab.judge import parta
from netlab.judge.claim import Claim
from netlab.judge.facts import Dropping, Place
from netlab.judge.packets import ACK, FIN, SYN, TCP, Packet

PLACES = {
    "client": (Place("client", "eth0", "02:00:00:00:00:01", ("10.0.0.1",)),),
    "server": (Place("server", "eth0", "02:00:00:00:00:02", ("10.0.0.2",)),),
}
FACTS = Dropping("client", "server", PLACES, 9000)
PROBES = {"UDP to port 1 of server": "connection refused"}
Passes = Callable[[Packet], bool]


def segment(at: int, seq: int, data: bytes = b"", flags: int = ACK, port: int = 4000) -> Packet:
    about = (at * 1000, "client", "eth0", True, "02:00:00:00:00:01", "02:00:00:00:00:02", TCP)
    return Packet(*about, "10.0.0.1", "10.0.0.2", port, 9000, data, seq=seq, flags=flags)


def behind(packet: Packet) -> Packet:
    return packet._replace(ns=packet.ns + 10, node="server", leaves=False)


def answer(at: int) -> Packet:
    about = (at * 1000, "client", "eth0", False, "02:00:00:00:00:02", "02:00:00:00:00:01", TCP)
    return Packet(*about, "10.0.0.2", "10.0.0.1", 9000, 4000, flags=SYN | ACK)


def right(packet: Packet) -> bool:
    return not packet.data or packet.seq % 2 == 1


def sent(isn: int = 1000) -> list[Packet]:
    data = [segment(10 + at, isn + 1 + at, b"%c" % (97 + at)) for at in range(10)]
    return [segment(1, isn, flags=SYN), segment(3, isn + 1), *data, segment(30, isn + 2, flags=FIN | ACK)]


def claims(passes: Passes = right, facts: Dropping = FACTS, packets: list[Packet] | None = None) -> dict[str, Claim]:
    left = sent() if packets is None else packets
    seen = [*left, answer(2), *(behind(each) for each in left if passes(each))]
    return {claim.id: claim for claim in parta.claims(parta.tell(seen, facts), PROBES)}


def failed(found: dict[str, Claim]) -> set[str]:
    return {name.partition(".")[2] for name, claim in found.items() if claim.holds is False}


def test_every_claim_holds_of_a_right_dropper() -> None:
    assert {"met"} == {claim.verdict for claim in claims().values()}


def test_the_exercise_may_be_taken_literally() -> None:
    """Every segment is judged, with data or without: of a program that says so, and of one that does so."""

    def literal(packet: Packet) -> bool:
        return packet.seq % 2 == 1

    assert failed(claims(literal)) == failed(claims(literal, FACTS._replace(judges_all=True))) == set()
    assert failed(claims(right, FACTS._replace(judges_all=True))) == {"rest"}


WRONG: dict[str, tuple[Passes, str]] = {
    "drops odd ones": (lambda each: not each.data or each.seq % 2 == 0, "even_dropped odd_passes"),
    "drops all data": (lambda each: not each.data, "odd_passes alternate"),
    "drops nothing": (lambda _: True, "even_dropped alternate"),
    "drops FIN": (lambda each: right(each) and not each.flags & FIN, "rest"),
    "drops everything": (lambda _: False, "odd_passes alternate rest"),
    "forgets one": (lambda each: right(each) or each.data == b"d", "even_dropped alternate"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_dropper_fails_its_claims(mistake: str) -> None:
    passes, expected = WRONG[mistake]

    assert set(expected.split()) == failed(claims(passes))


def test_what_is_changed_on_its_way_is_seen() -> None:
    left = sent()
    strange = behind(left[2]._replace(data=b"z"))
    found = parta.claims(parta.tell([*left, answer(2), strange], FACTS), PROBES)

    assert "parta.unchanged" in [claim.id for claim in found if claim.holds is False]


def test_a_segment_that_is_sent_again_is_judged_again() -> None:
    """TCP sends what was dropped again with the same number, and it is dropped again."""
    again = [segment(40 + at, 1002, b"b") for at in range(3)]

    assert failed(claims(packets=[*sent(), *again])) == set()


def test_numbers_that_do_not_alternate_need_not_alternate() -> None:
    """A client with an ordinary socket sends what it likes."""
    left = [segment(1, 1000, flags=SYN), segment(5, 1001, b"abcd"), segment(6, 1005, b"ef"), segment(7, 1007, b"g")]
    found = claims(packets=left)

    assert found["parta.alternate"].holds is None
    assert found["parta.even_dropped"].holds is None
    assert failed(found) == set()


def test_nothing_holds_of_nothing() -> None:
    found = parta.claims(parta.tell([], FACTS), {})

    assert [claim.id for claim in found if claim.holds is False] == ["parta.segments"]
    assert not any(claim.holds for claim in found)
