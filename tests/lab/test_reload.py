"""`netlab reload`: a new build takes over from the old one under traffic, or nothing is changed."""

import json
import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from netlab.balancer import Snapshot
from netlab.lab import pass_programs
from netlab.lab.standing import Standing as Lab
from netlab.programs.maps import LoadedProgram, Map
from netlab.record import noted_pins, store
from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.feed import fed
from tests.lab.lab import LAB, PARTB, ROOT, background, frozen, inside, lab, netlab, pids, stats, texts, uncounted
from tests.lab.parta import parta

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

LOADED = """
name: loaded
nodes:
  client: {}
  lb:
    role: balancer
    args: {backends: [one, two, three], capacity: 1}
    xdp: {program: balancer, define: {QUEUE: 32768, TRACE: 0}}
  one: {}
  two: {}
  three: {}
links: [[client, lb], [one, lb], [two, lb], [lb, three]]
"""
BACKENDS = ("one", "two", "three")
# A worker that serves one request after the other, writes down which, and tells the balancer.
SINK = """
import os, socket, sys, time
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 8080))
out = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
print("READY", flush=True)
while True:
    data, _ = server.recvfrom(4096)
    os.write(out, data + b"\\n")
    time.sleep(0.0015)
    server.sendto(b"", ("lb", 9090))
"""
BURST = 8  # requests for three threads
ENOUGH = 20  # requests that each build forwards, and that it queues
COUNTING = """
#include <uapi/linux/bpf.h>

BPF_ARRAY(seen, u64, 2);
BPF_HASH(other, u32, u32, 16);

int mine(struct xdp_md *ctx)
{
	u32 zero = 0;
	u64 *frames = seen.lookup(&zero);

	if (frames)
		__sync_fetch_and_add(frames, 1);
	return XDP_PASS;
}

int look_run(struct xdp_md *ctx)
{
	return other.lookup(&(u32){0}) ? 1 : 2;
}
"""
PAIR = """
name: pair
nodes:
  left: {}
  right: {xdp: ./mine.c}
links: [[left, right], [left, right]]
"""


class Standing(NamedTuple):
    """What a reload changes: the numbers of what is attached and of all pins, and the source that is kept."""

    attached: dict[str, int]
    programs: dict[str, int]
    maps: dict[str, int]
    source: str


def standing(node: str) -> Standing:
    """Return what stands of a node's program."""
    folder = f"/run/netlab/{LAB}"
    links = json.loads(inside(node, "ip", "-d", "-j", "link").stdout)
    programs, maps = {}, {}
    for name in os.listdir(f"{folder}/bpf/{node}/programs"):
        with LoadedProgram.open(f"{folder}/bpf/{node}/programs/{name}") as program:
            programs[name] = program.id
    for name in os.listdir(f"{folder}/bpf/{node}/maps"):
        with Map.open(f"{folder}/bpf/{node}/maps/{name}") as pinned:
            maps[name] = pinned.id
    assert {"maps", "programs"} == set(os.listdir(f"{folder}/bpf/{node}"))
    assert [] == [name for name in os.listdir(f"{folder}/layouts") if "reload" in name]
    return Standing(
        {link["ifname"]: link["xdp"]["prog"]["id"] for link in links if "xdp" in link},
        programs,
        maps,
        Path(f"{folder}/programs/{node}.c").read_text(),
    )


def held(node: str, *names: str) -> list[int]:
    """Return the numbers of the programs that devmaps hold, those in maps of maps too."""
    found = []
    for name in names:
        with Map.open(f"/run/netlab/{LAB}/bpf/{node}/maps/{name}") as outer:
            for key in outer.keys():  # noqa: SIM118 - a map is no dict
                try:
                    value = outer.get(key)
                except KeyError:
                    continue
                if outer.value_size == 8:
                    found.append(struct.unpack("=II", value)[1])
                    continue
                with Map.by_id(*struct.unpack("=I", value)) as inner:
                    found += [struct.unpack("=II", inner.get(struct.pack("=I", place)))[1] for place in (0, 1)]
    return found


def seen(name: str = "seen", key: int = 0) -> int:
    """Return what the program of the pair has counted."""
    with Map.open(f"/run/netlab/{LAB}/bpf/right/maps/{name}") as counts:
        return int.from_bytes(counts.get(struct.pack("=I", key)), sys.byteorder)


@contextmanager
def pair(folder: Path, source: str = COUNTING, *options: str) -> Iterator[Path]:
    """Build a lab with a program of the user's own; yield its file."""
    (folder / "pair.yml").write_text(PAIR)
    (folder / "mine.c").write_text(source)
    with lab(str(folder / "pair.yml"), *options, name=LAB):
        yield folder / "mine.c"


