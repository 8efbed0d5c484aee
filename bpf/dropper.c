/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drops every other byte of a TCP conversation: of the segments to one port that carry data, those whose sequence
 * number is even. The others, and everything that is not TCP to that port, pass to the stack untouched.
 *
 * Handshake, bare acknowledgements, FIN and RST without data pass unjudged, so that connections can open and close.
 * With JUDGE_ALL every well-formed segment to the port is judged by its number, whatever it is. Each segment to the
 * port, judged or not, is printed with its sequence number, the bytes of data in it, what it is, and its verdict.
 */
#include <uapi/linux/bpf.h>

#include "packet.h"
#include "verdict.h"

/* Settings, from the topology's `define:`. */
#ifndef PORT
#define PORT 9000
#endif
#ifndef JUDGE_ALL
#define JUDGE_ALL 0
#endif
#if PORT < 1 || PORT > 65535
#error "PORT must be a TCP port, from 1 to 65535"
#endif

enum reason {
	PASS_NOT_IP,           /* ARP, a VLAN tag, or shorter than an Ethernet header */
	PASS_MALFORMED_IP,     /* truncated, or its lengths contradict each other or the frame */
	PASS_NOT_TCP,
	PASS_IPV6_EXTENSION,   /* a header between IPv6 and what it carries, which may be TCP or a fragment of it */
	PASS_FRAGMENT,         /* carries no ports, or not the whole segment */
	PASS_TRUNCATED_TCP,    /* too short to have a TCP header */
	PASS_OTHER_PORT,
	/* From here on: to our port. */
	PASS_FIRST_FRAGMENT,   /* the rest of the segment comes later */
	PASS_BAD_OFFSET,       /* a TCP header that claims to be shorter than the shortest; the stack drops it */
	PASS_HEADER_PAST_END,  /* a TCP header that claims to be longer than its packet; the stack drops it */
	PASS_IP_OPTIONS,       /* an IPv4 header longer than the usual one */
	PASS_SYN_WITH_DATA,    /* TCP Fast Open: the number is the SYN's, the data begins one later */
	PASS_SYN,
	PASS_RST,
	PASS_FIN,
	PASS_BARE_ACK,
	PASS_ODD,              /* judged */
	DROP_EVEN,             /* judged */
	REASONS
};

BPF_PERCPU_ARRAY(reasons, struct count, REASONS);

/* What is known of a packet before its TCP header is read. */
struct payload {
	struct cursor cursor;  /* at the TCP header */
	__u32 length;          /* bytes from there to the packet's end, which may come before the frame's */
	bool has_options;
	bool is_first_fragment;
};

/* What a segment to our port is, and with it what becomes of it. */
static __always_inline __u32 judge(struct tcphdr *tcp, struct payload *payload, __u32 data)
{
	__u32 header = tcp->doff * IP_WORD, verdict = bpf_ntohl(tcp->seq) & 1 ? PASS_ODD : DROP_EVEN;

	if (payload->is_first_fragment)
		return PASS_FIRST_FRAGMENT;
	if (tcp->doff < TCP_MIN_WORDS)
		return PASS_BAD_OFFSET;
	if (header > payload->length)
		return PASS_HEADER_PAST_END;
	if (JUDGE_ALL)
		return verdict;
	if (payload->has_options)
		return PASS_IP_OPTIONS;
	if (tcp->syn)
		return data ? PASS_SYN_WITH_DATA : PASS_SYN;
	if (data)
		return verdict;
	if (tcp->rst)
		return PASS_RST;
	return tcp->fin ? PASS_FIN : PASS_BARE_ACK;
}

/* One line for a segment to our port; the format has room for three values. */
#define report(words) trace("segment from port %u, seq %u, %u bytes: " words, port, seq, data)

static __always_inline void tell(__u32 reason, struct tcphdr *tcp, __u32 data)
{
	__u32 port = bpf_ntohs(tcp->source), seq = bpf_ntohl(tcp->seq);

	if (reason == PASS_ODD)
		report("odd, pass");
	else if (reason == DROP_EVEN)
		report("even, drop");
	else if (reason == PASS_SYN)
		report("SYN, pass");
	else if (reason == PASS_BARE_ACK)
		report("ACK, pass");
	else if (reason == PASS_FIN)
		report("FIN, pass");
	else if (reason == PASS_RST)
		report("RST, pass");
	else if (reason == PASS_SYN_WITH_DATA)
		report("SYN with data, pass");
	else if (reason == PASS_IP_OPTIONS)
		report("IP options, pass");
	else if (reason == PASS_FIRST_FRAGMENT)
		report("first fragment, pass");
	else if (reason == PASS_BAD_OFFSET)
		report("bad data offset, pass");
	else
		report("header past the end, pass");
}

static __always_inline __u32 segment(struct payload *payload)
{
	struct tcphdr *tcp = parse_tcp(&payload->cursor);

	if (!tcp || payload->length < sizeof(*tcp))
		return PASS_TRUNCATED_TCP;
	if (tcp->dest != bpf_htons(PORT))
		return PASS_OTHER_PORT;
	__u32 header = tcp->doff * IP_WORD, data = header < payload->length ? payload->length - header : 0;
	__u32 reason = judge(tcp, payload, data);

	tell(reason, tcp, data);
	return reason;
}

static __always_inline __u32 ipv4(struct cursor cursor)
{
	struct iphdr *ip = parse_ipv4(&cursor);

	if (!ip)
		return PASS_MALFORMED_IP;
	if (ip->protocol != IPPROTO_TCP)
		return PASS_NOT_TCP;
	if (ip->frag_off & bpf_htons(IP_OFFSET_MASK))
		return PASS_FRAGMENT;
	__u32 header = ip->ihl * IP_WORD;
	struct payload payload = {
		.cursor = { .at = (void *)ip + header, .end = cursor.end },
		.length = bpf_ntohs(ip->tot_len) - header,
		.has_options = ip->ihl != IP_MIN_WORDS,
		.is_first_fragment = ip->frag_off & bpf_htons(IP_FRAGMENT_MASK),
	};

	return segment(&payload);
}

static __always_inline __u32 ipv6(struct cursor cursor)
{
	struct ipv6hdr *ip = parse_ipv6(&cursor);

	if (!ip)
		return PASS_MALFORMED_IP;
	if (ip->nexthdr != IPPROTO_TCP)
		return is_ipv6_extension(ip->nexthdr) ? PASS_IPV6_EXTENSION : PASS_NOT_TCP;
	struct payload payload = { .cursor = cursor, .length = bpf_ntohs(ip->payload_len) };

	return segment(&payload);
}

static __always_inline __u32 classify(struct xdp_md *ctx)
{
	struct cursor cursor = packet(ctx);
	struct ethhdr *ethernet = parse_ethernet(&cursor);

	if (ethernet && ethernet->h_proto == bpf_htons(ETH_P_IP))
		return ipv4(cursor);
	if (ethernet && ethernet->h_proto == bpf_htons(ETH_P_IPV6))
		return ipv6(cursor);
	return PASS_NOT_IP;
}

/* The one exit: every frame leaves here, counted once. */
int dropper(struct xdp_md *ctx)
{
	__u32 reason = classify(ctx);

	tally(reasons.lookup(&reason), ctx);
	return reason == DROP_EVEN ? XDP_DROP : XDP_PASS;
}
