/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A learning bridge: a frame leaves by the port where its destination was last heard, or by all others. */
#include <uapi/linux/bpf.h>

#include "verdict.h"

#define PORTS 8
#define MOST_MACS 1024
#define GROUP_BIT 1 /* of a MAC's first byte: for several, or for all */

/* Why a frame was passed on or dropped, in the order in which `netlab stats` shows it. */
enum reason {
	FORWARDED,   /* to the port of its destination */
	FLOODED,     /* to all other ports */
	SAME_PORT,   /* its destination is where it came from */
	DROP_SHORT,  /* no Ethernet header */
	DROP_SOURCE, /* from a group address: nobody has one */
	REASONS,
};

struct mac {
	__u8 mac[ETH_ALEN];
};

struct place {
	__u32 port; /* the index of its interface */
	__u32 moves;
	__u64 frames;
};

BPF_DEVMAP(ports, PORTS);                                           /* all ports of the bridge */
BPF_TABLE("lru_hash", struct mac, struct place, learnt, MOST_MACS); /* where each MAC was last heard */
BPF_PERCPU_ARRAY(reasons, struct count, REASONS);

static __always_inline int counted(struct xdp_md *ctx, enum reason reason, int verdict)
{
	__u32 key = reason;

	tally(reasons.lookup(&key), ctx);
	return verdict;
}

/* Note where a sender is. Its entry is written anew only if it is new or has moved. */
static __always_inline void learn(struct mac *sender, __u32 port)
{
	struct place *known = learnt.lookup(sender);

	if (known && known->port == port) {
		__sync_fetch_and_add(&known->frames, 1);
		return;
	}
	struct place place = {.port = port, .frames = 1};

	if (known) {
		place.moves = known->moves + 1;
		place.frames += known->frames;
	}
	learnt.update(sender, &place);
}

int bridge(struct xdp_md *ctx)
{
	struct ethhdr *ethernet = (void *)(long)ctx->data;
	__u32 in = ctx->ingress_ifindex;
	struct mac to, from;

	if ((void *)(ethernet + 1) > (void *)(long)ctx->data_end)
		return counted(ctx, DROP_SHORT, XDP_DROP);
	__builtin_memcpy(&to, ethernet->h_dest, ETH_ALEN);
	__builtin_memcpy(&from, ethernet->h_source, ETH_ALEN);
	if (from.mac[0] & GROUP_BIT)
		return counted(ctx, DROP_SOURCE, XDP_DROP);
	learn(&from, in);
	if (!(to.mac[0] & GROUP_BIT)) {
		struct place *place = learnt.lookup(&to);

		if (place && place->port == in)
			return counted(ctx, SAME_PORT, XDP_DROP);
		if (place)
			return counted(ctx, FORWARDED, bpf_redirect(place->port, 0));
	}
	return counted(ctx, FLOODED, ports.redirect_map(0, BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS));
}
