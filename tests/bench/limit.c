/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The least that can spread requests: each UDP packet goes to the next worker by two MACs and a redirect. */
#include <uapi/linux/bpf.h>

#include "packet.h"

#define WORKERS 3
#define SERVICE 8080

struct worker {
	__u32 ifindex;
	unsigned char mac[ETH_ALEN];
	unsigned char our_mac[ETH_ALEN];
};

struct door {
	__u32 ifindex;
	__u32 program;
};

BPF_ARRAY(workers, struct worker, WORKERS);
BPF_PERCPU_ARRAY(turns, __u32, 1);
BPF_XDP_REDIRECT_MAP("devmap", struct door, doors, 64);

/* Brings the type of doors, of which the kernel keeps none, into BTF; nobody runs it. */
int types_by_name(struct door *unused)
{
	return 0;
}

int limit(struct xdp_md *ctx)
{
	struct cursor cursor = packet(ctx);
	struct ethhdr *ethernet = parse_ethernet(&cursor);
	struct iphdr *ip = ethernet && ethernet->h_proto == bpf_htons(ETH_P_IP) ? parse_ipv4(&cursor) : NULL;
	struct udphdr *udp = ip && ip->protocol == IPPROTO_UDP ? parse_udp(&cursor) : NULL;
	__u32 zero = 0, *turn = turns.lookup(&zero);

	if (!udp || udp->dest != bpf_htons(SERVICE) || !turn)
		return XDP_PASS;
	__u32 at = ++*turn % WORKERS;
	struct worker *worker = workers.lookup(&at);

	if (!worker)
		return XDP_PASS;
	__builtin_memcpy(ethernet->h_dest, worker->mac, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, worker->our_mac, ETH_ALEN);
	return doors.redirect_map(worker->ifindex, 0);
}
