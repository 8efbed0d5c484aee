"""Maps are filled from the topology, shown by their types, watched, and changed by hand."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab.programs.maps import possible_cpus
from tests.lab.lab import LAB, background, inside, lab, netlab

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

PROGRAM = """
#include <uapi/linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in6.h>
#include <linux/ip.h>

enum state { IDLE, BUSY };
enum reason { PASSED, BLOCKED };
struct flow { __be32 saddr; __be16 port; u16 low:3, high:13; };
struct about { u64 packets; enum state state; char comm[8]; u8 mac[6]; struct in6_addr six; };
struct prefix { u32 length; u32 address; };

BPF_HASH(blocked, u32, u32, 64);
BPF_HASH(flows, struct flow, struct about, 64);
BPF_TABLE("lru_hash", u32, u64, recent, 64);
BPF_LPM_TRIE(networks, struct prefix, u32, 16);
BPF_DEVMAP(devices, 8);
BPF_XDP_REDIRECT_MAP("devmap", struct {u32 ifindex; u32 fd;}, leaving, 4);
BPF_PROG_ARRAY(calls, 4);
BPF_PERCPU_ARRAY(reasons, u64, 2);
BPF_TABLE("percpu_hash", u32, struct about, shares, 16);
BPF_ARRAY(numbers, int, 300);
BPF_QUEUE(waiting, u32, 4);
BPF_STACK(piled, u32, 4);
BPF_ARRAY(inner, u32, 4);
BPF_ARRAY_OF_MAPS(outer, "inner", 4);
BPF_CPUMAP(cpus, 4);
BPF_PERF_OUTPUT(events);

void reasons_by_name(enum reason *reason) {}
int egress_devmap(struct xdp_md *ctx) { return XDP_PASS; }
int other(struct xdp_md *ctx) { return XDP_DROP; }

int all(struct xdp_md *ctx)
{
    void *end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = (void *)(long)ctx->data;
    struct iphdr *ip = (void *)(eth + 1);
    if ((void *)(ip + 1) > end || eth->h_proto != htons(ETH_P_IP))
        return XDP_PASS;
    u32 from = ip->saddr;
    u32 is_blocked = blocked.lookup(&from) != NULL;
    u64 *count = reasons.lookup(&is_blocked);
    if (count)
        (*count)++;
    return is_blocked ? XDP_DROP : XDP_PASS;
}
"""
TOPOLOGY = """
name: maps
nodes:
  client: {}
  lb:
    xdp: {program: ./all.c, function: all}
    maps:
      blocked: {10.9.9.9: 1, client: 0x2}
      flows:
        "{saddr: client, port: 80, high: 9}":
          {packets: 5, state: BUSY, comm: hello, mac: client.eth0, six: "fd00::1"}
      networks: {10.0.0.0/8: 7, client: 3}
      devices: {entries: {0: client.eth0, 1: lb.eth1, 2: eth0}}
      leaving: {0: {interface: eth1, program: egress_devmap}, 1: client.eth0}
      calls: {1: other}
      shares: {1: {cpu0: {packets: 3}}, 2: {packets: 1}}
      numbers: [-1, 2]
      waiting: [1, 2]
      piled: [1, 2]
      inner: {2: 9}
      outer: {1: inner}
      recent: {worker: 12}
      cpus: {0: 128}
  worker: {}
links: [[client, lb], [lb, worker]]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "all.c").write_text(PROGRAM)
    return tmp_path


@pytest.fixture
def built(folder: Path) -> Iterator[str]:
    (folder / "lab.yml").write_text(TOPOLOGY)
    with lab(str(folder / "lab.yml")) as name:
        yield name


def view(name: str, *words: str) -> Any:
    return json.loads(netlab("maps", "lb", name, *words, "--json").stdout)


def entries(name: str, *words: str) -> dict[Any, Any]:
    return {json.dumps(each["key"]): each["value"] for each in view(name, *words)["entries"]}


