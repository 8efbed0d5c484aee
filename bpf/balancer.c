/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decides which backend serves a UDP request, and lets requests wait in the kernel while no thread is free.
 *
 * A request is a UDP packet, of IPv4 or IPv6, to one of the node's own addresses and the service port. It goes to a
 * backend with a free thread, which it takes, or waits in one first-in-first-out queue. A completion, a UDP packet from
 * a backend to the completion port, frees a thread. Everything else passes to the stack untouched.
 *
 * Counts and queue are one state under one lock; docs/balancer.md argues why nothing is lost or stranded.
 */
#include <uapi/linux/bpf.h>

#include "datagram.h"
#include "flows.h"
#include "report.h"
#include "verdict.h"

/* Settings, from the topology's `define:`; MTU is the largest of the node's interfaces. */
#ifndef QUEUE
#define QUEUE 1024
#endif
#ifndef MTU
#define MTU 1500
#endif
#if QUEUE < 1
#error "QUEUE must be at least 1"
#endif
#ifndef FLOWS
#define FLOWS 16384        /* of the flows, the one that was used least lately goes first */
#endif
#ifndef MARK_NS
#define MARK_NS 50000000ULL     /* between two markers; twice as long for each one that is not answered */
#endif
#ifndef SILENT_NS
#define SILENT_NS 700000000ULL  /* a backend that reports, and then does not for so long, is dead or cut off */
#endif
#ifndef LATE_NS
#define LATE_NS 1000000000ULL   /* for so long a completion that a report has made up for may still come */
#endif
#define SLOTS (QUEUE + 2 * NETLAB_CPUS) /* for each CPU one in reserve, and one for whoever interrupts its use */
#define MAX_BACKENDS 128   /* 2 to the power of LEVELS */
#define LEVELS 7
#define MAX_INTERFACES 1024
#define MAX_PAIRS 4096     /* of a backend and an interface */
#define MAX_OPEN 16        /* markers that are not answered, and count for MARK_NS */
#define AGES 8             /* in so many steps a thread that is not heard of grows old; loops over them stay loops */
#define MAX_LOCAL_ADDRESSES 1024
#define NAME_BYTES 64 /* a DNS label and its end */
#define NONE 0xffffffff
#define NO_CARRIER NONE
/* How much a backend is wanted, in 62 bits: its free threads (16) times its weight (10), then how long its last turn is
 * ago, in choices, which are counted anew before they need more bits. */
#define ORDER_BITS 36
#define HAS_IPV4 1
#define HAS_IPV6 2
#define REDIRECT_MAP 51        /* the helper's number: bcc's own redirect_map() cannot take an inner map */

enum reason {
	PASS_UNCONFIGURED,          /* the role has not set the balancer up yet */
	PASS_NOT_IP,                /* ARP, a VLAN tag, or shorter than an Ethernet header */
	PASS_MALFORMED_IP,          /* truncated, its lengths contradict each other or the frame, or a wrong checksum */
	PASS_NOT_LOCAL,             /* routed through this node */
	PASS_OTHER_HOST,            /* to another host's MAC: a switch has flooded it */
	PASS_MARTIAN,               /* from an address that no other host can have, or of IPv6 and to one that none has */
	PASS_NOT_UDP,
	PASS_FRAGMENT,              /* carries no ports, or not the whole request */
	PASS_IP_OPTIONS,
	PASS_IPV6_EXTENSION,        /* a header between IPv6 and what it carries; a fragment has one too */
	PASS_TRUNCATED_UDP,         /* too short to have ports */
	PASS_OTHER_PORT,
	PASS_OTHER_FAMILY,          /* a request of a family in which not every backend has an address */
	DROP_BAD_LENGTH,            /* to one of our ports, but the UDP length contradicts the IP length */
	DROP_NO_CHECKSUM,           /* IPv6 without a UDP checksum: every receiver would drop it (RFC 8200, 8.1) */
	DROP_TOO_LONG,              /* a request longer than a backend's link carries */
	DROP_QUEUE_FULL,
	DROP_COPY_FAILED,           /* the kernel refused to copy a request into its slot */
	FORWARDED,                  /* a request sent on at once */
	QUEUED,                     /* a request copied to a slot; the frame itself ends here */
	COMPLETION_FREED,           /* a thread more is free, or one request less in hand than there were too many */
	COMPLETION_CARRIED,         /* a thread more is free, and a carrier is on its way to fetch a queued request */
	COMPLETION_EXCESS,          /* all threads of this backend were free already */
	COMPLETION_LATE,            /* the same, but a report had made up for it; or its backend is silent */
	COMPLETION_STRANGER,        /* not from a backend's address */
	COMPLETION_WRONG_INTERFACE, /* from a backend's address, but not where that backend lives */
	REPLIED,                    /* a backend's answer on its way to the client, from the address that it asked */
	REPLY_FREED,                /* the same, and a thread more is free */
	REPLY_CARRIED,              /* the same, and a clone of it is on its way to fetch a queued request */
	REPORT_AGREED,              /* a backend's report says what we know */
	REPORT_BEGUN,               /* its first one */
	REPORT_RESTARTED,           /* the first one since it has started again: what it had in hand is gone */
	REPORT_REQUEST_LOST,        /* a request has not arrived; its thread is free */
	REPORT_COMPLETION_LOST,     /* it has completed more than we have heard of; the threads are free */
	REPORT_COMPLETION_LATE,     /* one that a report had made up for has freed a thread more, which is taken */
	REPORT_COMPLETION_DOUBLED,  /* it has completed less than we have heard of otherwise; the threads are taken */
	REPORT_RETURNED,            /* it was silent for too long, and is back */
	REPORT_OLD,                 /* overtaken by a later one */
	REPORT_MALFORMED,
	REPORT_STRANGER,            /* as with completions */
	REPORT_WRONG_INTERFACE,
	KICKED,                     /* a carrier that user space has sent, because a thread is free again */
	KICK_NEEDLESS,              /* the same, but nothing waits, or no thread is free */
	BACKEND_SILENT,             /* user space has found that a backend no longer reports; it gets no requests */
	ROLE_RESUMED,               /* the role has started again, and goes on with the state that is there */
	REASONS
};

/* What became of a carrier: a completion, or its page-sized clone, on its way back to fetch a queued request. */
enum carrier_reason {
	CARRIER_SENT,
	CARRIER_EMPTY,      /* the queue was served, or the thread taken, while it was on its way */
	CARRIER_NO_ROOM,    /* cannot grow: the completion itself, behind its clone, which can */
	CARRIER_MALFORMED,  /* no longer the completion it was */
	CARRIER_NOT_FILLED, /* the kernel refused to copy a request into it; that request waits again */
	REPLY_SENT,         /* no carrier: a reply, rewritten */
	REPLY_FORGOTTEN,    /* a reply whose flow has gone while it was on its way */
	CARRIER_REASONS
};

#define FIRST_DROP DROP_BAD_LENGTH /* all reasons before it pass */
/* Beside the reason of a report: */
#define IS_SENT_BACK 0x100 /* as a carrier, or as a marker */
#define IS_HEARD 0x200 /* it goes on to the role */

/* What makes a backend wanted that has a free thread. A weight counts threads, turns or chances that many times. */
enum policy { MOST_FREE, ROUND_ROBIN, RANDOM, FIRST_FREE };

/* By what it is known that a request is done, and need not be held any longer. */
enum known_by { NOT_HELD, BY_REPORTS, BY_REPLIES };

struct config {
	__u32 ready;          /* set last */
	__be16 service_port;
	__be16 completion_port;
	__u32 policy;
	__u32 backends;       /* how many entries of `backends` are in use */
	__u32 longest;        /* bytes of the longest frame that every backend's link carries */
	__u32 replies;        /* a reply frees its thread; there are no completions then */
	__be16 report_port;   /* 0: nobody reports */
	__u16 padding;
	__u32 ways;           /* interfaces that a pair can have; 0 when there are too many pairs */
	__u32 families;       /* HAS_IPV4, HAS_IPV6: those in which every backend has an address */
	__u32 holds;          /* enum known_by: a request keeps its slot until it is known to be done */
	unsigned char weights[MAX_BACKENDS * sizeof(__u32)] __attribute__((aligned(4))); /* 0: gets no requests */
};

