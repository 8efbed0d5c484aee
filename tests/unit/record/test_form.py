"""A record as JSON: what is written comes back, and nonsense anywhere in it is told with its place."""

import glob
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab.errors import NetlabError
from netlab.record import form, store
from tests.checkout import ROOT
from tests.unit.described import described_at
from tests.unit.plan.test_golden import GOLDEN

TOPOLOGIES = sorted([*glob.glob(f"{GOLDEN}/*.yml"), *glob.glob(f"{ROOT}/topologies/**/*.yml", recursive=True)])


def written(data: object) -> Any:
    return json.loads(json.dumps(data))


@pytest.mark.parametrize("path", TOPOLOGIES, ids=os.path.basename)
def test_what_netlab_writes_has_the_shape(path: str) -> None:
    """Of every topology there is, and it comes back as it was; and each part of it counts."""
    record = described_at(path, "/run/netlab/x")
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


ROUTE = {"to": "default", "via": "10.0.0.2", "metric": 0, "interface": "", "kind": "", "index": 0}
PROCESS = {
    "name": "p",
    "role": "",
    "argv": ["p"],
    "autostart": True,
    "stays": False,
    "may_exit": False,
    "after": [],
    "awaits_ready": False,
    "env": {},
    "ready": None,
    "restart": {"when": "no", "at_most": 5},
}
PROGRAM = {
    "name": "p",
    "interfaces": ["eth0"],
    "hook": "xdp",
    "path": "/p.c",
    "function": "",
    "mode": "native",
    "define": {},
    "pins": "/sys/fs/bpf",
    "dialect": "",
    "include": [],
    "cflags": [],
    "map_sizes": {},
    "event_types": {},
    "unfollowed": [],
}
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
    ("nodes.a.kind", "router", "node or switch or host"),
    ("nodes.a.programs", [PROGRAM], "/bpf/a, found"),
    ("nodes.a.programs", [PROGRAM, {**PROGRAM, "name": "q"}], "/bpf/a=p, found"),
    ("nodes.a.programs", [{**PROGRAM, "interfaces": ["eth7"]}], "interfaces of the node, found"),
    ("nodes.a.programs", [{**PROGRAM, "interfaces": []}], "interfaces of the node, found"),
    ("nodes.a.programs", [{**PROGRAM, "hook": "tc"}], "xdp or tc ingress or tc egress"),
    ("nodes.a.programs", [{**PROGRAM, "hook": "tc egress", "pins": "/x"}], "a mode of an XDP program, and of no other"),
    ("nodes.a.programs", [{**PROGRAM, "name": "../x"}, PROGRAM], "a name of its own, of letters, digits, _ and"),
    ("nodes.a.processes[0].argv", [], "a command"),
    ("nodes.a.processes[0].argv[0]", "sle\0ep", "text"),
    ("nodes.a.processes[0].argv[0]", "\ud800", "text"),
    ("nodes.a.processes[0].name", "a/b", "a name of letters, digits"),
    ("nodes.a.processes", [PROCESS, PROCESS], "a name of its own, found"),
    ("nodes.a.sysctls", {"kernel.hostname": "x"}, "a dotted name such as"),
    ("nodes.a.sysctls", {"net./.x": "x"}, "a dotted name such as"),
    ("nodes.a.routes", [{**ROUTE, "to": "10.0.0.0"}], "an IP network or 'default'"),
    ("nodes.a.routes", [{**ROUTE, "via": "gateway"}], "an IP address, or nothing, found"),
    ("nodes.a.routes", [{"to": "default"}], "the key via, found to"),
    ("nodes.a.routes", [{**ROUTE, "dev": "eth0"}], "no key but to, via, metric, interface, kind, index, found dev"),
    ("nodes.a.routes", [{**ROUTE, "kind": "throw"}], "unreachable or blackhole or prohibit"),
    ("nodes.a.routes", [{**ROUTE, "metric": -1}], "the metric of a route"),
    ("nodes.a.routes", [{**ROUTE, "index": 1 << 31}], "the index of a network interface, or 0"),
    ("nodes", {"../x": {}}, "a name of letters, digits, and inner hyphens and underscores"),
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


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (99, "it has format 99"),
        (None, "it has no format number"),
        ("1", 'it has format "1"'),
        (True, "it has format tr"),
    ],
)
@pytest.mark.parametrize("name", ["lab.json", "status.json"])
def test_a_record_of_another_format_is_told_by_its_number(folder: str, name: str, number: object, said: str) -> None:
    """With the file, the number that is understood, and what to do; whatever else is in it."""
    Path(folder, name).write_text(json.dumps({"whatever": 5, **({"format": number} if number is not None else {})}))

    with pytest.raises(NetlabError) as told:
        {"lab.json": store.read, "status.json": store.public}[name]("one")
    assert f"{folder}/{name} is of another version of netlab: {said}" in str(told.value)
    assert f"this one understands {form.FORMAT}; netlab down --lab one removes the lab" in str(told.value)
