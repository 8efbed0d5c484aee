"""A lab of programs in libbpf's dialect: a source, and the object that it makes, do what programs of bcc's do."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab.testing.waiting import eventually
from tests.lab import clang
from tests.lab.lab import LAB, inside, lab, netlab, texts

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="labs need root"), clang.needed]

PROGRAM = """\
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "own.h"
#ifdef IN_LAB
#include "lab.h"
#endif

enum mode { QUIET, LOUD, SILENT };
struct flow { __be32 saddr; __u16 port; enum mode mode; };

const volatile enum mode mode = QUIET;
const volatile int verdict = XDP_PASS;
const volatile __be32 vip = 0;
__u64 seen = 0;
int level = 7;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2);
	__type(key, __be32);
	__type(value, struct flow);
} flows SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} jumps SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
} leaving SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} both SEC(".maps");

SEC("xdp") int first(struct xdp_md *ctx)
{
	__u32 zero = 0;
	__u64 *count = bpf_map_lookup_elem(&both, &zero);

	if (count)
		__sync_fetch_and_add(count, 1);
	__sync_fetch_and_add(&seen, 1);
	bpf_tail_call(ctx, &jumps, 1);
	return XDP_ABORTED;
}

SEC("xdp_old_name") int second(struct xdp_md *ctx)
{
	bpf_printk("mode %d level %d vip %pI4", mode, level, &vip);
	return verdict;
}

SEC("xdp/devmap") int out(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("tc") int classify(struct __sk_buff *skb)
{
	return 0;
}
char _license[] SEC("license") = OWN_LICENSE;
"""
TOPOLOGY = """
name: libbpf
nodes:
  a:
  b:
    xdp:
      - program: ./fw.bpf.c
        function: first
        interfaces: [eth0]
        include: more
        cflags: [-DIN_LAB]
        define: {mode: LOUD, vip: 10.0.0.1, MACRO: 1}
      - program: ./fw.bpf.o
        name: ready
        function: xdp_old_name
        interfaces: [eth1]
        define: {level: -8, verdict: XDP_DROP}
    maps:
      flows: {max_entries: 300, entries: {10.0.0.9: {saddr: 10.0.0.1, port: 80, mode: SILENT}}}
      jumps: {1: second}
      leaving: {0: {interface: eth0, program: out}}
links: [[a, b], [a, b]]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a lab that stands: a source on one interface, and an object made of it by hand on the other."""
    made: Path = tmp_path_factory.mktemp("libbpf")
    (made / "lab.yml").write_text(TOPOLOGY)
    (made / "fw.bpf.c").write_text(PROGRAM)
    (made / "more").mkdir()
    (made / "more" / "own.h").write_text('#define OWN_LICENSE "GPL"\n')
    types = re.sub(r'#include "vmlinux.h"', "#include <linux/types.h>\n#include <linux/bpf.h>", PROGRAM)
    clang.compiled(types, made / "fw.bpf.o", f"-I{made}/more")
    with lab(str(made / "lab.yml")):
        yield made
    assert not os.path.exists(f"/run/netlab/{LAB}")


def shown(*words: str) -> Any:
    return json.loads(netlab(*words, "--format", "json").stdout)


def entries(key: str, name: str) -> Any:
    """Return a map's entries, or the variables of a section."""
    found = shown("maps", key, name)["entries"]
    return {json.dumps(each["key"]).strip('"'): each["value"] for each in found}


def ping(address: str, code: int) -> None:
    inside("a", "ping", "-c", "1", "-W", "1", address, code=code)


def test_the_programs_act_on_packets(folder: Path) -> None:
    """A function by its name, another by its section; a tail call; constants of the topology decide."""
    before = entries("b/first", "bss")["0"]["seen"]
    ping("10.0.0.2", 0)
    ping("10.0.1.2", 1)

    assert entries("b/first", "bss")["0"]["seen"] > before
    assert entries("b/first", "both") == entries("b/ready", "both") != {"0": 0}


def test_variables_are_set_by_name(folder: Path) -> None:
    """Numbers, names of enums and verdicts, addresses; each program has its own."""
    assert entries("b/first", "rodata")["0"] == {"mode": "LOUD", "verdict": 2, "vip": "10.0.0.1"}
    assert entries("b/ready", "rodata")["0"]["verdict"] == 1
    assert entries("b/first", "data")["0"] == {"level": 7}
    assert entries("b/ready", "data")["0"] == {"level": -8}


def test_maps_are_filled_and_sized(folder: Path) -> None:
    """As the topology says, in each program that has them."""
    for key in ("b/first", "b/ready"):
        assert entries(key, "flows") == {"10.0.0.9": {"saddr": "10.0.0.1", "port": 80, "mode": "SILENT"}}
        assert entries(key, "jumps") == {"1": "second"}
        assert entries(key, "leaving")["0"]["program"] == "out"
    found = shown("maps", "b/first")["maps"]
    assert {each["name"]: each["max_entries"] for each in found}["flows"] == 300


def test_lines_of_the_trace_say_whose_they_are(folder: Path) -> None:
    """Where netlab has compiled the source."""
    ping("10.0.0.2", 0)

    eventually(lambda: "mode 1 level 7 vip 10.0.0.1" in texts("trace"), "the line of a program")
    assert f"{LAB}/b/first mode 1 level 7" in netlab("trace").stdout


def test_programs_and_status_name_them(folder: Path) -> None:
    """What is attached, and what only maps hold; other types of programs are left out."""
    found = {(each["program"], each["function"]): each["interfaces"] for each in shown("programs", "b")["programs"]}

    assert found["first", "first"] == ["eth0"]
    assert found["ready", "second"] == ["eth1"]
    assert found["first", "out"] == []
    assert len(found) == 6
    assert shown("status")["nodes"]["b"]["programs"][1]["name"] == "ready"


def test_globals_are_counted(folder: Path) -> None:
    """`stats` shows whole numbers in sections as those in arrays."""
    counted = shown("stats")["programs"]["b/first"]["counters"]

    assert counted["bss"]["seen"] > 0
    assert counted["both"]["0"] > 0


def test_a_reload_keeps_what_maps_hold(folder: Path) -> None:
    """States go on, constants are the new build's, and the program that is called by others is the new one."""
    source = folder / "fw.bpf.c"
    ping("10.0.0.2", 0)
    before = entries("b/first", "bss")["0"]["seen"]
    source.write_text(PROGRAM.replace("mode %d", "way %d"))
    said = netlab("reload", "b", "--define", "vip=10.0.0.3").stderr
    ping("10.0.0.2", 0)

    assert "first renewed on eth0" in said
    assert entries("b/first", "bss")["0"]["seen"] > before
    assert entries("b/first", "rodata")["0"]["vip"] == "10.0.0.3"
    eventually(lambda: "way 1 level 7 vip 10.0.0.3" in texts("trace"), "the line of the new build")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("__u16 port", "__u32 port", "flows: field port of type __u32 instead of __u16"),
        ("int level = 7", "long level = 7", "data: values of 8 bytes instead of 4"),
        ("return verdict;", "return *(int *)(long)ctx->data_end;", ": the verifier refused second(): "),
        ("return verdict;", "return verdikt;", "error: use of undeclared identifier 'verdikt'"),
    ],
)
def test_a_build_that_does_not_fit_changes_nothing(folder: Path, old: str, new: str, words: str) -> None:
    """The message names the field, or the author's line."""
    source = folder / "fw.bpf.c"
    kept = source.read_text()
    source.write_text(kept.replace(old, new))
    try:
        said = netlab("reload", "b/first", code=1).stderr
    finally:
        source.write_text(kept)

    assert words in said
    assert "nothing was changed" in said
    ping("10.0.0.2", 0)


