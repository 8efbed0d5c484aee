"""What a person reads of a lab's state."""

import sys

import pytest

from netlab.balancer.counters import Count
from netlab.cli import show
from netlab.observe import status
from netlab.observe.stats import LabStats, ProgramStats

SEEN = status.LabStatus("one", "up", "one.yml", {}, (), looked_inside=False)


@pytest.mark.parametrize(
    ("state", "inside", "shown"),
    [
        ("up", True, "lab one is up, from"),
        ("up", False, "lab one is up, as far as can be seen without root, from"),
        ("not as planned", False, "lab one is not as planned, from"),
        ("half-built", False, "lab one is half-built, from"),
    ],
)
def test_the_state_says_how_much_was_seen(
    capsys: pytest.CaptureFixture[str], state: str, inside: bool, shown: str
) -> None:
    """And the note names the lab, which may be one of several."""
    show.status(SEEN._replace(state=state, looked_inside=inside))
    told = capsys.readouterr()

    assert shown in told.out
    assert ("sudo netlab status one" in told.err) is (not inside and state != "half-built")


@pytest.mark.parametrize("name", ["/home/u/[lab1]/x.yml", "/home/[/old]/x.yml", "/home/:smile:/[bold]x[/].yml"])
def test_what_looks_like_markup_is_a_name(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Of the topology, of a program, of a reason: whatever has come from a file is shown letter by letter."""
    node = status.NodeStatus("host", name, name, {}, None, 0)
    show.status(SEEN._replace(topology=name, nodes={"a": node}))
    show.stats(LabStats("one", {}, {"a": ProgramStats({name: Count(1, 2)})}))
    shown = capsys.readouterr().out

    assert 4 == shown.count(name)


def test_a_note_that_nobody_can_read_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", full)
        show.status(SEEN)