@contextmanager
def loaded(folder: Path) -> Iterator[None]:
    """Build a lab of a client, the balancer and three workers that are ready."""
    (folder / "loaded.yml").write_text(LOADED)
    sinks: list[subprocess.Popen[str]] = []
    with lab(str(folder / "loaded.yml"), name=LAB):
        try:
            sinks += [background(name, [sys.executable, "-c", SINK, str(folder / name)]) for name in BACKENDS]
            for each in sinks:
                assert each.stdout
                assert each.stdout.readline() == "READY\n"
            yield
        finally:
            for each in sinks:
                each.terminate()
            for each in sinks:
                each.communicate(timeout=PATIENCE_S)


def in_bursts(now: Snapshot, _: int) -> int:
    """Send more than there are threads, when nothing waits and one is free: the first is forwarded, others wait."""
    return 0 if now.depth or not any(now.free.values()) else BURST


def has_worked(before: dict[str, Any]) -> bool:
    """Whether enough requests have been forwarded, and enough have waited, since then."""
    now = stats()
    return all(now[name] >= before[name] + ENOUGH for name in ("forwarded", "queued"))


@pytest.mark.parametrize("reloads", [pytest.param(3, id="some"), pytest.param(6, id="many", marks=pytest.mark.slow)])
def test_under_traffic_nothing_is_lost_and_nothing_is_doubled(tmp_path: Path, reloads: int) -> None:
    """Builds in a row: each request is served once, each frame is counted once, the counters go on."""
    with loaded(tmp_path):
        before, builds, counted = uncounted(), [standing("lb")], [stats()]
        with fed(LAB, str, in_bursts) as feed:
            eventually(partial(has_worked, counted[-1]), "work for the first build")
            for round_ in range(reloads):
                netlab("reload", "lb", "--define", f"TRACE={(round_ + 1) % 2}")
                builds.append(standing("lb"))
                counted.append(stats())
                eventually(partial(has_worked, counted[-1]), "work for each build")
        eventually(lambda: stats()["completions"] == feed.sent)
        after, end = uncounted(), stats()

    served = sorted(int(line) for name in BACKENDS for line in (tmp_path / name).read_text().split())
    assert served == list(range(feed.sent))
    assert (end["received"], end["dropped"], end["queue_depth"]) == (feed.sent, 0, 0)
    assert end["forwarded"] + end["queued"] == feed.sent
    assert end["dequeued"] == end["queued"] == end["carriers"]["CARRIER_SENT"]["packets"]
    assert before == after  # those that came before the lab's first program did
    numbers = [each["received"] for each in counted]
    assert numbers == sorted(set(numbers))
    assert len({build.programs["balancer"] for build in builds}) == reloads + 1
    for build in builds:
        assert set(build.attached.values()) == {build.programs["balancer"]}
        assert build.maps == builds[0].maps


def test_what_waits_survives_and_leaves_by_the_new_build() -> None:
    """Requests that an old build has queued are sent on by the new one, in order; its egress program is everywhere."""
    quiet = ("--set", "nodes.client.autostart=false")
    with lab(PARTB, *quiet, "--set", "nodes.lb.xdp.define.TRACE=0", name=LAB):
        old = standing("lb").programs["egress_devmap"]
        with frozen(*pids("worker1", "worker2", "worker3")):
            netlab("run", "client", "--count", "30", "--sleep", "0.01", "--interval", "0.001")
            eventually(lambda: stats()["queue_depth"] == 15)
            held_before = held("lb", "doors", "carriers")
            said = netlab("reload", "lb", "--define", "TRACE=1").stderr
            held_after, new = held("lb", "doors", "carriers"), standing("lb").programs["egress_devmap"]
        eventually(lambda: stats()["completions"] == 30)
        eventually(lambda: sum(text.startswith("dequeue #") for text in texts("trace")) == 15)
        end = stats()
        out = [re.match(r"dequeue #(\d+) to worker[123], depth (\d+)", text) for text in texts("trace")]

    assert "balancer renewed on eth0, eth1, eth2, eth3 after" in said
    assert re.search(r"; \d\d maps kept\n$", said)
    assert (held_before, held_after) == ([old] * 10, [new] * 10)
    assert (end["dequeued"], end["queue_depth"], end["dropped"]) == (15, 0, 0)
    # the n-th to leave lets 15 - n wait; two CPUs may print in another order than they decide in
    assert sorted((int(one[1]), int(one[2])) for one in out if one) == [(15 + n, 15 - n) for n in range(1, 16)]


