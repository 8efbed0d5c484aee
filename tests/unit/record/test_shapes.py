"""Files of a lab that somebody has changed: what is no longer what netlab has written is told, and never waited for."""

import glob
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from netlab import paths
from netlab.errors import HostError, NetlabError, UsageError
from netlab.kernel import files
from netlab.plan.description import describe
from netlab.plan.planner import plan
from netlab.record import form, shapes, store
from netlab.record.model import LabRecord
from netlab.record.notes import Pinned, Ready
from netlab.runtime import choice
from netlab.runtime.docker import Docker
from netlab.runtime.netns import Netns
from netlab.supervise import client, group, identity, state
from netlab.topology import document, validate
from tests.checkout import ROOT
from tests.contents import CONTENTS, LAB_FILES, put
from tests.unit.plan.test_golden import GOLDEN

TOPOLOGIES = sorted([*glob.glob(f"{GOLDEN}/*.yml"), *glob.glob(f"{ROOT}/topologies/*.yml")])
NODES = "nodes: {a: {command: [sleep, infinity], env: {COLOUR: red}}, b: {}}\nlinks: [[a, b]]\n"


def described(path: str, folder: str) -> LabRecord:
    return describe(plan(validate.topology(document.load(path))), folder)._replace(clock_offset_ns=5)


def written(data: object) -> Any:
    return json.loads(json.dumps(data))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The folder of a lab `one`, with its record."""
    monkeypatch.setattr(paths, "LABS", str(tmp_path / "labs"))
    (tmp_path / "one.yml").write_text(f"name: one\n{NODES}")
    folder = paths.folder_of("one")
    os.makedirs(folder)
    record = described(str(tmp_path / "one.yml"), folder)
    bare = record._replace(nodes={name: node._replace(env={}) for name, node in record.nodes.items()})
    texts = {"lab.json": form.plain(bare), "status.json": form.public(record), "env.json": {"a": {"X": "1"}}}
    for name, what in texts.items():
        Path(folder, name).write_text(json.dumps(what))
    return folder


@pytest.mark.parametrize("path", TOPOLOGIES, ids=os.path.basename)
def test_what_netlab_writes_has_the_shape(path: str) -> None:
    """Of every topology there is, and it comes back as it was; and each part of it counts."""
    record = described(path, "/run/netlab/x")
    data = written(form.plain(record))

    assert form.parsed(data) == record
    assert form.parsed(written(form.public(record)), is_part=True).nodes.keys() == record.nodes.keys()
    for key in data:
        for wrong in ({**data, key: ["x"]}, {name: value for name, value in data.items() if name != key}):
            with pytest.raises(ValueError, match=f"{key}|format"):
                form.parsed(wrong)


def everywhere(value: Any, keys: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield every value inside a JSON value, with the keys that lead to it."""
    yield keys, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from everywhere(one, (*keys, key))


def replaced(value: Any, keys: tuple[str | int, ...], other: object) -> Any:
    """Return a JSON value with another one in one place."""
    if not keys:
        return other
    changed = value.copy()
    changed[keys[0]] = replaced(value[keys[0]], keys[1:], other)
    return changed


def place(keys: tuple[str | int, ...]) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).removeprefix(".")


@pytest.mark.parametrize("name", ["lab.json", "status.json"])
def test_a_wrong_type_at_any_depth_is_told_with_its_place(folder: str, name: str) -> None:
    """Each value, one after the other, is a number, a text, a list and an object that nobody has written there."""
    with open(f"{folder}/{name}", encoding="utf-8") as file:
        data = json.load(file)
    read = {"lab.json": store.read, "status.json": store.public}[name]
    count = 0
    wrongs: tuple[object, ...] = (-7.5, "/", [[]], {"?": None}, True)
    for keys, value in list(everywhere(data))[1:]:
        for wrong in wrongs:
            if type(wrong) is type(value) and not isinstance(value, list | dict):
                continue
            Path(folder, name).write_text(json.dumps(replaced(data, keys, wrong)))
            with pytest.raises(NetlabError) as told:
                read("one")
            assert place(keys) in str(told.value)
            assert "netlab down --lab one" in str(told.value)
            count += 1
    assert count > 100


