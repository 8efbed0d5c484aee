"""Events are the same lines from the log and from the supervisor, with words for people."""

import json

import pytest

from netlab.observe import event_lines
from netlab.supervise import log_reader
from netlab.supervise.loop import Loop
from netlab.supervise.stream import Reader, Stream

WHAT = {"map": "events", "cpu": 1, "type": "struct event", "size": 20, "value": {"saddr": "10.0.0.1", "name": 'q"é'}}
ENTRY = b"77 event b/fw " + json.dumps(WHAT).encode()


def test_the_log_and_the_stream_have_the_same() -> None:
    """So that a reader of both hears it once."""
    stream, reader = Stream(Loop()), Reader(-1, kinds=("event",))
    stream.readers[-1] = reader
    stream.reckon()
    stream.tell_events([ENTRY])
    told = json.loads(bytes(reader.waiting))

    assert {"kind": "event", "ns": 77, "node": "b", "program": "b/fw", **WHAT} == told
    assert event_lines.raw(told) == log_reader.parse(ENTRY, "")


def test_an_event_is_shown_by_its_fields() -> None:
    line = log_reader.parse(ENTRY, "")
    assert line
    shown = event_lines.worded(line)

    assert "events (cpu 1): struct event {saddr: 10.0.0.1, name: 'q\"é'}" == shown.text
    assert ("b/fw", "b", WHAT) == (shown.source, shown.node, json.loads(shown.data))


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"cpu": None, "value": {"a": 1}}, "events: struct event {a: 1}"),
        ({"cpu": None, "type": None, "size": 1500, "value": "0x0102"}, "events: 1,500 bytes 0x0102"),
        (
            {"value": {}, "rest": "0x" + "ab" * 100},
            "events (cpu 1): struct event {}, and after it 0x" + "ab" * 64 + "…",
        ),
    ],
)
def test_words_for_what_is_not_plain(more: dict[str, object], text: str) -> None:
    """No type, no CPU, bytes of a packet behind it."""
    assert text == event_lines.text({**WHAT, **more})


def test_a_damaged_event_is_shown_as_it_is() -> None:
    line = log_reader.LogLine(1, "b", "event", '{"map"')

    assert line == event_lines.worded(line)
