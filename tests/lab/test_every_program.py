"""Every program of netlab's own is taken by this kernel, with its trace compiled in and out."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.lab.lab import ROOT, inside, lab, netlab

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

PROGRAMS = sorted(path.stem for path in Path(f"{ROOT}/bpf").glob("*.c"))
# The trace is in a header of netlab's: a program that includes none is the same with trace and without.
TRACED = [name for name in PROGRAMS if '#include "' in Path(f"{ROOT}/bpf/{name}.c").read_text()]
# Node and constants as in the topologies, and the lab's name that of other tests: what is compiled here need not be
# compiled again there, where the processor is emulated and one compilation takes a minute.
NODES = {"balancer": "lb", "dropper": "server"}
DEFINES = {"balancer": {"QUEUE": 1024, "TRACE": 1}, "dropper": {"PORT": 9000, "JUDGE_ALL": 0}}


def node_of(program: str) -> str:
    return NODES.get(program, program)


def xdp(program: str) -> dict[str, Any]:
    """Return what `ip` says of what is on the interface of a program's node: its mode, its name and its number."""
    shown = inside(node_of(program), "ip", "-json", "link", "show", "eth0").stdout
    found = json.loads(shown)[0].get("xdp", {})
    return {"mode": found.get("mode"), **found.get("prog", {})}


def test_every_program_is_loaded_and_attached_natively(tmp_path: Path) -> None:
    """In one lab: a node for each, all linked to one that has none; those with a trace are then renewed without it."""
    nodes = {
        node_of(name): {"xdp": {"program": name, "define": DEFINES.get(name, {})}}  # the trace is in by default
        for name in PROGRAMS
    }
    (tmp_path / "all.json").write_text(
        json.dumps({"name": "all", "nodes": {"centre": {}, **nodes}, "links": [["centre", name] for name in nodes]})
    )
    with lab(str(tmp_path / "all.json")):
        with_trace = {name: xdp(name) for name in PROGRAMS}
        for name in TRACED:
            netlab("reload", node_of(name), "--define", "TRACE=0")
        without = {name: xdp(name) for name in TRACED}

    assert {"balancer", "dropper"} == set(TRACED) < {*TRACED, "pass"} <= set(PROGRAMS)
    for name, found in (*with_trace.items(), *without.items()):
        assert (found["mode"], found.get("name")) == (1, name)
    assert all(without[name]["id"] != with_trace[name]["id"] for name in TRACED)
