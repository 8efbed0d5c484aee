"""Part A's claims, on what a real play has left: all hold, and each fails of a play that went wrong in its way."""

import json
import os
import re
from collections.abc import Callable
from typing import Any

import pytest

from netlab.balancer import Count
from netlab.demo import parta
from netlab.demo.evidence import Claim, Entry, Evidence, Sockets
from netlab.demo.wordings import parse
from netlab.observe.stats import LabStats, ProgramStats
from netlab.record import form, shapes
from netlab.supervise.logs import LogLine

RECORDED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "recorded", "parta")
Lines = list[dict[str, Any]]
PROBES = {"TCP to port 1 of server": "connection refused", "UDP to port 1 of server": "connection refused"}


def recorded(change: Callable[[Lines], Lines] = lambda lines: lines, **sockets: Sockets) -> Evidence:
    """Return the evidence of a real play, as `netlab demo parta --save` has kept it, with a change to its lines."""
    with open(f"{RECORDED}/timeline.jsonl", encoding="utf-8") as file:
        lines = change([json.loads(line) for line in file])
    with open(f"{RECORDED}/lab.json", encoding="utf-8") as file:
        lab = form.parsed(json.load(file))
    with open(f"{RECORDED}/counters.json", encoding="utf-8") as file:
        stats = shapes.read(LabStats, json.load(file))
    told = [LogLine(each["monotonic_ns"], each["node"], each["stream"], each["text"]) for each in lines]
    nodes = {node: Sockets(0, 0, 0) for node in lab.nodes}
    return Evidence([Entry(line, parse(line)) for line in told], lab, stats, {**nodes, **sockets}, {}, PROBES)


def failing(claims: list[Claim]) -> list[str]:
    return [claim.text for claim in claims if not claim.holds]


def without(*texts: str) -> Callable[[Lines], Lines]:
    """Leave out the first line that has each of these texts."""

    def change(lines: Lines) -> Lines:
        left = list(lines)
        for text in texts:
            left.remove(next(line for line in left if text in line["text"]))
        return left

    return change


def replaced(before: str, after: str, count: int = 1) -> Callable[[Lines], Lines]:
    """Write something else into the first `count` lines that match."""

    def change(lines: Lines) -> Lines:
        left, changed = count, []
        for line in lines:
            text, hits = re.subn(before, after, line["text"]) if left else (line["text"], 0)
            left -= bool(hits)
            changed.append({**line, "text": text})
        assert left == 0, f"{before} is in {count - left} lines"
        return changed

    return change


def doubled(text: str) -> Callable[[Lines], Lines]:
    def change(lines: Lines) -> Lines:
        at = next(at for at, line in enumerate(lines) if text in line["text"])
        return [*lines[: at + 1], *lines[at:]]

    return change


def test_all_claims_hold_of_a_good_play() -> None:
    assert failing(parta.claims(recorded())) == []
    assert parta.is_over(recorded())


def test_no_claim_holds_of_a_play_in_which_nothing_happened() -> None:
    """Nothing is true for want of anything to say it of."""
    nothing = recorded(lambda _: [])._replace(sockets={}, probes={}, stats=LabStats("", {}, {}))

    assert len(failing(parta.claims(nothing))) == len(parta.claims(nothing))
    assert not parta.is_over(nothing)


