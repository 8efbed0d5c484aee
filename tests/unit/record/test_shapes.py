"""Files of a lab that somebody has changed: what is no longer what netlab has written is told, and never waited for."""

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from netlab import paths
from netlab.errors import HostError, NetlabError, UsageError
from netlab.kernel import files
from netlab.lab import standing
from netlab.record import noted_pins, shapes, store
from netlab.record.facts import Ready
from netlab.record.notes import Pinned
from netlab.runtime.docker import Docker
from netlab.runtime.netns import Netns
from netlab.supervise import client, identity, lab_cgroup, state
from tests.contents import CONTENTS, LAB_FILES, put


class Sample(NamedTuple):
    """Something of every form that a type may have."""

    pairs: tuple[tuple[str, str | int], ...]
    half: float
    named: Mapping[str, int]
    inner: Pinned | None


GOOD = {"pairs": [["a", 1], ["b", "c"]], "half": 0.5, "named": {"x": 1}, "inner": {"entry": "e", "pins": ["maps/m"]}}


def test_what_is_written_comes_back_as_it_was() -> None:
    sample = Sample((("a", 1), ("b", "c")), 0.5, {"x": 1}, Pinned("e", ("maps/m",)))

    assert shapes.read(Sample, GOOD) == sample
    assert json.loads(json.dumps(shapes.plain(sample))) == GOOD


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pairs": [["a", 1], ["b"]]}, "pairs[1]: expected a list of 2, found a list"),
        ({"pairs": [["a", None]]}, "pairs[0][1]: expected text, found null"),
        ({"pairs": {}}, "pairs: expected a list, found an object"),
        ({"half": "x" * 99}, f'half: expected a number, found "{"x" * 59}'),
        ({"named": {"x": "1"}}, 'named.x: expected a whole number, found "1"'),
        ({"inner": {"entry": "e"}}, "inner: expected the key pins, found entry"),
        ({"more": 1}, "the whole: expected no key but pairs, half, named, inner, found more"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(change: dict[str, object], said: str) -> None:
    with pytest.raises(shapes.MisfitError) as told:
        shapes.read(Sample, {**GOOD, **change})
    assert str(told.value) == said


def asked(folder: str) -> dict[str, Callable[[], object]]:
    """Return every question about a lab that its files answer."""
    return {
        "read": lambda: store.read("one"),
        "public": lambda: store.public("one"),
        "pins": lambda: noted_pins.read(folder),
        "complete": lambda: store.is_complete("one"),
        "facts": lambda: (state.read(folder), state.is_damaged(folder), client.processes(folder)),
        "supervisor": lambda: identity.find_supervisor(folder),
        "group": lambda: (lab_cgroup.find("one", folder), lab_cgroup.problem("one", folder)),
        "containers": lambda: Docker("one", folder).broken(["a"]),
        "left": lambda: standing.runtimes_left("one", folder),
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
    assert [type(each) for each in standing.runtimes_left("one", folder)] == [Netns]
    Path(folder, "lab.json").write_text('{"nodes": {"a": 7}, "runtime": "netns"}')

    assert {type(each) for each in standing.runtimes_left("one", folder)} == {Netns, Docker}


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
    writer.add(process="a", pid=7, ready_ns=1)
    os.unlink("processes")
    writer.due = 0
    writer.retry()

    assert state.read(".")["a"].ready == Ready("a", 7, 1)
