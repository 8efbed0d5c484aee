"""`netlab stats` shows what can be read, whatever else there is."""

import json
from pathlib import Path

import pytest

from tests.lab.lab import lab, netlab

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

# Counts each frame, if its map is one of `struct count`.
COUNTING = """
#include "verdict.h"
#include "reasons.h"

BPF_PERCPU_ARRAY(reasons, struct count, REASONS);

int counting(struct xdp_md *ctx)
{
	int reason = SEEN;

	tally(reasons.lookup(&reason), ctx);
	return XDP_PASS;
}
"""
REASONS = "enum reason { SEEN, REASONS };\n"
COUNT = "struct count { u64 packets, bytes; };\n"
MAPS = {
    "shape": "BPF_ARRAY(reasons, u64, 2);\nenum reason { ONE, TWO, REASONS };",
    "keys": COUNT + "BPF_HASH(reasons, u64, struct count, 4);\nenum reason { ONE, REASONS };",
    "balancer": "BPF_ARRAY(state, u64, 1); BPF_ARRAY(backends, u32, 2); BPF_HASH(carriers, u32);",
}


def test_a_map_that_cannot_be_read_hides_no_others(tmp_path: Path) -> None:
    """Each is told, by its node, and what other programs count is shown; with reasons from a header too."""
    for name, maps in MAPS.items():
        (tmp_path / f"{name}.c").write_text(f"{maps}\nint {name}(struct xdp_md *ctx) {{ return XDP_PASS; }}\n")
    (tmp_path / "counting.c").write_text(COUNTING)
    (tmp_path / "reasons.h").write_text(REASONS)
    nodes = "".join(f"  {name}: {{xdp: ./{name}.c}}\n" for name in ("counting", *MAPS))
    links = ", ".join(f"[counting, {name}]" for name in MAPS)
    (tmp_path / "lab.yml").write_text(f"name: counts\nnodes:\n{nodes}links: [{links}]\n")
    with lab(str(tmp_path / "lab.yml")):
        shown = netlab("stats")
        data = json.loads(netlab("stats", "--format", "json").stdout)
        prometheus = netlab("stats", "--format", "prometheus")

    assert "SEEN" in shown.stdout
    assert {"counting"} <= set(data["programs"])
    assert 'node="counting",reason="SEEN"' in prometheus.stdout
    assert {"shape", "keys", "balancer"} == set(data["problems"])
    for name, problem in data["problems"].items():
        assert f"netlab: {name}: {problem}\n" in shown.stderr
        assert f"netlab: {name}: {problem}\n" in prometheus.stderr
    assert "the values of the program's map reasons are no structs" in data["problems"]["shape"]
