"""A different program on each interface of a node: each is one of its own under every verb."""

import json
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from netlab import paths
from netlab.kernel import syscalls
from netlab.programs.loader import Compilation
from netlab.programs.maps import LoadedProgram, Map
from netlab.record import noted_pins, store
from netlab.testing.waiting import eventually
from tests.lab.lab import LAB, inside, lab, netlab, texts

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

TOPOLOGY = """
name: several
nodes:
  left: {}
  right: {}
  asker: {}
  slow: {}
  fw:
    xdp:
      - {program: ./fw.c, function: outside, interfaces: [eth0], define: {LIMIT: 3}}
      - {program: ./fw.c, function: inside, interfaces: [eth1]}
      - {program: ./fw.c, function: back, name: echo, interfaces: [eth2]}
      - {program: ./other.c, interfaces: [eth3], mode: generic}
links: [[left, fw], [right, fw], [asker, fw], [slow, fw]]
"""
FIREWALL = """
#include <uapi/linux/bpf.h>
#include "verdict.h"

#ifndef LIMIT
#define LIMIT 1000000
#endif

enum reason { PASS_OUTSIDE, PASS_INSIDE, DROP_OVER_LIMIT, SENT_BACK, REASONS };

BPF_ARRAY(reasons, struct count, REASONS);

static __always_inline u64 noted(struct xdp_md *ctx, u32 reason)
{
	struct count *count = reasons.lookup(&reason);

	tally(count, ctx);
	return count ? count->packets : 0;
}

int outside(struct xdp_md *ctx)
{
	if (noted(ctx, PASS_OUTSIDE) <= LIMIT)
		return XDP_PASS;
	noted(ctx, DROP_OVER_LIMIT);
	return XDP_DROP;
}

int inside(struct xdp_md *ctx)
{
	trace("seen %d", noted(ctx, PASS_INSIDE));
	return XDP_PASS;
}

int back(struct xdp_md *ctx)
{
	noted(ctx, SENT_BACK);
	return XDP_TX;
}
"""
OTHER = """
#include <uapi/linux/bpf.h>

int count(struct xdp_md *ctx)
{
	return XDP_PASS;
}
"""
KEYS = ["fw/outside", "fw/inside", "fw/echo", "fw/other"]
INTERFACES = dict(zip(KEYS, ("eth0", "eth1", "eth2", "eth3"), strict=True))
ENTRIES = dict(zip(KEYS, ("outside", "inside", "back", "count"), strict=True))
FRAME = b"\xff" * 6 + bytes.fromhex("020000000099") + b"\x88\xb5" + bytes(46)  # an ethertype for experiments


@contextmanager
def several(folder: Path, *options: str) -> Iterator[Path]:
    """Build the lab, and yield the source of its firewall."""
    for name, text in {"several.yml": TOPOLOGY, "fw.c": FIREWALL, "other.c": OTHER}.items():
        (folder / name).write_text(text)
    with lab(str(folder / "several.yml"), *options):
        yield folder / "fw.c"


def pinned() -> dict[str, int]:
    """Return, by key, the number of the program that is pinned as the attached one."""
    found = {}
    for key, program in store.read(LAB).programs():
        with LoadedProgram.open(paths.program_pin(program.pins, ENTRIES[key])) as loaded:
            found[key] = loaded.id
    return found


def attached(node: str = "fw") -> dict[str, int]:
    """Return the numbers of the programs that are attached to a node's interfaces."""
    links = json.loads(inside(node, "ip", "-d", "-j", "link").stdout)
    return {link["ifname"]: link["xdp"]["prog"]["id"] for link in links if "xdp" in link}


def by_interface(numbers: dict[str, int]) -> dict[str, int]:
    return {INTERFACES[key]: number for key, number in numbers.items()}


def data(*words: str, code: int = 0) -> Any:
    return json.loads(netlab(*words, "--format", "json", code=code).stdout)


def packets() -> dict[str, dict[str, int]]:
    """Return how many packets each program has counted, by key and reason, but for reasons without any."""
    counted = data("stats")["programs"]
    return {
        key: {reason: each["packets"] for reason, each in about["reasons"].items() if each["packets"]}
        for key, about in counted.items()
    }


@contextmanager
def listening(node: str) -> Iterator[socket.socket]:
    """Yield a packet socket on a node's only interface."""

    def opened() -> socket.socket:
        there = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5))
        there.bind(("eth0", 0x88B5))
        return there

    with syscalls.inside(f"/run/netlab/{LAB}/netns/{node}", opened) as there:
        there.settimeout(5)
        yield there


def sent(node: str, count: int) -> None:
    with listening(node) as there:
        for _ in range(count):
            there.send(FRAME)