def test_a_program_of_ones_own_is_edited(tmp_path: Path) -> None:
    """Maps stay as they are, whether the new source has them or not; new ones come; programs are the new ones."""
    with pair(tmp_path) as source:
        inside("left", "ping", "-c3", "-i0.01", "right")
        counted, before = seen(), standing("right")
        new = COUNTING.replace("BPF_HASH(other, u32, u32, 16)", "BPF_ARRAY(lengths, u64, 1)").replace(
            "look_run(struct xdp_md *ctx)\n{\n\treturn other.lookup(&(u32){0}) ? 1 : 2",
            "judge_run(struct xdp_md *ctx)\n{\n\treturn lengths.lookup(&(u32){0}) ? 1 : 2",
        )
        source.write_text(new.replace("\treturn XDP_PASS", "\tlengths.increment(0, 7);\n\treturn XDP_PASS"))
        said = netlab("reload", "right").stderr
        inside("left", "ping", "-c3", "-i0.01", "right")
        after, total, lengths = standing("right"), seen(), seen("lengths")

    assert "right: mine renewed on eth0, eth1 after" in said
    assert said.endswith("; 1 map kept, 1 new\n")
    assert total >= counted + 3 >= 6
    assert 3 * 7 <= lengths <= (total - counted) * 7  # now and then a frame comes before the new build does
    assert {"mine", "judge_run"} == set(after.programs)
    assert not set(after.programs.values()) & set(before.programs.values())
    assert {"eth0": after.programs["mine"], "eth1": after.programs["mine"]} == after.attached
    assert after.maps == {**before.maps, "lengths": after.maps["lengths"]}
    assert "lengths" in after.source


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        pytest.param(
            "return XDP_PASS;",
            "return XDP_PASS",
            "right: {mine}:14:17: error: expected ';' after return statement\n",
            id="syntax",
        ),
        pytest.param(
            "return XDP_PASS;",
            "return *(char *)(long)ctx->data;",
            "right: {mine}:14: the verifier refused mine(): invalid access to packet, off=0 size=1",
            id="verifier",
        ),
        pytest.param("seen, u64, 2", "seen, u64, 9", "    seen: 9 entries instead of 2\n", id="entries"),
        pytest.param("seen, u64, 2", "seen, u32, 2", "seen: values of 4 bytes instead of 8\n", id="value size"),
        pytest.param("other, u32", "other, u64", "other: keys of 8 bytes instead of 4\n", id="key size"),
        pytest.param("BPF_ARRAY(", "BPF_PERCPU_ARRAY(", "seen: of type percpu_array instead of array\n", id="type"),
        pytest.param(
            "BPF_HASH(other, u32, u32, 16)",
            'BPF_TABLE("lru_hash", u32, u64, other, 17)',
            "other: of type lru_hash instead of hash, values of 8 bytes instead of 4, 17 entries instead of 16\n",
            id="all",
        ),
        pytest.param("int mine(", "static int mine(", "right: {mine}: has no program:", id="no entry"),
    ],
)
def test_a_build_that_is_refused_changes_nothing(tmp_path: Path, old: str, new: str, said: str) -> None:
    """The message says where and what, the exit code is 1, and the old program counts on."""
    with pair(tmp_path) as source:
        before = standing("right")
        source.write_text(COUNTING.replace(old, new, 1))
        done = netlab("reload", "right", code=1)
        after, counted = standing("right"), seen()
        inside("left", "ping", "-c1", "right")

        assert before == after
        assert seen() > counted
        assert said.format(mine=source) in done.stderr
        assert done.stderr.endswith("netlab: nothing was changed; right goes on with the program that it has\n")


TYPED = """
struct key { u32 client; __be16 port; u16 rest; };
struct value { u64 hits; u32 first; u32 last; struct { u8 mac[6]; u16 number; } at; };
BPF_HASH(flows, struct key, struct value, 16);
"""


def test_a_build_that_moves_renames_or_retypes_a_field_is_refused_by_name(tmp_path: Path) -> None:
    """With map, field, before and now, although all sizes are the same; other names for a type are none of these."""
    with pair(tmp_path) as source:
        source.write_text(COUNTING + TYPED)
        netlab("reload", "right")
        before = standing("right")
        new = TYPED.replace("u32 first; u32 last;", "u32 last; u32 latest;").replace("u16 number", "__be16 number")
        source.write_text(COUNTING + new.replace("u32 client", "u32 host"))
        said = netlab("reload", "right", code=1).stderr
        after = standing("right")
        source.write_text(COUNTING + TYPED.replace("u64 hits", "unsigned long long hits"))
        netlab("reload", "right")

    assert before == after
    assert said.splitlines()[0].endswith("netlab down and netlab up make new ones:")
    assert said.splitlines()[1] == (
        "    flows: key's field host instead of client, at byte 0, field first is gone, which was __u32 at byte 8, "
        "field last at byte 8 instead of 12, field at.number of type __be16 instead of __u16"
    )


