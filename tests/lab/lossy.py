"""A lab whose wires lose packets on purpose: a program on the switch between balancer and workers keeps which."""

import sys
from pathlib import Path
from typing import NamedTuple

from netlab import paths
from netlab.balancer.layout import key
from netlab.programs import loader, map_values
from netlab.programs.maps import Map
from netlab.record import store
from netlab.testing.waiting import PATIENCE_S

# Loses every so-many-th request on its way to a worker, every so-many-th completion on its way back, and every
# so-many-th of the balancer's markers, which come from its port for reports; with ONCE only the first of each. The last
# eight of the first sixteen bytes of a request may be digits, its name: what became of each name below NAMES is kept.
LOSE = """
#include <uapi/linux/bpf.h>
#include "packet.h"

#ifndef NAMES
#define NAMES 1
#endif
#ifndef MARKERS
#define MARKERS 0xffffffff
#endif
#ifndef ONCE
#define ONCE 0
#endif
enum kind { REQUEST, COMPLETION, MARKER, KINDS };
#define DATA 16
#define DIGITS 8

struct fate {
	__u64 passed;
	__u64 lost;
	__u64 worker; /* the last byte of its address */
};

BPF_ARRAY(seen, __u64, KINDS);
BPF_ARRAY(lost, __u64, KINDS); /* of those */
BPF_ARRAY(fates, struct fate, NAMES);

static __always_inline struct fate *fate_of(struct cursor cursor)
{
	unsigned char *data = cursor.at;
	__u32 name = 0;

	if (data + DATA > (unsigned char *)cursor.end)
		return NULL;
#pragma unroll
	for (int at = DATA - DIGITS; at < DATA; at++)
		name = name * 10 + data[at] - '0';
	return fates.lookup(&name);
}

int types_by_name(enum kind *unused)
{
	return 0;
}

int lose(struct xdp_md *ctx)
{
	struct cursor cursor = packet(ctx);
	struct ethhdr *ethernet = parse_ethernet(&cursor);
	struct iphdr *ip = ethernet && ethernet->h_proto == bpf_htons(ETH_P_IP) ? parse_ipv4(&cursor) : NULL;
	struct udphdr *udp = ip && ip->protocol == IPPROTO_UDP ? parse_udp(&cursor) : NULL;

	if (!udp || (udp->dest != bpf_htons(8080) && udp->dest != bpf_htons(9090)))
		return XDP_PASS;
	__u32 which = udp->dest == bpf_htons(9090) ? COMPLETION : udp->source == bpf_htons(9091) ? MARKER : REQUEST;
	__u32 every = which == COMPLETION ? COMPLETIONS : which == MARKER ? MARKERS : REQUESTS;
	__u64 *count = seen.lookup(&which);
	__u64 *gone = lost.lookup(&which);
	struct fate *fate = which == REQUEST ? fate_of(cursor) : NULL;

	if (!count || !gone)
		return XDP_PASS;
	__u64 number = __sync_fetch_and_add(count, 1) + 1;
	bool is_lost = ONCE ? number == every : !(number % every);

	if (fate) {
		fate->worker = bpf_ntohl(ip->daddr) & 0xff;
		__sync_fetch_and_add(is_lost ? &fate->lost : &fate->passed, 1);
	}
	if (!is_lost)
		return XDP_PASS;
	__sync_fetch_and_add(gone, 1);
	if (which != MARKER)
		bpf_trace_printk("lost to port %u", bpf_ntohs(udp->dest));
	return XDP_DROP;
}
"""
# Nobody is taken for silent, and nothing for lost long ago, on a machine that lets its workers wait.
LOSSY = """
name: lossy
nodes:
  client: {role: client, autostart: false, args: {target: "lb:8080"}}
  lb:
    role: balancer
    args: {backends: worker, capacity: 5, report_port: 9091}
    xdp: {program: balancer, define: {TRACE: 1, SILENT_NS: 60000000000, LATE_NS: 60000000000}}
  wire: {kind: switch}
  worker: {replicas: 3, role: worker, args: {threads: 5, balancer: "lb:9090", report: "lb:9091"}}
links: [[client, lb], [wire, lb], [worker, wire]]
"""


class Fate(NamedTuple):
    """How often a request passed the wires and was lost there, and the last byte of the address it was sent to."""

    passed: int
    lost: int
    worker: int


def lose(name: str, folder: Path, **define: int) -> None:
    """Attach the program that loses packets to the switch, where no topology can have one."""
    (folder / "lose.c").write_text(LOSE)
    record = store.read(name)
    pins, defined = _pins(name), tuple(define.items())
    job = loader.Job(name, "wire", f"{folder}/lose.c", pins, str(folder), define=defined, layouts=paths.layouts(pins))
    compilation = loader.start(job)
    compilation.attach(f"{record.folder}/netns/wire", tuple(record.nodes["wire"].interfaces))
    compilation.finish(PATIENCE_S)


def fates(name: str) -> list[Fate]:
    """Return what became of each request on the wires, by its name."""
    with Map.open(f"{_pins(name)}/maps/fates") as kept:
        fates = [_types(name).struct("fate").of(kept.get(key(at))) for at in range(kept.max_entries)]
        return [Fate(*(fate[field] for field in Fate._fields)) for fate in fates]


class Wires(NamedTuple):
    """How many requests and completions have come to the wires, and how many of them were lost there."""

    requests: int
    completions: int
    lost_requests: int
    lost_completions: int


def wires(name: str) -> Wires:
    """Return what the wires have counted."""
    counts, kinds = [], _types(name).enum("kind")
    for kept in ("seen", "lost"):
        with Map.open(f"{_pins(name)}/maps/{kept}") as counted:
            each = [counted.get(key(kinds[kind])) for kind in ("REQUEST", "COMPLETION")]
            counts += [int.from_bytes(count, sys.byteorder) for count in each]
    return Wires(*counts)


def _types(name: str) -> map_values.Types:
    return map_values.types(paths.layouts(_pins(name)))


def _pins(name: str) -> str:
    return f"{store.read(name).folder}/bpf/wire"
