/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The queue of requests that wait, and the slots that keep requests.
 *
 * Who takes a slot's number off the queue, the stack of spares or the holds owns the slot. Numbers are taken and given
 * under state.lock. The owner reads and writes the slot without the lock, as no helper can be called under it.
 */
#pragma once

#include "balancer/maps.h"
#include "balancer/state.h"
#include "packet.h"

/* Slot numbers: a ring of those that wait, in order, and a stack of those to use again. Changed under state.lock. They
 * are 32-bit words, declared as bytes because bcc makes a reader for every element of any other array: with 100,000
 * of them, compiling takes 12 s instead of 0.6 s. */
struct ring {
	unsigned char waiting[SLOTS * sizeof(__u32)] __attribute__((aligned(4)));
	unsigned char spare[SLOTS * sizeof(__u32)] __attribute__((aligned(4)));
};

/* A request that waits or is held. */
struct slot {
	__u32 length;
	__u32 number;
	__u32 ifindex;          /* where it came in */
	__u32 interface_number; /* the same, among our interfaces */
	unsigned char frame[ETH_HLEN + MTU];
};

/* ---- under state.lock ---- */

/* Whether there is no room for another request. Those that wait and those that are held share the room. */
static __always_inline bool is_full(struct state *s)
{
	return s->kept >= QUEUE;
}

/* Own a slot to copy a request into: there is one for each request that may be kept, and for each CPU's reserve. */
static __always_inline __u32 take_slot(struct state *s, struct ring *r)
{
	if (s->spares && s->spares <= SLOTS)
		return ((__u32 *)r->spare)[--s->spares];
	if (s->fresh < SLOTS)
		return s->fresh++;
	return NONE;
}

static __always_inline void give_slot(struct state *s, struct ring *r, __u32 slot)
{
	if (s->spares < SLOTS)
		((__u32 *)r->spare)[s->spares++] = slot;
}

/* Give a slot back. */
static __always_inline void drop_slot(struct state *s, struct ring *r, __u32 slot)
{
	give_slot(s, r, slot);
	s->kept--;
}

static __always_inline void push(struct state *s, struct ring *r, __u32 slot)
{
	__u32 place = s->head + s->depth;

	if (place >= SLOTS)
		place -= SLOTS;
	if (place < SLOTS)
		((__u32 *)r->waiting)[place] = slot;
	s->depth++;
}

static __always_inline __u32 pop(struct state *s, struct ring *r)
{
	__u32 place = s->head, slot = NONE;

	if (place < SLOTS)
		slot = ((__u32 *)r->waiting)[place];
	s->head = place + 1 < SLOTS ? place + 1 : 0;
	s->depth--;
	return slot;
}

/* Put a request back before all others: it could not leave, which is not its fault. */
static __always_inline void push_front(struct state *s, struct ring *r, __u32 slot)
{
	__u32 place = s->head ? s->head - 1 : SLOTS - 1;

	if (place < SLOTS)
		((__u32 *)r->waiting)[place] = slot;
	s->head = place;
	s->depth++;
}

/* ---- without it ---- */

/* The length of a frame that fits in a slot; 0 is none. Compare with ETH_HLEN before use, not with 0: see bounds.h. */
static __always_inline __u64 frame_length(__u64 length)
{
	barrier_var(length);
	if (length > ETH_HLEN + MTU)
		length = 0;
	barrier_var(length);
	return length;
}

/* Copy a request into a slot of ours. */
static __always_inline bool copy_in(struct xdp_md *ctx, struct slot *slot, __u32 number, __u64 length,
				    __u32 interface_number)
{
	bool copied = false;

	length = frame_length(length);
	if (slot && length >= ETH_HLEN) {
		slot->length = length;
		slot->number = number;
		slot->ifindex = ctx->ingress_ifindex;
		slot->interface_number = interface_number;
		copied = bpf_xdp_load_bytes(ctx, 0, slot->frame, length) == 0;
	}
	return copied;
}

/* Take the slot that this CPU has in reserve, or another if it has none. Who interrupts us then finds no reserve. */
static __always_inline __u32 take_reserve(struct state *s, struct ring *r, __u64 *in_reserve)
{
	__u32 slot = __sync_lock_test_and_set(in_reserve, 0) - 1;

	if (slot != NONE)
		return slot;
	bpf_spin_lock(&s->lock);
	slot = take_slot(s, r);
	bpf_spin_unlock(&s->lock);
	return slot;
}

/* Put a slot into the reserve; who has interrupted us may have put one there already. */
static __always_inline void keep_reserve(struct state *s, struct ring *r, __u64 *in_reserve, __u32 slot)
{
	__u32 other = __sync_lock_test_and_set(in_reserve, (__u32)(slot + 1)) - 1;

	if (other == NONE)
		return;
	bpf_spin_lock(&s->lock);
	give_slot(s, r, other);
	bpf_spin_unlock(&s->lock);
}