def test_each_interface_has_its_own_program(tmp_path: Path) -> None:
    """With its own constants, maps, mode and source; the attached one is the pinned one."""
    with several(tmp_path) as source:
        here, there = attached(), by_interface(pinned())
        modes = {
            each["ifname"]: each["xdp"]["mode"] for each in json.loads(inside("fw", "ip", "-j", "link").stdout)[1:]
        }
        sent("left", 5)
        sent("right", 2)
        counted = packets()
        kept = {key: Path(paths.source(f"/run/netlab/{LAB}", key, "x.c")).read_text() for key in KEYS}
        folders = sorted(name for name in os.listdir(f"/run/netlab/{LAB}/bpf") if "." not in name)
        text = source.read_text()

    assert here == there
    assert len(set(here.values())) == len(KEYS)
    assert modes == {"eth0": 1, "eth1": 1, "eth2": 1, "eth3": 2}
    assert counted["fw/outside"]["DROP_OVER_LIMIT"] == counted["fw/outside"]["PASS_OUTSIDE"] - 3 >= 2
    assert counted["fw/inside"].keys() == {"PASS_INSIDE"}
    assert kept == {"fw/outside": text, "fw/inside": text, "fw/echo": text, "fw/other": OTHER}
    assert folders == ["=errors", "_asker", "_left", "_right", "fw=echo", "fw=inside", "fw=other", "fw=outside"]


def test_what_one_of_them_sends_back_arrives(tmp_path: Path) -> None:
    with several(tmp_path), listening("asker") as there:
        there.send(FRAME)
        back = there.recv(100)

        assert packets()["fw/echo"]["SENT_BACK"] >= 1
    assert back == FRAME


def test_every_verb_calls_them_by_node_and_name(tmp_path: Path) -> None:
    with several(tmp_path):
        sent("right", 1)
        eventually(lambda: texts("trace"), "a line of the program")
        line = json.loads(netlab("trace", "-n1", "--format", "json").stdout)
        shown, table = netlab("trace", "-n1").stdout, netlab("status").stdout
        node = data("status")["nodes"]["fw"]
        measured = netlab("stats", "--format", "prometheus").stdout
        said = netlab("stats").stdout
        record = store.public(LAB)

    assert (line["node"], line["program"]) == ("fw", "fw/inside")
    assert f"{LAB}/fw/inside seen " in shown
    assert [line.split()[-2:] for line in table.splitlines() if line.startswith("fw:eth2")] == [["echo", "(native)"]]
    assert node["program"] == ""
    echo = {"program": "fw/echo", "name": "echo", "interfaces": ["eth2"], "hook": "xdp", "mode": "native"}
    assert node["programs"][2] == echo
    assert f'netlab_program_packets_total{{lab="{LAB}",node="fw",program="inside",reason="PASS_INSIDE"}}' in measured
    assert "fw/inside:\n" in said
    assert "fw/other: its program counts nothing\n" in said
    assert [key for key, _ in record.programs()] == KEYS


def test_reload_of_one_leaves_the_others(tmp_path: Path) -> None:
    with several(tmp_path) as source:
        before, maps = pinned(), numbers_of_maps()
        sent("right", 3)
        source.write_text(FIREWALL.replace("seen %d", "noticed %d"))
        said = netlab("reload", "fw/inside").stderr
        after = pinned()
        sent("right", 3)
        eventually(lambda: [text for text in texts("trace") if text.startswith("noticed")])
        counted = packets()["fw/inside"]["PASS_INSIDE"]
        now = attached()
        netlab("reload", "fw", code=0)
        last = pinned()

        assert maps == numbers_of_maps()
        assert by_interface(last) == attached()
    assert [key for key in KEYS if before[key] != after[key]] == ["fw/inside"]
    assert now == by_interface(after)
    assert counted >= 6
    assert f"netlab: {LAB}: fw: inside renewed on eth1 after " in said
    assert not set(last.values()) & set(after.values())


def numbers_of_maps() -> dict[str, int]:
    found = {}
    for key in KEYS[:3]:
        with Map.open(f"{paths.pins(f'/run/netlab/{LAB}', key)}/maps/reasons") as there:
            found[key] = there.id
    return found


