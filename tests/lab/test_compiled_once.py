"""A program is compiled once: what is loaded from the cache is what the compiler would make, or is made anew."""

import base64
import hashlib
import json
import os
import re
from pathlib import Path

import pytest

from netlab import paths
from netlab.programs import bpf, loader
from netlab.programs.maps import LoadedProgram, Map
from netlab.testing.waiting import PATIENCE_S
from tests.lab.test_programs import OWN, Bench, bench

__all__ = ["bench"]

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="loading programs needs root")]

ANSWER = """
#include "answer.h"
BPF_HASH(seen, u32, struct bpf_spin_lock, 3);
BPF_XDP_REDIRECT_MAP("devmap", struct bpf_devmap_val, template, 2);
BPF_ARRAY_OF_MAPS(outer, "template", 4);
int answer(struct xdp_md *ctx) { u32 zero = 0; outer.lookup(&zero); return seen.lookup(&zero) ? XDP_TX : ANSWER; }
int door_devmap(struct xdp_md *ctx) { return ctx->egress_ifindex ? XDP_PASS : XDP_DROP; }
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv(paths.CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def was_compiled(bench: Bench, source: str | Path, node: str) -> bool:
    """Load and pin a program, and return whether the compiler had anything to say, as it always has.

    Without the trace: the lab's and the node's names are long here, and a program's stack is small.
    """
    pins = f"{bench.folder}/bpf/{node}"
    compilation = bench.start(source, "answer.c", pin_folder=pins, define=(("TRACE", 0),))
    compilation.pinned(PATIENCE_S)
    said = compilation._talk_text()
    compilation.kill()
    return bool(said)


def header(bench: Bench, verdict: str) -> None:
    """Write the header of ANSWER, long ago."""
    path = bench.folder / "answer.h"
    path.write_text(f"#define ANSWER {verdict}\n")
    os.utime(path, (1_000_000_000, 1_000_000_000))


def verdict(bench: Bench, node: str) -> int:
    """Return what ANSWER says of a packet."""
    with LoadedProgram.open(f"{bench.folder}/bpf/{node}/programs/answer") as program:
        return program.test_run(bytes(64)).verdict


def shapes(bench: Bench, node: str) -> dict[str, bytes]:
    """Return what the kernel says of each map, but for its number and those of its types."""
    found = {}
    for name in os.listdir(f"{bench.folder}/bpf/{node}/maps"):
        with Map.open(f"{bench.folder}/bpf/{node}/maps/{name}") as each:
            info = bpf.info(each.fd)
        found[name] = info[:4] + info[8:64] + info[68:76]
    return found


def tags(bench: Bench, node: str) -> dict[str, bytes]:
    """Return the kernel's hash of the instructions of each program, in which no map's number counts."""
    found = {}
    for name in os.listdir(f"{bench.folder}/bpf/{node}/programs"):
        with LoadedProgram.open(f"{bench.folder}/bpf/{node}/programs/{name}") as each:
            found[name] = bpf.info(each.fd)[8:16]
    return found


@pytest.mark.parametrize("path", [OWN / "balancer.c", OWN / "dropper.c", OWN / "pass.c"], ids=lambda path: path.stem)
def test_the_same_is_loaded(bench: Bench, path: Path) -> None:
    """Maps with the same shapes, names and types, programs with the same instructions."""
    assert was_compiled(bench, path, node="one")
    assert not was_compiled(bench, path, node="two")

    assert tags(bench, "one") == tags(bench, "two")
    assert shapes(bench, "one") == shapes(bench, "two")


def test_the_compiler_is_not_even_loaded_the_second_time(bench: Bench) -> None:
    """Nor is bcc, to attach what was compiled before (tests/unit/test_imports.py)."""
    carried = []
    for name in ("eth0", "eth1"):
        compilation = bench.start(OWN / "pass.c", pin_folder=bench.pin(name))
        compilation.pinned(PATIENCE_S)
        carried.append("libbcc" in Path(f"/proc/{compilation.pid}/maps").read_text())
        compilation.attach(f"/run/netns/{bench.netns}", [name])
        compilation.finish(PATIENCE_S)

    assert carried == [True, False]
    assert bench.xdp_mode("eth0") == bench.xdp_mode("eth1") == 1


def test_programs_run_the_same(bench: Bench) -> None:
    """With a lock, maps of maps and an egress program."""
    header(bench, "XDP_DROP")
    assert was_compiled(bench, ANSWER, node="one")
    assert not was_compiled(bench, ANSWER, node="two")

    assert verdict(bench, "one") == verdict(bench, "two") == 1
    assert shapes(bench, "one") == shapes(bench, "two")


def test_a_changed_header_is_compiled(bench: Bench) -> None:
    """And so is a changed source."""
    header(bench, "XDP_DROP")
    assert was_compiled(bench, ANSWER, node="one")
    header(bench, "XDP_PASS")
    assert was_compiled(bench, ANSWER, node="two")
    assert was_compiled(bench, ANSWER + "// more\n", node="three")

    assert verdict(bench, "two") == 2


def test_what_the_kernel_refuses_is_compiled_anew(bench: Bench, cache: Path) -> None:
    """An entry that was damaged, or made for other kernels, costs its time and no more."""
    header(bench, "XDP_DROP")
    assert was_compiled(bench, ANSWER, node="one")
    (path,) = cache.iterdir()
    entry = json.loads(path.read_text().split("\n")[1])
    size = len(base64.b64decode(entry["programs"][0][1]))
    entry["programs"][0][1:3] = base64.b64encode(bytes(size)).decode(), {}  # no program ends so
    text = json.dumps(entry)
    path.write_text(f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}")

    assert was_compiled(bench, ANSWER, node="two")
    assert verdict(bench, "two") == 1
    assert not was_compiled(bench, ANSWER, node="three")


@pytest.mark.parametrize(
    ("body", "is_named"),
    [
        ("return XDP_PASS;", False),
        ('bpf_trace_printk("seen"); return XDP_PASS;', True),
        ("return sizeof(LAB_NODE);", True),
    ],
)
def test_only_a_program_that_names_its_lab_is_compiled_for_each(bench: Bench, body: str, is_named: bool) -> None:
    """By what it prints, or in its own way: the others are the same for all nodes and labs."""
    path = bench.folder / "own.c"
    path.write_text(f"int own(struct xdp_md *ctx) {{ {body} }}\n")
    compiled: list[bool] = []
    verdicts: list[int] = []
    for lab, node in (("a", "n"), ("a", "n"), ("a", "other"), ("another", "n")):
        pins = f"{bench.folder}/bpf/{lab}-{node}-{len(compiled)}"
        compilation = loader.start(loader.Job(lab, node, str(path), pins, f"{bench.folder}/work"))
        compilation.pinned(PATIENCE_S)
        compiled.append(bool(compilation._talk_text()))
        compilation.kill()
        with LoadedProgram.open(f"{pins}/programs/own") as program:
            verdicts.append(program.test_run(bytes(64)).verdict)

    assert compiled == [True, False, is_named, is_named]
    if "sizeof" in body:
        assert verdicts[0] == verdicts[1] == verdicts[2] - 4 == verdicts[3] - 6


def test_a_source_that_is_refused_is_refused_again(bench: Bench) -> None:
    """Nothing is kept of it, and its errors are shown each time."""
    endless = "int spin(struct xdp_md *ctx) { volatile int on = 1; while (on); return XDP_PASS; }\n"
    first, second = (bench.error(endless) for _ in range(2))

    assert first == second
    assert re.search(r"test.c:1", first)


def test_a_map_of_maps_that_cannot_be_made_again_is_not_kept(bench: Bench, cache: Path) -> None:
    """What its maps are like stands only in the source, here behind a macro."""
    hidden = ANSWER.replace('"template", 4', "TEMPLATE, 4").replace("BPF_HASH", '#define TEMPLATE "template"\nBPF_HASH')
    header(bench, "XDP_DROP")

    assert was_compiled(bench, hidden, node="one")
    assert was_compiled(bench, hidden, node="two")
    assert not cache.exists()


def test_nothing_is_kept_when_the_cache_is_turned_off(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """By an empty NETLAB_CACHE."""
    monkeypatch.setenv(paths.CACHE_VARIABLE, "")
    header(bench, "XDP_DROP")

    assert was_compiled(bench, ANSWER, node="one")
    assert was_compiled(bench, ANSWER, node="two")
