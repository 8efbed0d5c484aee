/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Drops TCP segments to PORT that carry data and have an even sequence number. All other packets pass. */
#include <uapi/linux/bpf.h>
#include <uapi/linux/if_ether.h>
#include <uapi/linux/in.h>
#include <uapi/linux/ip.h>
#include <uapi/linux/tcp.h>

#ifndef PORT                 /* the topology sets it: define: {PORT: 9000} */
#define PORT 9000
#endif

int dropper(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *ethernet = data;
	struct iphdr *ip = data + sizeof(*ethernet);

	/* The verifier wants to see, before each read, that the packet is long enough. */
	if ((void *)(ip + 1) > end || ethernet->h_proto != htons(ETH_P_IP))
		return XDP_PASS;
	if (ip->protocol != IPPROTO_TCP || ip->ihl != 5)
		return XDP_PASS;
	struct tcphdr *tcp = (void *)(ip + 1);
	if ((void *)(tcp + 1) > end || tcp->dest != htons(PORT))
		return XDP_PASS;

	/* Numbers in packets have their highest byte first: ntohs and ntohl turn them round. */
	u32 from = ntohs(tcp->source), seq = ntohl(tcp->seq);
	u32 bytes = ntohs(ip->tot_len) - sizeof(*ip) - tcp->doff * 4;

	/* A line of `netlab trace`; there is room for three numbers. */
	if (tcp->syn)
		bpf_trace_printk("segment from port %u, seq %u, %u bytes: SYN, pass", from, seq, bytes);
	else if (bytes && seq % 2)
		bpf_trace_printk("segment from port %u, seq %u, %u bytes: odd, pass", from, seq, bytes);
	else if (bytes)
		bpf_trace_printk("segment from port %u, seq %u, %u bytes: even, drop", from, seq, bytes);
	else if (tcp->fin)
		bpf_trace_printk("segment from port %u, seq %u, %u bytes: FIN, pass", from, seq, bytes);
	else
		bpf_trace_printk("segment from port %u, seq %u, %u bytes: ACK, pass", from, seq, bytes);
	return bytes && !tcp->syn && seq % 2 == 0 ? XDP_DROP : XDP_PASS;
}