struct backend {
	struct address ipv4;  /* each of a family that config.families has */
	struct address ipv6;
	__u32 ifindex;        /* of our interface that leads to it */
	__u32 capacity;       /* threads */
	__u32 weight;         /* when it is not drained */
	unsigned char mac[ETH_ALEN];
	unsigned char our_mac[ETH_ALEN];
	char name[NAME_BYTES];
};

/* All that must change together; what user space may change under traffic is in the settings. Readers in user space
 * take it whole with BPF_F_LOCK. */
struct state {
	struct bpf_spin_lock lock;
	__u32 depth;          /* requests waiting */
	__u32 head;           /* place of the oldest in ring.waiting */
	__u32 spares;         /* slots given back, on ring.spare */
	__u32 fresh;          /* slots that have never been used begin here */
	__u32 turn;           /* which backend was chosen last */
	__u32 turns;          /* how many more it is to get in a row, if it still weighs more than that */
	__u32 number;         /* of the last request */
	__u32 age;            /* which of the ages is the present one */
	__u32 policy;         /* by which the tree is built; config.policy from the next arrange_run on */
	__u32 root;           /* the node of the tree that stands for all backends */
	__u32 kept;           /* requests that have a slot: they wait, are held, or are about to be */
	__u64 order;          /* counts choices */
	__u64 received;       /* = forwarded + queued + dropped, at every moment */
	__u64 forwarded;
	__u64 queued;
	__u64 dropped;
	__u64 dequeued;
	__u64 completions;
	__u64 expired;        /* threads that were not heard of for too long */
	__u64 retried;        /* requests put back at the head of the queue; waiting = queued + retried - dequeued */
	__u64 unheld;         /* requests sent on without being held, for want of room */
	__u64 held;           /* how many are now */
	unsigned char free_threads[MAX_BACKENDS * sizeof(__u32)] __attribute__((aligned(4))); /* as in struct ring */
	unsigned char taken[MAX_BACKENDS * AGES * sizeof(__u32)] __attribute__((aligned(4))); /* threads, by age */
	unsigned char reports[MAX_BACKENDS * sizeof(__u32)] __attribute__((aligned(4))); /* whether each has reported */
	unsigned char sent[MAX_BACKENDS * sizeof(__u32)] __attribute__((aligned(4))); /* requests to each, in all */
	unsigned char chosen[MAX_BACKENDS * sizeof(__u64)] __attribute__((aligned(8))); /* each last, by order */
	unsigned char tree[2 * MAX_BACKENDS * sizeof(__u64)] __attribute__((aligned(8))); /* see place() */
	unsigned char best[2 * MAX_BACKENDS]; /* whose bid each node of it has */
};

/* Slot numbers: a ring of those that wait, in order, and a stack of those to use again. Changed under state.lock. They
 * are 32-bit words, declared as bytes because bcc makes a reader for every element of any other array: with 100,000
 * of them, compiling takes 12 s instead of 0.6 s. */
struct ring {
	unsigned char waiting[SLOTS * sizeof(__u32)] __attribute__((aligned(4)));
	unsigned char spare[SLOTS * sizeof(__u32)] __attribute__((aligned(4)));
};

/* A request that is waiting or held, owned by whoever took its number off the ring, the stack or the holds. */
struct slot {
	__u32 length;
	__u32 number;
	__u32 ifindex;        /* where it came in */
	__u32 way;
	unsigned char frame[ETH_HLEN + MTU];
};

/* A request that has left to a backend, and is kept in its slot until it is known to be done. */
struct hold {
	__u32 backend;        /* its index, and one; 0: nothing is held here */
	__u32 number;         /* of the request: a slot is used again */
	__u64 since_ns;       /* when it left */
};

/* One for each slot, as one value, so that user space reads all at once; bytes as in struct ring. Changed under
 * state.lock. */
struct holds {
	unsigned char by_slot[SLOTS * sizeof(struct hold)] __attribute__((aligned(8)));
};

/* What user space knows to be done with: a frame of it has this behind an Ethernet header that nobody reads. */
struct claim {
	__u32 slot;
	__u32 number;
	struct flow_key flow;
};

/* Up to where user space has read what a backend has done: it is written and read there, and here to outlive it. */
struct mark {
	__u64 incarnation;
	__u32 completed;
	__u32 padding;
};

/* One of this node's own. */
struct interface {
	__u16 mac[ETH_ALEN / 2]; /* a whole word at a time is compared */
	__u16 way;               /* among our interfaces, in `pairs` */
	__u32 known;             /* 0: this entry is of none */
	struct address ipv4;     /* its first ones, which are most often asked */
	struct address ipv6;
};

struct devmap_entry {
	__u32 ifindex;
	__u32 program; /* fd of the egress program */
};

BPF_ARRAY(config, struct config, 1);                          /* written by the role */
BPF_ARRAY(backends, struct backend, MAX_BACKENDS);            /* written by the role */
BPF_HASH(backend_at, struct address, __u32, 2 * MAX_BACKENDS); /* address → index, written by the role */
BPF_HASH(local_addresses, struct address, __u8, MAX_LOCAL_ADDRESSES); /* this node's own, written by the role */
BPF_ARRAY(interfaces, struct interface, MAX_INTERFACES);      /* our own by ifindex, written by the role */
BPF_ARRAY(state, struct state, 1);
BPF_ARRAY(reporters, struct reporter, MAX_BACKENDS);
BPF_ARRAY(ring, struct ring, 1);
BPF_ARRAY(slots, struct slot, SLOTS);
BPF_PERCPU_ARRAY(reserve, __u64, 1);                          /* a slot to copy the next request into, and one; or 0 */
BPF_ARRAY(held, struct holds, 1);
BPF_ARRAY(marks, struct mark, MAX_BACKENDS);
BPF_TABLE("lru_hash", struct flow_key, struct flow, flows, FLOWS);
BPF_PERCPU_ARRAY(reasons, struct count, REASONS);
BPF_PERCPU_ARRAY(carrier_reasons, struct count, CARRIER_REASONS);
/* The doors out, by ifindex: every frame we send leaves by an entry that carries the program `egress_devmap`. The
 * kernel keeps one egress program for a whole batch to a device (bq_enqueue in kernel/bpf/devmap.c), so they must not
 * differ. */
BPF_XDP_REDIRECT_MAP("devmap", struct devmap_entry, doors, MAX_INTERFACES);
/* For each backend a devmap with two such entries for its interface. Broadcast to, the first sends a clone in a page of
 * its own, which can grow, the last the completion itself, which cannot. */
BPF_XDP_REDIRECT_MAP("devmap", struct devmap_entry, carrier_template, 2);
BPF_ARRAY_OF_MAPS(carriers, "carrier_template", MAX_BACKENDS);
/* The same for a reply that carries: first a clone to the backend, last the reply to the client's interface. */
BPF_ARRAY_OF_MAPS(pairs, "carrier_template", MAX_PAIRS);

static long (*const redirect_map)(void *map, __u64 key, __u64 flags) = (void *)REDIRECT_MAP;

/* ---- the state machine: all of it under state.lock, no helper may be called ---- */

/* The free threads of a backend. */
static __always_inline __u32 *free_threads(struct state *s, __u32 index)
{
	return (__u32 *)s->free_threads + masked(index, MAX_BACKENDS - 1);
}

/* How many threads of a backend were taken in one of the ages, 0 being the present one, and 1 the oldest. */
static __always_inline __u32 *taken(struct state *s, __u32 index, __u32 distance)
{
	__u32 at = index * AGES + ((s->age + distance) & (AGES - 1));

	return (__u32 *)s->taken + masked(at, MAX_BACKENDS * AGES - 1);
}

/* Whether a backend has reported. Then its reports tell which threads are taken, and none of those grows old. */
static __always_inline __u32 *reports(struct state *s, __u32 index)
{
	return (__u32 *)s->reports + masked(index, MAX_BACKENDS - 1);
}

/* How much a backend is to get in comparison with others; 0 is nothing: it is drained, or gone. */
static __always_inline __u32 weight(struct config *c, __u32 index)
{
	return ((__u32 *)c->weights)[masked(index, MAX_BACKENDS - 1)];
}

static __always_inline __u32 *sent(struct state *s, __u32 index)
{
	return (__u32 *)s->sent + masked(index, MAX_BACKENDS - 1);
}

