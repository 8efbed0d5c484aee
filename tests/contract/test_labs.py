"""A lab's network, programs, processes, logs and verbs are the same on both runtimes."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from netlab.testing.waiting import eventually
from tests.contract.demos import DEMOS, played
from tests.lab.lab import PARTB, ROOT, frozen, inside, lab, netlab, pids, stats, texts

pytestmark = pytest.mark.root

# A role and a program beside the topology, a switch, a router, every setting of a node.
TOPOLOGY = """
name: labs
nodes:
  late:
    role: counter
    after: [early]
    env: {COLOUR: blue}
    args: {upto: 3}
  early:
    command: [sh, -c, "echo begun; echo bad >&2; ls count.c; exec sleep inf"]
  router: {xdp: count, sysctls: {net.ipv4.ip_default_ttl: 77}}
  hub: {kind: switch}
  other: {role: counter, autostart: false, args: {upto: 1}, routes: [{to: 192.0.2.0/24, via: 10.0.1.1}]}
links:
  - [late, hub]
  - [early, hub]
  - [router, hub]
  - endpoints: [{node: router, interface: up0, address: 10.0.1.1/24, mac: "02:00:00:00:00:0a"}, other]
    mtu: 1400
"""
COUNT = r"""
#include <uapi/linux/bpf.h>
int count(struct xdp_md *ctx)
{
	bpf_trace_printk("frame of %d bytes", (int)(ctx->data_end - ctx->data));
	return XDP_PASS;
}
"""
COUNTER = """
import os, signal, sys, time
from netlab import options
from netlab.role import say
OPTIONS = {"upto": {"type": "integer", "required": True, "help": "how far"}, "leave": {"type": "flag"}}
CAPABILITIES = ["SYS_NICE"]
args = options.parse(OPTIONS, "counts")
for number in range(args.upto):
    say(f"number {number} {os.environ.get('COLOUR', '')}")
if not args.leave:
    say("READY")
    signal.sigwait({signal.SIGTERM})
sys.exit(4)
"""


FILES = {"count.c": COUNT, "counter.py": COUNTER}


def network(node: str) -> dict[str, Any]:
    """Return what a node has of links, addresses and routes, without what is chosen anew by the kernel."""
    addresses = json.loads(inside(node, "ip", "-j", "-d", "addr").stdout)
    routes = [json.loads(inside(node, "ip", "-j", version, "route").stdout) for version in ("-4", "-6")]
    about = ("ifname", "ifindex", "address", "mtu", "master", "link_index")
    return {
        "interfaces": [
            {name: each.get(name) for name in about}
            | {"addresses": sorted(f"{one['local']}/{one['prefixlen']}" for one in each["addr_info"])}
            for each in addresses
        ],
        "routes": [sorted((each["dst"], each.get("gateway"), each["dev"]) for each in kind) for kind in routes],
    }


def test_interfaces_are_those_of_the_plan(one: str) -> None:
    """Names, indexes, MACs, MTUs and addresses of every node are those in the lab's file."""
    with open(f"/run/netlab/{one}/lab.json", encoding="utf-8") as file:
        nodes = json.load(file)["nodes"]
    for node, about in nodes.items():
        found = {each["ifname"]: each for each in network(node)["interfaces"]}
        assert {"lo", *about["interfaces"]} | ({"br0"} if about["kind"] == "switch" else set()) == set(found)
        for name, wanted in about["interfaces"].items():
            assert [found[name][key] for key in ("ifindex", "address", "mtu")] == [
                wanted[key] for key in ("index", "mac", "mtu")
            ]
            assert set(wanted["addresses"]) <= set(found[name]["addresses"])


def test_loopback_has_both_protocols(one: str) -> None:
    """A node can speak to itself."""
    for node in ("late", "hub"):
        assert {"127.0.0.1/8", "::1/128"} == set(network(node)["interfaces"][0]["addresses"])


def test_packets_pass_switch_and_router(one: str) -> None:
    """By the routes that were chosen, in both protocols."""
    inside("late", "ping", "-c", "1", "-W", "5", "early")
    inside("late", "ping", "-c", "1", "-W", "5", "other")
    inside("other", "ping", "-6", "-c", "1", "-W", "5", "early")