def test_a_program_that_maps_hold_must_have_a_successor(tmp_path: Path) -> None:
    """Without its egress program a balancer is refused: its devmaps would send by a program of the old build."""
    source = tmp_path / "balancer.c"
    text = Path(f"{ROOT}/bpf/balancer.c").read_text()
    source.write_text(text)
    with lab(PARTB, "--set", f"nodes.lb.xdp.program={source}", name=LAB):
        before, held_before = standing("lb"), held("lb", "doors", "carriers")
        source.write_text(text.replace("int egress_devmap(", "int outward_devmap("))
        said = netlab("reload", "lb", code=1).stderr
        after, held_after = standing("lb"), held("lb", "doors", "carriers")

    assert "holds the program egress_devmap, which the new build lacks" in said
    assert before == after
    assert held_before == held_after


def test_an_interface_that_is_gone_gives_the_others_their_program_back() -> None:
    """A program that cannot be attached everywhere is attached nowhere, and the maps have no trace of it."""
    with lab(PARTB, "--set", "nodes.client.autostart=false", name=LAB):
        inside("lb", "ip", "link", "set", "eth3", "down")
        inside("lb", "ip", "link", "set", "eth3", "name", "elsewhere")
        before, held_before = standing("lb"), held("lb", "doors", "carriers")
        said = netlab("reload", "lb", code=1).stderr
        after, held_after = standing("lb"), held("lb", "doors", "carriers")

    assert "balancer.c: cannot be attached to eth3: the node has no such interface\n" in said
    assert before == after
    assert held_before == held_after
    assert len(set(before.attached.values())) == 1