/* When a backend was chosen last, counted in choices. */
static __always_inline __u64 *chosen_at(struct state *s, __u32 index)
{
	return (__u64 *)s->chosen + masked(index, MAX_BACKENDS - 1);
}

static __always_inline __u64 *node(struct state *s, __u32 at)
{
	return (__u64 *)s->tree + masked(at, 2 * MAX_BACKENDS - 1);
}

static __always_inline unsigned char *best(struct state *s, __u32 at)
{
	return s->best + masked(at, 2 * MAX_BACKENDS - 1);
}

/* All ones where a number is negative, else zero. The barriers hide from the compiler that a branch could do that. */
static __always_inline __u64 if_negative(__u64 number)
{
	barrier_var(number);
	number = (__s64)number >> 63;
	barrier_var(number);
	return number;
}

static __always_inline __u64 if_same(__u32 one, __u32 other)
{
	return if_negative((__u64)(one ^ other) - 1);
}

static __always_inline __u64 either(__u64 mask, __u64 one, __u64 other)
{
	return other ^ ((one ^ other) & mask);
}

/* What a backend has to say in the choice of one: nothing without a free thread or a weight; else its chances, or how
 * much it is wanted. All masks and no branches, here and below: the verifier follows every way. */
static __always_inline __u64 bid(struct state *s, struct config *c, __u32 index)
{
	__u64 share = weight(c, index), threads = *free_threads(s, index) * share;
	__u64 by_threads = if_same(s->policy, MOST_FREE), in_turn = by_threads | if_same(s->policy, ROUND_ROBIN);
	__u64 ago = ~*chosen_at(s, index) & ((1ULL << ORDER_BITS) - 1) & in_turn;
	__u64 wanted = either(by_threads, threads, 1) << ORDER_BITS | ago;

	return either(if_same(s->policy, RANDOM), share, wanted) & if_negative(-threads);
}

/* Let a node say what the two below it have to say together: the larger bid, and whose it is, the first one's if they
 * are the same; at random, the sum of all chances. */
static __always_inline void compare(struct state *s, __u32 at, __u64 at_random)
{
	__u64 one = *node(s, 2 * at), other = *node(s, 2 * at + 1), loses = if_negative(one - other);

	*node(s, at) = either(at_random, one + other, either(loses, other, one));
	*best(s, at) = either(loses, *best(s, 2 * at + 1), *best(s, 2 * at));
}

/* Let the tree know that a backend's threads, or its turn, have changed. A tournament tree (Knuth, The Art of Computer
 * Programming 3, 5.4.1): backends are its leaves, from MAX_BACKENDS on, and node n stands for 2n and 2n + 1. The choice
 * stands in the lowest node that has all backends below it; a change concerns one node on each level up to there. */
static __always_inline void place(struct state *s, struct config *c, __u32 index)
{
	__u64 at_random = if_same(s->policy, RANDOM);
	__u32 at = MAX_BACKENDS + index;

	*node(s, at) = bid(s, c, index);
#pragma nounroll
	for (int level = 0; level < LEVELS; level++) {
		if (at <= s->root)
			break;
		at >>= 1;
		compare(s, at, at_random);
	}
}

/* Build the tree anew. When half of the numbers for choices are used up, the older half of them is forgotten. */
static __always_inline void arrange(struct state *s, struct config *c)
{
	__u64 at_random, forgotten = s->order >> (ORDER_BITS - 1) ? s->order - (1ULL << (ORDER_BITS - 2)) : 0;

	s->policy = c->policy;
	s->order -= forgotten;
	at_random = if_same(s->policy, RANDOM);
#pragma nounroll
	for (__u32 index = 0; index < MAX_BACKENDS; index++) {
		__u64 *last = chosen_at(s, index);

		*last -= either(if_negative(*last - forgotten), *last, forgotten);
		*node(s, MAX_BACKENDS + index) = bid(s, c, index);
		*best(s, MAX_BACKENDS + index) = index;
	}
#pragma nounroll
	for (__u32 at = MAX_BACKENDS - 1; at > 0; at--)
		compare(s, at, at_random);
	s->root = MAX_BACKENDS;
#pragma nounroll
	for (__u32 below = 1; below < MAX_BACKENDS; below <<= 1)
		s->root >>= below < c->backends;
}

static __always_inline void take(struct state *s, struct config *c, __u32 index)
{
	--*free_threads(s, index);
	++*taken(s, index, 0);
	++*sent(s, index);
	place(s, c, index);
}

/* Correct the free threads of a backend, and the ages of those that are taken, so that both go on adding up. */
static __always_inline void set_free(struct state *s, struct config *c, __u32 index, __u32 free)
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
	place(s, c, index);
}

/* Give a thread back, the one that was taken first; false when all are free already. */
static __always_inline bool give(struct state *s, struct config *c, __u32 index, __u32 capacity)
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
	place(s, c, index);
	return true;
}

/* The backend whose chances a random number falls into, from the top of the tree down to it. */
static __always_inline __u32 drawn(struct state *s, __u32 random)
{
	__u64 rest = *node(s, s->root) * random >> 32;
	__u32 at = s->root;

#pragma nounroll
	for (int level = 0; level < LEVELS; level++) {
		if (at >= MAX_BACKENDS)
			break;
		__u64 first = *node(s, 2 * at), is_in_first = if_negative(rest - first);

		rest -= first & ~is_in_first;
		at = 2 * at + 1 + (__u32)is_in_first;
	}
	return at - MAX_BACKENDS;
}

/* Take a thread of the backend that the policy chooses; NONE when no thread is free. Ties go to whose last turn is
 * longest ago. In turn, a backend gets as many requests in a row as it weighs, or as it has threads for. */
static __always_inline __u32 take_thread(struct state *s, struct config *c, __u32 random)
{
	__u32 chosen = s->turn;

	if (!*node(s, s->root))
		return NONE;
	if (s->policy == ROUND_ROBIN && s->turns && s->turns < weight(c, chosen) && *node(s, MAX_BACKENDS + chosen)) {
		s->turns--;
	} else {
		chosen = (s->policy == RANDOM ? drawn(s, random) : *best(s, s->root)) & (MAX_BACKENDS - 1);
		s->turn = chosen;
		s->turns = weight(c, chosen) - 1;
	}
	*chosen_at(s, chosen) = ++s->order;
	take(s, c, chosen);
	return chosen;
}

/* Whether as many requests are kept as may be. Those that wait and those that are held share the room. */
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

/* Keep a request no longer. */
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

/* Let a request wait before all others. */
static __always_inline void push_front(struct state *s, struct ring *r, __u32 slot)
{
	__u32 place = s->head ? s->head - 1 : SLOTS - 1;

	if (place < SLOTS)
		((__u32 *)r->waiting)[place] = slot;
	s->head = place;
	s->depth++;
}

/* What is held in a slot. As with free_threads(), what is proven of the index must be proven of the register that is
 * used. */
static __always_inline struct hold *hold_of(struct holds *h, __u32 slot)
{
	__u64 at = slot;

	barrier_var(at);
	if (at >= SLOTS)
		return NULL;
	barrier_var(at);
	return (struct hold *)h->by_slot + at;
}

/* Let go of a held request, under the lock: false when the slot holds another one by now, or none. */
static __always_inline bool let_go(struct state *s, struct hold *hold, __u32 number)
{
	if (!hold->backend || hold->number != number)
		return false;
	hold->since_ns = 0;
	hold->number = 0;
	hold->backend = 0;
	s->held--;
	return true;
}

/* ---- stages ---- */

/* Remember who has sent a request, which stands in the packet as it came, before it leaves to a backend. Of several at
 * the same time one makes the flow, and each counts in it; its answers come from the address that was asked last. */
static __always_inline void remember(struct datagram *datagram, __u32 backend, __u32 ifindex, __u32 way)
{
	struct interface *here = interfaces.lookup(&ifindex);
	struct flow_key key = { .client = datagram->source, .port = datagram->udp->source, .backend = backend };
	struct flow *flow = flows.lookup(&key), fresh = {};

	if (!flow) {
		flows.insert(&key, &fresh);
		flow = flows.lookup(&key);
	}
	if (!flow || !here)
		return;
	__sync_fetch_and_add(&flow->outstanding, 1);
	flow->asked = datagram->destination;
	flow->ifindex = ifindex;
	flow->way = way;
	copy_mac(flow->mac, datagram->ethernet->h_source);
	copy_mac(flow->our_mac, here->mac); /* the request itself may have been to a group */
}

