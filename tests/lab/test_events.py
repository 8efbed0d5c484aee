"""Programs of both dialects, and a ready object, put events into maps; people see them by their fields."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab import clang
from tests.lab.lab import LAB, frozen, inside, lab, netlab, started

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="labs need root"), clang.needed]

BODY = """
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = data + sizeof(*eth);
	if ((void *)(ip + 1) > end || eth->h_proto != __builtin_bswap16(ETH_P_IP))
		return XDP_PASS;
"""
BCC = f"""
#include <uapi/linux/bpf.h>
#include <uapi/linux/if_ether.h>
#include <uapi/linux/ip.h>
enum kind {{ QUIET, ARRIVED, LEFT }};
struct seen {{ u32 saddr; u16 length; u8 mac[6]; enum kind kind; u32 more; }};
typedef struct {{ u64 length; }} small_t;
BPF_PERF_OUTPUT(events);
BPF_RINGBUF_OUTPUT(smalls, 8);
BPF_HASH(table, u32, u32);
int one(struct xdp_md *ctx)
{{{BODY}
	struct seen seen = {{}};
	seen.saddr = ip->saddr;
	seen.length = end - data;
	__builtin_memcpy(seen.mac, eth->h_source, 6);
	seen.kind = ARRIVED;
	small_t small = {{ .length = end - data }};
	events.perf_submit(ctx, &seen, sizeof(seen));
	smalls.ringbuf_output(&small, sizeof(small), 0);
	return XDP_PASS;
}}
"""
LIBBPF = f"""
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_helpers.h>
struct first {{ __u32 saddr; __u32 length; }};
struct declared {{ __u64 count; char name[8]; }};
struct meta {{ __u32 length; }};
struct {{ __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 18); }} ring SEC(".maps");
struct {{
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
	__type(value, struct declared);
}} named SEC(".maps");
struct {{
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
}} packets SEC(".maps");
__u64 sent = 0, failed = 0;
static long again(__u32 number, void *unused)
{{
	struct first event = {{ .length = number }};
	if (bpf_ringbuf_output(&ring, &event, sizeof(event), 0))
		__sync_fetch_and_add(&failed, 1);
	else
		__sync_fetch_and_add(&sent, 1);
	return 0;
}}
SEC("xdp") int two(struct xdp_md *ctx)
{{{BODY}
	struct first *event = bpf_ringbuf_reserve(&ring, sizeof(*event), 0);
	if (event) {{
		event->saddr = ip->saddr;
		event->length = end - data;
		bpf_ringbuf_submit(event, 0);
	}}
	struct declared other = {{ 1, "name" }};
	bpf_ringbuf_output(&named, &other, sizeof(other), 0);
	struct meta meta = {{ .length = end - data }};
	bpf_perf_event_output(ctx, &packets, BPF_F_CURRENT_CPU | (14ULL << 32), &meta, sizeof(meta));
	return XDP_PASS;
}}
SEC("xdp") int flood(struct xdp_md *ctx)
{{{BODY}
	bpf_loop(MANY, again, 0, 0);
	struct meta meta = {{ .length = end - data }};
	for (int i = 0; i < 2000; i++)
		bpf_perf_event_output(ctx, &packets, BPF_F_CURRENT_CPU | (400ULL << 32), &meta, sizeof(meta));
	return XDP_PASS;
}}
char _license[] SEC("license") = "GPL";
"""
MANY = 5000
TOPOLOGY = """
name: events
nodes:
  a:
  b:
    xdp:
      - {program: ./one.c, interfaces: [eth0]}
      - {program: ./two.bpf.c, name: source, function: two, interfaces: [eth1], define: {MANY: 5000}}
      - {program: ./two.bpf.o, name: object, function: two, interfaces: [eth2]}
      - {program: ./two.bpf.c, name: flood, function: flood, interfaces: [eth3], define: {MANY: 5000}}
    maps: {packets: {type: struct meta}}
  c:
    xdp: {program: ./one.c}
    maps: {smalls: {follow: false}}
