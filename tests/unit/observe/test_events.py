"""Events are data: the same from a log and from the supervisor, and back from a line of JSON."""

import json
from typing import Any

import pytest

from netlab.errors import NetlabError
from netlab.observe import events
from netlab.observe.events import Event
from netlab.observe.following import _line
from netlab.record.model import LabRecord
from netlab.supervise import logs
from netlab.supervise.log_reader import parse

LAB = LabRecord("lab1", "", "netns", "/nowhere", {}, "", 10**18)


def logged(source: str, *entry: Any) -> Event:
    """Return the event of a line as it is written into a log."""
    line = parse(logs.entry(*entry).rstrip(b"\n"), source)
    assert line is not None
    return events.of(LAB, line)


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (
            logged("c", 5, "out", 'request #1 to a:1: "1"', {"kind": "asked", "number": 1}),
            {
                "kind": "line",
                "process": "c",
                "stream": "out",
                "text": 'request #1 to a:1: "1"',
                "data": {"kind": "asked", "number": 1},
            },
        ),
        (
            logged("c/x", 5, "note", "exited with code 1", {"kind": "exited", "pid": 7, "exit": 1}),
            {
                "kind": "note",
                "process": "c/x",
                "text": "exited with code 1",
                "data": {"kind": "exited", "pid": 7, "exit": 1},
            },
        ),
        (logged("c", 5, "note", "asked to stop"), {"kind": "note", "process": "c", "text": "asked to stop"}),
        (
            logged("", 5, "trace", "lab1/lb queue #1"),
            {"kind": "trace", "node": "lb", "program": "lb", "text": "queue #1"},
        ),
        (
            logged("", 5, "xdp", "n eth0: lost", {"node": "n", "program": None, "interface": "eth0", "frames": 3}),
            {"kind": "xdp", "node": "n", "program": None, "interface": "eth0", "frames": 3, "text": "eth0: lost"},
        ),
        (
            logged("", 5, "lost", "3 lines lost", {"count": 3}),
            {"kind": "overrun", "count": 3, "text": "3 lines lost"},
        ),
        (
            logged("", 5, "checked", "- ping a b: holds", {"holds": True}),
            {"kind": "checked", "about": None, "text": "ping a b: holds", "data": {"holds": True}},
        ),
        (logged("", 5, "fault", "a/b kill a/b"), {"kind": "fault", "about": "a/b", "text": "kill a/b"}),
    ],
    ids=lambda each: each["kind"] if isinstance(each, dict) else "",
)
def test_an_event_is_the_same_from_the_log_and_from_the_supervisor(event: Event, told: dict[str, Any]) -> None:
    assert event == events.of(LAB, _line({"ns": 5, **told}))
    assert (5, 10**18 + 5, "lab1") == (event.ns, event.time_ns, event.lab)
    assert told["text"] == event.text


def test_what_happens_to_a_process_is_an_event_of_its_own_kind() -> None:
    event = logged("r/bgpd", 5, "note", "exited with code 1", {"kind": "exited", "pid": 7, "exit": 1, "again": True})

    assert ("exited", "r", "r/bgpd", "note") == (event.kind, event.node, event.source, event.stream)
    assert {
        "pid": 7,
        "exit": 1,
        "again": True,
        "process": "r/bgpd",
        "text": "exited with code 1",
    } == event.fields


@pytest.mark.parametrize("record", ["7", "no JSON", '{"kind": "line"}', "[" * 5000])
def test_a_record_that_is_none_is_no_reason_to_lose_the_line(record: str) -> None:
    """A role writes its records itself."""
    for stream, kind in (("note", "note"), ("out", "line")):
        line = parse(f"5 {stream}={len(record)} text{record}".encode(), "c")
        assert line
        assert (kind, "text") == (events.of(LAB, line).kind, events.of(LAB, line).text)


def test_an_event_is_a_line_of_json_and_back() -> None:
    event = logged("c", 5, "out", "one", {"kind": "asked"})
    text = events.as_json(event)

    assert event == events.from_json(text)
    assert {
        "version": 1,
        "kind": "line",
        "ns": 5,
        "time_ns": 10**18 + 5,
        "lab": "lab1",
        "node": "c",
        "process": "c",
        "stream": "out",
        "text": "one",
        "data": {"kind": "asked"},
    } == json.loads(text)
    for wrong in ("", "7", "[]", "{}", '{"kind": "line"}'):
        with pytest.raises(NetlabError, match="expected an event of netlab"):
            events.from_json(wrong)
