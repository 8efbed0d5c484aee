"""The palette: what colours mean, and when there are none."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from netlab import paths
from netlab.cli import show, state
from netlab.cli.console import Painted
from netlab.lab.node_drift import Problem
from netlab.observe import log_view, palette
from netlab.observe.status import LabStatus, NodeStatus
from netlab.record.model import LabRecord, LimitsRecord, NodeRecord
from netlab.supervise import client
from netlab.supervise.logs import LogLine

STATES = {
    ("running", 0): palette.GOOD,
    ("starting", 0): palette.DOUBTFUL,
    ("stopped", 0): palette.DOUBTFUL,
    ("killed", 9): palette.BAD,
    ("lost", 0): palette.BAD,
    ("exited", 1): palette.BAD,
    ("exited", 0): None,
    ("not started", 0): None,
}
Without = Callable[[pytest.MonkeyPatch, io.StringIO], object]
NO_COLOURS: list[Without] = [
    lambda patch, _: patch.setenv("NO_COLOR", "1"),
    lambda patch, _: patch.setenv("TERM", "dumb"),
    lambda patch, _: patch.delenv("TERM"),
    lambda patch, screen: patch.setattr(screen, "isatty", lambda: False),
]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal of somebody who has said nothing of colours."""
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    return screen


def paint(colour: palette.Colour) -> str:
    """Return what tells a terminal to go on in a colour."""
    return f"\x1b[38;5;{colour.terminal}m"


def everything(screen: io.StringIO) -> str:
    """Return what `status`, `logs` and `trace` print of a lab in which much has happened."""
    nodes = {}
    for at, (word, code) in enumerate(STATES):
        its = (client.Process(f"n{at}", f"n{at}", word, code=code),)
        nodes[f"n{at}"] = NodeStatus("node", "", "", {}, its[0], 0, 0, its)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", screen)
        _show_all(nodes)
    return screen.getvalue()


def _show_all(nodes: dict[str, NodeStatus]) -> None:
    problem = Problem("n5", "its process 5 has ended", "netlab down")
    print(*state.lines(LabStatus("one", "not as planned", "one.yml", nodes, (problem,), looked_inside=True)), sep="\n")
    plain = NodeRecord("node", LimitsRecord(), {}, (), ())
    record = LabRecord("one", "one.yml", "netns", "/run/netlab/one", dict.fromkeys(nodes, plain))
    printed = [LogLine(1, node, "out", "hello") for node in (*nodes, "")]
    for prefix in ("", "one/"):
        show.lines(log_view._worded(record, printed, "text", Painted(), prefix))


def test_colours_mean_the_same_everywhere(terminal: io.StringIO) -> None:
    """Who speaks is in none of the colours that say how it goes."""
    seen = everything(terminal)

    for (word, code), colour in STATES.items():
        said = f"{word} {code}" if word in ("killed", "exited") else word
        assert (f"{paint(colour)}{said}\x1b[0m" if colour else f"  {said}\n") in seen
    assert f"is {paint(palette.BAD)}not as planned\x1b[0m, from" in seen
    assert f"{paint(palette.BAD)}n5\x1b[0m: its process 5 has ended" in seen
    assert paint(palette.KERNEL) in seen
    assert not {palette.GOOD, palette.BAD, palette.DOUBTFUL} & set(palette.NODES)
    assert all(paint(colour) in seen for colour in palette.NODES)


@pytest.mark.parametrize("without", NO_COLOURS, ids=["NO_COLOR", "dumb", "no TERM", "no terminal"])
def test_there_are_no_colours_where_nobody_wants_them(
    terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch, without: Without
) -> None:
    """Nor anything else of a terminal's: not a bold header."""
    without(monkeypatch, terminal)

    assert "\x1b" not in everything(terminal)


def test_an_empty_variable_says_nothing(terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "")

    assert "\x1b" in everything(terminal)


def test_nobody_else_paints() -> None:
    """What a terminal is told, and whether there is one, is in two modules: every verb obeys them."""
    knowing = {
        source.name
        for source in Path(paths.PACKAGE).rglob("*.py")
        if any(word in source.read_text(encoding="utf-8") for word in ("x1b[", "033[", "isatty"))
    }

    assert {"console.py", "tables.py"} == knowing