links: [[a, b], [a, b], [a, b], [a, b], [a, c]]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a lab that stands. Somebody follows until it is down, who is told so."""
    made: Path = tmp_path_factory.mktemp("events")
    (made / "lab.yml").write_text(TOPOLOGY)
    (made / "one.c").write_text(BCC)
    (made / "two.bpf.c").write_text(LIBBPF)
    shown = "\nconst struct meta *unused __attribute__((unused));\n"
    clang.compiled(LIBBPF + shown, made / "two.bpf.o", f"-DMANY={MANY}")
    with lab(str(made / "lab.yml")), following("c") as last:
        yield made
        netlab("down")
        assert last.wait(PATIENCE_S) == 0
        assert "is down" in (last.stderr.read() if last.stderr else "")
    assert not os.path.exists(f"/run/netlab/{LAB}")


@contextmanager
def following(*words: str) -> Iterator["subprocess.Popen[str]"]:
    """Follow events, which are printed as JSON; it has begun when this begins."""
    process = started("maps", "--follow", *words, "--json")
    try:
        assert process.stderr
        assert "events of" in process.stderr.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def next_of(process: "subprocess.Popen[str]") -> Any:
    assert process.stdout
    return json.loads(process.stdout.readline())


def ping(number: int, *more: str) -> bool:
    """Send a packet over a link; return True, for conditions that it is to bring about."""
    inside("a", "ping", "-c", "1", "-W", "5", *more, f"10.0.{number}.2")
    return True


def told(key: str, name: str) -> list[Any]:
    """Return the events of a map in the timeline."""
    lines = map(json.loads, netlab("timeline", "--json", key).stdout.splitlines())
    return [line["event"] for line in lines if "event" in line and line["event"]["map"] == name]


def test_both_dialects_show_events_by_their_fields(folder: Path) -> None:
    """Whoever follows sees them, and they are in the timeline; a second reader takes none away from the first."""
    with following("b/one") as one, following() as everything, following("b/source", "ring") as ring:
        ping(0)
        found = {each["map"]: each for each in (next_of(one), next_of(one))}
        event = found["events"]
        value = {"saddr": "10.0.0.1", "length": 98, "kind": "ARRIVED", "more": 0}
        assert ("b", "b/one", "struct seen", 1) == (event["node"], event["program"], event["type"], event["version"])
        assert value == {name: each for name, each in event["value"].items() if name != "mac"}
        assert re.fullmatch("(..:){5}..", event["value"]["mac"])
        assert event["cpu"] in range(os.cpu_count() or 1)
        assert ({"length": 98}, None) == (found["smalls"]["value"], found["smalls"]["cpu"])
        assert event["value"] in [each["value"] for each in (next_of(everything), next_of(everything))]
        ping(1)
        assert {"saddr": "10.0.1.1", "length": 98} == next_of(ring)["value"]
    ping(2)
    for key in ("b/source", "b/object"):
        eventually(lambda key=key: told(key, "packets"), "the event of a packet")  # type: ignore[misc]
        packet, declared = told(key, "packets")[-1], told(key, "named")[-1]
        assert ("struct meta", {"length": 98}) == (packet["type"], packet["value"])
        assert packet["rest"].startswith("0x026e")
        assert ({"count": 1, "name": "name"}, "struct declared") == (declared["value"], declared["type"])
    number = told("b/object", "ring")[-1]
    assert (None, "0x0a000201") == (number["type"], number["value"][:10])  # the object's BTF does not name it
    line = next(line for line in netlab("timeline").stdout.splitlines() if "b/source" in line and "ring" in line)
    assert "ring: struct first {saddr: 10.0.1.1, length: 98}" in line


def test_maps_of_events_are_named_as_such(folder: Path) -> None:
    """And what is no map of events, or is not read, is refused by its name."""
    listed = {each["name"]: each for each in json.loads(netlab("maps", "b/source", "--json").stdout)["maps"]}
    assert ("ringbuf", "struct first") == (listed["ring"]["kind"], listed["ring"]["value"])
    assert "netlab maps --follow b/one events" in netlab("maps", "b/one", "events").stdout
    assert "netlab maps --follow b/one shows: events (perf_output), smalls (ringbuf)" in netlab("stats").stdout
    for words, code, why in (
        (("b", "nothing"), 2, "expected a ring buffer or a perf event array nothing of b"),
        (("b/one", "table"), 2, "--watch shows what changes"),
        (("a",), 2, "a has no program"),
        (("c", "smalls"), 2, "follow: false"),
        (("b", "ring", "5"), 2, "takes NODE and MAP"),
        (("b", "--watch"), 2, "found both"),
    ):
        assert why in netlab("maps", "--follow", *words, code=code).stderr


def counted(name: str) -> int:
    found = json.loads(netlab("maps", "b/flood", "bss", "--json").stdout)["entries"]
    return int(found[0]["value"][name])


def lost(name: str) -> int:
    """Return how many events of a map are said to be lost."""
    lines = re.findall(rf"([\d,]+) events? of b/flood/{name} lost", netlab("timeline").stdout)
    return sum(int(each.replace(",", "")) for each in lines)


def reader() -> int:
    """Return the process that reads events."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            if b"event_collector" in file.read() and os.readlink(f"/proc/{pid}/cwd") == f"/run/netlab/{LAB}":
                return int(pid)
    return 0


def test_every_event_of_a_flood_is_told_or_counted(folder: Path) -> None:
    """What the kernel has lost of perf events while nobody could read them is counted, too."""
    with frozen(reader()):
        ping(3, "-s", "500")
    eventually(lambda: len(told("b/flood", "ring")) + lost("ring") == counted("sent"), "all of the ring buffer")
    assert counted("sent") >= MANY
    eventually(lambda: len(told("b/flood", "packets")) + lost("packets") == 2000, "all of the perf event array")
    assert lost("packets") > 0


def test_a_new_build_has_its_own_types_and_readers_go_on(folder: Path) -> None:
    """Its maps are the old ones; what they hold is read by what the new source says."""
    source = folder / "one.c"
    source.write_text(
        BCC.replace("u32 more", "u16 port; u16 last").replace("seen.kind =", "seen.last = 7; seen.kind =")
    )
    with following("b/one", "events") as one:
        ping(0)
        assert "more" in next_of(one)["value"]
        assert "3 maps kept" in netlab("reload", "b/one").stderr
        eventually(lambda: ping(0) and next_of(one)["value"].get("last") == 7, "events of the new build")


def test_a_reader_that_is_killed_is_started_again(folder: Path) -> None:
    """It says so; the array gets new descriptors, and what waits in a ring buffer is not lost."""
    before = reader()
    os.kill(before, signal.SIGKILL)
    eventually(lambda: reader() not in (0, before), "another reader")
    assert "the reader of events has ended" in netlab("timeline").stdout
    with following("b/one", "events") as one:
        ping(0)
        eventually(lambda: ping(0) and next_of(one)["map"] == "events", "events of a perf event array")


def test_a_reader_whose_output_is_closed_ends_quietly(folder: Path) -> None:
    with following("b/one") as one:
        assert one.stdout
        one.stdout.close()
        one.stdout = None
        eventually(lambda: ping(0) and one.poll() is not None, "its end")
        assert "Traceback" not in (one.stderr.read() if one.stderr else "")
