"""A program that includes `lab.h` knows its lab, is compiled once for each, and anew where the lab is another."""

import json
from pathlib import Path

import pytest

from netlab import paths
from tests.lab.lab import LAB, inside, lab, netlab

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

# Carries frames between client and workers, though its node forwards nothing.
PROGRAM = """
#include <uapi/linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include "lab.h"

BPF_ARRAY(carried, u64, LAB_WORKER_COUNT + 1);

static __always_inline int send(struct ethhdr *eth, u8 *to, u8 *from, u32 ifindex, u32 which)
{
    u64 *count = carried.lookup(&which);
    if (count)
        (*count)++;
    memcpy(eth->h_dest, to, ETH_ALEN);
    memcpy(eth->h_source, from, ETH_ALEN);
    return bpf_redirect(ifindex, 0);
}

int carry(struct xdp_md *ctx)
{
    void *end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = (void *)(long)ctx->data;
    struct iphdr *ip = (void *)(eth + 1);
    if ((void *)(ip + 1) > end || eth->h_proto != htons(ETH_P_IP))
        return XDP_PASS;
#define TO(number, NAME)                                           \\
    if (ip->daddr == TO_##NAME##_IP4) {                            \\
        u8 to[] = TO_##NAME##_MAC, from[] = TO_##NAME##_MY_MAC;    \\
        return send(eth, to, from, TO_##NAME##_IFINDEX, number);   \\
    }
    LAB_EACH_WORKER(TO)
    TO(LAB_WORKER_COUNT, CLIENT)
    return XDP_PASS;
}
"""
TOPOLOGY = """
name: known
nodes:
  client: {}
  lb: {xdp: ./carry.c, sysctls: {net.ipv4.ip_forward: 0}}
  worker: {replicas: 2}
links: [[client, lb], {endpoints: [lb, worker]}]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(paths.CACHE_VARIABLE, str(tmp_path / "cache"))
    (tmp_path / "carry.c").write_text(PROGRAM)
    (tmp_path / "lab.yml").write_text(TOPOLOGY)
    return tmp_path


def kept(folder: Path) -> int:
    """Return how many compiled programs are kept; their names are digests, without a dot."""
    return sum("." not in each.name for each in (folder / "cache").iterdir())


def carried() -> list[int]:
    entries = json.loads(netlab("maps", "lb", "carried", "--all", "--json").stdout)["entries"]
    return [each["value"] for each in entries]


def test_a_program_knows_interfaces_macs_and_addresses(folder: Path) -> None:
    with lab(str(folder / "lab.yml")):
        inside("client", "ping", "-c", "2", "-i", "0.2", "-W", "60", "worker2")
        assert carried() == [0, 2, 2]
        netlab("reload", "lb")
        inside("client", "ping", "-c", "1", "-W", "60", "worker1")
        assert carried() == [1, 2, 3]


def test_it_is_compiled_anew_where_the_lab_is_another(folder: Path) -> None:
    """The same lab takes what was compiled before; another address or another name makes another header."""
    with lab(str(folder / "lab.yml")):
        assert kept(folder) == 1
    with lab(str(folder / "lab.yml")):
        assert kept(folder) == 1
    (folder / "lab.yml").write_text(TOPOLOGY.replace("[client, lb]", "{endpoints: [client, lb], subnet: 10.7.7.0/24}"))
    with lab(str(folder / "lab.yml")):
        assert kept(folder) == 2
        inside("client", "ping", "-c", "1", "-W", "60", "worker1")
        assert carried() == [1, 0, 1]


def test_an_unknown_name_is_an_error_of_the_program(folder: Path) -> None:
    (folder / "carry.c").write_text(PROGRAM.replace("TO(LAB_WORKER_COUNT, CLIENT)", "TO(LAB_WORKER_COUNT, CLEINT)"))

    said = netlab("up", str(folder / "lab.yml"), "--lab", LAB, code=1).stderr

    assert "carry.c:" in said
    assert "use of undeclared identifier 'TO_CLEINT_IP4'" in said