def test_two_at_once_take_turns(tmp_path: Path) -> None:
    """The second waits for the first, and both are done."""
    with pair(tmp_path):
        before = standing("right")
        argv = [sys.executable, "-m", "netlab", "reload", "right"]
        both = [subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        said = [each.communicate(timeout=PATIENCE_S)[1] for each in both]
        after = standing("right")

    assert [each.returncode for each in both] == [0, 0], said
    assert before.programs["mine"] < after.programs["mine"]
    assert before.maps == after.maps


@pytest.mark.parametrize("step", [pytest.param(27, id="some"), pytest.param(9, id="many", marks=pytest.mark.slow)])
def test_killed_anywhere_the_next_one_puts_all_right(tmp_path: Path, step: int) -> None:
    """A reload that is killed with -9 leaves a lab that works, and that the next reload makes whole."""
    killed = [sys.executable, f"{ROOT}/tests/lab/killed.py"]
    with lab(PARTB, "--set", "nodes.client.autostart=false", name=LAB):
        listing = [*killed, "list", str(tmp_path / "lines"), "reload", "lb"]
        subprocess.run(listing, cwd=ROOT, check=True, timeout=PATIENCE_S)
        lines = (tmp_path / "lines").read_text().split("\n")
        places = [line for line in lines if line.startswith(("lab/reload:", "programs/map_reuse:"))]
        assert len(places) > 60
        for place in places[3::step]:
            argv = [*killed, f"SIGKILL@{place}", "reload", "lb"]
            done = subprocess.run(argv, cwd=ROOT, check=False, timeout=PATIENCE_S)
            assert done.returncode == -signal.SIGKILL, place
            served = stats()["completions"]
            netlab("run", "client", "--count", "3", "--sleep", "0.001", "--interval", "0.001")
            eventually(lambda: stats()["completions"] == served + 3)  # noqa: B023 - called here and now
            netlab("reload", "lb")
            now = standing("lb")
            assert set(now.attached.values()) == {now.programs["balancer"]}, place
            assert held("lb", "doors", "carriers") == [now.programs["egress_devmap"]] * 10, place


def test_the_dropper_changes_its_mind_in_the_middle(tmp_path: Path) -> None:
    """From one segment to the next the even ones pass instead of the odd ones; each is judged, none twice."""
    source = tmp_path / "dropper.c"
    text = Path(f"{ROOT}/bpf/dropper.c").read_text()
    source.write_text(text)
    even = "bpf_ntohl(tcp->seq) & 1 ? PASS_ODD"
    assert even in text
    with parta(
        "turning", "--set", f"nodes.server.xdp.program={source}", "--set", "nodes.client.autostart=false"
    ) as one:
        client = one.start("run", "client", "--count", "100000", "--delay", "0.02")
        eventually(lambda: one.reasons()["DROP_EVEN"] >= 5)
        source.write_text(text.replace(even, "!(bpf_ntohl(tcp->seq) & 1) ? PASS_ODD"))
        half = Path(f"/run/netlab/{one.name}/layouts/server.reload.json.1.new")
        half.touch()  # as one that is killed while it writes may leave
        one.netlab("reload", "server")
        assert not half.exists()
        turned_at = one.reasons()["DROP_EVEN"]
        eventually(lambda: one.reasons()["DROP_EVEN"] >= turned_at + 5)
        client.send_signal(signal.SIGINT)
        run = one.results(client.communicate(timeout=PATIENCE_S)[0])[0]
        counted = one.reasons()

    numbers = [byte.seq for byte in run.sent]
    turned = [(segment.verdict == "pass") != bool(segment.seq % 2) for segment in run.judged]
    assert [segment.seq for segment in run.judged] == numbers
    assert turned == sorted(turned)  # all by the old build, then all by the new one
    assert 10 <= sum(turned) <= len(numbers) - 10
    assert [segment.seq for segment in run.arrived] == [one.seq for one in run.judged if one.verdict == "pass"]
    assert counted["PASS_ODD"] + counted["DROP_EVEN"] == len(numbers)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("left",), "netlab: left has no program\n"),
        (("rigt",), "did you mean right?"),
        (("right", "--define", "9=1"), "expected NAME=VALUE, with a C constant's name, found '9=1'"),
        (("right", "--define", "TRACE"), "expected NAME=VALUE, with a C constant's name, found 'TRACE'"),
        (("right",), "mine.c: No such file or directory\n"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    """A node without a program, one that is not there, a constant without name or value, a source that is gone: 2."""
    with pair(tmp_path) as source:
        source.unlink()
        done = netlab("reload", *words, code=2)

    assert said in done.stderr


def test_a_define_holds_until_the_next_reload(tmp_path: Path) -> None:
    """`--define` overrides the topology's constants for one build; the next one has the topology's again."""

    def steps() -> int:
        before = seen()
        inside("left", "ping", "-c1", "right")
        return seen() - before

    source = COUNTING.replace("frames, 1", "frames, STEP")
    with pair(tmp_path, source, "--set", "nodes.right.xdp={program: ./mine.c, define: {STEP: 1000}}"):
        first = steps()
        netlab("reload", "right", "--define", "STEP=1000000")
        second = steps()
        netlab("reload", "right")
        third = steps()

    assert (first % 1000, second % 1000000, third % 1000) == (0, 0, 0)
    assert first < 1000000 <= second > third
    assert third < 1000000


def test_neighbours_are_made_ready_for_a_new_xdp_tx(tmp_path: Path) -> None:
    """They were made ready for what the program of `up` sends, so they get programs that pass; once."""
    with pair(tmp_path) as source:
        quiet = netlab("reload", "right").stderr
        before = inside("left", "ip", "link").stdout
        source.write_text(COUNTING.replace("XDP_PASS", "XDP_TX"))
        noted = netlab("reload", "right").stderr
        again = netlab("reload", "right").stderr
        after = inside("left", "ip", "link").stdout

    assert [0, 2] == [text.count("prog/xdp") for text in (before, after)]
    assert "left: pass attached to eth0, eth1 (native), for what right transmits" in noted
    assert "pass" not in quiet + again


def test_a_reload_that_fails_late_leaves_nothing_at_neighbours(tmp_path: Path) -> None:
    """What was made ready for its XDP_TX is taken off, and no pin of it stays."""
    said: list[str] = []
    with pair(tmp_path):
        there = Lab.read(LAB)
        before = os.listdir(f"/run/netlab/{LAB}/bpf"), noted_pins.read(there.record.folder)
        (program,) = there.record.nodes["right"].programs
        with store.locked(LAB, waiting=pytest.fail) as lock, ExitStack() as undo:
            pass_programs.make_ready(undo, there, "right", program, lock, said.append)
            ready = inside("left", "ip", "link").stdout
        after = os.listdir(f"/run/netlab/{LAB}/bpf"), noted_pins.read(there.record.folder)
        left = inside("left", "ip", "link").stdout

    assert [2, 0] == [text.count("prog/xdp") for text in (ready, left)]
    assert len(said) == 1
    assert before == after
