"""Files of a lab that somebody has changed: what is no longer what netlab has written is told, and never waited for."""

import glob
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from netlab import paths
from netlab.errors import HostError, NetlabError, UsageError
from netlab.kernel import files
from netlab.lab import launch
from netlab.plan.description import describe
from netlab.plan.planner import plan
from netlab.record import shapes, store
from netlab.runtime.docker import Docker
from netlab.runtime.netns import Netns
from netlab.supervise import client, group, identity, state
from netlab.topology import document, validate
from tests.checkout import ROOT
from tests.contents import CONTENTS, LAB_FILES, put
from tests.unit.plan.test_golden import GOLDEN

TOPOLOGIES = sorted([*glob.glob(f"{GOLDEN}/*.yml"), *glob.glob(f"{ROOT}/topologies/*.yml")])
NODES = "nodes: {a: {command: [sleep, infinity], env: {COLOUR: red}}, b: {}}\nlinks: [[a, b]]\n"


def described(path: str, folder: str) -> dict[str, Any]:
    data = describe(plan(validate.topology(document.load(path))), folder)
    written: dict[str, Any] = json.loads(json.dumps({**data, "clock_offset_ns": 5}))
    return written


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The folder of a lab `one`, with its record."""
    monkeypatch.setattr(paths, "LABS", str(tmp_path / "labs"))
    (tmp_path / "one.yml").write_text(f"name: one\n{NODES}")
    folder = paths.folder_of("one")
    os.makedirs(folder)
    data = described(str(tmp_path / "one.yml"), folder)
    for name, what in (("lab.json", data), ("status.json", store._public(data)), ("env.json", {"a": {"X": "1"}})):
        Path(folder, name).write_text(json.dumps(what))
    return folder


@pytest.mark.parametrize("path", TOPOLOGIES, ids=os.path.basename)
def test_what_netlab_writes_has_the_shape(path: str) -> None:
    """Of every topology there is; and each part of it counts."""
    data = described(path, "/run/netlab/x")

    assert shapes.fits(data, shapes.LAB)
    assert shapes.fits(store._public(data), shapes.STATUS)
    for key in shapes.LAB:
        assert not shapes.fits({**data, key: ["x"]}, shapes.LAB)
        assert not shapes.fits({name: value for name, value in data.items() if name != key}, shapes.LAB)


def asked(folder: str) -> dict[str, Callable[[], object]]:
    """Return every question about a lab that its files answer."""
    return {
        "read": lambda: store.read("one"),
        "public": lambda: store.public("one"),
        "pins": lambda: store.pins(folder),
        "complete": lambda: store.is_complete("one"),
        "facts": lambda: (state.read(folder), state.is_damaged(folder), client.processes(folder)),
        "supervisor": lambda: identity.find_supervisor(folder),
        "group": lambda: (group.find("one", folder), group.problem("one", folder)),
        "containers": lambda: Docker("one", folder).broken(["a"]),
        "left": lambda: launch.runtimes_left("one", folder),
    }


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("name", LAB_FILES)
def test_any_content_is_answered(folder: str, name: str, content: str) -> None:
    """With what there is, or in words that say what to do."""
    with suppress(FileNotFoundError):
        os.unlink(f"{folder}/{name}")
    put(f"{folder}/{name}", content)
    said: dict[str, str] = {}
    for what, ask in asked(folder).items():
        try:
            ask()
        except NetlabError as error:
            said[what] = str(error)

    told = {"lab.json": {"read"}, "status.json": {"public"}, "env.json": {"read"} - {content == "an object" and "read"}}
    assert said.keys() == told.get(name, set())
    assert all(f"{folder}/{name} is" in text and "netlab down --lab one" in text for text in said.values())


def test_a_damaged_record_leaves_every_runtime_to_be_looked_through(folder: str) -> None:
    assert [type(each) for each in launch.runtimes_left("one", folder)] == [Netns]
    Path(folder, "lab.json").write_text('{"nodes": {"a": 7}, "runtime": "netns"}')

    assert {type(each) for each in launch.runtimes_left("one", folder)} == {Netns, Docker}


@pytest.mark.parametrize("content", CONTENTS)
def test_containers_are_looked_for_where_nobody_knows_of_them_any_more(
    folder: str, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    """The engine is asked by the lab's name; not for a lab that has not come so far as to ask it for any."""

    def asked(where: str) -> None:
        raise HostError("asked")

    monkeypatch.setattr("netlab.runtime.engine.answers", lambda _: True)
    monkeypatch.setattr("netlab.runtime.engine.connected", asked)
    assert Docker("one", folder)._remove_containers() == []
    put(f"{folder}/containers", content)

    with pytest.raises(HostError, match="asked"):
        Docker("one", folder)._remove_containers()


def test_the_record_of_another_lab_is_none_of_this_one(folder: str) -> None:
    """Or `down` would remove the other's names."""
    os.makedirs(paths.folder_of("two"))
    os.link(f"{folder}/lab.json", paths.folder_of("two") + "/lab.json")

    with pytest.raises(NetlabError, match="is not what this netlab has written for two"):
        store.read("two")


@pytest.mark.parametrize("content", ["a folder", "a pipe"])
def test_a_source_that_is_no_file_is_told_at_once(tmp_path: Path, content: str) -> None:
    path = str(tmp_path / "own.c")
    put(path, content)

    with pytest.raises(UsageError, match=r"cannot read .*own\.c: it is a .*, no regular file"):
        files.source(path)
    with pytest.raises(OSError, match="no regular file"):
        files.read(path)


def test_a_pipe_does_not_keep_the_supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has to write down waits for a file."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("processes")
    writer = state.Recorder()
    writer.add(node="a", pid=7, ready_ns=1)
    os.unlink("processes")
    writer.due = 0
    writer.retry()

    assert state.read(".")["a"]["ready_ns"] == 1
