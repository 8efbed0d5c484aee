"""Lines as events: whatever is printed, a line is an event or it is none."""

import json

import pytest

from netlab.demo import parta
from netlab.demo.events import Arrived, Asked, Closed, Connected, Exited, Fin, Lost
from netlab.demo.wordings import parse
from netlab.supervise.logs import LogLine
from tests.unit.demo.test_parta import recorded


def told(text: str) -> object:
    return parse(LogLine(1, "client", "out", text))


def test_a_known_line_is_an_event() -> None:
    asked = told('request #1 to 10.0.0.1:5000: "0.5" (3 bytes)')

    assert Asked(1, "10.0.0.1:5000", "0.5", 3) == asked
    assert Connected("b:80", "[fd00::1]:40000", 5) == told(
        "connected to b:80 from [fd00::1]:40000: initial sequence number 5"
    )


@pytest.mark.parametrize(
    "text",
    [
        r'request #1 to a:1: "\q" (1 byte)',
        r'request #1 to a:1: "\ud800" (1 byte)',
        f"sent {'9' * 5000} requests in 1 s",
        "connected to x from y: initial sequence number 5",
        f"connected to x from y:{'9' * 5000}: initial sequence number 5",
    ],
    ids=["no JSON", "no UTF-8", "5,000 digits", "no port", "a long port"],
)
def test_a_line_that_cannot_be_read_is_no_event(text: str) -> None:
    """Who writes a role of his own prints what he likes, and the play is judged all the same."""
    line = {"monotonic_ns": 1, "node": "client", "stream": "out", "text": text}

    assert told(text) is None
    assert parta.claims(recorded(lambda lines: [line, *lines]))[:-1] == parta.claims(recorded())[:-1]


def recorded_as(record: object, text: str = "FIN by data", stream: str = "out") -> object:
    return parse(LogLine(1, "client", stream, text, data=json.dumps(record)))


def test_a_record_says_what_the_text_need_not() -> None:
    values = {"seq": 7, "bytes": 1, "connection": "#1", "data": "a\\"}

    assert Arrived("#1", 7, "a\\", 1) == recorded_as({"event": "Arrived", "values": values}, "any text")
    assert Closed() == recorded_as({"event": "Closed", "values": {}}, "any text")
    assert Exited(3) == recorded_as({"kind": "exited", "exit": 3, "pid": 1}, "any text", "note")
    assert Lost(4) == recorded_as({"count": 4}, "any text", "lost")
    assert Lost(5) == recorded_as({"count": 5}, "any text", "note")


@pytest.mark.parametrize(
    "record",
    [
        [1],
        {"event": ["Fin"], "values": {"seq": 1}},
        {"event": "Fin", "values": {"seq": "1"}},
        {"event": "Fin", "values": {"seq": True}},
        {"event": "Fin", "values": {"seq": -1}},
        {"event": "Fin", "values": {"seq": 10**30}},
        {"event": "Fin", "values": {"seq": 1, "more": 1}},
        {"event": "Fin", "values": {}},
        {"event": "Queue", "values": {"number": 1, "depth": 1}},
        {"event": "SentBytes", "values": {"bytes": 1, "seconds": float("nan")}},
        {"event": "Asked", "values": {"number": 1, "target": "a:1", "data": "\ud800", "bytes": 3}},
        {"event": "Accepted", "values": {"connection": "a b", "client": "\x1b"}},
        {"event": "Connected", "values": {"server": "a", "client": "no port", "isn": 1}},
        {"kind": "exited", "exit": 3},
        {"count": 3},
    ],
    ids=str,
)
def test_a_record_that_could_not_stand_in_a_line_is_none(record: object) -> None:
    """A role can write any; the kernel's events are the kernel's, and netlab's are netlab's."""
    assert recorded_as(record) is None
    assert Fin(5) == recorded_as(record, "FIN: seq 5, the first that the server has not got")
