/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Answers in fragments. Only the first fragment carries ports; it is handled as any reply. What all fragments of that
 * packet have in common is remembered for a while, so that the others reach the same client from the same address. A
 * fragment that comes before the first passes, as do those of packets that are no answers.
 */
#pragma once

#include "balancer/flows.h"
#include "balancer/ingress.h"
#include "balancer/maps.h"
#include "balancer/reasons.h"
#include "datagram.h"

struct fragment_key {
	struct address client;
	__be32 identification;
	__u32 backend;
};

/* What is known from the first fragment of an answer. */
struct fragment {
	__u64 since_ns;         /* when it came */
	struct address service; /* as in struct flow, and so are the next three */
	__u32 ifindex;
	unsigned char mac[ETH_ALEN];
	unsigned char our_mac[ETH_ALEN];
};

/* Remember to whom the first fragment of an answer goes, before it leaves. */
static __always_inline void remember_fragment(struct datagram *datagram, __u32 index, struct flow *flow)
{
	struct fragment_key key = {
		.client = datagram->destination, .identification = datagram->identification, .backend = index
	};
	struct fragment fragment = {
		.since_ns = bpf_ktime_get_ns(), .service = flow->service, .ifindex = flow->ifindex
	};

	copy_mac(fragment.mac, flow->mac);
	copy_mac(fragment.our_mac, flow->our_mac);
	update_fragment(&key, &fragment);
}

/* A fragment without ports that is not for us. A later fragment of an answer is sent after the first, from the address
 * that the client has asked. It is rewritten here: at the exit nothing in it would tell whose it is. */
static __always_inline __u32 receive_fragment(struct xdp_md *ctx, struct interface *here, struct datagram *datagram)
{
	__u32 *index = find_backend_at(&datagram->source);
	struct backend *backend = index ? find_backend(index) : NULL;

	if (!backend || backend->ifindex != ctx->ingress_ifindex || !is_addressed_to(here, datagram->ethernet))
		return PASS_NOT_LOCAL;
	struct fragment_key key = {
		.client = datagram->destination, .identification = datagram->identification, .backend = *index
	};
	struct fragment *first = find_fragment(&key);

	if (!first || bpf_ktime_get_ns() - first->since_ns > FRAGMENT_NS)
		return PASS_NOT_LOCAL;
	if (datagram->ipv4 && !is_checksum_right(datagram->ipv4))
		return PASS_NOT_LOCAL;
	copy_mac(datagram->ethernet->h_dest, first->mac);
	copy_mac(datagram->ethernet->h_source, first->our_mac);
	give_fragment_source(datagram, &first->service);
	send_by(first->ifindex);
	return REPLY_FRAGMENT;
}
