"""Maps are filled, shown and changed, programs shown, and the lab known to them, on both runtimes."""

import json
from typing import Any

import pytest

from netlab.testing.waiting import eventually
from tests.lab.lab import inside, netlab

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("one")]

# Carries frames between its two neighbours, though its node forwards nothing.
PROGRAM = """
#include <uapi/linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include "lab.h"

BPF_DEVMAP(leaving, 2);
BPF_ARRAY(carried, u64, 2);
BPF_HASH(blocked, u32, u32, 16);
BPF_PERF_OUTPUT(events);
BPF_RINGBUF_OUTPUT(lengths, 8);
struct event {
    __be32 from;
    u32 length;
};

int carry(struct xdp_md *ctx)
{
    void *end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = (void *)(long)ctx->data;
    struct iphdr *ip = (void *)(eth + 1);
    if ((void *)(ip + 1) > end || eth->h_proto != htons(ETH_P_IP))
        return XDP_PASS;
    u32 to = ip->daddr, which = to == LAB_FAR_IP4;
    if (blocked.lookup(&to))
        return XDP_DROP;
    if (!which && to != LAB_NEAR_IP4)
        return XDP_PASS;
    u8 far[] = TO_FAR_MAC, near[] = TO_NEAR_MAC;
    memcpy(eth->h_dest, which ? far : near, ETH_ALEN);
    u64 *count = carried.lookup(&which);
    if (count)
        (*count)++;
    struct event event = {.from = ip->saddr, .length = end - (void *)eth};
    events.perf_submit(ctx, &event, sizeof(event));
    lengths.ringbuf_output(&event.length, sizeof(event.length), 0);
    return leaving.redirect_map(which, 0);
}
"""
FILES = {"carry.c": PROGRAM}
TOPOLOGY = """
name: inside
nodes:
  near: {}
  between:
    xdp: ./carry.c
    sysctls: {net.ipv4.ip_forward: 0}
    maps:
      leaving: {0: near.eth0, 1: eth1}
      blocked: {10.9.9.9: 1}
  far: {}
links: [[near, between], [between, far]]
"""


def view(*words: str) -> Any:
    return json.loads(netlab("maps", "between", *words, "--json").stdout)


def entries(name: str) -> dict[Any, Any]:
    return {each["key"]: each["value"] for each in view(name, "--all")["entries"]}


def test_a_program_works_with_what_the_file_says_and_what_it_knows() -> None:
    """Frames leave by the interfaces in the devmap, to the MACs of `lab.h`."""
    before = entries("carried")

    inside("near", "ping", "-c", "2", "-i", "0.2", "-W", "60", "10.0.1.2")

    assert entries("leaving") == {0: "between.eth0", 1: "between.eth1"}
    assert entries("carried") == {key: count + 2 for key, count in before.items()}
    counted = json.loads(netlab("stats", "--format", "json").stdout)["programs"]["between"]
    assert counted["counters"]["carried"] == {str(key): count for key, count in entries("carried").items()}
    assert counted["maps"] == ["blocked", "leaving"]


def test_maps_are_changed_and_kept() -> None:
    netlab("maps", "set", "between", "blocked", "far", "1")
    inside("near", "ping", "-c", "1", "-W", "1", "10.0.1.2", code=1)
    netlab("reload", "between")
    assert entries("blocked") == {"10.0.1.2": 1, "10.9.9.9": 1}
    netlab("maps", "delete", "between", "blocked", "far")
    inside("near", "ping", "-c", "1", "-W", "60", "10.0.1.2")


def test_events_are_read() -> None:
    """Of both kinds; they are told to whoever follows them, and kept."""
    inside("near", "ping", "-c", "1", "-W", "60", "10.0.1.2")
    found: list[Any] = []

    def come() -> bool:
        lines = map(json.loads, netlab("timeline", "--json").stdout.splitlines())
        found[:] = [line["event"] for line in lines if "event" in line]
        return {"events", "lengths"} <= {each["map"] for each in found}

    eventually(come, "events of both kinds")
    value = {"from": "10.0.0.1", "length": 98}
    assert ("struct event", value) in [(each["type"], each["value"]) for each in found if each["map"] == "events"]
    assert "0x62000000" in [each["value"] for each in found if each["map"] == "lengths"]


def test_programs_are_shown() -> None:
    found = json.loads(netlab("programs", "between", "--for", "0.1", "--json").stdout)["programs"]

    assert [(each["function"], each["interfaces"]) for each in found] == [("carry", ["eth0", "eth1"])]
