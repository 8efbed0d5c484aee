/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Replies of backends to clients: they are redirected as they come in, and rewritten as they leave. */
#pragma once

#include "balancer/flows.h"
#include "balancer/fragments.h"
#include "balancer/holding.h"
#include "balancer/ingress.h"
#include "balancer/reasons.h"
#include "balancer/reporter.h"

/* What is decided about a reply. */
struct reply_decision {
	__u32 free;           /* threads that the backend has now */
	__u32 depth;          /* how many wait */
	bool freed;           /* a thread */
	bool is_needed;       /* to fetch a request that waits */
};

/* Let a reply free the thread, and the slot, of the request that it answers. */
static __always_inline void free_by_reply(struct config *c, struct state *s, struct ring *r, struct reporter *reporter,
					  __u32 index, struct backend *backend, struct flow *flow, struct hold *hold,
					  struct reply_decision *decision)
{
	__u32 slot = flow->slot, number = flow->number, free, depth;
	bool is_overload, freed, is_needed;

	bpf_spin_lock(&s->lock);
	if (hold && end_hold(s, hold, number, 0))
		drop_slot(s, r, slot);
	is_overload = reduces_overload(reporter);
	freed = !reporter->silent && !is_overload && free_thread(s, c, index, backend->capacity);
	free = *free_threads(s, index);
	if (freed || is_overload)
		s->completions++;
	depth = s->depth;
	is_needed = freed && depth && weight(c, index);
	bpf_spin_unlock(&s->lock);
	*decision = (struct reply_decision){ .free = free, .depth = depth, .freed = freed, .is_needed = is_needed };
}

/* A packet, or the first fragment of one, that is not for us. A backend's answer to a request is redirected, and the
 * egress program gives it the address that the client has asked. If it had that address here, the stack would drop it
 * as a martian: it is our own. */
static __always_inline __u32 receive_reply(struct xdp_md *ctx, struct config *c, struct interface *here,
					   struct datagram *datagram, bool is_fragment)
{
	__u32 zero = 0, length = bpf_ntohs(datagram->udp->len);
	__u32 *at = datagram->udp->source == c->service_port ? find_backend_at(&datagram->source) : NULL;
	struct reply_decision decision = {};
	struct hold *hold = NULL;

	if (!at)
		return PASS_NOT_LOCAL;
	__u32 index = *at;
	struct backend *backend = find_backend(&index);
	struct flow_key key = {
		.client = datagram->destination, .port = datagram->udp->dest, .backend = index
	};
	struct flow *flow = find_flow(&key);
	struct state *s = find_state(&zero);
	struct ring *r = find_ring(&zero);
	struct reporter *reporter = find_reporter(&index);

	if (!backend || !s || !r || !reporter || !flow || backend->ifindex != ctx->ingress_ifindex)
		return PASS_NOT_LOCAL;
	if (!is_addressed_to(here, datagram->ethernet) || length < sizeof(*datagram->udp) ||
	    (length > datagram->room) != is_fragment)
		return PASS_NOT_LOCAL;
	if (datagram->ipv4 ? !is_checksum_right(datagram->ipv4) : datagram->udp->check == NO_UDP_CHECKSUM)
		return PASS_NOT_LOCAL;
	__u32 pair = index * c->pair_interfaces + flow->interface_number;
	__u32 port = bpf_ntohs(c->holds == BY_REPLIES ? flow->port : datagram->udp->dest);
	void *both = c->pair_interfaces && flow->ifindex != backend->ifindex ? find_pair(&pair) : NULL;

	if (c->holds == BY_REPLIES) {
		struct holds *h = find_holds(&zero);

		hold = h ? hold_at(h, flow->slot) : NULL;
	}
	if (is_fragment)
		remember_fragment(datagram, index, flow);
	if (c->replies && count_answer(flow))
		free_by_reply(c, s, r, reporter, index, backend, flow, hold, &decision);
	if (decision.freed)
		trace("completion from %s, free %u, depth %u", backend->name, decision.free, decision.depth);
	else if (datagram->ipv4)
		trace("reply from %s to %pI4:%u", backend->name, &datagram->ipv4->daddr, port);
	else
		trace("reply from %s to [%pI6]:%u", backend->name, &datagram->destination, port);
	if (decision.is_needed && both) {
		send_to_all(both);
		return REPLY_CARRIED;
	}
	send_by(flow->ifindex);
	return decision.freed ? REPLY_FREED : REPLIED;
}

/* Give a backend's answer, as it leaves, the address that the client has asked. */
static __always_inline __u32 rewrite_reply(struct datagram *datagram, struct config *c, struct flow *flow)
{
	copy_mac(datagram->ethernet->h_dest, flow->mac);
	copy_mac(datagram->ethernet->h_source, flow->our_mac);
	give_source(datagram, &flow->service);
	if (c->holds == BY_REPLIES)
		rewrite_port(datagram->udp, &datagram->udp->dest, flow->port);
	return REPLY_SENT;
}
