/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A worker that is never busy: counts the requests that arrive, by how long they have been under way, and answers each at
 * once by a completion, if COMPLETIONS is the port for that.
 */
#include <uapi/linux/bpf.h>

#include "packet.h"
#include "rewrite.h"

#ifndef COMPLETIONS
#define COMPLETIONS 0
#endif
#ifndef LB
#define LB 0 /* its address, where completions go */
#endif
#define SERVICE 8080
#define FINE 64 /* steps in each power of two */
#define STEPS (FINE * 40)

BPF_PERCPU_ARRAY(delays, __u64, STEPS);

/* The step of a time: 64 for each power of two, so that each is known to a sixtieth. requests.py knows this too. */
static __always_inline __u32 step(__u64 ns)
{
	__u32 shift = 0;

#pragma unroll
	for (int width = 32; width; width /= 2)
		if (ns >> (shift + width) >= FINE)
			shift += width;
	return ns < FINE ? ns : (shift + 1) * FINE + (ns >> shift & (FINE - 1));
}

static __always_inline void swap(struct ethhdr *ethernet, struct iphdr *ip, struct udphdr *udp)
{
	unsigned char mac[ETH_ALEN];

	__builtin_memcpy(mac, ethernet->h_source, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, ethernet->h_dest, ETH_ALEN);
	__builtin_memcpy(ethernet->h_dest, mac, ETH_ALEN);
	rewrite_ipv4(ip, &ip->saddr, udp, ip->daddr);
	rewrite_ipv4(ip, &ip->daddr, udp, bpf_htonl(LB));
	udp->dest = bpf_htons(COMPLETIONS);
}

int sink(struct xdp_md *ctx)
{
	struct cursor cursor = packet(ctx);
	struct ethhdr *ethernet = parse_ethernet(&cursor);
	struct iphdr *ip = ethernet && ethernet->h_proto == bpf_htons(ETH_P_IP) ? parse_ipv4(&cursor) : NULL;
	struct udphdr *udp = ip && ip->protocol == IPPROTO_UDP ? parse_udp(&cursor) : NULL;
	__u64 *sent = (void *)(long)ctx->data + 56; /* where fire.c writes it */

	if (!udp || udp->dest != bpf_htons(SERVICE) || (void *)(sent + 1) > (void *)(long)ctx->data_end)
		return XDP_PASS;
	__u32 at = step(bpf_ktime_get_ns() - *sent);
	__u64 *count = delays.lookup(&at);

	if (count)
		++*count;
	if (!COMPLETIONS)
		return XDP_DROP;
	swap(ethernet, ip, udp);
	return bpf_redirect(ctx->ingress_ifindex, 0);
}
