"""Part A's claims on what is printed, by programs of any wording."""

from collections.abc import Callable

import pytest

from netlab.judge import parta, segment_prints
from netlab.judge.claim import Claim
from netlab.judge.lines import Line
from netlab.judge.packets import Packet
from netlab.judge.segment_prints import Said
from tests.unit.judge.test_parta import FACTS, answer, behind, right, segment, sent

Say = Callable[[Packet], str]


def told(packets: list[Packet] | None = None) -> parta.Traffic:
    left = sent() if packets is None else packets
    return parta.tell([*left, answer(2), *(behind(each) for each in left if right(each))], FACTS)


def lines(say: Say, *, only_passed: bool = False, later_ns: int = 50) -> list[Line]:
    found = [each.packet for each in told().data if each.passed or not only_passed]
    return [Line(each.ns + later_ns, "x", text) for each in found if (text := say(each))]


def plain(packet: Packet) -> str:
    return f"number {packet.seq}: {'let in' if packet.seq % 2 else 'thrown away'}"


def coded(packet: Packet) -> str:
    return f"seq {packet.seq} verdict {2 if packet.seq % 2 else 1}"


def letter(packet: Packet) -> str:
    return f"byte '{packet.data.decode()}'"


def claims(**changes: object) -> dict[str, Claim]:
    good = Said(lines(plain), lines(letter), lines(letter, only_passed=True))
    found = segment_prints.claims(told(), good._replace(**changes))  # type: ignore[arg-type]
    return {claim.id.removeprefix("parta.print."): claim for claim in found}


def failed(found: dict[str, Claim]) -> set[str]:
    return {name for name, claim in found.items() if claim.holds is False}


@pytest.mark.parametrize("say", [plain, coded, lambda each: f"{'ok' if each.seq % 2 else 'no'} 0x{each.seq:x}"])
def test_any_wording_is_understood(say: Say) -> None:
    found = claims(program=lines(say))

    assert {"met"} == {claim.verdict for claim in found.values()}


def test_a_number_may_be_printed_as_a_signed_one() -> None:
    high = [segment(1, 2**32 - 10, b"a"), segment(2, 2**32 - 9, b"b")]
    traffic = told(high)
    said = [Line(each.ns + 5, "server", f"{'in' if each.seq % 2 else 'out'} {each.seq - 2**32}") for each in high]

    found = segment_prints.claims(traffic, Said(said, said, said))

    assert [claim.verdict for claim in found] == ["met"] * 4


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"program": []}, {"program"}),
        ({"program": lines(lambda each: "" if each.data == b"d" else plain(each))}, {"program"}),
        (
            {"program": lines(lambda each: plain(each) if each.data != b"d" else f"number {each.seq}: let in")},
            {"verdict"},
        ),
        ({"program": lines(lambda each: f"number {each.seq}")}, {"verdict"}),
        ({"client": []}, {"client"}),
        ({"server": []}, {"server"}),
        ({"program": lines(plain, later_ns=200_000_000)}, {"program"}),
    ],
)
def test_a_mistake_fails_its_claim(changes: dict[str, object], expected: set[str]) -> None:
    assert failed(claims(**changes)) == expected


def test_a_server_need_not_print_what_tcp_keeps() -> None:
    """Behind the first hole TCP delivers nothing to an ordinary socket."""
    found = claims(server=lines(lambda each: letter(each) if each.data == b"a" else "", only_passed=True))

    assert failed(found) == set()
    assert "TCP has kept 4 behind" in found["server"].figures


def test_lines_that_were_lost_excuse_those_that_are_missing() -> None:
    assert claims(program=[], lost=2)["program"].holds is None


def test_a_line_on_an_acknowledgement_of_the_same_number_is_none_on_the_data() -> None:
    """The handshake's, just before the first byte; also if the program says something else of each segment first."""
    first = told().data[0].packet
    for say, expected in ((plain, "met"), (lambda each: f"number {each.seq}: let in", "failed")):
        verdicts = lines(say)
        noted = [*lines(lambda each: f"number {each.seq} came", later_ns=20), *verdicts]
        for said in (verdicts, noted):
            bare = Line(first.ns - 150_000, "x", f"number {first.seq}: bare acknowledgement, let in")
            assert claims(program=[bare, *said])["verdict"].verdict == expected
