/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tournament tree has the choice of a backend ready (Knuth, The Art of Computer Programming 3, 5.4.1).
 *
 * The backends are its leaves, from MAX_BACKENDS on; the children of node n are 2n and 2n + 1. Each node holds the best
 * bid below it, and the backend that made it. The root is the lowest node that has all backends below it: it holds the
 * choice. A change updates one node on each level up to the root. All of this happens under state.lock.
 */
#pragma once

#include "balancer/config.h"
#include "balancer/state.h"

/* A bid has 62 bits: free threads (16) times weight (10), then how many choices ago the backend was chosen. Choices are
 * counted anew before they need more bits (build_tree). */
#define ORDER_BITS 36

/* All ones if a number is negative, else zero. The barriers keep the compiler from using a branch for it. */
static __always_inline __u64 mask_if_negative(__u64 number)
{
	barrier_var(number);
	number = (__s64)number >> 63;
	barrier_var(number);
	return number;
}

static __always_inline __u64 mask_if_same(__u32 one, __u32 other)
{
	return mask_if_negative((__u64)(one ^ other) - 1);
}

/* The one number if the mask is all ones, the other if it is zero. */
static __always_inline __u64 select(__u64 mask, __u64 one, __u64 other)
{
	return other ^ ((one ^ other) & mask);
}

/* A backend's bid for the next request: 0 without a free thread or a weight. At random, its chances; otherwise, its
 * rank. Masks in place of branches, here and below, because the verifier follows every branch. */
static __always_inline __u64 bid(struct state *s, struct config *c, __u32 index)
{
	__u64 share = weight(c, index), threads = *free_threads(s, index) * share;
	__u64 by_threads = mask_if_same(s->policy, MOST_FREE);
	__u64 in_turn = by_threads | mask_if_same(s->policy, ROUND_ROBIN);
	__u64 ago = ~*chosen_at(s, index) & ((1ULL << ORDER_BITS) - 1) & in_turn;
	__u64 wanted = select(by_threads, threads, 1) << ORDER_BITS | ago;

	return select(mask_if_same(s->policy, RANDOM), share, wanted) & mask_if_negative(-threads);
}

/* Set a node from its two children: the larger bid and its backend, the first child's if both are equal. At random, the
 * bid is the sum of both. */
static __always_inline void set_node(struct state *s, __u32 at, __u64 at_random)
{
	__u64 one = *node(s, 2 * at), other = *node(s, 2 * at + 1), loses = mask_if_negative(one - other);

	*node(s, at) = select(at_random, one + other, select(loses, other, one));
	*winner(s, at) = select(loses, *winner(s, 2 * at + 1), *winner(s, 2 * at));
}

/* Update the tree after a change of a backend's free threads, or of its turn. */
static __always_inline void update_tree(struct state *s, struct config *c, __u32 index)
{
	__u64 at_random = mask_if_same(s->policy, RANDOM);
	__u32 at = MAX_BACKENDS + index;

	*node(s, at) = bid(s, c, index);
#pragma nounroll
	for (int level = 0; level < LEVELS; level++) {
		if (at <= s->root)
			break;
		at >>= 1;
		set_node(s, at, at_random);
	}
}

/* Build the tree anew. If half of the numbers for choices are used up, forget the older half of the choices. */
static __always_inline void build_tree(struct state *s, struct config *c)
{
	__u64 at_random, forgotten = s->choices >> (ORDER_BITS - 1) ? s->choices - (1ULL << (ORDER_BITS - 2)) : 0;

	s->policy = c->policy;
	s->choices -= forgotten;
	at_random = mask_if_same(s->policy, RANDOM);
#pragma nounroll
	for (__u32 index = 0; index < MAX_BACKENDS; index++) {
		__u64 *last = chosen_at(s, index);

		*last -= select(mask_if_negative(*last - forgotten), *last, forgotten);
		*node(s, MAX_BACKENDS + index) = bid(s, c, index);
		*winner(s, MAX_BACKENDS + index) = index;
	}
#pragma nounroll
	for (__u32 at = MAX_BACKENDS - 1; at > 0; at--)
		set_node(s, at, at_random);
	s->root = MAX_BACKENDS;
#pragma nounroll
	for (__u32 below = 1; below < MAX_BACKENDS; below <<= 1)
		s->root >>= below < c->backends;
}

/* The backend whose share of the chances a random number falls into; it is found from the root down. */
static __always_inline __u32 drawn_backend(struct state *s, __u32 random)
{
	__u64 rest = *node(s, s->root) * random >> 32;
	__u32 at = s->root;

#pragma nounroll
	for (int level = 0; level < LEVELS; level++) {
		if (at >= MAX_BACKENDS)
			break;
		__u64 first = *node(s, 2 * at), is_in_first = mask_if_negative(rest - first);

		rest -= first & ~is_in_first;
		at = 2 * at + 1 + (__u32)is_in_first;
	}
	return at - MAX_BACKENDS;
}
