"""`netlab programs` shows what is loaded and what its runs take; `stats` shows the plain counters of any program."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.lab import background, inside, lab, netlab

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

PROGRAM = """
#include <uapi/linux/bpf.h>

BPF_PERCPU_ARRAY(seen, long, 1);
BPF_ARRAY(sizes, u64, 64);
BPF_HASH(others, u32, u64);
BPF_ARRAY(table, u32, 300);

int spare_run(struct xdp_md *ctx) { return XDP_PASS; }

int count(struct xdp_md *ctx)
{
    u32 key = 0, size = (ctx->data_end - ctx->data) / 64;
    long *value = seen.lookup(&key);
    if (value)
        *value += 1;
    u64 *of_this_size = sizes.lookup(&size);
    if (of_this_size)
        *of_this_size += 1;
    u64 one = 1;
    others.update(&size, &one);
    table.lookup(&size);
    return XDP_PASS;
}
"""
TOPOLOGY = """
name: programs
nodes:
  a: {}
  b: {xdp: ./count.c, maps: {table: %s}}
links: [[a, b]]
"""


@pytest.fixture
def built(tmp_path: Path) -> Iterator[float]:
    (tmp_path / "count.c").write_text(PROGRAM)
    (tmp_path / "lab.yml").write_text(TOPOLOGY % ([1] * 200))
    began = time.time()
    with lab(str(tmp_path / "lab.yml")):
        yield began


def programs(*words: str) -> dict[str, dict[str, Any]]:
    found = json.loads(netlab("programs", *words, "--json").stdout)["programs"]
    return {each["function"]: each for each in found}


def test_what_is_loaded_is_shown(built: float) -> None:
    found = programs()
    shown = json.loads(inside("b", "ip", "-json", "link", "show", "eth0").stdout)[0]["xdp"]["prog"]

    assert set(found) == {"count", "spare_run"}
    count = found["count"]
    assert (count["node"], count["program"], count["interfaces"], count["mode"]) == ("b", "count", ["eth0"], "native")
    assert count["id"] == shown["id"]
    assert count["xlated_bytes"] == 8 * count["instructions"] > 8 * found["spare_run"]["instructions"] == 16
    assert built - 1 < count["since"] < time.time() + 1
    assert count["measured"] is None
    assert found["spare_run"]["interfaces"] == []
    assert "not attached" in netlab("programs", "b").stdout
    assert "a carries no program" in netlab("programs", "a").stderr
    assert "has no node c" in netlab("programs", "c", code=2).stderr


@pytest.mark.usefixtures("built")
def test_runs_are_counted_while_asked_for() -> None:
    """Afterwards the kernel counts as little as before."""
    switch = Path("/proc/sys/kernel/bpf_stats_enabled")
    before = switch.read_text()
    pinging = background("a", ["ping", "-i", "0.05", "b"])
    try:
        found = programs("b", "--for", "2")
        first = programs()["count"]["runs"]
        time.sleep(0.5)
        later = programs()["count"]["runs"]
        text = netlab("programs", "--for", "0.2").stdout
    finally:
        pinging.terminate()
        pinging.communicate()

    assert found["count"]["measured"]["runs"] > 10
    assert 0 < found["count"]["measured"]["ns_per_run"] < 1e6
    assert found["count"]["measured"]["seconds"] >= 2
    assert found["spare_run"]["measured"] | {"seconds": 0} == {"seconds": 0, "runs": 0, "ns_per_run": None}
    assert first == later
    assert switch.read_text() == before
    assert "NS/RUN" in text


@pytest.mark.usefixtures("built")
def test_stats_shows_plain_counters_and_names_the_other_maps() -> None:
    """Arrays of whole numbers are counters, if not too many of them are set; a hash or a table is named."""
    inside("a", "ping", "-c", "3", "-i", "0.2", "b")
    found = json.loads(netlab("stats", "--format", "json").stdout)["programs"]["b"]
    text = netlab("stats").stdout
    lines = netlab("stats", "--format", "prometheus").stdout.splitlines()

    assert found["reasons"] == {}
    assert set(found["counters"]) == {"seen", "sizes"}
    assert found["counters"]["seen"]["0"] == sum(found["counters"]["sizes"].values()) >= 3
    assert found["maps"] == ["others", "table"]
    assert "b: other maps, which netlab maps b MAP shows: others, table" in text
    assert any(line.startswith("netlab_program_counter{") and 'map="seen",key="0"' in line for line in lines)
