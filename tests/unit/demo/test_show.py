"""A play as a timeline."""

import re
from typing import Any

from netlab.demo import show
from netlab.demo.evidence import Claim
from tests.unit.demo.test_parta import recorded


def test_every_line_says_when_and_who() -> None:
    evidence = recorded()
    timeline = show.Timeline(evidence.lab, painted=False)

    lines = [timeline.text(entry, evidence.begin_ns) for entry in evidence.timeline]
    assert all(re.fullmatch(r" *\d+\.\d{3} ms  (client|server|kernel)  .*", line) for line in lines)
    assert lines[0].startswith("      0.000 ms  ")


def test_colours_are_for_terminals() -> None:
    evidence = recorded()
    painted = show.Timeline(evidence.lab, painted=True)

    colours = {
        painted.who(entry): re.findall(r"\x1b\[(\d+)m", painted.text(entry, 0))[0] for entry in evidence.timeline
    }
    assert len(set(colours.values())) == len(colours) == 3
    assert "\x1b" not in show.claim(Claim("a", holds=True, figures="1"), painted=False)


def test_data_names_events_and_their_values() -> None:
    data: list[dict[str, Any]] = [dict(each) for each in show.as_data(recorded())]

    assert [each["values"] for each in data if each["event"] == "Closed"] == [{}, {}]
    assert [each["values"]["data"] for each in data if each["event"] == "Byte"] == list("abcdefghij") * 2
    assert [each["event"] for each in data if each["text"] == "ready"] == [None, None]
