/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells requests, completions, reports and replies from each other, and from what the balancer passes. */
#pragma once

#include "balancer/completions.h"
#include "balancer/ingress.h"
#include "balancer/reasons.h"
#include "balancer/refusals.h"
#include "balancer/replies.h"
#include "balancer/requests.h"

static __always_inline __u32 refuse_neighbour(struct datagram *datagram)
{
	if (datagram->ipv4)
		trace("request from %pI4 dropped, it shares the backends' network", &datagram->ipv4->saddr);
	else
		trace("request from %pI6 dropped, it shares the backends' network", &datagram->source);
	return DROP_NEIGHBOUR;
}

/* A packet to one of our ports. A packet that every receiver would drop must not take a thread. */
static __always_inline __u32 receive_at_port(struct xdp_md *ctx, struct config *c, struct interface *here,
					     struct datagram *datagram)
{
	__u32 zero = 0, length = bpf_ntohs(datagram->udp->len);
	struct state *s = find_state(&zero);
	struct ring *r = find_ring(&zero);
	__be16 port = datagram->udp->dest;

	if (!s || !r)
		return PASS_UNCONFIGURED;
	if (!is_addressed_to(here, datagram->ethernet))
		return PASS_OTHER_HOST;
	if (datagram->ipv4 && !is_checksum_right(datagram->ipv4))
		return PASS_MALFORMED_IP;
	if (is_martian(&datagram->source, !datagram->ipv4))
		return PASS_MARTIAN;
	if (length < sizeof(*datagram->udp) || length > datagram->room)
		return DROP_BAD_LENGTH;
	if (!datagram->ipv4 && datagram->udp->check == NO_UDP_CHECKSUM)
		return DROP_NO_CHECKSUM;
	if (port == c->completion_port || port == c->report_port)
		return receive_from_backend(ctx, c, s, datagram, port != c->completion_port);
	if (is_from_ourselves(here, datagram))
		return PASS_MARTIAN;
	if (!(c->families & (datagram->ipv4 ? HAS_IPV4 : HAS_IPV6)))
		return PASS_OTHER_FAMILY;
	if (c->replies && is_neighbour(here, datagram))
		return refuse_neighbour(datagram);
	return receive_request(ctx, c, s, r, datagram, here->number);
}

static __always_inline __u32 reason_of(__u32 shape)
{
	switch (shape) {
	case NO_IP: return PASS_NOT_IP;
	case MALFORMED_IP: return PASS_MALFORMED_IP;
	case MAPPED_ADDRESS: return PASS_MARTIAN;
	case NO_UDP: return PASS_NOT_UDP;
	case FRAGMENT: return PASS_FRAGMENT;
	case IPV6_FRAGMENT: return PASS_IPV6_EXTENSION;
	case IPV4_OPTIONS: return PASS_IP_OPTIONS;
	case IPV6_EXTENSION: return PASS_IPV6_EXTENSION;
	default: return PASS_TRUNCATED_UDP;
	}
}

/* The first fragment of a packet to us. A request in fragments is not balanced; the trace says so. */
static __always_inline __u32 receive_first_fragment(struct config *c, struct interface *here, struct datagram *datagram)
{
	__u32 port = bpf_ntohs(datagram->udp->source);

	if (datagram->udp->dest != c->service_port || !is_addressed_to(here, datagram->ethernet))
		return datagram->ipv4 ? PASS_FRAGMENT : PASS_IPV6_EXTENSION;
	if (datagram->ipv4)
		trace("request from %pI4:%u passed, it is in fragments", &datagram->ipv4->saddr, port);
	else
		trace("request from [%pI6]:%u passed, it is in fragments", &datagram->source, port);
	return PASS_FRAGMENTED_REQUEST;
}

/* A packet that is not for us. */
static __always_inline __u32 receive_for_others(struct xdp_md *ctx, struct config *c, struct interface *here,
						struct datagram *datagram, __u32 shape)
{
	if (shape == DATAGRAM || shape == FIRST_FRAGMENT)
		return receive_reply(ctx, c, here, datagram, shape == FIRST_FRAGMENT);
	if (shape == FRAGMENT || shape == IPV6_FRAGMENT)
		return receive_fragment(ctx, here, datagram);
	return shape == NO_UDP ? receive_refusal(ctx, c, here, datagram) : PASS_NOT_LOCAL;
}

/* Handle a frame that comes in, and return the reason by which it leaves. */
static __always_inline __u32 classify(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct config *c = find_config(&zero);
	struct datagram datagram;

	if (!c || !c->ready)
		return PASS_UNCONFIGURED;
	__u32 shape = read_datagram(ctx, &datagram);

	if (shape == NO_IP || shape == MALFORMED_IP || shape == MAPPED_ADDRESS)
		return reason_of(shape);
	struct interface *here = ingress_interface(ctx);

	if (!is_local(here, &datagram.destination))
		return receive_for_others(ctx, c, here, &datagram, shape);
	if (shape == FIRST_FRAGMENT)
		return receive_first_fragment(c, here, &datagram);
	if (shape != DATAGRAM)
		return reason_of(shape);
	__be16 port = datagram.udp->dest;

	if (port != c->service_port && (port != c->completion_port || c->replies) &&
	    (port != c->report_port || !c->report_port))
		return PASS_OTHER_PORT;
	return receive_at_port(ctx, c, here, &datagram);
}