def test_a_node_is_reloaded_as_a_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one does not compile, and where the last cannot be attached: the first ones are as before."""
    from netlab.errors import NetlabError
    from netlab.lab.reload import reload

    finish = Compilation.finish

    def refuses(self: Compilation) -> Any:
        if self.job.key == "fw/other":
            raise NetlabError("the last one is refused")
        return finish(self)

    with several(tmp_path) as source:
        before = state()
        (tmp_path / "other.c").write_text("int count(struct xdp_md *ctx) { return nothing; }")
        wrong = netlab("reload", "fw", code=1).stderr
        (tmp_path / "other.c").write_text(OTHER)
        source.write_text(f"{FIREWALL}BPF_HASH(more, u32, u32, 8);\n")
        monkeypatch.setattr(Compilation, "finish", refuses)
        with pytest.raises(NetlabError) as late:
            reload(LAB, "fw", (), lambda _: None)

        assert before == state()
    as_before = "netlab: nothing was changed; fw goes on with the programs that it has"
    assert "fw/other: " in wrong
    assert as_before in wrong
    assert str(late.value) == f"the last one is refused\n{as_before}"


def state() -> tuple[object, ...]:
    """Return all that a reload changes."""
    folder = f"/run/netlab/{LAB}"
    files = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names if "/bpf/" in at]
    sources = {name: Path(f"{folder}/programs/{name}").read_bytes() for name in os.listdir(f"{folder}/programs")}
    layouts = {name: Path(f"{folder}/layouts/{name}").read_bytes() for name in os.listdir(f"{folder}/layouts")}
    return attached(), pinned(), sorted(files), sources, layouts, noted_pins.read(folder)


@pytest.mark.parametrize(
    ("called", "said"),
    [
        ("fw/insde", "fw has no program 'insde'; it has fw/outside, fw/inside, fw/echo, fw/other"),
        ("fw/", "fw has no program ''; it has fw/outside"),
        ("left/fw", "left has no program"),
    ],
)
def test_what_is_none_of_them_is_refused(tmp_path: Path, called: str, said: str) -> None:
    with several(tmp_path):
        assert said in netlab("reload", called, code=2).stderr


def test_damage_is_told_by_program_and_mended_by_what_is_said(tmp_path: Path) -> None:
    with several(tmp_path):
        netlab("status", code=0)
        inside("fw", "ip", "link", "set", "eth1", "xdp", "off")
        (problem,) = data("status", code=1)["problems"]
        netlab("reload", "fw/inside")
        whole = netlab("status", code=0).stdout
        os.unlink(f"/run/netlab/{LAB}/bpf/fw=echo/maps/reasons")
        os.unlink(f"/run/netlab/{LAB}/programs/fw.outside.c")
        others = {each["where"]: each["what"] for each in data("status", code=1)["problems"]}

    assert problem["where"] == "fw eth1"
    assert problem["what"].endswith("planned is inside")
    assert problem["mend"] == f"netlab reload --lab {LAB} fw/inside, with its source as it is now"
    assert " is up, " in whole
    assert others["fw/echo"] == "the pin of the map reasons is gone"
    assert others["fw/outside"].endswith("/programs/fw.outside.c, the source of its program, is gone")


DOORS = """
#include <uapi/linux/bpf.h>

BPF_XDP_REDIRECT_MAP("devmap", struct { u32 ifindex; u32 fd; }, doors, 2);
BPF_ARRAY(left, u64, 1);

int through(struct xdp_md *ctx)
{
	return doors.redirect_map(0, 0);
}

int stamp_devmap(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + 60 > end)
		return XDP_DROP;
	((u8 *)data)[59] = MARK;
	return XDP_PASS;
}
"""
OVER = """
#include <uapi/linux/bpf.h>

int over(struct xdp_md *ctx)
{
	return bpf_redirect(17, 0);
}
"""
CABLE = """
name: cable
nodes:
  left: {}
  right: {}
  cable:
    xdp:
      - {program: ./doors.c, name: there, interfaces: [eth0], define: {MARK: 1}}
      - {program: ./doors.c, name: back, interfaces: [eth1], define: {MARK: 2}}
links: [[left, cable], [right, cable]]
"""


@pytest.mark.parametrize(("there", "arrives"), [("", False), (", {program: pass, interfaces: [eth1]}", True)])
def test_where_frames_are_redirected_to_there_is_a_program_too(tmp_path: Path, there: str, arrives: bool) -> None:
    """Or they are lost: one that passes is enough."""
    (tmp_path / "over.c").write_text(OVER)
    (tmp_path / "over.yml").write_text(
        f"name: over\nnodes: {{left: , right: , cable: {{xdp: [{{program: ./over.c, interfaces: [eth0]}}{there}]}}}}\n"
        "links: [[left, cable], [right, cable]]\n"
    )
    with lab(str(tmp_path / "over.yml")), listening("right") as receiver:
        sent("left", 1)
        receiver.settimeout(5 if arrives else 1)
        try:
            found = receiver.recv(100)
        except TimeoutError:
            found = b""

    assert (found == FRAME) is arrives


def test_second_programs_of_devmaps_belong_to_their_own_program(tmp_path: Path) -> None:
    """Each way has its own devmap, whose entry runs the build that belongs to it; also when one is renewed."""
    (tmp_path / "doors.c").write_text(DOORS)
    (tmp_path / "cable.yml").write_text(CABLE)

    def passed(sender: str, receiver: str) -> int:
        with listening(receiver) as there:
            sent(sender, 1)
            return there.recv(100)[59]

    with lab(str(tmp_path / "cable.yml")):
        for name, index in (("there", 17), ("back", 16)):
            door(f"/run/netlab/{LAB}/bpf/cable={name}", index)
        before = passed("left", "right"), passed("right", "left")
        netlab("reload", "cable/back", "--define", "MARK=5")
        after = passed("left", "right"), passed("right", "left")

    assert before == (1, 2)
    assert after == (1, 5)


def door(pins: str, index: int) -> None:
    """Let a program's devmap lead out of an interface, with the second program of the same build."""

    def write() -> None:
        with LoadedProgram.open(f"{pins}/programs/stamp_devmap") as second, Map.open(f"{pins}/maps/doors") as doors:
            doors.set(struct.pack("=I", 0), struct.pack("=Ii", index, second.fd))

    syscalls.inside(f"/run/netlab/{LAB}/netns/cable", write)