def test_a_topology_fills_maps_of_every_kind(built: str) -> None:
    """Each value has the type that the program gives it; what is shown is by that type, too."""
    cpus = possible_cpus()
    about = {"packets": 0, "state": "IDLE", "comm": "", "mac": "00:00:00:00:00:00", "six": "::"}
    flow = json.dumps({"saddr": "10.0.0.1", "port": 80, "low": 0, "high": 9})

    assert entries("blocked") == {'"10.0.0.1"': 2, '"10.9.9.9"': 1}
    assert entries("flows") == {
        flow: {"packets": 5, "state": "BUSY", "comm": "hello", "mac": "02:6e:00:00:00:00", "six": "fd00::1"}
    }
    assert entries("networks") == {'"10.0.0.0/8"': 7, '"10.0.0.1/32"': 3}
    assert entries("devices") == {"0": "lb.eth0", "1": "lb.eth1", "2": "lb.eth0"}
    assert entries("leaving") == {"0": {"interface": "lb.eth1", "program": "egress_devmap"}, "1": "lb.eth0"}
    assert entries("calls") == {"1": "other"}
    assert entries("shares") == {"1": {**about, "packets": 3}, "2": {**about, "packets": cpus}}
    shares = {each["key"]: [one["packets"] for one in each["per_cpu"]] for each in view("shares")["entries"]}
    assert shares == {1: [3, *[0] * (cpus - 1)], 2: [1] * cpus}
    assert entries("numbers") == {"0": -1, "1": 2}
    assert (view("numbers")["zeros_left_out"], len(entries("numbers", "--all"))) == (298, 300)
    assert (len(entries("numbers", "--all", "--limit", "10")), view("numbers", "--limit", "1")["more"]) == (10, True)
    # bcc has no types for the values of queues: these are bytes as they are in memory
    assert [view(name)["entries"] for name in ("waiting", "piled")] == [
        [{"key": None, "value": f"0x{number.to_bytes(4, 'little').hex()}"}] for number in (1, 2)
    ]
    (outer,) = view("outer")["entries"]
    assert (outer["key"], outer["map"]["name"], outer["map"]["id"]) == (1, "inner", view("inner")["id"])
    assert [(each["key"], each["value"]) for each in outer["map"]["entries"]] == [(2, 9)]
    assert entries("recent") == {'"10.0.1.2"': 12}
    assert view("events")["problem"] == "its events are shown by: netlab maps --follow lb events"
    listed = {each["name"]: each for each in json.loads(netlab("maps", "--json").stdout)["maps"]}
    assert (listed["flows"]["kind"], listed["flows"]["key"], listed["flows"]["value"]) == (
        "hash",
        "struct flow",
        "struct about",
    )
    text = netlab("maps", "lb", "outer").stdout
    assert "1: lb: inner: array, int → __u32, at most 4 entries\n    2: 9\n" in text


def test_what_was_filled_works_from_the_first_packet_and_reload_keeps_it(built: str) -> None:
    """A reload keeps the maps as they are: it brings nothing back that was changed since."""
    inside("client", "ping", "-c", "2", "-i", "0.2", "-W", "1", "10.0.0.2", code=1)
    assert entries("reasons", "--all")['"BLOCKED"'] >= 2
    netlab("maps", "delete", "lb", "blocked", "client")
    netlab("maps", "set", "lb", "blocked", "10.9.9.9", "77")

    netlab("reload", "lb")

    assert entries("blocked") == {'"10.9.9.9"': 77}
    assert entries("calls") == {"1": "other"}
    inside("client", "ping", "-c", "1", "-W", "5", "10.0.0.2")


