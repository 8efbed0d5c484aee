"""A play as a timeline."""

import re
from pathlib import Path
from typing import Any

import pytest

from netlab.cli import console
from netlab.cli.console import Painted
from netlab.demo import show
from netlab.demo.evidence import Claim, Entry
from netlab.observe import palette
from netlab.observe.painter import Plain
from netlab.supervise.logs import LogLine
from tests.unit.demo.test_parta import recorded
from tests.unit.described import described


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal with colours."""
    monkeypatch.setattr(console, "is_painted", lambda: True)


def test_every_line_says_when_and_who() -> None:
    evidence = recorded()
    timeline = show.Timeline(evidence.lab, Plain())

    lines = [timeline.text(entry, evidence.begin_ns) for entry in evidence.timeline]
    assert all(re.fullmatch(r" *\d+\.\d{3} ms  (client|server|kernel)  .*", line) for line in lines)
    assert lines[0].startswith("      0.000 ms  ")


def test_one_of_several_programs_speaks_with_its_name(tmp_path: Path) -> None:
    """And a process of the same node with the node's."""
    fw = "{xdp: [{program: pass, interfaces: [eth0]}, {program: pass, name: other, interfaces: [eth1]}]}"
    lab = described(f"name: x\nnodes: {{fw: {fw}, h: }}\nlinks: [[fw, h], [fw, h]]\n", tmp_path)
    timeline = show.Timeline(lab, Plain())
    lines = (LogLine(0, "fw/other", "trace", "seen"), LogLine(0, "fw/probe", "out", "sent"))
    entries = [Entry(line, None) for line in lines]

    assert ["kernel@fw/other", "fw"] == [timeline.who(entry) for entry in entries]
    evidence = recorded()._replace(timeline=entries)
    assert [("fw", "fw/other"), ("fw", "fw/probe")] == [(one["node"], one["source"]) for one in show.as_data(evidence)]


@pytest.mark.usefixtures("terminal")
def test_each_who_speaks_has_a_colour_of_its_own() -> None:
    evidence = recorded()
    painted = show.Timeline(evidence.lab, Painted())

    colours = {
        painted.who(entry): re.findall(r"\x1b\[38;5;(\d+)m", painted.text(entry, 0))[0] for entry in evidence.timeline
    }
    assert len(set(colours.values())) == len(colours) == 3
    assert not {str(each.terminal) for each in (palette.GOOD, palette.BAD)} & set(colours.values())


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(("holds", "colour"), [(True, palette.GOOD), (False, palette.BAD)])
def test_claims_are_good_or_bad(holds: bool, colour: palette.Colour) -> None:
    assert f"\x1b[38;5;{colour.terminal}m" in show.claim(Claim("a", holds=holds, figures="1"), Painted())
    assert "\x1b" not in show.claim(Claim("a", holds=holds, figures="1"), Plain())


def test_data_names_events_and_their_values() -> None:
    data: list[dict[str, Any]] = [dict(each) for each in show.as_data(recorded())]

    assert [each["values"] for each in data if each["event"] == "Closed"] == [{}, {}]
    assert [each["values"]["data"] for each in data if each["event"] == "Byte"] == list("abcdefghij") * 2
    assert [each["event"] for each in data if each["text"] == "ready"] == [None, None]
