"""All labs of a machine, also those that are not whole."""

import json
import os
from pathlib import Path

import pytest

from netlab import paths
from netlab.cli import main
from netlab.lab import removal
from netlab.observe import labs
from netlab.plan import description, planner
from netlab.plan.surroundings import NOWHERE
from netlab.record import form
from netlab.topology import document, validate
from tests.checkout import ROOT


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with one lab that is up, one whose `up` was killed, and the names of one that is gone."""
    monkeypatch.setattr(paths, "LABS", str(tmp_path))
    monkeypatch.setattr(removal, "labs_with_leftovers", lambda: sorted([*os.listdir(tmp_path), "names"]))
    written = document.load(f"{ROOT}/topologies/pair.yml", [])
    plan = planner.plan(validate.topology(written), written, NOWHERE)
    (tmp_path / "pair").mkdir()
    (tmp_path / "pair/status.json").write_text(json.dumps(form.public(description.describe(plan, f"{tmp_path}/pair"))))
    (tmp_path / "pair/up").touch()
    os.utime(tmp_path / "pair/up", (1e9, 1e9))
    (tmp_path / "half").mkdir()
    return tmp_path


def test_each_lab_has_its_state() -> None:
    assert labs.read() == [
        labs.LabEntry("half", labs.HALF_BUILT),
        labs.LabEntry("names", labs.LEFTOVERS),
        labs.LabEntry("pair", labs.UP, 1e9, f"{ROOT}/topologies/pair.yml", "netns", 2),
    ]


def test_list_shows_them_and_what_removes_those_that_are_not_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["list"]) == 0
    shown = capsys.readouterr()
    assert [line.split()[:3] for line in shown.out.splitlines()] == [
        ["LAB", "STATE", "NODES"],
        ["half", "half-built"],
        ["names", "leftovers"],
        ["pair", "up", "2"],
    ]
    assert "half: netlab down half removes" in shown.err
    assert "names: netlab down names removes" in shown.err


def test_without_a_lab_that_is_said(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(removal, "labs_with_leftovers", list)
    assert main.main(["list"]) == 0
    assert "no lab is up" in capsys.readouterr().err
    assert main.main(["list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"version": 1, "labs": []}