WRONG = {
    "a byte that is not printed": (without('byte #4 "d"'), "the client sends each byte"),
    "a sequence number twice": (replaced(r'(byte #4 "d": seq )(\d+)', r"\g<1>1"), "the client sends each byte"),
    "a segment that the kernel has not seen": (without("1 bytes: even, drop"), "judges each"),
    "a segment that is longer": (replaced("1 bytes: odd", "2 bytes: odd"), "judges each"),
    "an even number that passes": (replaced("even, drop", "even, pass"), "even number is dropped"),
    "a wrong word for it": (replaced("1 bytes: odd, pass", "1 bytes: even, pass"), "even number is dropped"),
    "a number that is passed and dropped": (replaced("odd, pass", "odd, drop"), "alternate segments"),
    "a byte that does not arrive": (without("segment on #1"), "exactly the bytes with odd numbers"),
    "another byte that arrives": (replaced(r'(segment on #1: seq \d+, )"."', r'\1"z"'), "exactly the bytes"),
    "a byte that arrives twice": (doubled("segment on #1"), "exactly the bytes with odd numbers"),
    "a handshake that nobody saw": (without("SYN, pass"), "handshake"),
    "an acknowledgement of the handshake that nobody saw": (
        replaced(r"seq 1001, 0 bytes: ACK, pass", "seq 1003, 0 bytes: ACK, pass", 3),
        "handshake",
    ),
    "a FIN that is dropped": (replaced("FIN, pass", "FIN, drop"), "handshake"),
    "no end of file": (without("end of file"), "ends in good order"),
    "a client that fails": (replaced("exited with code 0", "exited with code 1"), "ends in good order"),
    "a segment sent again": (doubled("1 bytes: odd, pass"), "sends no segment twice"),
    "a count that is missing": (doubled("0 bytes: ACK, pass"), "counters agree"),
    "a line of the trace that was lost": (
        lambda lines: [*lines, {**lines[-1], "stream": "lost", "text": "3 lines lost, 3 in all: they came too fast"}],
        "no line of the logs or of the trace is lost",
    ),
    "a line of a log that was lost": (
        lambda lines: [*lines, {**lines[-1], "stream": "note", "text": "2 lines lost here: no room for the log"}],
        "no line of the logs or of the trace is lost",
    ),
    "a segment that the server has missed": (
        lambda lines: [*lines, {**lines[-1], "stream": "out", "text": "1 segment not seen: too many at once"}],
        "no line of the logs or of the trace is lost",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_play_that_went_wrong_fails_its_claim(wrong: str) -> None:
    change, claim = WRONG[wrong]

    assert any(claim in text for text in failing(parta.claims(recorded(change))))


@pytest.mark.parametrize(
    ("sockets", "claim"),
    [
        (Sockets(1, 0, 0), "sends no segment twice"),
        (Sockets(0, 1, 0), "there is no RST"),
        (Sockets(0, 0, 1), "no connection is left"),
    ],
)
def test_what_the_nodes_kernels_say_counts(sockets: Sockets, claim: str) -> None:
    [failed] = failing(parta.claims(recorded(client=sockets)))

    assert claim in failed


@pytest.mark.parametrize("answer", ["no answer", "answered"])
def test_packets_that_are_not_for_the_port_have_to_pass(answer: str) -> None:
    evidence = recorded()._replace(probes={**PROBES, "UDP to port 1 of server": answer})

    assert failing(parta.claims(evidence)) == ["packets that are not for the server's port pass"]


def test_a_trace_in_other_words_is_told_how_to_read() -> None:
    claims = parta.claims(recorded(lambda lines: [line for line in lines if line["stream"] != "trace"]))

    assert any("segment from port 40000, seq 1001, 1 bytes: odd, pass" in claim.figures for claim in claims)


def test_a_counter_that_disagrees_with_the_trace() -> None:
    evidence = recorded()
    counted = evidence.stats.programs["server"].reasons
    more = {**counted, "PASS_ODD": Count(counted["PASS_ODD"].packets + 1, counted["PASS_ODD"].bytes)}
    stats = evidence.stats._replace(programs={"server": ProgramStats(more)})

    assert failing(parta.claims(evidence._replace(stats=stats))) == ["the program's counters agree with its trace"]


def test_figures_name_what_is_wrong() -> None:
    claims = parta.claims(recorded(replaced("even, drop", "even, pass")))

    [figures] = [claim.figures for claim in claims if "even number is dropped" in claim.text]
    assert re.fullmatch(r"9 dropped, 11 passed; seq \d+: even, pass", figures)


# --- how it is shown --------------------------------------------------------------------------------------------------
