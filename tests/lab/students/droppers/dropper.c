/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A right dropper that is not netlab's: no maps, and lines of its own. Defines make it wrong. */
#include <uapi/linux/bpf.h>
#include <uapi/linux/if_ether.h>
#include <uapi/linux/in.h>
#include <uapi/linux/ip.h>
#include <uapi/linux/tcp.h>

#ifndef DROPPED
#define DROPPED(number) (((number) & 1) == 0)
#endif
#ifndef SAID
#define SAID(number) DROPPED(number)
#endif

int drop(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);
	u32 number;

	if ((void *)(tcp + 1) > end || eth->h_proto != htons(ETH_P_IP) || ip->ihl != 5 || ip->protocol != IPPROTO_TCP)
		return XDP_PASS;
	if (tcp->dest != htons(9000) || ntohs(ip->tot_len) <= sizeof(*ip) + tcp->doff * 4)
		return XDP_PASS;
	number = ntohl(tcp->seq);
	if (SAID(number))
		bpf_trace_printk("away with %u", number);
	else
		bpf_trace_printk("welcome %u", number);
	return DROPPED(number) ? XDP_DROP : XDP_PASS;
}
