/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests as they come: sent on to a backend, queued, or dropped. */
#pragma once

#include "balancer/flows.h"
#include "balancer/holding.h"
#include "balancer/queue.h"
#include "balancer/reasons.h"
#include "balancer/threads.h"

/* What is decided about a request. */
struct decision {
	__u32 number;
	__u32 chosen;         /* whose thread it takes, or NONE */
	__u32 free;           /* how many that backend has left */
	__u32 depth;          /* how many wait, this one too */
	__u32 slot;           /* where it is kept when it leaves, or NONE */
	__u32 reason;
};

/* Cut off bytes behind a packet, which could make the frame too long for the backend's link. Then the datagram is found
 * again, as pointers to it are no longer valid; false if that fails. */
static __always_inline bool trim(struct xdp_md *ctx, __u32 length, struct datagram *datagram)
{
	int surplus = length_of(ctx) - (int)length;

	if (surplus <= 0)
		return true;
	bpf_xdp_adjust_tail(ctx, -surplus);
	return find_datagram(ctx, datagram);
}

static __always_inline __u32 forward(struct xdp_md *ctx, struct config *c, struct datagram *datagram,
				     struct decision *decision, __u32 interface_number)
{
	__u32 chosen = decision->chosen;
	struct backend *backend = find_backend(&chosen);

	if (!backend)
		return PASS_MALFORMED_IP;
	struct leaving leaving = {
		.backend = chosen,
		.ifindex = ctx->ingress_ifindex,
		.interface_number = interface_number,
		.slot = decision->slot,
		.number = decision->number,
	};

	address_to(datagram, c, backend, &leaving);
	trace("forward #%u to %s, free %u", decision->number, backend->name, decision->free);
	send_by(backend->ifindex);
	return FORWARDED;
}

/* Decide about a request that seemed not to have to wait. Returns whether it has to wait after all; then only its
 * number is decided. */
static __always_inline bool decide_at_once(struct config *c, struct state *s, struct ring *r, bool is_too_long,
					   __u32 random, struct decision *decision)
{
	bool waits = false;

	bpf_spin_lock(&s->lock);
	decision->number = ++s->number;
	if (!s->depth && !is_too_long)
		decision->chosen = choose_thread(s, c, random);
	if (decision->chosen != NONE) {
		decision->free = *free_threads(s, decision->chosen);
		if (c->holds && !is_full(s)) {
			decision->slot = take_slot(s, r);
			s->kept++;
		}
		s->received++;
		s->forwarded++;
	} else if (is_too_long || is_full(s)) {
		s->received++;
		s->dropped++;
	} else {
		waits = true;
	}
	bpf_spin_unlock(&s->lock);
	return waits;
}

/* Decide about a request that was copied into a slot of ours, as it seemed to have to wait. */
static __always_inline void decide_with_copy(struct xdp_md *ctx, struct config *c, struct state *s, struct ring *r,
					     __u32 length, __u32 interface_number, __u32 random,
					     struct decision *decision)
{
	__u32 zero = 0;
	__u64 *in_reserve = find_reserve(&zero);

	if (!in_reserve)
		return;
	__u32 own = take_reserve(s, r, in_reserve);
	struct slot *slot = find_slot(&own);
	bool copied = copy_in(ctx, slot, decision->number, length, interface_number);

	bpf_spin_lock(&s->lock);
	s->received++;
	if (!decision->number)
		decision->number = ++s->number;
	if (slot)
		slot->number = decision->number;
	if (copied && !s->depth)
		decision->chosen = choose_thread(s, c, random);
	if (decision->chosen != NONE) {
		s->forwarded++;
		decision->free = *free_threads(s, decision->chosen);
		if (c->holds && !is_full(s)) {
			decision->slot = own;
			own = take_slot(s, r);
			s->kept++;
		}
	} else if (copied && !is_full(s)) {
		push(s, r, own);
		own = take_slot(s, r);
		s->kept++;
		s->queued++;
		decision->depth = s->depth;
		decision->reason = QUEUED;
	} else {
		s->dropped++;
		decision->reason = copied ? DROP_QUEUE_FULL : DROP_COPY_FAILED;
	}
	bpf_spin_unlock(&s->lock);
	keep_reserve(s, r, in_reserve, own);
}

/* Trace a request. This comes after the decision: the verifier follows the decision once for each path that leads to
 * it, and printing addresses of two families makes many paths. */
static __always_inline void trace_request(struct datagram *datagram, __u32 number)
{
	if (datagram->ipv4)
		trace("request #%u from %pI4:%u", number, &datagram->source.word[3], bpf_ntohs(datagram->udp->source));
	else
		trace("request #%u from [%pI6]:%u", number, &datagram->source, bpf_ntohs(datagram->udp->source));
}

/* A request. A look without the lock tells whether it seems to have to wait; if so, it is copied into a slot first. So
 * the lock is taken only once, whether it waits or is sent on. */
static __always_inline __u32 receive_request(struct xdp_md *ctx, struct config *c, struct state *s, struct ring *r,
					     struct datagram *datagram, __u32 interface_number)
{
	__u32 length = ETH_HLEN + datagram->length;
	__u32 random = s->policy == RANDOM ? bpf_get_prandom_u32() : 0;
	bool is_too_long = length > c->longest, copied = true;
	bool waits = (s->depth || !*node(s, s->root)) && !is_full(s) && !is_too_long;
	struct decision decision = { .chosen = NONE, .slot = NONE, .reason = DROP_QUEUE_FULL };

	if (!waits) {
		waits = decide_at_once(c, s, r, is_too_long, random, &decision);
		if (decision.slot != NONE)
			copied = copy_in(ctx, find_slot(&decision.slot), decision.number, length, interface_number);
	}
	if (waits)
		decide_with_copy(ctx, c, s, r, length, interface_number, random, &decision);

	trace_request(datagram, decision.number);
	if (decision.chosen != NONE) {
		if (!trim(ctx, length, datagram))
			decision.reason = PASS_MALFORMED_IP;
		else
			decision.reason = forward(ctx, c, datagram, &decision, interface_number);
		if (c->holds)
			hold_request(s, r, decision.slot, copied, decision.number, decision.chosen);
	} else if (is_too_long) {
		decision.reason = DROP_TOO_LONG;
		trace("drop #%u, its %u bytes are too long", decision.number, length);
	} else if (decision.reason == QUEUED) {
		trace("queue #%u, depth %u", decision.number, decision.depth);
	} else if (decision.reason == DROP_QUEUE_FULL) {
		trace("drop #%u, the queue is full", decision.number);
	} else {
		trace("drop #%u, it cannot be copied", decision.number);
	}
	return decision.reason;
}