def test_sysctls(one: str) -> None:
    """Those of the file and those of the plan; they are of this node alone."""
    read = ("cat", "/proc/sys/net/ipv4/ip_default_ttl", "/proc/sys/net/ipv4/ip_forward")

    assert inside("router", *read).stdout.split() == ["77", "1"]
    assert inside("late", *read).stdout.split() == ["64", "0"]


def test_program_is_attached_natively(one: str) -> None:
    """On each of the node's interfaces; what it prints is in the trace, with the lab's name."""
    links = json.loads(inside("router", "ip", "-j", "-d", "link").stdout)

    assert [1, 1] == [each["xdp"]["mode"] for each in links if each["ifname"] in ("eth0", "up0")]
    inside("late", "ping", "-c", "1", "-W", "5", "-s", "100", "router")
    eventually(lambda: "frame of 142 bytes" in texts("trace"))


def test_processes_start_in_their_order_and_are_logged(one: str) -> None:
    """What they print, both outputs and READY, is in the logs; `status` says what they are doing."""
    assert sorted(texts("logs", "early")[1:]) == ["bad", "begun", "count.c"]
    assert texts("logs", "late")[1:] == ["number 0 blue", "number 1 blue", "number 2 blue", "ready"]
    lines = [json.loads(line) for line in netlab("logs", "--format", "json").stdout.splitlines()]
    assert {"bad": "err", "begun": "out"} == {
        line["text"]: line["stream"] for line in lines if line["text"] in ("bad", "begun")
    }
    first = {node: next(line["time_ns"] for line in lines if line["node"] == node) for node in ("early", "late")}
    assert first["early"] < first["late"]
    found = json.loads(netlab("status", "--format", "json").stdout)
    assert found["state"] == "up"
    states = {node: about["process"] and about["process"]["state"] for node, about in found["nodes"].items()}
    assert states == {"late": "running", "early": "running", "router": None, "hub": None, "other": "not started"}


def test_status_measures_the_process_itself(one: str) -> None:
    """Its id is that of the role, as the host sees it, and not of somebody who has started it."""
    process = json.loads(netlab("status", "--format", "json").stdout)["nodes"]["late"]["process"]
    with open(f"/proc/{process['pid']}/cmdline", encoding="utf-8") as file:
        words = file.read().split("\0")

    assert words[1].endswith("/counter.py")
    assert process["rss_bytes"] > 1_000_000


def test_run_starts_a_role_that_does_not_start_by_itself(one: str) -> None:
    """In the foreground, with other options behind its own, and its exit code is that of `run`."""
    shown = netlab("run", "other", "--upto", "2", "--leave", code=4).stdout

    assert shown == "number 0 \nnumber 1 \n"


def test_a_process_that_ends_is_seen(runtime: str, tmp_path: Path) -> None:
    """By its exit code, or by the signal that has ended it."""
    topology = tmp_path / "ends.yml"
    commands = {"by-itself": "exit 3", "killed": "kill -9 $$", "waits": "sleep inf & wait"}
    once = "until [ -e begun ]; do sleep 0.01; done"  # and not while the lab is being built
    nodes = {name: {"command": ["sh", "-c", f"{once}; {command}"]} for name, command in commands.items()}
    topology.write_text(json.dumps({"name": "ends", "nodes": nodes}))
    with lab(str(topology), "--runtime", runtime, name="ends"):
        (tmp_path / "begun").touch()

        def states() -> dict[str, tuple[str, int]]:
            nodes = json.loads(netlab("status", "--format", "json", code=None).stdout)["nodes"]
            return {name: (about["process"]["state"], about["process"]["code"]) for name, about in nodes.items()}

        eventually(lambda: states() == {"by-itself": ("exited", 3), "killed": ("killed", 9), "waits": ("running", 0)})
        pid = json.loads(netlab("status", "--format", "json", code=1).stdout)["nodes"]["waits"]["process"]["pid"]
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: states()["waits"] == ("killed", signal.SIGTERM))


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"command": ["nosuch"]}, "node: command nosuch: no such command"),
        ({"command": ["./lab.yml"]}, "node: command ./lab.yml: cannot be executed"),
        ({"role": "./bad.py"}, "node ended with exit code 3 before it said READY"),
        ({"command": ["sh", "-c", "echo broken; exit 3"]}, "node ended with exit code 3 before the lab was complete"),
        ({"command": ["true"]}, "node ended with exit code 0 before the lab was complete"),
    ],
)
def test_what_cannot_start_ends_up(runtime: str, tmp_path: Path, node: dict[str, Any], message: str) -> None:
    """With exit code 1, the reason, and nothing left."""
    (tmp_path / "bad.py").write_text("raise SystemExit(3)")
    topology = tmp_path / "lab.yml"
    topology.write_text(json.dumps({"name": "fails", "nodes": {"node": node}}))
    said = []

    def fails() -> bool:
        """Say whether `up` fails; a process that a busy machine gives no time to end at once counts as there."""
        up = netlab("up", str(topology), "--lab", "fails", "--runtime", runtime, code=None)
        said.append(up.stderr)
        if up.returncode == 0:
            netlab("down", "fails")
        return up.returncode == 1

    eventually(fails)
    assert message in said[-1]


