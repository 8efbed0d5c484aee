/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Threads of backends, taken and freed: all of it under state.lock. */
#pragma once

#include "balancer/choice.h"

/* Take a thread of a backend for a request that is sent to it. */
static __always_inline void take_thread(struct state *s, struct config *c, __u32 index)
{
	--*free_threads(s, index);
	++*taken(s, index, 0);
	++*sent(s, index);
	update_tree(s, c, index);
}

/* Take a thread of the backend that the policy chooses; NONE if no thread is free. Of equal backends, the one that was
 * chosen least recently is taken. By ROUND_ROBIN a backend gets as many requests in a row as its weight, or as it has
 * free threads. */
static __always_inline __u32 choose_thread(struct state *s, struct config *c, __u32 random)
{
	__u32 chosen = s->last_chosen;

	if (!*node(s, s->root))
		return NONE;
	if (s->policy == ROUND_ROBIN && s->turns_left && s->turns_left < weight(c, chosen) &&
	    *node(s, MAX_BACKENDS + chosen)) {
		s->turns_left--;
	} else {
		chosen = (s->policy == RANDOM ? drawn_backend(s, random) : *winner(s, s->root)) & (MAX_BACKENDS - 1);
		s->last_chosen = chosen;
		s->turns_left = weight(c, chosen) - 1;
	}
	*chosen_at(s, chosen) = ++s->choices;
	take_thread(s, c, chosen);
	return chosen;
}

/* Free the thread that was taken first; false if all are free already. */
static __always_inline bool free_thread(struct state *s, struct config *c, __u32 index, __u32 capacity)
{
	if (*free_threads(s, index) >= capacity)
		return false;
	++*free_threads(s, index);
#pragma nounroll
	for (__u32 distance = 1; distance <= AGES; distance++) {
		__u32 *oldest = taken(s, index, distance);

		if (*oldest) {
			--*oldest;
			break;
		}
	}
	update_tree(s, c, index);
	return true;
}

/* Correct the free threads of a backend, and the ages of the taken ones, so that together they stay its capacity. */
static __always_inline void set_free_threads(struct state *s, struct config *c, __u32 index, __u32 free)
{
	__u32 before = *free_threads(s, index), surplus = free > before ? free - before : 0;

	*free_threads(s, index) = free;
	if (free < before)
		*taken(s, index, 0) += before - free;
#pragma nounroll
	for (__u32 distance = 1; distance <= AGES; distance++) {
		__u32 *oldest = taken(s, index, distance), some = *oldest < surplus ? *oldest : surplus;

		*oldest -= some;
		surplus -= some;
	}
	update_tree(s, c, index);
}

/* Start with a backend: all its threads are free, and it has not reported. */
static __always_inline void free_all_threads(struct state *s, struct config *c, __u32 index, __u32 capacity)
{
#pragma nounroll
	for (__u32 distance = 0; distance < AGES; distance++)
		*taken(s, index, distance) = 0;
	*free_threads(s, index) = capacity;
	*reports(s, index) = 0;
	update_tree(s, c, index);
}

/* Make all taken threads one age older, and free those that had all ages without a completion. Not those of a backend
 * that reports: its reports say which threads are busy. Returns how many were freed. */
static __always_inline __u32 expire_threads(struct state *s, struct config *c)
{
	__u32 count = 0;

	s->age++;
	for (__u32 index = 0; index < MAX_BACKENDS; index++) {
		if (index >= c->backends)
			break;
		__u32 *oldest = taken(s, index, 0);

		if (*reports(s, index))
			continue;
		count += *oldest;
		*free_threads(s, index) += *oldest;
		*oldest = 0;
	}
	if (count)
		build_tree(s, c);
	s->expired += count;
	return count;
}
