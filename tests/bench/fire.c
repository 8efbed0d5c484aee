/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sends requests as fast as the kernel can make frames: user space runs `fire_run` with live frames
 * (BPF_F_TEST_XDP_LIVE_FRAMES), each of which is made anew from `shot`, with the next source port and the time, and
 * leaves by eth0. Attached, it only passes.
 */
#include <uapi/linux/bpf.h>

#include "packet.h"

#define WORDS 8    /* of 64 bytes: the frame */
#define CLIENTS 1024 /* source ports */
#define FIRST_PORT 10000

struct shot {
	__u64 frame[WORDS]; /* Ethernet, IPv4, UDP without a checksum; room for the time at the end */
	__u32 ifindex;
	__u32 sent;
};

BPF_ARRAY(shot, struct shot, 1);

int fire(struct xdp_md *ctx)
{
	return XDP_PASS;
}

int fire_run(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct shot *loaded = shot.lookup(&zero);
	__u64 *word = (void *)(long)ctx->data;

	if (!loaded || (void *)(word + WORDS) > (void *)(long)ctx->data_end)
		return XDP_DROP;
#pragma unroll
	for (int i = 0; i < WORDS; i++)
		word[i] = loaded->frame[i];
	word[WORDS - 1] = bpf_ktime_get_ns();
	struct cursor cursor = { .at = (void *)word + ETH_HLEN + sizeof(struct iphdr), .end = (void *)(long)ctx->data_end };
	struct udphdr *udp = parse_udp(&cursor);

	if (udp)
		udp->source = bpf_htons(FIRST_PORT + loaded->sent++ % CLIENTS);
	return bpf_redirect(loaded->ifindex, 0);
}