def test_a_reload_that_fails_leaves_no_shared_map(folder: Path) -> None:
    """Neither what one program has made before another fails, nor its name, which a later build may use otherwise."""
    source, ready = folder / "fw.bpf.c", folder / "fw.bpf.o"
    kept, whole = source.read_text(), ready.read_bytes()
    both = kept[kept.index("struct {\n\t__uint(type, BPF_MAP_TYPE_ARRAY)") : kept.index('SEC("xdp") int first')]
    source.write_text(kept.replace(both, both + both.replace("} both SEC", "} later SEC")))
    ready.write_bytes(whole[:-200])
    try:
        assert "nothing was changed" in netlab("reload", "b", code=1).stderr
    finally:
        source.write_text(kept)
        ready.write_bytes(whole)

    assert os.listdir(f"/run/netlab/{LAB}/bpf/b_") == ["both"]


def test_a_killed_reload_leaves_no_shared_map_to_the_next(folder: Path) -> None:
    """It would be found by its name, although no program has it; the next build may declare another of this name."""
    source = folder / "fw.bpf.c"
    kept = source.read_text()
    both = kept[kept.index("struct {\n\t__uint(type, BPF_MAP_TYPE_ARRAY)") : kept.index('SEC("xdp") int first')]
    later = both.replace("} both SEC", "} later SEC")
    killed = (
        "import os\nfrom netlab.lab import reload\nreload.swapped = lambda *_: os.kill(os.getpid(), 9)\n"
        f"reload.reload({LAB!r}, 'b/first', (), print)"
    )
    try:
        source.write_text(kept.replace(both, both + later))
        assert subprocess.run([sys.executable, "-c", killed], check=False).returncode == -signal.SIGKILL
        assert sorted(os.listdir(f"/run/netlab/{LAB}/bpf/b_")) == ["both", "later"]
        source.write_text(kept.replace(both, both + later.replace("max_entries, 1", "max_entries, 2")))
        netlab("reload", "b/first")
        found = shown("maps", "b/first")["maps"]
        assert {each["name"]: each["max_entries"] for each in found}["later"] == 2
    finally:
        source.write_text(kept)


def test_the_lab_is_as_planned(folder: Path) -> None:
    """Also after reloads; `up` sees that the same lab is there."""
    assert shown("status")["state"] == "up"
    assert "is up already" in netlab("up", str(folder / "lab.yml")).stderr


def test_up_without_them_imports_nothing_of_them(folder: Path) -> None:
    """Neither the command nor the child of a program of bcc's."""
    script = (
        "import sys\nfrom netlab.programs import loader_child, loader, bcc\n"
        "print(*(name for name in sys.modules if 'libbpf' in name or 'clang' in name or 'subprocess' in name))"
    )
    python = f"{os.path.dirname(clang.__file__)}/../../.venv/bin/python"
    assert subprocess.run([python, "-c", script], capture_output=True, text=True, check=True).stdout.strip() == ""
