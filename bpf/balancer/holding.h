/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Held requests: they have left to a backend, and keep their slots until it is known that they are done. */
#pragma once

#include "balancer/flows.h"
#include "balancer/maps.h"
#include "balancer/queue.h"
#include "balancer/reasons.h"

struct hold {
	__u32 backend;        /* its index, and one; 0: nothing is held here */
	__u32 number;         /* of the request: a slot is used again */
	__u64 since_ns;       /* when it left */
	__u32 tries;          /* how often it was put back; kept while it waits, 0 in a slot that is free */
	__u32 unused;
};

/* One for each slot, as one value, so that user space reads all at once; bytes as in struct ring. Changed under
 * state.lock. */
struct holds {
	unsigned char by_slot[SLOTS * sizeof(struct hold)] __attribute__((aligned(8)));
};

/* Names a held request: user space gives a frame with this behind an Ethernet header, which is not read. */
struct claim {
	__u32 slot;
	__u32 number;
	struct flow_key flow;
};

/* How far user space has read a backend's reports. Only user space uses it; it is a map so that it outlives the role.
 * */
struct progress {
	__u64 incarnation;
	__u32 completed;
	__u32 padding;
};

/* What is held in a slot. As in masked(), the check must be on the register that is used. */
static __always_inline struct hold *hold_at(struct holds *h, __u32 slot)
{
	__u64 at = slot;

	barrier_var(at);
	if (at >= SLOTS)
		return NULL;
	barrier_var(at);
	return (struct hold *)h->by_slot + at;
}

/* Stop holding a request, under state.lock. False if the slot holds another one by now, or none. `tries` is what the
 * slot keeps: how often the request was put back, or 0 if it leaves its slot. */
static __always_inline bool end_hold(struct state *s, struct hold *hold, __u32 number, __u32 tries)
{
	if (!hold->backend || hold->number != number)
		return false;
	hold->since_ns = 0;
	hold->number = 0;
	hold->backend = 0;
	hold->tries = tries;
	s->held--;
	return true;
}

/* Hold a request that is leaving to a backend, if it has a slot. This is written before it leaves, so that no answer
 * can come before. */
static __always_inline void hold_request(struct state *s, struct ring *r, __u32 slot_number, bool copied, __u32 number,
					 __u32 index)
{
	__u32 zero = 0;
	__u64 now = bpf_ktime_get_ns();
	struct holds *h = find_holds(&zero);
	struct hold *hold = h ? hold_at(h, slot_number) : NULL;

	bpf_spin_lock(&s->lock);
	if (hold && copied) {
		hold->since_ns = now;
		hold->number = number;
		hold->backend = index + 1;
		s->held++;
	} else {
		s->unheld++;
		if (slot_number != NONE)
			drop_slot(s, r, slot_number);
	}
	bpf_spin_unlock(&s->lock);
}

/* The held request that a frame from user space names, or NULL. */
static __always_inline struct claim *claim_in(struct xdp_md *ctx)
{
	struct cursor cursor = packet(ctx);

	if (!parse_ethernet(&cursor))
		return NULL;
	struct claim *claim = cursor.at;

	barrier_var(cursor.end); /* LLVM 19 would compute with it, which the verifier prohibits */
	return (void *)(claim + 1) > cursor.end ? NULL : claim;
}

/* A held request is done: its slot is free. Returns whether it was held. */
static __always_inline int release(struct xdp_md *ctx)
{
	__u32 zero = 0, slot, number;
	struct claim *claim = claim_in(ctx);
	struct state *s = find_state(&zero);
	struct ring *r = find_ring(&zero);
	struct holds *h = find_holds(&zero);
	bool was_held;

	if (!claim || !s || !r || !h)
		return 0;
	slot = claim->slot;
	number = claim->number;
	struct hold *hold = hold_at(h, slot);

	if (!hold)
		return 0;
	bpf_spin_lock(&s->lock);
	was_held = end_hold(s, hold, number, 0);
	if (was_held)
		drop_slot(s, r, slot);
	bpf_spin_unlock(&s->lock);
	return was_held;
}

/* What has become of a request that was to wait again. */
enum requeued { NOT_REQUEUED, WAITS_AGAIN, GIVEN_UP };

static __always_inline void say_requeued(struct xdp_md *ctx, __u32 became, __u32 number, struct backend *backend,
					 __u32 depth)
{
	__u32 reason = DROP_RETRIES_SPENT;

	if (became == WAITS_AGAIN && backend)
		trace("retry #%u, which was at %s, depth %u", number, backend->name, depth);
	if (became != GIVEN_UP)
		return;
	if (backend)
		trace("drop #%u, which was at %s, it was sent often enough", number, backend->name);
	tally(find_count(&reason), ctx);
}

/* The backend that has a held request will not do it. Its flow no longer waits for the answer. The request waits again,
 * behind all others, or is dropped if it was sent again `retries` times. */
static __always_inline int requeue(struct xdp_md *ctx)
{
	__u32 zero = 0, slot, number, index, depth, tries, became = NOT_REQUEUED;
	struct claim *claim = claim_in(ctx);
	struct state *s = find_state(&zero);
	struct ring *r = find_ring(&zero);
	struct holds *h = find_holds(&zero);
	struct config *c = find_config(&zero);

	if (!claim || !s || !r || !h || !c)
		return 0;
	slot = claim->slot;
	number = claim->number;
	struct flow_key key = claim->flow;
	struct hold *hold = hold_at(h, slot);

	if (c->holds == BY_REPLIES)
		key.port = numbered_port(number, c->service_port);
	index = key.backend;
	struct flow *flow = find_flow(&key);
	struct backend *backend = find_backend(&index);

	if (!hold)
		return 0;
	bpf_spin_lock(&s->lock);
	tries = hold->tries;
	if (end_hold(s, hold, number, tries < c->retries ? tries + 1 : 0)) {
		if (tries < c->retries) {
			push(s, r, slot);
			s->retried++;
			became = WAITS_AGAIN;
		} else {
			drop_slot(s, r, slot);
			became = GIVEN_UP;
		}
		if (flow)
			count_answer(flow);
	}
	depth = s->depth;
	bpf_spin_unlock(&s->lock);
	say_requeued(ctx, became, number, backend, depth);
	return became;
}
