"""What tests of labs on disk share."""

import json
import os
from pathlib import Path

import pytest

from netlab import paths
from netlab.record import form
from tests.unit.described import described_at

NODES = "nodes: {a: {command: [sleep, infinity], env: {COLOUR: red}}, b: {}}\nlinks: [[a, b]]\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place of our own for labs."""
    monkeypatch.setattr(paths, "LABS", str(tmp_path / "labs"))
    return tmp_path / "labs"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The folder of a lab `one`, with its record."""
    monkeypatch.setattr(paths, "LABS", str(tmp_path / "labs"))
    (tmp_path / "one.yml").write_text(f"name: one\n{NODES}")
    folder = paths.folder_of("one")
    os.makedirs(folder)
    record = described_at(str(tmp_path / "one.yml"), folder)
    bare = record._replace(nodes={name: node._replace(env={}) for name, node in record.nodes.items()})
    texts = {"lab.json": form.plain(bare), "status.json": form.public(record), "env.json": {"a": {"X": "1"}}}
    for name, what in texts.items():
        Path(folder, name).write_text(json.dumps(what))
    return folder
