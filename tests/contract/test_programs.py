"""Several programs in a node are the same on both runtimes: one of them balances, the others count, each by its key."""

import json
from typing import Any

import pytest

from netlab.testing.waiting import eventually
from tests.lab.lab import inside, netlab, stats, texts

pytestmark = pytest.mark.root

TOPOLOGY = """
name: programs
nodes:
  client: {role: client, args: {target: "lb:8080", count: 6, interval: 0, sleep: 0}, after: [lb, worker]}
  lb:
    role: balancer
    args: {backends: worker, capacity: 2}
    xdp:
      - {program: balancer, interfaces: [eth0, eth1, eth2]}
      - {program: ./seen.c, function: seen, interfaces: [eth3], define: {AT: 3}}
      - {program: ./seen.c, name: generic, interfaces: [eth4], mode: generic, define: {AT: 4}}
  worker: {replicas: 2, role: worker, args: {balancer: "lb:9090"}}
  a:
  b:
links: [[client, lb], [worker, lb], [a, lb], [b, lb]]
"""
SEEN = r"""
#include <uapi/linux/bpf.h>
#include "verdict.h"

enum reason { PASS_SEEN, REASONS };

BPF_ARRAY(reasons, struct count, REASONS);

int seen(struct xdp_md *ctx)
{
	u32 reason = PASS_SEEN;

	tally(reasons.lookup(&reason), ctx);
	trace("at eth%d", AT);
	return ctx->data_end - ctx->data > 1000 ? 9 : XDP_PASS;
}
"""
FILES = {"seen.c": SEEN}
KEYS = ["lb/balancer", "lb/seen", "lb/generic"]


def shown(*words: str) -> Any:
    return json.loads(netlab(*words, "--format", "json").stdout)


def test_the_balancer_is_one_of_them(one: str) -> None:
    """Its role finds it among the programs of its node, and `netlab balancer` by its key."""
    eventually(lambda: stats("lb/balancer")["completions"] == 6, "all requests are done")
    counted = stats("lb/balancer")
    said = netlab("balancer", "drain", "worker1", "--node", "lb/balancer").stderr
    netlab("balancer", "undrain", "worker1", "--node", "lb")
    wrong = netlab("balancer", "drain", "worker1", "--node", "lb/seen", code=2).stderr

    assert counted["received"] == counted["forwarded"] + counted["queued"] == 6
    assert f"netlab: {one}: lb/balancer: worker1 drained" in said
    assert "lb/seen carries no balancer; lb/balancer does" in wrong


def test_each_counts_and_prints_for_itself(one: str) -> None:
    inside("a", "ping", "-c", "1", "-W", "5", "lb")
    inside("b", "ping", "-c", "1", "-W", "5", "lb")
    counted = shown("stats")["programs"]
    lines = [json.loads(line) for line in netlab("trace", "--format", "json").stdout.splitlines()]

    assert ["lb/seen", "lb/generic"] == list(counted)
    assert all(counted[key]["reasons"]["PASS_SEEN"]["packets"] for key in counted)
    told = {(line["program"], line["text"]) for line in lines if line["text"].startswith("at eth")}
    assert told == {("lb/seen", "at eth3"), ("lb/generic", "at eth4")}
    assert f"{one}/lb/seen at eth3" in netlab("trace").stdout


def test_what_the_kernel_loses_is_counted_for_each(one: str) -> None:
    """In native mode and in generic mode, where the program returns no action of XDP's."""
    for node in ("a", "b"):
        inside(node, "ping", "-c", "1", "-W", "0.1", "-s", "1000", "lb", code=1)
    lost = shown("stats")["xdp_losses"]
    lines = [json.loads(line) for line in netlab("timeline", "--format", "json").stdout.splitlines()]

    what = {"reason": "unknown-action", "frames": 1, "detail": 9}
    places = [("lb/seen", "eth3"), ("lb/generic", "eth4")]
    assert [{"node": "lb", "program": key, "interface": eth, **what} for key, eth in places] == [
        {key: each[key] for key in ("node", "program", "interface", *what)} for each in lost
    ]
    assert [key for key, _ in places] == [line["program"] for line in lines if line["stream"] == "xdp"]


def test_one_is_reloaded_alone(one: str) -> None:
    said = netlab("reload", "lb/seen", "--define", "AT=7").stderr
    inside("a", "ping", "-c", "1", "-W", "5", "lb")
    netlab("reload", "lb")

    assert f"netlab: {one}: lb: seen renewed on eth3 after " in said
    assert "at eth7" in texts("trace")
    assert [each["program"] for each in shown("status")["nodes"]["lb"]["programs"]] == KEYS
