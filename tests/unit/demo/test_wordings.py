"""Lines as events: whatever is printed, a line is an event or it is none."""

import pytest

from netlab.demo import parta
from netlab.demo.events import Asked, Connected
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
