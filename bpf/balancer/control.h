/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changes that user space asks for: it never writes the state itself, these functions do so under state.lock.
 *
 * Each of them is the body of a program that user space runs by BPF_PROG_TEST_RUN. To name a backend, user space gives
 * a frame that looks like a completion of that backend. The functions for held requests are in holding.h.
 */
#pragma once

#include "balancer/maps.h"
#include "balancer/reasons.h"
#include "balancer/reporter.h"
#include "datagram.h"

/* The index of the backend that a frame from user space names, or NULL. */
static __always_inline __u32 *index_in(struct xdp_md *ctx)
{
	struct datagram datagram;

	return read_datagram(ctx, &datagram) == DATAGRAM ? find_backend_at(&datagram.source) : NULL;
}

/* Apply policy and weights that have changed in the settings. */
static __always_inline int apply_settings(void)
{
	__u32 zero = 0;
	struct state *s = find_state(&zero);
	struct config *c = find_config(&zero);

	if (!s || !c)
		return 0;
	bpf_spin_lock(&s->lock);
	build_tree(s, c);
	bpf_spin_unlock(&s->lock);
	return 1;
}

/* Make taken threads one age older, and free the too old ones. Returns how many were freed. */
static __always_inline int age_threads(void)
{
	__u32 zero = 0, count;
	struct state *s = find_state(&zero);
	struct config *c = find_config(&zero);

	if (!s || !c)
		return 0;
	bpf_spin_lock(&s->lock);
	count = expire_threads(s, c);
	bpf_spin_unlock(&s->lock);
	if (count)
		trace("expired: %u threads are free again, not heard of for too long", count);
	return count;
}

/* Start with a backend that is new or has come back: all its threads are free. Returns how many. */
static __always_inline int begin_backend(struct xdp_md *ctx)
{
	__u32 zero = 0, *index = index_in(ctx);
	struct backend *backend = index ? find_backend(index) : NULL;
	struct reporter *reporter = index ? find_reporter(index) : NULL;
	struct state *s = find_state(&zero);
	struct config *c = find_config(&zero);

	if (!s || !c || !backend || !reporter)
		return 0;
	bpf_spin_lock(&s->lock);
	reporter->silent = PRESENT;
	free_all_threads(s, c, *index, backend->capacity);
	bpf_spin_unlock(&s->lock);
	trace("begin: %s has %u free threads", backend->name, backend->capacity);
	return backend->capacity;
}

/* Take all threads of a backend that has reported, and no longer does. Returns whether it is silent. */
static __always_inline int watch_backend(struct xdp_md *ctx)
{
	__u32 zero = 0, in_hand = 0, silent, reason = BACKEND_SILENT;
	__u64 now = bpf_ktime_get_ns();
	__u32 *at = index_in(ctx);
	struct reporter *reporter = at ? find_reporter(at) : NULL;
	struct backend *backend = at ? find_backend(at) : NULL;
	struct state *s = find_state(&zero);
	struct config *c = find_config(&zero);
	bool has_gone = false;

	if (!s || !c || !reporter || !backend)
		return 0;
	__u32 index = *at;

	bpf_spin_lock(&s->lock);
	if (reporter->incarnation && !reporter->silent && now > reporter->heard_ns + SILENT_NS) {
		in_hand = leave_out(s, c, reporter, index, backend->capacity, SILENT);
		has_gone = true;
	}
	silent = reporter->silent == SILENT;
	bpf_spin_unlock(&s->lock);
	if (has_gone) {
		trace("silent: %s gets no requests, %u were in its hands", backend->name, in_hand);
		tally(find_count(&reason), ctx);
	}
	return silent;
}

/* Take all threads of a backend whose health checks fail. Returns whether it got requests until now. */
static __always_inline int exclude_backend(struct xdp_md *ctx)
{
	__u32 zero = 0, in_hand = 0, reason = BACKEND_EXCLUDED;
	__u32 *at = index_in(ctx);
	struct reporter *reporter = at ? find_reporter(at) : NULL;
	struct backend *backend = at ? find_backend(at) : NULL;
	struct state *s = find_state(&zero);
	struct config *c = find_config(&zero);
	bool was_present;

	if (!s || !c || !reporter || !backend)
		return 0;
	__u32 index = *at;

	bpf_spin_lock(&s->lock);
	was_present = !reporter->silent;
	if (was_present)
		in_hand = leave_out(s, c, reporter, index, backend->capacity, ILL);
	bpf_spin_unlock(&s->lock);
	if (was_present) {
		trace("excluded: %s gets no requests, %u were in its hands", backend->name, in_hand);
		tally(find_count(&reason), ctx);
	}
	return was_present;
}

/* Send requests again to a backend that was refusing or ill: all its threads are free. A backend that reports gets them
 * from its next report on, which says which threads are taken; that report counts as its return. Returns 0 if it was
 * neither refusing nor ill, 1 if it gets requests now, 2 if it waits for its report. */
static __always_inline int readmit_backend(struct xdp_md *ctx)
{
	__u32 zero = 0, reason = BACKEND_READMITTED;
	__u32 *at = index_in(ctx);
	struct reporter *reporter = at ? find_reporter(at) : NULL;
	struct backend *backend = at ? find_backend(at) : NULL;
	struct state *s = find_state(&zero);
	struct config *c = find_config(&zero);
	bool was_absent, is_awaited;

	if (!s || !c || !reporter || !backend)
		return 0;
	__u32 index = *at;

	bpf_spin_lock(&s->lock);
	was_absent = reporter->silent == REFUSING || reporter->silent == ILL;
	is_awaited = was_absent && *reports(s, index) & HAS_REPORTED;
	if (is_awaited) {
		reporter->silent = SILENT;
	} else if (was_absent) {
		reporter->silent = PRESENT;
		free_all_threads(s, c, index, backend->capacity);
	}
	bpf_spin_unlock(&s->lock);
	if (is_awaited) {
		trace("awaited: %s gets requests with its next report", backend->name);
		return 2;
	}
	if (was_absent) {
		trace("readmitted: %s gets requests again", backend->name);
		tally(find_count(&reason), ctx);
	}
	return was_absent;
}

/* Send the frame to fetch a queued request for a backend, if one waits and a thread is free. A live run
 * (BPF_F_TEST_XDP_LIVE_FRAMES) really sends it. */
static __always_inline int kick_backend(struct xdp_md *ctx)
{
	__u32 zero = 0, reason = KICK_NEEDLESS, *at = index_in(ctx);
	struct state *s = find_state(&zero);
	struct config *c = find_config(&zero);

	if (at && s && c) {
		__u32 index = *at;
		void *carrier = find_carriers(&index);
		bool is_needed;

		bpf_spin_lock(&s->lock);
		is_needed = s->depth && *free_threads(s, index) && weight(c, index);
		bpf_spin_unlock(&s->lock);
		if (is_needed && carrier) {
			send_to_all(carrier);
			reason = KICKED;
		}
	}
	tally(find_count(&reason), ctx);
	return reason == KICKED ? XDP_REDIRECT : XDP_DROP;
}
