"""Programs of libbpf's dialect are the same on both runtimes, and beside one of bcc's."""

import json
from typing import Any

import pytest

from netlab.testing.waiting import eventually
from tests.lab.clang import needed
from tests.lab.lab import inside, netlab, texts

pytestmark = [pytest.mark.root, needed]

TOPOLOGY = """
name: dialects
nodes:
  a:
  fw:
    xdp:
      - {program: ./libbpf.c, interfaces: [eth0], define: {mark: 7}}
      - {program: ./bcc.c, interfaces: [eth1], define: {MARK: 8}}
    maps:
      blocked: {max_entries: 32, entries: {10.9.9.9: 1}}
links: [[a, fw], [a, fw]]
"""
LIBBPF = r"""
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "lab.h"

enum reason { PASS_SEEN, REASONS };
struct count { __u64 packets; __u64 bytes; };

const volatile int mark = 0;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, REASONS);
	__type(key, enum reason);
	__type(value, struct count);
} reasons SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2);
	__type(key, __be32);
	__type(value, __u32);
} blocked SEC(".maps");

SEC("xdp") int libbpf(struct xdp_md *ctx)
{
	enum reason reason = PASS_SEEN;
	__be32 own = MY_IP4;
	struct count *count = bpf_map_lookup_elem(&reasons, &reason);

	if (bpf_map_lookup_elem(&blocked, &own))
		return XDP_DROP;
	if (count) {
		count->packets++;
		count->bytes += ctx->data_end - ctx->data;
	}
	bpf_printk("marked %d", mark);
	return XDP_PASS;
}
char _license[] SEC("license") = "GPL";
"""
BCC = r"""
#include <uapi/linux/bpf.h>
#include "lab.h"
#include "verdict.h"

enum reason { PASS_SEEN, REASONS };

BPF_PERCPU_ARRAY(reasons, struct count, REASONS);
BPF_HASH(blocked, __be32, u32, 2);

int bcc(struct xdp_md *ctx)
{
	u32 reason = PASS_SEEN;
	__be32 own = MY_IP4;

	if (blocked.lookup(&own))
		return XDP_DROP;
	tally(reasons.lookup(&reason), ctx);
	trace("marked %d", MARK);
	return XDP_PASS;
}
"""
FILES = {"libbpf.c": LIBBPF, "bcc.c": BCC}
BOTH = {"fw/libbpf": ("10.0.0.2", "marked 7"), "fw/bcc": ("10.0.1.2", "marked 8")}


def shown(*words: str) -> Any:
    return json.loads(netlab(*words, "--format", "json").stdout)


@pytest.mark.parametrize("key", BOTH)
def test_packets_are_counted_by_reason_and_traced(one: str, key: str) -> None:
    """By the names that the program has for reasons; lines say whose they are."""
    address, text = BOTH[key]
    inside("a", "ping", "-c", "1", "-W", "5", address)

    assert shown("stats")["programs"][key]["reasons"]["PASS_SEEN"]["packets"] > 0
    eventually(lambda: text in texts("trace"), "the line of the program")
    assert f"{one}/{key} {text}" in netlab("trace").stdout


@pytest.mark.parametrize("key", BOTH)
def test_maps_are_sized_filled_and_changed(one: str, key: str) -> None:
    """As the topology says, whatever the source says; what is written decides about packets."""
    address = BOTH[key][0]
    found = shown("maps", key, "blocked")

    assert found["max_entries"] == 32
    assert [(each["key"], each["value"]) for each in found["entries"]] == [("10.9.9.9", 1)]
    netlab("maps", "set", key, "blocked", "10.0.0.2", "1")
    inside("a", "ping", "-c", "1", "-W", "1", address, code=1)
    netlab("maps", "delete", key, "blocked", "10.0.0.2")
    inside("a", "ping", "-c", "1", "-W", "5", address)


def test_all_are_renewed_together(one: str) -> None:
    """Maps of both keep their size and their entries."""
    said = netlab("reload", "fw").stderr

    assert "libbpf renewed on eth0" in said
    assert "bcc renewed on eth1" in said
    for key in BOTH:
        assert shown("maps", key, "blocked")["max_entries"] == 32
        assert [each["key"] for each in shown("maps", key, "blocked")["entries"]] == ["10.9.9.9"]
    assert {each["program"] for each in shown("programs", "fw")["programs"]} == {"libbpf", "bcc"}
