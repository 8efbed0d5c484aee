/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The balancer's state: one value, which changes under its own lock only.
 *
 * No helper may be called while the lock is held. User space never writes the state: it runs programs that take the
 * lock (control.h), and reads the state whole with BPF_F_LOCK.
 */
#pragma once

#include <uapi/linux/bpf.h>

#include "balancer/settings.h"
#include "bounds.h"

/* What is known of a backend beside its threads, as bits. */
enum known { HAS_REPORTED = 1, IS_ABSENT = 2 };

/* All that must change as one. */
struct state {
	struct bpf_spin_lock lock;
	__u32 depth;          /* requests waiting */
	__u32 head;           /* place of the oldest in ring.waiting */
	__u32 spares;         /* slots given back, on ring.spare */
	__u32 fresh;          /* slots that have never been used begin here */
	__u32 last_chosen;    /* the backend */
	__u32 turns_left;     /* how many more requests it is to get in a row, if it still weighs more than that */
	__u32 number;         /* of the last request */
	__u32 age;            /* which of the ages is the present one */
	__u32 policy;         /* by which the tree is built; config.policy from the next arrange_run on */
	__u32 root;           /* the node of the tree that stands for all backends */
	__u32 kept;           /* requests that have a slot: they wait, are held, or are about to be */
	__u64 choices;        /* made so far */
	__u64 received;       /* = forwarded + queued + dropped, at every moment */
	__u64 forwarded;
	__u64 queued;
	__u64 dropped;
	__u64 dequeued;
	__u64 completions;
	__u64 expired;        /* threads that were not heard of for too long */
	__u64 retried;        /* requests that were put back into the queue; waiting = queued + retried - dequeued */
	__u64 unheld;         /* requests sent on without being held, for want of room */
	__u64 held;           /* how many are now */
	__u32 free_threads[MAX_BACKENDS];
	__u32 taken[MAX_BACKENDS][AGES]; /* threads, by age */
	__u32 reports[MAX_BACKENDS];     /* enum known */
	__u32 sent[MAX_BACKENDS];        /* requests to each, in all */
	__u64 chosen_at[MAX_BACKENDS];   /* each last, in choices */
	__u64 tree[2 * MAX_BACKENDS];    /* the bid of each node */
	unsigned char winners[2 * MAX_BACKENDS]; /* the winning backend of each node */
};

/* The free threads of a backend. */
static __always_inline __u32 *free_threads(struct state *s, __u32 index)
{
	return s->free_threads + masked(index, MAX_BACKENDS - 1);
}

/* How many threads of a backend were taken in one of the ages, 0 being the present one, and 1 the oldest. */
static __always_inline __u32 *taken(struct state *s, __u32 index, __u32 distance)
{
	__u32 at = index * AGES + ((s->age + distance) & (AGES - 1));

	return s->taken[0] + masked(at, MAX_BACKENDS * AGES - 1);
}

/* Whether a backend has reported, so that its reports tell which threads are taken, or is absent (reporter.h), so that
 * all are taken. In both cases threads do not age. */
static __always_inline __u32 *reports(struct state *s, __u32 index)
{
	return s->reports + masked(index, MAX_BACKENDS - 1);
}

/* How many requests were sent to a backend, in all. */
static __always_inline __u32 *sent(struct state *s, __u32 index)
{
	return s->sent + masked(index, MAX_BACKENDS - 1);
}

/* When a backend was chosen last, counted in choices. */
static __always_inline __u64 *chosen_at(struct state *s, __u32 index)
{
	return s->chosen_at + masked(index, MAX_BACKENDS - 1);
}

/* The bid of a node of the tree. */
static __always_inline __u64 *node(struct state *s, __u32 at)
{
	return s->tree + masked(at, 2 * MAX_BACKENDS - 1);
}

/* The winning backend of a node of the tree. */
static __always_inline unsigned char *winner(struct state *s, __u32 at)
{
	return s->winners + masked(at, 2 * MAX_BACKENDS - 1);
}
