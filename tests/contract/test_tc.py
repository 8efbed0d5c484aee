"""tc programs are the same on both runtimes and in both dialects: beside XDP, on the way in and on the way out."""

import json
from typing import Any

import pytest

from netlab.testing.waiting import eventually
from tests.lab.clang import needed
from tests.lab.lab import inside, netlab, texts

pytestmark = [pytest.mark.root, needed]

TOPOLOGY = """
name: hooks
nodes:
  a:
  fw:
    xdp: {program: pass, interfaces: [eth0]}
    tc:
      ingress: [{program: ./in.c, interfaces: [eth0]}]
      egress: {program: ./out.c, interfaces: [eth0], define: {MARK: 8}}
    maps: {blocked: {max_entries: 32, entries: {10.9.9.9: 1}}}
links: [[a, fw], [a, fw]]
"""
IN = r"""
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2);
	__type(key, __be32);
	__type(value, __u32);
} blocked SEC(".maps");

SEC("tc") int in(struct __sk_buff *skb)
{
	struct iphdr *ip = (void *)(long)skb->data + sizeof(struct ethhdr);

	if ((void *)(ip + 1) > (void *)(long)skb->data_end || !bpf_map_lookup_elem(&blocked, &ip->saddr))
		return TC_ACT_OK;
	return TC_ACT_SHOT;
}
char _license[] SEC("license") = "GPL";
"""
OUT = r"""
#include <uapi/linux/bpf.h>
#include <uapi/linux/pkt_cls.h>

BPF_ARRAY(counts, u64, 1);

int out(struct __sk_buff *skb)
{
	counts.increment(0);
	bpf_trace_printk("left %d\n", MARK);
	return TC_ACT_OK;
}
"""
FILES = {"in.c": IN, "out.c": OUT}


def shown(*words: str) -> Any:
    return json.loads(netlab(*words, "--format", "json").stdout)


def test_packets_are_dropped_counted_and_traced(one: str) -> None:
    """By what is in maps; lines say whose they are."""
    inside("a", "ping", "-c", "1", "-W", "5", "10.0.0.2")
    assert shown("stats")["programs"]["fw/out"]["counters"]["counts"]["0"] > 0
    assert shown("maps", "fw/in", "blocked")["max_entries"] == 32
    netlab("maps", "set", "fw/in", "blocked", "10.0.0.1", "1")
    inside("a", "ping", "-c", "1", "-W", "1", "10.0.0.2", code=1)
    netlab("maps", "delete", "fw/in", "blocked", "10.0.0.1")

    eventually(lambda: "left 8" in texts("trace"), "the line of the program")
    assert f"{one}/fw/out left 8" in netlab("trace").stdout


def test_all_hooks_are_renewed_together(one: str) -> None:
    """Each is attached once, where it was."""
    said = netlab("reload", "fw").stderr
    inside("a", "ping", "-c", "1", "-W", "5", "10.0.0.2")
    there = {each["program"]: (each["hook"], each["interfaces"]) for each in shown("programs", "fw")["programs"]}

    assert all(f"{name} renewed on eth0" in said for name in ("pass", "in", "out"))
    assert there == {"pass": ("xdp", ["eth0"]), "in": ("tc ingress", ["eth0"]), "out": ("tc egress", ["eth0"])}
    netlab("status")