/* The same for a request that is held until it is answered: it leaves from a numbered port, by which its answer tells
 * it from others of the client's. */
static __always_inline void remember_numbered(struct datagram *datagram, struct config *c, __u32 backend,
					      __u32 ifindex, __u32 way, __u32 slot, __u32 number)
{
	struct flow_key key = { .client = datagram->source, .backend = backend };
	struct flow fresh = { .outstanding = 1, .asked = datagram->destination, .ifindex = ifindex, .way = way };
	struct interface *here = interfaces.lookup(&ifindex);

	if (!here)
		return;
	key.port = numbered_port(number, c->service_port);
	fresh.slot = slot;
	fresh.number = number;
	fresh.port = datagram->udp->source;
	copy_mac(fresh.mac, datagram->ethernet->h_source);
	copy_mac(fresh.our_mac, here->mac);
	flows.update(&key, &fresh);
	rewrite_port(datagram->udp, &datagram->udp->source, key.port);
}

/* Address a request to backend k; `slot` is where it is held, or NONE. */
static __always_inline void address_to(struct datagram *datagram, struct config *c, __u32 k, struct backend *backend,
				       __u32 ifindex, __u32 way, __u32 slot, __u32 number)
{
	if (c->holds == BY_REPLIES)
		remember_numbered(datagram, c, k, ifindex, way, slot, number);
	else
		remember(datagram, k, ifindex, way);
	copy_mac(datagram->ethernet->h_dest, backend->mac);
	copy_mac(datagram->ethernet->h_source, backend->our_mac);
	give_destination(datagram, datagram->ipv4 ? &backend->ipv4 : &backend->ipv6);
}

/* Say that a request has come. That is said when all is decided: the verifier follows a decision once for each way that
 * leads to it, and there are many through what prints addresses of two families. */
static __always_inline void trace_request(struct datagram *datagram, __u32 number)
{
	if (datagram->ipv4)
		trace("request #%u from %pI4:%u", number, &datagram->source.word[3], bpf_ntohs(datagram->udp->source));
	else
		trace("request #%u from [%pI6]:%u", number, &datagram->source, bpf_ntohs(datagram->udp->source));
}

/* Cut off what stands behind a packet: it could make the frame too long for the backend's link. The datagram is found
 * again if that has moved it; false if it cannot be. */
static __always_inline bool cut(struct xdp_md *ctx, __u32 length, struct datagram *datagram)
{
	int surplus = length_of(ctx) - (int)length;

	if (surplus <= 0)
		return true;
	bpf_xdp_adjust_tail(ctx, -surplus);
	return find_datagram(ctx, datagram);
}

/* What is decided about a request. */
struct decision {
	__u32 number;
	__u32 chosen;         /* whose thread it takes, or NONE */
	__u32 free;           /* how many that backend has left */
	__u32 depth;          /* how many wait, this one too */
	__u32 slot;           /* where it is kept when it leaves, or NONE */
	__u32 reason;
};

static __always_inline __u32 forward(struct xdp_md *ctx, struct config *c, struct datagram *datagram,
				     struct decision *decision, __u32 way)
{
	__u32 chosen = decision->chosen;
	struct backend *backend = backends.lookup(&chosen);

	if (!backend)
		return PASS_MALFORMED_IP;
	address_to(datagram, c, chosen, backend, ctx->ingress_ifindex, way, decision->slot, decision->number);
	trace("forward #%u to %s, free %u", decision->number, backend->name, decision->free);
	doors.redirect_map(backend->ifindex, 0);
	return FORWARDED;
}

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
static __always_inline bool copy_in(struct xdp_md *ctx, struct slot *slot, __u32 number, __u64 length, __u32 way)
{
	bool copied = false;

	length = frame_length(length);
	if (slot && length >= ETH_HLEN) {
		slot->length = length;
		slot->number = number;
		slot->ifindex = ctx->ingress_ifindex;
		slot->way = way;
		copied = bpf_xdp_load_bytes(ctx, 0, slot->frame, length) == 0;
	}
	return copied;
}

/* Own the slot that this CPU has in reserve, or another if it has none. Whoever interrupts us from then on has none. */
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

/* Have a slot in reserve; whoever has interrupted us may have put one there as well. */
static __always_inline void keep_reserve(struct state *s, struct ring *r, __u64 *in_reserve, __u32 slot)
{
	__u32 other = __sync_lock_test_and_set(in_reserve, (__u32)(slot + 1)) - 1;

	if (other == NONE)
		return;
	bpf_spin_lock(&s->lock);
	give_slot(s, r, other);
	bpf_spin_unlock(&s->lock);
}