def test_entries_are_set_deleted_and_cleared(built: str) -> None:
    netlab("maps", "set", "lb", "flows", "{saddr: worker, port: 8}", "{packets: 2, state: BUSY}")
    netlab("maps", "set", "lb", "reasons", "BLOCKED", "[1, 2]" if possible_cpus() > 1 else "3")
    netlab("maps", "set", "lb", "waiting", "3")

    assert (
        json.loads(netlab("maps", "lb", "flows", "{saddr: worker, port: 8}", "--json").stdout)["value"]["packets"] == 2
    )
    assert entries("reasons") == {'"BLOCKED"': 3}
    netlab("maps", "delete", "lb", "flows", "{saddr: worker, port: 8}")
    assert len(entries("flows")) == 1
    netlab("maps", "delete", "lb", "waiting")
    assert netlab("maps", "clear", "lb", "waiting").stderr.endswith("waiting: 2 entries cleared\n")
    for name in ("flows", "networks", "numbers"):
        netlab("maps", "clear", "lb", name)
        assert entries(name) == {}
    netlab("maps", "set", "lb", "devices", "1", "worker.eth0")
    assert entries("devices")["1"] == "lb.eth1"


REFUSED = (
    ("lb bloked", 2, "lb has no map bloked; did you mean blocked?"),
    ("client", 2, "client has no program"),
    ("nobody", 2, "has no node nobody"),
    ("lb blocked 1.2.3.4", 1, "blocked of lb has no such key"),
    ("lb waiting 1", 2, "waiting is a queue, which has no keys"),
    ("set lb blocked 1", 2, "expected netlab maps set NODE MAP KEY VALUE, found netlab maps set lb blocked 1"),
    ("set lb blocked 1 -1", 2, "value -1: expected a number from 0 to 4294967295 for __u32, found -1"),
    ("set lb blocked x 1", 2, "key x: expected a number from 0 to 4294967295 for __u32, found 'x'"),
    ("set lb numbers 300 1", 2, "key 300: expected a number from 0 to 299, as numbers has no more"),
    ("set lb calls 1 al", 2, "value al: expected a program of lb, found 'al' (did you mean 'all'?)"),
    ("set lb devices 1 nowhere", 2, "an interface of lb, found 'nowhere' (it has lb.eth0, lb.eth1)"),
    ("set lb events 1 1", 2, "events of lb has events, and no entries: netlab maps --follow lb events"),
    ("delete lb numbers 1", 1, "entries of an array are always there"),
    ("delete lb blocked 9", 1, "blocked of lb has no such key"),
    ("--watch lb", 2, "--watch needs a map"),
    ("lb blocked 1 2", 2, "maps takes NODE, MAP and KEY, or first set, delete, clear"),
)


def test_what_does_not_fit_is_refused(built: str) -> None:
    before = {name: view(name) for name in ("blocked", "numbers", "calls", "devices")}

    for words, code, message in REFUSED:
        assert message in netlab("maps", *words.split(), code=code).stderr

    assert before == {name: view(name) for name in before}


def test_watching_shows_what_changes_and_how_fast(built: str) -> None:
    netlab("maps", "delete", "lb", "blocked", "client")
    pinging = background("client", ["ping", "-i", "0.1", "10.0.0.2"])
    try:
        lines = netlab("maps", "--watch", "--for", "2", "--every", "0.5", "--json", "lb", "reasons").stdout.splitlines()
        text = netlab("maps", "--watch", "--for", "1", "lb", "reasons", "PASSED").stdout
    finally:
        pinging.terminate()
        pinging.communicate()

    changes = [json.loads(each) for each in lines]
    assert {(each["key"], each["what"]) for each in changes} == {("PASSED", "changed")}
    assert sum(each["value"] - each["before"] for each in changes) > 5
    for each in changes:
        assert each["per_second"][""] > 0
    assert " PASSED: " in text
    assert "/s)" in text