def test_a_process_that_may_end_is_told_and_no_failure(runtime: str, tmp_path: Path) -> None:
    """Neither for `up` nor for `status`, whatever its exit code; those after it start."""
    topology = tmp_path / "lab.yml"
    once = {"command": ["sh", "-c", "exit 3"], "may_exit": True}
    later = {"command": ["sleep", "inf"], "after": "once"}
    topology.write_text(json.dumps({"name": "ends", "nodes": {"once": once, "later": later}}))
    try:
        said = netlab("up", str(topology), "--lab", "ends", "--runtime", runtime).stderr
        nodes = json.loads(netlab("status", "ends", "--format", "json").stdout)["nodes"]
    finally:
        netlab("down", "ends")

    assert "netlab: ends: once has ended with exit code 3\n" in said
    assert [("exited", 3), ("running", 0)] == [
        (nodes[name]["process"]["state"], nodes[name]["process"]["code"]) for name in ("once", "later")
    ]


def test_a_second_up_and_a_second_down(runtime: str, tmp_path: Path) -> None:
    """Do nothing, and say so."""
    topology = tmp_path / "lab.yml"
    topology.write_text("{name: twice, nodes: {a: {command: [sleep, inf]}}}")
    up = ("up", str(topology), "--lab", "twice", "--runtime")
    try:
        netlab(*up, runtime)
        assert "twice is up already" in netlab(*up, runtime).stderr
        other = "netns" if runtime == "docker" else "docker"
        assert "down --lab twice first" in netlab(*up, other, code=1).stderr
    finally:
        assert "twice is down" in netlab("down", "--lab", "twice").stderr
    assert "nothing of it is left" in netlab("down", "--lab", "twice").stderr


def test_balancer_serves_and_counts(runtime: str) -> None:
    """Part B: requests are served, `stats` counts them, and `run` sends more."""
    with lab(PARTB, "--runtime", runtime, "--set", "nodes.client.args.count=5", name="served"):
        with frozen(*pids("worker1", "worker2", "worker3")):
            netlab("run", "client", "--count", "20", "--sleep", "0", "--interval", "0")
            eventually(lambda: stats()["queue_depth"] >= 5)
        eventually(lambda: stats()["completions"] == 25)
        found = stats()

        assert (found["received"], found["dropped"], found["queue_depth"]) == (25, 0, 0)
        assert found["queued"] == found["dequeued"] > 0


@pytest.mark.parametrize("demo", DEMOS)
def test_demos(runtime: str, demo: str) -> None:
    """Every claim of both exercises holds."""
    found = played(demo, runtime)

    assert len(found["claims"]) >= 12
    assert [] == [claim for claim in found["claims"] if not claim["holds"]]


def test_a_balancer_of_ones_own_is_judged(runtime: str) -> None:
    """One that shares nothing with netlab's, from packets alone."""
    words = (f"{ROOT}/tests/lab/students/student.yml", "--lab", "student", "--runtime", runtime, "--format", "json")
    found = json.loads(netlab("demo", "partb-high", *words).stdout)

    assert {"met"} == {claim["verdict"] for claim in found["claims"]}


def test_a_limit_beyond_the_host_is_none(runtime: str, tmp_path: Path) -> None:
    """A file that was written for a larger machine works here too."""
    topology = tmp_path / "large.yml"
    limits = {"cpu": (os.cpu_count() or 1) + 1.5, "memory": "64M"}
    topology.write_text(json.dumps({"name": "large", "nodes": {"a": {"limits": limits}}}))
    with lab(str(topology), "--runtime", runtime, name="large"):
        assert inside("a", "echo", "here").stdout == "here\n"
