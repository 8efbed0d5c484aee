"""A play as a timeline."""

import re
from typing import Any

import pytest

from netlab.cli import console
from netlab.cli.console import Painted
from netlab.demo import show
from netlab.demo.evidence import Claim
from netlab.observe.painter import Plain
from tests.unit.demo.test_parta import recorded


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


@pytest.mark.usefixtures("terminal")
def test_each_who_speaks_has_a_colour_of_its_own() -> None:
    evidence = recorded()
    painted = show.Timeline(evidence.lab, Painted())

    colours = {
        painted.who(entry): re.findall(r"\x1b\[(\d+)m", painted.text(entry, 0))[0] for entry in evidence.timeline
    }
    assert len(set(colours.values())) == len(colours) == 3
    assert not {console.GOOD, console.BAD} & set(colours.values())


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(("holds", "colour"), [(True, console.GOOD), (False, console.BAD)])
def test_claims_are_good_or_bad(holds: bool, colour: str) -> None:
    assert f"\x1b[{colour}m" in show.claim(Claim("a", holds=holds, figures="1"), Painted())
    assert "\x1b" not in show.claim(Claim("a", holds=holds, figures="1"), Plain())


def test_data_names_events_and_their_values() -> None:
    data: list[dict[str, Any]] = [dict(each) for each in show.as_data(recorded())]

    assert [each["values"] for each in data if each["event"] == "Closed"] == [{}, {}]
    assert [each["values"]["data"] for each in data if each["event"] == "Byte"] == list("abcdefghij") * 2
    assert [each["event"] for each in data if each["text"] == "ready"] == [None, None]