/* Decide about a request that has a copy in a slot of ours, as it had to wait for all that we knew. */
static __always_inline void wait_in_queue(struct xdp_md *ctx, struct config *c, struct state *s, struct ring *r,
					  __u32 length, __u32 way, __u32 random, struct decision *decision)
{
	__u32 zero = 0;
	__u64 *in_reserve = reserve.lookup(&zero);

	if (!in_reserve)
		return;
	__u32 own = take_reserve(s, r, in_reserve);
	struct slot *slot = slots.lookup(&own);
	bool copied = copy_in(ctx, slot, decision->number, length, way);

	bpf_spin_lock(&s->lock);
	s->received++;
	if (!decision->number)
		decision->number = ++s->number;
	if (slot)
		slot->number = decision->number;
	if (copied && !s->depth)
		decision->chosen = take_thread(s, c, random);
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

/* Keep a request that is leaving to backend k, if it stands in a slot. That is written before it leaves, so that no
 * answer comes sooner. */
static __always_inline void hold(struct state *s, struct ring *r, __u32 slot_number, bool copied, __u32 number, __u32 k)
{
	__u32 zero = 0;
	__u64 now = bpf_ktime_get_ns();
	struct holds *h = held.lookup(&zero);
	struct hold *hold = h ? hold_of(h, slot_number) : NULL;

	bpf_spin_lock(&s->lock);
	if (hold && copied) {
		hold->since_ns = now;
		hold->number = number;
		hold->backend = k + 1;
		s->held++;
	} else {
		s->unheld++;
		if (slot_number != NONE)
			drop_slot(s, r, slot_number);
	}
	bpf_spin_unlock(&s->lock);
}

/* A request. Whether it has to wait is looked up before it is decided under the lock: then it is copied first, and so one
 * that waits takes the lock but once, as does one that is sent on at once. */
static __always_inline __u32 request(struct xdp_md *ctx, struct config *c, struct state *s, struct ring *r,
				     struct datagram *datagram, __u32 way)
{
	__u32 length = ETH_HLEN + datagram->length;
	__u32 random = s->policy == RANDOM ? bpf_get_prandom_u32() : 0;
	bool too_long = length > c->longest, copied = true;
	bool waits = (s->depth || !*node(s, s->root)) && !is_full(s) && !too_long;
	struct decision decision = { .chosen = NONE, .slot = NONE, .reason = DROP_QUEUE_FULL };

	if (!waits) {
		bpf_spin_lock(&s->lock);
		decision.number = ++s->number;
		if (!s->depth && !too_long)
			decision.chosen = take_thread(s, c, random);
		if (decision.chosen != NONE) {
			decision.free = *free_threads(s, decision.chosen);
			if (c->holds && !is_full(s)) {
				decision.slot = take_slot(s, r);
				s->kept++;
			}
			s->received++;
			s->forwarded++;
		} else if (too_long || is_full(s)) {
			s->received++;
			s->dropped++;
		} else {
			waits = true;
		}
		bpf_spin_unlock(&s->lock);

		if (decision.slot != NONE)
			copied = copy_in(ctx, slots.lookup(&decision.slot), decision.number, length, way);
	}
	if (waits)
		wait_in_queue(ctx, c, s, r, length, way, random, &decision);

	trace_request(datagram, decision.number);
	if (decision.chosen != NONE) {
		if (!cut(ctx, length, datagram))
			decision.reason = PASS_MALFORMED_IP;
		else
			decision.reason = forward(ctx, c, datagram, &decision, way);
		if (c->holds)
			hold(s, r, decision.slot, copied, decision.number, decision.chosen);
	} else if (too_long) {
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

/* Whether what a backend has done now was more than it has threads for: then none is free by that. Under the lock. */
static __always_inline bool was_over(struct reporter *known)
{
	bool is_over = !known->silent && known->over;

	known->over -= is_over;
	return is_over;
}

/* A completion. One that came too late for its report leaves all as it is, if it can be told by that: no thread is in
 * hand, or nobody knows how many are, as the backend is silent. Otherwise it frees a thread, for it may be the next one
 * as well, and the next report tells. */
static __always_inline __u32 completion(struct xdp_md *ctx, struct config *c, struct state *s, __u32 k,
					struct backend *backend)
{
	__u32 free = 0, depth = 0;
	void *carrier = carriers.lookup(&k);
	struct reporter *known = reporters.lookup(&k);
	bool is_late, is_over, excess, is_needed;

	if (!known)
		return COMPLETION_STRANGER;
	__u64 now = known->owed ? bpf_ktime_get_ns() : 0;

	bpf_spin_lock(&s->lock);
	is_late = known->silent;
	is_over = was_over(known);
	excess = is_late || (!is_over && !give(s, c, k, backend->capacity));
	free = *free_threads(s, k);
	if (!excess) {
		s->completions++;
	} else if (!is_late && known->owed && now <= known->owed_ns + LATE_NS) {
		is_late = true;
		known->owed--;
		known->lost_completions--;
	}
	depth = s->depth;
	is_needed = depth && weight(c, k) && !is_over;
	bpf_spin_unlock(&s->lock);

	if (is_late) {
		trace("completion from %s ignored, it came late", backend->name);
		return COMPLETION_LATE;
	}
	if (excess) {
		trace("completion from %s ignored, all its threads are free", backend->name);
		return COMPLETION_EXCESS;
	}
	trace("completion from %s, free %u, depth %u", backend->name, free, depth);
	if (is_needed && carrier) {
		redirect_map(carrier, 0, BPF_F_BROADCAST);
		return COMPLETION_CARRIED;
	}
	return COMPLETION_FREED;
}

/* What a report says of the last marker, if that is news: how many requests are lost. Below zero, so many more have
 * arrived than were sent since `base`. Only what two markers in a row agree upon is believed: on another CPU a request
 * may be counted just before a marker and leave just behind it, or the other way round. */
static __always_inline __s32 lost_by(struct reporter *known, struct told *told, __u32 seen)
{
	__u32 marked = told->sent - known->base, open = known->asked - known->answered;
	__s32 missing = marked - told->before, last = known->missing, lost = known->lost;
	__s32 least = missing < last ? missing : last, most = missing < last ? last : missing;

	if (told->marker - known->answered - 1 >= open || marked > seen || (__s32)(told->received - told->before) < 0)
		return lost;
	known->answered = told->marker;
	known->missing = missing;
	if (lost < least)
		return least;
	return lost > most ? most : lost;
}

/* What a report says of the completions that we have heard: it makes up for so many or, below zero, takes so many back.
 * Those that one has made up for not long ago, and that came after all, were late; others came twice. */
static __always_inline __u32 count_completions(struct reporter *known, __s32 made_up, __u64 now)
{
	__u32 surplus = made_up < 0 ? -made_up : 0, late;

	if (now > known->owed_ns + LATE_NS)
		known->owed = 0;
	if (made_up > 0) {
		known->owed += made_up;
		known->owed_ns = now;
		known->lost_completions += made_up;
		return REPORT_COMPLETION_LOST;
	}
	late = surplus < known->owed ? surplus : known->owed;
	known->owed -= late;
	known->lost_completions -= late;
	known->doubled_completions += surplus - late;
	if (!surplus)
		return REPORT_AGREED;
	return late == surplus ? REPORT_COMPLETION_LATE : REPORT_COMPLETION_DOUBLED;
}

/* Compare a report with what we know, under the lock, and correct that. Requests that are still on their way to the
 * backend are in hand. */
static __always_inline __u32 correct(struct state *s, struct config *c, struct reporter *known, __u32 k, __u32 capacity,
				     __u64 now, struct told *told)
{
	__u32 reason = REPORT_AGREED, received = told->received, completed = told->completed;
	__u32 outstanding, free, before = *free_threads(s, k);
	__s32 lost, more, spare = before - known->over; /* below zero, more is in hand than there are threads */

	if (known->incarnation == told->incarnation &&
	    ((__s32)(received - known->received) < 0 || (__s32)(completed - known->completed) < 0))
		return REPORT_OLD;
	if (known->incarnation != told->incarnation) {
		reason = known->incarnation ? REPORT_RESTARTED : REPORT_BEGUN;
		/* What was sent before it began is in the hands of nobody. Its very first report may come when requests
		 * that it will still get are on their way already. */
		known->base = *sent(s, k) - (known->incarnation ? received : capacity - before + completed);
		known->incarnation = told->incarnation;
		known->answered = known->asked;
		known->asked_ns = 0;
		known->missing = 0;
		known->lost = 0;
		known->owed = 0;
	}
	more = received + known->base - *sent(s, k);
	if (more > 0) /* it has got what we took for gone */
		known->base -= more;
	lost = lost_by(known, told, *sent(s, k) - known->base);
	if (lost < 0) { /* the same, found by markers */
		known->base += lost;
		lost = 0;
	}
	__u32 seen = *sent(s, k) - known->base;

	if ((__s32)(seen - lost - received) < 0) /* it was only late */
		lost = seen - received;
	outstanding = seen - lost - completed;
	free = outstanding < capacity ? capacity - outstanding : 0;
	known->over = (__s32)(outstanding - capacity) > 0 ? outstanding - capacity : 0;
	if (reason == REPORT_AGREED && known->silent) {
		reason = REPORT_RETURNED;
	} else if (reason == REPORT_AGREED) {
		reason = count_completions(known, (__s32)(free - known->over) - spare - (__s32)(lost - known->lost), now);
		if ((__s32)(lost - known->lost) > 0)
			reason = REPORT_REQUEST_LOST;
	}
	known->lost_requests += lost - known->lost; /* fewer, when one was only late */
	known->lost = lost;
	known->received = received;
	known->completed = completed;
	known->heard_ns = now;
	known->silent = 0;
	set_free(s, c, k, free);
	return reason;
}

/* Whether a backend that has just reported gets a marker, which then counts as sent: when requests have neither arrived
 * nor are lost. So one of its threads is idle, or will be when those have arrived, and reads the marker; where it has
 * fewer threads than we know of, few markers wait with the requests. */
static __always_inline bool is_to_be_marked(struct reporter *known, struct told *told, __u32 sent, __u64 now)
{
	__u32 open = known->asked - known->answered;

	if (!told->hears || sent - known->base == known->lost + known->received ||
	    now - known->asked_ns < (__u64)MARK_NS << (open < MAX_OPEN ? open : MAX_OPEN))
		return false;
	known->asked++;
	known->asked_ns = now;
	return true;
}

/* Turn a backend's report into a marker for it. */
static __always_inline void mark(struct datagram *datagram, struct report *report, struct backend *backend,
				 __be16 service_port, __u32 number, __u32 sent)
{
	__be32 *ports = (__be32 *)datagram->udp;
	struct udphdr udp = { .source = datagram->udp->dest, .dest = service_port };
	__be32 from[] = { *ports, report->magic, report->marker, report->sent };
	__be32 to[] = { *(__be32 *)&udp, bpf_htonl(MARKER_MAGIC), bpf_htonl(number), bpf_htonl(sent) };

	copy_mac(datagram->ethernet->h_dest, backend->mac);
	copy_mac(datagram->ethernet->h_source, backend->our_mac);
	swap_addresses(datagram);
	replace_in_udp(datagram->udp, from, to, sizeof(to) / sizeof(*to));
	*ports = to[0];
	report->magic = to[1];
	report->marker = to[2];
	report->sent = to[3];
}

/* A report: the backend's own totals. It carries a queued request like a completion, as long as a thread is free: more
 * than one may have become so by it, and a carrier may be lost; one too many finds nothing. Where requests are held the
 * role must hear of it, and sees to the others: only what is free by it, and was not before, makes it a carrier. One by
 * which requests are missing, and that is no carrier, goes back as a marker, by the door that requests leave by. */
static __always_inline __u32 hear(struct xdp_md *ctx, struct config *c, struct state *s, struct datagram *datagram,
				  __u32 k, struct backend *backend)
{
	struct cursor cursor = { .at = datagram->udp + 1, .end = packet(ctx).end };
	struct report *report = parse_report(&cursor);
	struct reporter *known = reporters.lookup(&k);

	if (!known)
		return REPORT_STRANGER;
	if (!report || bpf_ntohs(datagram->udp->len) < sizeof(*datagram->udp) + sizeof(*report)) {
		trace("report from %s ignored, it is malformed", backend->name);
		return REPORT_MALFORMED;
	}
	struct told told = told_by(report);
	__u64 now = bpf_ktime_get_ns();
	__u32 reason, before, free, depth, marker, marked;
	void *carrier = carriers.lookup(&k);
	bool carries, is_marked;

	bpf_spin_lock(&s->lock);
	before = *free_threads(s, k);
	reason = correct(s, c, known, k, backend->capacity, now, &told);
	*reports(s, k) = 1;
	marked = *sent(s, k);
	is_marked = is_to_be_marked(known, &told, marked, now);
	marker = known->asked;
	free = *free_threads(s, k);
	depth = s->depth;
	carries = depth && weight(c, k) && free > (c->holds ? before : 0);
	bpf_spin_unlock(&s->lock);

	if (reason == REPORT_RESTARTED)
		trace("report from %s: started again, free %u, depth %u", backend->name, free, depth);
	else if (reason == REPORT_REQUEST_LOST)
		trace("report from %s: a request was lost, free %u, depth %u", backend->name, free, depth);
	else if (reason == REPORT_COMPLETION_LOST)
		trace("report from %s: a completion was lost, free %u, depth %u", backend->name, free, depth);
	else if (reason == REPORT_COMPLETION_LATE)
		trace("report from %s: a completion came late after all, free %u, depth %u", backend->name, free,
		      depth);
	else if (reason == REPORT_COMPLETION_DOUBLED)
		trace("report from %s: a completion too many, free %u, depth %u", backend->name, free, depth);
	else if (reason == REPORT_OLD)
		trace("report from %s ignored, a later one was here before", backend->name);
	else if (reason == REPORT_RETURNED)
		trace("report from %s: it is back, free %u, depth %u", backend->name, free, depth);
	if (carries && carrier) {
		redirect_map(carrier, 0, BPF_F_BROADCAST);
	} else if (is_marked) {
		mark(datagram, report, backend, c->service_port, marker, marked);
		doors.redirect_map(backend->ifindex, 0);
	} else {
		return c->holds && reason != REPORT_OLD ? reason | IS_HEARD : reason;
	}
	return reason | IS_SENT_BACK;
}

/* A completion or a report, if it is from a backend, and from where that backend lives. */
static __always_inline __u32 word_of_a_backend(struct xdp_md *ctx, struct config *c, struct state *s,
					       struct datagram *datagram, bool is_report)
{
	__u32 *index = backend_at.lookup(&datagram->source);
	struct backend *backend = index ? backends.lookup(index) : NULL;
	char kind[] = "completion";

	if (is_report)
		__builtin_memcpy(kind, "report", sizeof("report"));
	if (!backend) {
		if (datagram->ipv4)
			trace("%s from %pI4 ignored, it is no backend", kind, &datagram->ipv4->saddr);
		else
			trace("%s from %pI6 ignored, it is no backend", kind, &datagram->source);
		return is_report ? REPORT_STRANGER : COMPLETION_STRANGER;
	}
	if (backend->ifindex != ctx->ingress_ifindex) {
		trace("%s from %s ignored, it came in on interface %u", kind, backend->name, ctx->ingress_ifindex);
		return is_report ? REPORT_WRONG_INTERFACE : COMPLETION_WRONG_INTERFACE;
	}
	return is_report ? hear(ctx, c, s, datagram, *index, backend) : completion(ctx, c, s, *index, backend);
}

/* A carrier could not be filled: all is as if it had never come, but that the request counts as one that waits again.
 * A backend that has fallen silent meanwhile gets no thread back. */
static __always_inline void take_back(struct state *s, struct config *c, struct ring *r, __u32 k,
				      struct backend *backend, __u32 slot_number)
{
	struct reporter *known = reporters.lookup(&k);

	bpf_spin_lock(&s->lock);
	if (known && !known->silent)
		give(s, c, k, backend->capacity);
	--*sent(s, k);
	push_front(s, r, slot_number);
	s->retried++;
	bpf_spin_unlock(&s->lock);
}

/* A carrier on its way to backend k. Takes the oldest queued request, if one still waits and a thread of that backend
 * is still free. Grows first: a failing adjustment must come before the decision, which cannot be taken back. */
static __always_inline __u32 carry(struct xdp_md *ctx, __u32 k, struct backend *backend, struct config *c,
				   struct state *s, struct ring *r)
{
	__u32 slot_number = NONE, depth = 0;

	if (bpf_xdp_adjust_tail(ctx, ETH_HLEN + MTU - length_of(ctx)))
		return CARRIER_NO_ROOM;

	bpf_spin_lock(&s->lock);
	if (s->depth && *free_threads(s, k) && weight(c, k)) {
		take(s, c, k);
		slot_number = pop(s, r);
		s->dequeued++;
		depth = s->depth;
	}
	bpf_spin_unlock(&s->lock);
	struct slot *slot = slots.lookup(&slot_number);

	if (!slot)
		return CARRIER_EMPTY;
	__u64 length = frame_length(slot->length);
	__u32 number = slot->number, ifindex = slot->ifindex, way = slot->way;
	struct datagram datagram;
	bool filled = false;

	if (length >= ETH_HLEN)
		filled = !bpf_xdp_store_bytes(ctx, 0, slot->frame, length) &&
			 !bpf_xdp_adjust_tail(ctx, (int)length - (int)(ETH_HLEN + MTU));

	if (!filled || !find_datagram(ctx, &datagram)) {
		take_back(s, c, r, k, backend, slot_number);
		trace("carrier to %s not filled, #%u waits again", backend->name, number);
		return CARRIER_NOT_FILLED;
	}
	address_to(&datagram, c, k, backend, ifindex, way, slot_number, number);
	if (c->holds) {
		hold(s, r, slot_number, true, number, k);
	} else {
		bpf_spin_lock(&s->lock);
		drop_slot(s, r, slot_number);
		bpf_spin_unlock(&s->lock);
	}
	trace("dequeue #%u to %s, depth %u", number, backend->name, depth);
	return CARRIER_SENT;
}

/* The interface that a frame came in on, or NULL when that is none of ours. */
static __always_inline struct interface *ingress(struct xdp_md *ctx)
{
	__u32 ifindex = ctx->ingress_ifindex;
	struct interface *here = interfaces.lookup(&ifindex);

	return here && here->known ? here : NULL;
}

/* Whether an address is one of this node's. An interface that lacks one has the unspecified address there. */
static __always_inline bool is_local(struct interface *here, struct address *address)
{
	if (here && (is_same(address, &here->ipv4) || is_same(address, &here->ipv6)))
		return !is_unspecified(address);
	return local_addresses.lookup(address);
}

/* Whether a frame is for this interface, which must be known; one to a group is. */
static __always_inline bool is_for(struct interface *ours, struct ethhdr *ethernet)
{
	__u16 *theirs = (__u16 *)ethernet->h_dest;

	if (!ours)
		return false;
	return ethernet->h_dest[0] & 1 ||
	       (theirs[0] == ours->mac[0] && theirs[1] == ours->mac[1] && theirs[2] == ours->mac[2]);
}

/* Whether a request claims to be from where it goes, or from the first address of the interface that it comes in on:
 * its answer would not leave this node. */
static __always_inline bool is_ours(struct interface *here, struct datagram *datagram)
{
	struct address *source = &datagram->source;

	return is_same(source, &datagram->destination) || is_same(source, &here->ipv4) || is_same(source, &here->ipv6);
}

/* A packet to one of our ports: what every receiver would drop must not take a thread. */
static __always_inline __u32 balance(struct xdp_md *ctx, struct config *c, struct interface *here,
				     struct datagram *datagram)
{
	__u32 zero = 0, length = bpf_ntohs(datagram->udp->len);
	struct state *s = state.lookup(&zero);
	struct ring *r = ring.lookup(&zero);
	__be16 port = datagram->udp->dest;

	if (!s || !r)
		return PASS_UNCONFIGURED;
	if (!is_for(here, datagram->ethernet))
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
		return word_of_a_backend(ctx, c, s, datagram, port != c->completion_port);
	if (is_ours(here, datagram))
		return PASS_MARTIAN;
	if (!(c->families & (datagram->ipv4 ? HAS_IPV4 : HAS_IPV6)))
		return PASS_OTHER_FAMILY;
	return request(ctx, c, s, r, datagram, here->way);
}

/* A packet that is not for us. A backend's answer to a request is sent on by the egress program, which lets
 * it look as if it came from the address that the client has asked; handed to the stack, that would be our
 * own address, a martian. */
static __always_inline __u32 reply(struct xdp_md *ctx, struct config *c, struct interface *here,
				   struct datagram *datagram)
{
	__u32 zero = 0, free = 0, depth = 0, length = bpf_ntohs(datagram->udp->len);
	__u32 *index = datagram->udp->source == c->service_port ? backend_at.lookup(&datagram->source) : NULL;
	bool freed = false, is_over, is_needed = false;

	if (!index)
		return PASS_NOT_LOCAL;
	__u32 k = *index;
	struct backend *backend = backends.lookup(&k);
	struct flow_key key = { .client = datagram->destination, .port = datagram->udp->dest, .backend = k };
	struct flow *flow = flows.lookup(&key);
	struct state *s = state.lookup(&zero);
	struct ring *r = ring.lookup(&zero);
	struct reporter *known = reporters.lookup(&k);
	struct hold *hold = NULL;

	if (!backend || !s || !r || !known || !flow || backend->ifindex != ctx->ingress_ifindex)
		return PASS_NOT_LOCAL;
	if (!is_for(here, datagram->ethernet) || length < sizeof(*datagram->udp) || length > datagram->room)
		return PASS_NOT_LOCAL;
	if (datagram->ipv4 ? !is_checksum_right(datagram->ipv4) : datagram->udp->check == NO_UDP_CHECKSUM)
		return PASS_NOT_LOCAL;
	__u32 pair = k * c->ways + flow->way, port = bpf_ntohs(c->holds == BY_REPLIES ? flow->port : datagram->udp->dest);
	void *both = c->ways && flow->ifindex != backend->ifindex ? pairs.lookup(&pair) : NULL;

	if (c->holds == BY_REPLIES) {
		struct holds *h = held.lookup(&zero);

		hold = h ? hold_of(h, flow->slot) : NULL;
	}
	if (c->replies && is_answer(flow)) {
		__u32 slot = flow->slot, number = flow->number;

		bpf_spin_lock(&s->lock);
		if (hold && let_go(s, hold, number))
			drop_slot(s, r, slot);
		is_over = was_over(known);
		freed = !known->silent && !is_over && give(s, c, k, backend->capacity); /* as with completions */
		free = *free_threads(s, k);
		if (freed || is_over)
			s->completions++;
		depth = s->depth;
		is_needed = freed && depth && weight(c, k);
		bpf_spin_unlock(&s->lock);
	}
	if (freed)
		trace("completion from %s, free %u, depth %u", backend->name, free, depth);
	else if (datagram->ipv4)
		trace("reply from %s to %pI4:%u", backend->name, &datagram->ipv4->daddr, port);
	else
		trace("reply from %s to [%pI6]:%u", backend->name, &datagram->destination, port);
	if (is_needed && both) {
		redirect_map(both, 0, BPF_F_BROADCAST);
		return REPLY_CARRIED;
	}
	doors.redirect_map(flow->ifindex, 0);
	return freed ? REPLY_FREED : REPLIED;
}

static __always_inline __u32 reason_of(__u32 shape)
{
	switch (shape) {
	case NO_IP: return PASS_NOT_IP;
	case MALFORMED_IP: return PASS_MALFORMED_IP;
	case MAPPED_ADDRESS: return PASS_MARTIAN;
	case NO_UDP: return PASS_NOT_UDP;
	case FRAGMENT: return PASS_FRAGMENT;
	case IPV4_OPTIONS: return PASS_IP_OPTIONS;
	case IPV6_EXTENSION: return PASS_IPV6_EXTENSION;
	default: return PASS_TRUNCATED_UDP;
	}
}

/* Tell requests, completions and replies from all that is none of ours, and return the reason by which the frame
 * leaves. */
static __always_inline __u32 classify(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct config *c = config.lookup(&zero);
	struct datagram datagram;

	if (!c || !c->ready)
		return PASS_UNCONFIGURED;
	__u32 shape = read_datagram(ctx, &datagram);

	if (shape == NO_IP || shape == MALFORMED_IP || shape == MAPPED_ADDRESS)
		return reason_of(shape);
	struct interface *here = ingress(ctx);

	if (!is_local(here, &datagram.destination))
		return shape == DATAGRAM ? reply(ctx, c, here, &datagram) : PASS_NOT_LOCAL;
	if (shape != DATAGRAM)
		return reason_of(shape);
	__be16 port = datagram.udp->dest;

	if (port != c->service_port && (port != c->completion_port || c->replies) &&
	    (port != c->report_port || !c->report_port))
		return PASS_OTHER_PORT;
	return balance(ctx, c, here, &datagram);
}

/* Let a backend's answer come from the address that the client has asked. */
static __always_inline __u32 answer(struct datagram *datagram, struct config *c, struct flow *flow)
{
	copy_mac(datagram->ethernet->h_dest, flow->mac);
	copy_mac(datagram->ethernet->h_source, flow->our_mac);
	give_source(datagram, &flow->asked);
	if (c->holds == BY_REPLIES)
		rewrite_port(datagram->udp, &datagram->udp->dest, flow->port);
	return REPLY_SENT;
}

/* A frame that leaves by an interface: a forwarded request, a reply to its client, or a carrier. */
static __always_inline __u32 egress(struct xdp_md *ctx, __u32 ifindex)
{
	__u32 zero = 0;
	struct datagram datagram;
	struct config *c = config.lookup(&zero);
	bool is_datagram = read_datagram(ctx, &datagram) == DATAGRAM;

	if (!c || !is_datagram)
		return CARRIER_MALFORMED;
	bool is_to_service = datagram.udp->dest == c->service_port;
	bool is_from_service = datagram.udp->source == c->service_port;

	if (is_to_service && !is_from_service)
		return NO_CARRIER;
	__u32 *index = backend_at.lookup(&datagram.source);
	/* From a backend's service port to a client, who may himself use that port, but not as a backend, to which it
	 * would be a request. */
	bool is_reply = index && is_from_service &&
			!local_addresses.lookup(&datagram.destination) &&
			!(is_to_service && backend_at.lookup(&datagram.destination));

	if (is_to_service && !is_reply)
		return NO_CARRIER;
	struct backend *backend = index ? backends.lookup(index) : NULL;
	struct state *s = state.lookup(&zero);
	struct ring *r = ring.lookup(&zero);

	if (!backend || !s || !r)
		return CARRIER_MALFORMED;
	if (is_reply) {
		struct flow_key key = { .client = datagram.destination, .port = datagram.udp->dest, .backend = *index };
		struct flow *flow = flows.lookup(&key);

		if (!flow)
			return REPLY_FORGOTTEN;
		if (flow->ifindex == ifindex)
			return answer(&datagram, c, flow);
	}
	return carry(ctx, *index, backend, c, s, r);
}

/* ---- the exits: each frame leaves here, counted once ---- */

static __always_inline bool is_redirected(__u32 reason)
{
	return reason == FORWARDED || reason == COMPLETION_CARRIED || (reason >= REPLIED && reason <= REPLY_CARRIED);
}

int balancer(struct xdp_md *ctx)
{
	__u32 found = classify(ctx), reason = found & ~(IS_SENT_BACK | IS_HEARD);

	tally(reasons.lookup(&reason), ctx);
	if (found & IS_SENT_BACK)
		return XDP_REDIRECT;
	if (reason < FIRST_DROP || found & IS_HEARD)
		return XDP_PASS;
	return is_redirected(reason) ? XDP_REDIRECT : XDP_DROP;
}

static __always_inline int leave(struct xdp_md *ctx, __u32 ifindex)
{
	__u32 reason = egress(ctx, ifindex);

	if (reason == NO_CARRIER) /* a request, counted when it was forwarded */
		return XDP_PASS;
	tally(carrier_reasons.lookup(&reason), ctx);
	return reason == CARRIER_SENT || reason == REPLY_SENT ? XDP_PASS : XDP_DROP;
}

/* Sees every frame that we redirect: forwarded requests, which leave as they are, replies and carriers. */
int egress_devmap(struct xdp_md *ctx)
{
	return leave(ctx, ctx->egress_ifindex);
}

/* ---- what user space does under the lock, by BPF_PROG_TEST_RUN: it never writes the state itself ---- */

/* Let policy and weights hold that have changed in the settings. */
int arrange_run(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct state *s = state.lookup(&zero);
	struct config *c = config.lookup(&zero);

	if (!s || !c)
		return 0;
	bpf_spin_lock(&s->lock);
	arrange(s, c);
	bpf_spin_unlock(&s->lock);
	return 1;
}

/* Say that the role has started again. */
int resume_run(struct xdp_md *ctx)
{
	__u32 reason = ROLE_RESUMED;

	trace("resumed: the balancer's role has started again");
	tally(reasons.lookup(&reason), ctx);
	return 1;
}

/* Let all taken threads grow older by one age, and free those that were not heard of for all of them, but not those of
 * a backend that reports: one that is busy for long says so, and one that is silent is not there. Returns how many. */
int age_run(struct xdp_md *ctx)
{
	__u32 zero = 0, count = 0;
	struct state *s = state.lookup(&zero);
	struct config *c = config.lookup(&zero);

	if (!s || !c)
		return 0;
	bpf_spin_lock(&s->lock);
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
		arrange(s, c);
	s->expired += count;
	bpf_spin_unlock(&s->lock);
	if (count)
		trace("expired: %u threads are free again, not heard of for too long", count);
	return count;
}

/* The backend that a frame of user space's is about: it looks like one of its completions. */
static __always_inline __u32 *index_in(struct xdp_md *ctx)
{
	struct datagram datagram;

	return read_datagram(ctx, &datagram) == DATAGRAM ? backend_at.lookup(&datagram.source) : NULL;
}

/* Let a backend that is new, or has come back, begin: all its threads are free. Returns how many. */
int begin_run(struct xdp_md *ctx)
{
	__u32 zero = 0, *index = index_in(ctx);
	struct backend *backend = index ? backends.lookup(index) : NULL;
	struct state *s = state.lookup(&zero);
	struct config *c = config.lookup(&zero);

	if (!s || !c || !backend)
		return 0;
	bpf_spin_lock(&s->lock);
#pragma nounroll
	for (__u32 distance = 0; distance < AGES; distance++)
		*taken(s, *index, distance) = 0;
	*free_threads(s, *index) = backend->capacity;
	*reports(s, *index) = 0;
	place(s, c, *index);
	bpf_spin_unlock(&s->lock);
	trace("begin: %s has %u free threads", backend->name, backend->capacity);
	return backend->capacity;
}

/* Take all threads of a backend that has reported, and no longer does: nobody is there. Returns whether it is
 * silent. */
int watch_run(struct xdp_md *ctx)
{
	__u32 zero = 0, free = 0, silent, reason = BACKEND_SILENT;
	__u64 now = bpf_ktime_get_ns();
	__u32 *index = index_in(ctx);
	struct reporter *known = index ? reporters.lookup(index) : NULL;
	struct backend *backend = index ? backends.lookup(index) : NULL;
	struct state *s = state.lookup(&zero);
	struct config *c = config.lookup(&zero);
	bool has_gone = false;

	if (!s || !c || !known || !backend)
		return 0;
	__u32 k = *index;

	bpf_spin_lock(&s->lock);
	if (known->incarnation && !known->silent && now > known->heard_ns + SILENT_NS) {
		known->silent = has_gone = true;
		known->over = 0;
		free = *free_threads(s, k);
		set_free(s, c, k, 0);
	}
	silent = known->silent;
	bpf_spin_unlock(&s->lock);
	if (has_gone) {
		trace("silent: %s gets no requests, %u were in its hands", backend->name, backend->capacity - free);
		tally(reasons.lookup(&reason), ctx);
	}
	return silent;
}

/* The held request that a frame of user space's is about, or NULL. */
static __always_inline struct claim *claim_in(struct xdp_md *ctx)
{
	struct cursor cursor = packet(ctx);
	struct claim *claim = parse_ethernet(&cursor) ? cursor.at : NULL;

	return claim && (void *)(claim + 1) <= cursor.end ? claim : NULL;
}

/* A held request is done: its slot is free. Returns whether it was held. */
int release_run(struct xdp_md *ctx)
{
	__u32 zero = 0, slot, number;
	struct claim *claim = claim_in(ctx);
	struct state *s = state.lookup(&zero);
	struct ring *r = ring.lookup(&zero);
	struct holds *h = held.lookup(&zero);
	bool was_held;

	if (!claim || !s || !r || !h)
		return 0;
	slot = claim->slot;
	number = claim->number;
	struct hold *hold = hold_of(h, slot);

	if (!hold)
		return 0;
	bpf_spin_lock(&s->lock);
	was_held = let_go(s, hold, number);
	if (was_held)
		drop_slot(s, r, slot);
	bpf_spin_unlock(&s->lock);
	return was_held;
}

/* A held request will not be done by the backend that has it: it waits again, before all others, and its flow no longer
 * waits for the answer. Returns whether it was held. */
int requeue_run(struct xdp_md *ctx)
{
	__u32 zero = 0, slot, number, k, depth;
	struct claim *claim = claim_in(ctx);
	struct state *s = state.lookup(&zero);
	struct ring *r = ring.lookup(&zero);
	struct holds *h = held.lookup(&zero);
	struct config *c = config.lookup(&zero);
	bool was_held;

	if (!claim || !s || !r || !h || !c)
		return 0;
	slot = claim->slot;
	number = claim->number;
	struct flow_key key = claim->flow;
	struct hold *hold = hold_of(h, slot);

	if (c->holds == BY_REPLIES)
		key.port = numbered_port(number, c->service_port);
	k = key.backend;
	struct flow *flow = flows.lookup(&key);
	struct backend *backend = backends.lookup(&k);

	if (!hold)
		return 0;
	bpf_spin_lock(&s->lock);
	was_held = let_go(s, hold, number);
	if (was_held) {
		push_front(s, r, slot);
		s->retried++;
		if (flow)
			is_answer(flow);
	}
	depth = s->depth;
	bpf_spin_unlock(&s->lock);
	if (was_held && backend)
		trace("retry #%u, which was at %s, depth %u", number, backend->name, depth);
	return was_held;
}

/* Send a frame, which looks like a completion, to fetch a queued request for a backend, if one waits and a thread is
 * free. A live run (BPF_F_TEST_XDP_LIVE_FRAMES) really sends it. */
int kick_run(struct xdp_md *ctx)
{
	__u32 zero = 0, reason = KICK_NEEDLESS, *index = index_in(ctx);
	struct state *s = state.lookup(&zero);
	struct config *c = config.lookup(&zero);

	if (index && s && c) {
		__u32 k = *index;
		void *carrier = carriers.lookup(&k);
		bool is_needed;

		bpf_spin_lock(&s->lock);
		is_needed = s->depth && *free_threads(s, k) && weight(c, k);
		bpf_spin_unlock(&s->lock);
		if (is_needed && carrier) {
			redirect_map(carrier, 0, BPF_F_BROADCAST);
			reason = KICKED;
		}
	}
	tally(reasons.lookup(&reason), ctx);
	return reason == KICKED ? XDP_REDIRECT : XDP_DROP;
}

#ifdef TEST_ENTRIES
/* Devmap programs cannot be test run; this is the same body as an ordinary program, whose frame leaves where it came
 * in. */
int egress_test(struct xdp_md *ctx)
{
	return leave(ctx, ctx->ingress_ifindex);
}
#endif