def test_entries_that_do_not_fit_are_refused_with_their_places(folder: Path) -> None:
    """What only the loaded program can tell is told when it is loaded; nothing of the lab is left then."""
    (folder / "bad.yml").write_text("""
name: maps
nodes:
  a: {}
  lb:
    xdp: {program: ./all.c, function: all}
    maps:
      flow: {1: 1}
      blocked: {1: -1, 2: 1, 0x2: 2}
      numbers: {300: 1}
      piled: [1, 2, 3, 4, 5]
      waiting: {0: 1}
      calls: {0: nothing}
links: [[a, lb]]
""")

    said = netlab("up", str(folder / "bad.yml"), "--lab", LAB, code=2).stderr

    no_keys = "expected a list of values, as waiting is a queue, which has no keys"
    assert [line.partition("bad.yml:")[2] for line in said.splitlines() if "bad.yml:" in line] == [
        "8:7: nodes.lb.maps.flow: expected a map of the program on lb, found 'flow' (did you mean 'flows'?)",
        "9:20: nodes.lb.maps.blocked.1: expected a number from 0 to 4294967295 for __u32, found -1",
        "9:30: nodes.lb.maps.blocked.0x2: expected each key once, found 0x2 (line 9 has the same one)",
        "10:17: nodes.lb.maps.numbers.300: expected a number from 0 to 299, as numbers has no more entries, found 300",
        "11:7: nodes.lb.maps.piled: expected at most 4 entries, found 'piled' (there are 5)",
        f"12:16: nodes.lb.maps.waiting: {no_keys}, found a mapping",
        "13:18: nodes.lb.maps.calls.0: expected a program of lb, found 'nothing' (known: all, egress_devmap, other)",
    ]
    assert "netlab: 7 mistakes in " in said


TWO = """
name: two
nodes:
  a: {}
  fw:
    xdp:
      - {program: ./all.c, function: all, interfaces: [eth0], name: outside}
      - {program: ./other.c, interfaces: [eth1]}
    maps: {blocked: {client: 1, 10.9.9.9: 2}, own: [7]}
  client: {}
links: [[a, fw], [fw, client]]
"""
OTHER = """
#include <uapi/linux/bpf.h>

BPF_HASH(blocked, u32, u64, 64);
BPF_ARRAY(own, u32, 4);

int other(struct xdp_md *ctx)
{
    u32 key = 0;
    u64 *value = blocked.lookup(&key);
    u32 *number = own.lookup(&key);
    return value && number ? XDP_DROP : XDP_PASS;
}
"""


def test_each_of_several_programs_has_maps_of_its_own(folder: Path) -> None:
    """Entries go into the maps of this name of all programs of the node, each by its own types."""
    (folder / "other.c").write_text(OTHER)
    (folder / "two.yml").write_text(TWO)
    with lab(str(folder / "two.yml")):
        for program, value in (("fw/outside", "__u32"), ("fw/other", "__u64")):
            found = json.loads(netlab("maps", program, "blocked", "--json").stdout)
            assert (found["program"], found["value"]) == (program, value)
            assert {each["key"]: each["value"] for each in found["entries"]} == {"10.0.1.2": 1, "10.9.9.9": 2}
        refused = netlab("maps", "fw", "blocked", code=2).stderr
        netlab("maps", "set", "fw/other", "blocked", "10.9.9.9", str(1 << 40))
        only_there = netlab("maps", "fw", "own").stdout
        listed = {each["program"] for each in json.loads(netlab("maps", "fw", "--json").stdout)["maps"]}
        loaded = json.loads(netlab("programs", "fw/other", "--json").stdout)["programs"]
        counted = json.loads(netlab("stats", "--format", "json").stdout)["programs"]

    assert "several programs of fw have a map blocked: name one of fw/outside, fw/other" in refused
    assert only_there.splitlines()[:2] == ["fw/other: own: array, int → __u32, at most 4 entries", "  0: 7"]
    assert listed == {"fw/outside", "fw/other"}
    assert [(each["node"], each["program"], each["interfaces"]) for each in loaded] == [("fw", "other", ["eth1"])]
    assert counted["fw/other"]["counters"] == {"own": {"0": 7}}