NONSENSE: tuple[tuple[str, object, str], ...] = (
    ("nodes.a.interfaces.eth0.addresses[0]", "10.0.0.300/24", "an IP address with its prefix length"),
    ("nodes.a.interfaces.eth0.addresses[0]", "10.0.0.1/33", "an IP address with its prefix length"),
    ("nodes.a.interfaces.eth0.addresses[0]", "fd00::1", "an IP address with its prefix length"),
    ("nodes.a.interfaces.eth0.mac", "02:00:00:00:00:0g", "a MAC such as"),
    ("nodes.a.interfaces.eth0.index", 0, "the index of a network interface"),
    ("nodes.a.interfaces.eth0.index", True, "the index of a network interface, found true"),
    ("nodes.a.interfaces.eth0.peer", "nobody", "the other end of its link"),
    ("nodes.a.limits.cpu", float("nan"), "a number of cores"),
    ("nodes.a.limits.memory", -1, "a whole number from 0 on"),
    ("nodes.a.kind", "router", "host or switch"),
    ("nodes.a.pins", "/sys/fs/bpf", "/bpf/a, found"),
    ("nodes.a.processes[0].argv", [], "a command"),
    ("nodes.a.processes[0].argv[0]", "sle\0ep", "text"),
    ("nodes.a.processes[0].argv[0]", "\ud800", "text"),
    ("nodes.a.sysctls", {"kernel.hostname": "x"}, "a dotted name such as"),
    ("nodes.a.sysctls", {"net./.x": "x"}, "a dotted name such as"),
    ("nodes.a.routes", [{"to": "10.0.0.0", "via": "10.0.0.2"}], "an IP network or 'default'"),
    ("nodes.a.routes", [{"to": "default", "via": "gateway"}], "an IP address, found"),
    ("nodes.a.routes", [{"to": "default"}], "the key via, found to"),
    ("nodes.a.routes", [{"to": "default", "via": "10.0.0.2", "dev": "eth0"}], "no key but to, via, found dev"),
    ("nodes", {"../x": {}}, "a name of letters a-z, digits and inner hyphens"),
    ("runtime", "podman", "netns or docker"),
)


@pytest.mark.parametrize(("where", "value", "expected"), NONSENSE, ids=str)
def test_nonsense_of_the_right_type_is_told_with_its_place(
    folder: str, where: str, value: object, expected: str
) -> None:
    """What would end in an error inside netlab, or lead somewhere else, much later."""
    with open(f"{folder}/lab.json", encoding="utf-8") as file:
        data = json.load(file)
    [keys] = [keys for keys, _ in everywhere(data) if place(keys) == where]
    Path(folder, "lab.json").write_text(json.dumps(replaced(data, keys, value)))

    with pytest.raises(NetlabError) as told:
        store.read("one")
    assert f"{folder}/lab.json is not what this netlab has written for one: {where}" in str(told.value)
    assert expected in str(told.value)


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
    assert written(shapes.plain(sample)) == GOOD


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


@pytest.mark.parametrize(
    ("number", "said"),
    [(2, "it has format 2"), (None, "it has no format number"), ("1", 'it has format "1"'), (True, "it has format tr")],
)
@pytest.mark.parametrize("name", ["lab.json", "status.json"])
def test_a_record_of_another_format_is_told_by_its_number(folder: str, name: str, number: object, said: str) -> None:
    """With the file, the number that is understood, and what to do; whatever else is in it."""
    Path(folder, name).write_text(json.dumps({"whatever": 5, **({"format": number} if number is not None else {})}))

    with pytest.raises(NetlabError) as told:
        {"lab.json": store.read, "status.json": store.public}[name]("one")
    assert f"{folder}/{name} is of another version of netlab: {said}" in str(told.value)
    assert "this one understands 1; netlab down --lab one removes the lab" in str(told.value)


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
        "left": lambda: choice.left("one", folder),
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
    assert [type(each) for each in choice.left("one", folder)] == [Netns]
    Path(folder, "lab.json").write_text('{"nodes": {"a": 7}, "runtime": "netns"}')

    assert {type(each) for each in choice.left("one", folder)} == {Netns, Docker}


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

    assert state.read(".")["a"].ready == Ready("a", 7, 1)
