/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Backends where nobody listens: their kernel answers a request with an ICMP error, `port unreachable`, to the client.
 *
 * The error quotes the request as it has arrived there. We believe it if it comes in by that backend's interface, and
 * if a flow waits for the quoted request.
 */
#pragma once

#include "balancer/flows.h"
#include "balancer/ingress.h"
#include "balancer/reasons.h"
#include "balancer/reporter.h"

/* RFC 792; RFC 4443, 3.1 */
struct icmp_error {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be32 unused;
};

#define ICMP_UNREACHABLE 3
#define ICMP_UNREACHABLE_PORT 3
#define ICMPV6_UNREACHABLE 1
#define ICMPV6_UNREACHABLE_PORT 4

struct quoted {
	struct address source;
	struct address destination;
	__be16 source_port;
	__be16 destination_port;
};

static __always_inline struct udphdr *quoted_ipv4(struct datagram *datagram, void *end, struct quoted *quoted)
{
	struct icmp_error *error = (void *)(datagram->ipv4 + 1);
	struct iphdr *ip = (void *)(error + 1);
	struct udphdr *udp = (void *)(ip + 1);

	if (datagram->ipv4->protocol != IPPROTO_ICMP || datagram->ipv4->ihl != IP_MIN_WORDS ||
	    datagram->ipv4->frag_off & bpf_htons(IP_FRAGMENT_MASK) || (void *)(udp + 1) > end)
		return NULL;
	if (error->type != ICMP_UNREACHABLE || error->code != ICMP_UNREACHABLE_PORT || ip->version != IP_VERSION_4 ||
	    ip->ihl != IP_MIN_WORDS || ip->protocol != IPPROTO_UDP)
		return NULL;
	quoted->source = ipv4_address(ip->saddr);
	quoted->destination = ipv4_address(ip->daddr);
	return udp;
}

static __always_inline struct udphdr *quoted_ipv6(struct datagram *datagram, void *end, struct quoted *quoted)
{
	struct icmp_error *error = (void *)(datagram->ipv6 + 1);
	struct ipv6hdr *ip = (void *)(error + 1);
	struct udphdr *udp = (void *)(ip + 1);

	if (datagram->ipv6->nexthdr != IPPROTO_ICMPV6 || (void *)(udp + 1) > end)
		return NULL;
	if (error->type != ICMPV6_UNREACHABLE || error->code != ICMPV6_UNREACHABLE_PORT ||
	    ip->version != IP_VERSION_6 || ip->nexthdr != IPPROTO_UDP)
		return NULL;
	quoted->source = ipv6_address(&ip->saddr);
	quoted->destination = ipv6_address(&ip->daddr);
	return udp;
}

/* Read the request that an ICMP error quotes, if the error says that a port is closed. */
static __always_inline bool read_refusal(struct xdp_md *ctx, struct datagram *datagram, struct quoted *quoted)
{
	void *end = packet(ctx).end;
	struct udphdr *udp = datagram->ipv4   ? quoted_ipv4(datagram, end, quoted)
			     : datagram->ipv6 ? quoted_ipv6(datagram, end, quoted)
					      : NULL;

	if (!udp)
		return false;
	quoted->source_port = udp->source;
	quoted->destination_port = udp->dest;
	return true;
}

/* Send no more requests to a backend that refuses. */
static __always_inline __u32 refuse_backend(struct config *c, __u32 index, struct backend *backend)
{
	__u32 zero = 0, in_hand = 0;
	struct state *s = find_state(&zero);
	struct reporter *reporter = find_reporter(&index);
	bool was_present;

	if (!s || !reporter)
		return PASS_NOT_LOCAL;
	bpf_spin_lock(&s->lock);
	was_present = !reporter->silent;
	if (was_present)
		in_hand = leave_out(s, c, reporter, index, backend->capacity, REFUSING);
	bpf_spin_unlock(&s->lock);
	if (!was_present)
		return REFUSED_AGAIN;
	trace("refused: %s gets no requests, %u were in its hands", backend->name, in_hand);
	return BACKEND_REFUSED;
}

/* A packet that is not for us, and not UDP. */
static __always_inline __u32 receive_refusal(struct xdp_md *ctx, struct config *c, struct interface *here,
					     struct datagram *datagram)
{
	__u32 *index = find_backend_at(&datagram->source);
	struct backend *backend = index ? find_backend(index) : NULL;
	struct quoted quoted;

	if (!backend || backend->ifindex != ctx->ingress_ifindex || !is_addressed_to(here, datagram->ethernet) ||
	    !read_refusal(ctx, datagram, &quoted))
		return PASS_NOT_LOCAL;
	if (!is_same(&quoted.source, &datagram->destination) || !is_same(&quoted.destination, &datagram->source) ||
	    quoted.destination_port != c->service_port || (datagram->ipv4 && !is_checksum_right(datagram->ipv4)))
		return PASS_NOT_LOCAL;
	struct flow_key key = { .client = quoted.source, .port = quoted.source_port, .backend = *index };
	struct flow *flow = find_flow(&key);

	if (!flow || !count_answer(flow))
		return PASS_NOT_LOCAL;
	return refuse_backend(c, *index, backend);
}
