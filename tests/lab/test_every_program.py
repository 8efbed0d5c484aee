"""Every program of netlab's own is taken by this kernel, with its trace compiled in and out."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.lab.lab import ROOT, netlab

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

COMPILING_S = 900  # all of them, one after the other, on an emulated processor
PROGRAMS = sorted(path.stem for path in Path(f"{ROOT}/bpf").glob("*.c"))


def xdp(node: str) -> dict[str, Any]:
    """Return what `ip` says of the program on a node's interface."""
    shown = netlab("exec", "--lab", "all-programs", node, "ip", "-json", "link", "show", "eth0").stdout
    found: dict[str, Any] = json.loads(shown)[0].get("xdp", {})
    return found


def test_every_program_is_loaded_and_attached_natively(tmp_path: Path) -> None:
    """In one lab: a node for each, all linked to one that has none."""
    nodes = {
        f"{name}-{trace}": {"xdp": {"program": f"{ROOT}/bpf/{name}.c", "define": {"TRACE": trace}}}
        for name in PROGRAMS
        for trace in (0, 1)
    }
    topology = {"name": "all-programs", "nodes": {"centre": {}, **nodes}, "links": [["centre", name] for name in nodes]}
    (tmp_path / "all.json").write_text(json.dumps(topology))
    netlab("up", str(tmp_path / "all.json"), timeout=COMPILING_S)
    try:
        attached = {name: xdp(name) for name in nodes}
    finally:
        netlab("down", "all-programs")

    assert {"balancer", "dropper", "pass"} <= set(PROGRAMS)
    assert {name: each.get("mode") for name, each in attached.items()} == dict.fromkeys(nodes, 1)
    assert [each["prog"]["name"] for each in attached.values()] == [name for name in PROGRAMS for _ in (0, 1)]
