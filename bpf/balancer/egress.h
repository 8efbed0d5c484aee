/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames that we have redirected, as they leave: requests do not change, replies are rewritten, carriers are filled. */
#pragma once

#include "balancer/flows.h"
#include "balancer/holding.h"
#include "balancer/queue.h"
#include "balancer/reasons.h"
#include "balancer/replies.h"
#include "balancer/reporter.h"

/* A carrier could not be filled: undo the decision. The request waits again, in its old place, and counts as retried.
 * A backend that has fallen silent meanwhile gets no thread back. */
static __always_inline void undo_dequeue(struct state *s, struct config *c, struct ring *r, __u32 index,
					 struct backend *backend, __u32 slot_number)
{
	struct reporter *reporter = find_reporter(&index);

	bpf_spin_lock(&s->lock);
	if (reporter && !reporter->silent)
		free_thread(s, c, index, backend->capacity);
	--*sent(s, index);
	push_front(s, r, slot_number);
	s->retried++;
	bpf_spin_unlock(&s->lock);
}

/* A carrier on its way to a backend. It takes the oldest queued request, if one still waits and that backend still has
 * a free thread. The frame grows first: that may fail, and must do so before the decision. */
static __always_inline __u32 fill_carrier(struct xdp_md *ctx, __u32 index, struct backend *backend, struct config *c,
					  struct state *s, struct ring *r)
{
	__u32 slot_number = NONE, depth = 0;

	if (bpf_xdp_adjust_tail(ctx, ETH_HLEN + MTU - length_of(ctx)))
		return CARRIER_NO_ROOM;

	bpf_spin_lock(&s->lock);
	if (s->depth && *free_threads(s, index) && weight(c, index)) {
		take_thread(s, c, index);
		slot_number = pop(s, r);
		s->dequeued++;
		depth = s->depth;
	}
	bpf_spin_unlock(&s->lock);
	struct slot *slot = find_slot(&slot_number);

	if (!slot)
		return CARRIER_EMPTY;
	__u64 length = frame_length(slot->length);
	struct leaving leaving = {
		.backend = index,
		.ifindex = slot->ifindex,
		.interface_number = slot->interface_number,
		.slot = slot_number,
		.number = slot->number,
	};
	struct datagram datagram;
	bool filled = false;

	if (length >= ETH_HLEN)
		filled = !bpf_xdp_store_bytes(ctx, 0, slot->frame, length) &&
			 !bpf_xdp_adjust_tail(ctx, (int)length - (int)(ETH_HLEN + MTU));

	if (!filled || !find_datagram(ctx, &datagram)) {
		undo_dequeue(s, c, r, index, backend, slot_number);
		trace("carrier to %s not filled, #%u waits again", backend->name, leaving.number);
		return CARRIER_NOT_FILLED;
	}
	address_to(&datagram, c, backend, &leaving);
	if (c->holds) {
		hold_request(s, r, slot_number, true, leaving.number, index);
	} else {
		bpf_spin_lock(&s->lock);
		drop_slot(s, r, slot_number);
		bpf_spin_unlock(&s->lock);
	}
	trace("dequeue #%u to %s, depth %u", leaving.number, backend->name, depth);
	return CARRIER_SENT;
}

/* A frame that leaves by an interface: a forwarded request, a reply to its client, or a carrier. */
static __always_inline __u32 egress(struct xdp_md *ctx, __u32 ifindex)
{
	__u32 zero = 0;
	struct datagram datagram;
	struct config *c = find_config(&zero);
	__u32 shape = read_datagram(ctx, &datagram);

	if (shape == FRAGMENT || shape == IPV6_FRAGMENT)
		return NO_CARRIER;
	if (!c || (shape != DATAGRAM && shape != FIRST_FRAGMENT))
		return CARRIER_MALFORMED;
	bool is_to_service = datagram.udp->dest == c->service_port;
	bool is_from_service = datagram.udp->source == c->service_port;

	if (shape == FIRST_FRAGMENT && !is_from_service)
		return CARRIER_MALFORMED;

	if (is_to_service && !is_from_service)
		return NO_CARRIER;
	__u32 *index = find_backend_at(&datagram.source);
	/* From a backend's service port to a client, who may himself use that port, but not as a backend, to which it
	 * would be a request. */
	bool is_reply = index && is_from_service &&
			!find_local_address(&datagram.destination) &&
			!(is_to_service && find_backend_at(&datagram.destination));

	if (is_to_service && !is_reply)
		return NO_CARRIER;
	struct backend *backend = index ? find_backend(index) : NULL;
	struct state *s = find_state(&zero);
	struct ring *r = find_ring(&zero);

	if (!backend || !s || !r)
		return CARRIER_MALFORMED;
	if (is_reply) {
		struct flow_key key = { .client = datagram.destination, .port = datagram.udp->dest, .backend = *index };
		struct flow *flow = find_flow(&key);

		if (!flow)
			return REPLY_FORGOTTEN;
		if (flow->ifindex == ifindex)
			return rewrite_reply(&datagram, c, flow);
	}
	return fill_carrier(ctx, *index, backend, c, s, r);
}

/* Handle a frame that leaves by an interface, and count it. A request was counted when it was forwarded. */
static __always_inline int leave(struct xdp_md *ctx, __u32 ifindex)
{
	__u32 reason = egress(ctx, ifindex);

	if (reason == NO_CARRIER)
		return XDP_PASS;
	tally(find_carrier_count(&reason), ctx);
	return reason == CARRIER_SENT || reason == REPLY_SENT ? XDP_PASS : XDP_DROP;
}
