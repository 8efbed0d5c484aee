/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decides which backend serves a UDP request, and lets requests wait in the kernel while no thread is free.
 *
 * A request is a UDP packet to one of the node's own addresses and the service port. It goes to a backend with a free
 * thread, which it takes, or waits in one first-in-first-out queue. A completion, a UDP packet from a backend to the
 * completion port, frees a thread. Everything else passes to the stack untouched.
 *
 * Counts and queue are one state under one lock; docs/balancer.md argues why nothing is lost or stranded.
 */
#include <uapi/linux/bpf.h>

#include "packet.h"
#include "rewrite.h"
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
#define MAX_BACKENDS 128
#define MAX_INTERFACES 1024
#define MAX_LOCAL_ADDRESSES 1024
#define NAME_BYTES 64 /* a DNS label and its end */
#define NONE 0xffffffff
#define NO_CARRIER NONE
#define REDIRECT_MAP 51        /* the helper's number: bcc's own redirect_map() cannot take an inner map */

enum reason {
	PASS_UNCONFIGURED,          /* the role has not set the balancer up yet */
	PASS_NOT_IPV4,              /* ARP, IPv6, a VLAN tag, or shorter than an Ethernet header */
	PASS_MALFORMED_IP,          /* truncated, its lengths contradict each other or the frame, or its checksum is wrong */
	PASS_NOT_LOCAL,             /* routed through this node */
	PASS_OTHER_HOST,            /* to another host's MAC: a switch has flooded it */
	PASS_MARTIAN,               /* from an address that no host can have; the stack drops it */
	PASS_NOT_UDP,
	PASS_FRAGMENT,              /* carries no ports, or not the whole request */
	PASS_IP_OPTIONS,
	PASS_TRUNCATED_UDP,         /* too short to have ports */
	PASS_OTHER_PORT,
	DROP_BAD_LENGTH,            /* to one of our ports, but the UDP length contradicts the IP length */
	DROP_TOO_LONG,              /* a request longer than a backend's link carries */
	DROP_QUEUE_FULL,
	DROP_COPY_FAILED,           /* the kernel refused to copy a request into its slot */
	FORWARDED,                  /* a request sent on at once */
	QUEUED,                     /* a request copied to a slot; the frame itself ends here */
	COMPLETION_FREED,           /* a thread more is free */
	COMPLETION_CARRIED,         /* a thread more is free, and a carrier is on its way to fetch a queued request */
	COMPLETION_EXCESS,          /* all threads of this backend were free already */
	COMPLETION_STRANGER,        /* not from a backend's address */
	COMPLETION_WRONG_INTERFACE, /* from a backend's address, but not where that backend lives */
	REASONS
};

/* What became of a carrier: a completion, or its page-sized clone, on its way back to fetch a queued request. */
enum carrier_reason {
	CARRIER_SENT,
	CARRIER_EMPTY,      /* the queue was served, or the thread taken, while it was on its way */
	CARRIER_NO_ROOM,    /* cannot grow: the completion itself, behind its clone, which can */
	CARRIER_MALFORMED,  /* no longer the completion it was */
	CARRIER_NOT_FILLED, /* the kernel refused to copy a request into it; that request is lost */
	CARRIER_REASONS
};

#define FIRST_DROP DROP_BAD_LENGTH /* all reasons before it pass */

enum policy { MOST_FREE, ROUND_ROBIN, RANDOM, FIRST_FREE };

struct config {
	__u32 ready;          /* set last */
	__be16 service_port;
	__be16 completion_port;
	__u32 policy;
	__u32 backends;       /* how many entries of `backends` are in use */
	__u32 longest;        /* bytes of the longest frame that every backend's link carries */
};

struct backend {
	__be32 address;
	__u32 ifindex;        /* of our interface that leads to it */
	__u32 capacity;       /* threads */
	unsigned char mac[ETH_ALEN];
	unsigned char our_mac[ETH_ALEN];
	char name[NAME_BYTES];
};

/* All that must change together. Readers in user space take it whole with BPF_F_LOCK. */
struct state {
	struct bpf_spin_lock lock;
	__u32 depth;          /* requests waiting */
	__u32 head;           /* place of the oldest in ring.waiting */
	__u32 spares;         /* slots given back, on ring.spare */
	__u32 fresh;          /* slots that have never been used begin here */
	__u32 turn;           /* where the next search for a backend begins */
	__u32 number;         /* of the last request */
	__u64 best;           /* the search's own */
	__u64 received;       /* = forwarded + queued + dropped, at every moment */
	__u64 forwarded;
	__u64 queued;
	__u64 dropped;
	__u64 dequeued;
	__u64 completions;
	unsigned char free_threads[MAX_BACKENDS * sizeof(__u32)] __attribute__((aligned(4))); /* as in struct ring */
};

/* Slot numbers: a ring of those that wait, in order, and a stack of those to use again. Changed under state.lock. They
 * are 32-bit words, declared as bytes because bcc makes a reader for every element of any other array: with 100,000
 * of them, compiling takes 12 s instead of 0.6 s. */
struct ring {
	unsigned char waiting[QUEUE * sizeof(__u32)] __attribute__((aligned(4)));
	unsigned char spare[QUEUE * sizeof(__u32)] __attribute__((aligned(4)));
};

/* A waiting request, owned by whoever took its number off the ring or the stack. */
struct slot {
	__u32 length;
	__u32 number;
	unsigned char frame[ETH_HLEN + MTU];
};

struct mac {
	__u16 words[ETH_ALEN / 2]; /* a whole word at a time is compared */
};

struct devmap_entry {
	__u32 ifindex;
	__u32 program; /* fd of the egress program */
};

BPF_ARRAY(config, struct config, 1);                          /* written by the role */
BPF_ARRAY(backends, struct backend, MAX_BACKENDS);            /* written by the role */
BPF_HASH(backend_at, __be32, __u32, MAX_BACKENDS);            /* address → index, written by the role */
BPF_HASH(local_addresses, __be32, __u8, MAX_LOCAL_ADDRESSES); /* this node's own, written by the role */
BPF_HASH(our_macs, __u32, struct mac, MAX_INTERFACES);        /* by ifindex, written by the role */
BPF_ARRAY(state, struct state, 1);
BPF_ARRAY(ring, struct ring, 1);
BPF_ARRAY(slots, struct slot, QUEUE);
BPF_PERCPU_ARRAY(reasons, struct count, REASONS);
BPF_PERCPU_ARRAY(carrier_reasons, struct count, CARRIER_REASONS);
/* The doors out, by backend: every frame we send leaves by an entry that carries the program `egress_devmap`. The kernel
 * keeps one egress program for a whole batch to a device (bq_enqueue in kernel/bpf/devmap.c), so they must not differ. */
BPF_XDP_REDIRECT_MAP("devmap", struct devmap_entry, doors, MAX_BACKENDS);
/* For each backend a devmap with two such entries for its interface. Broadcast to, the first sends a clone in a page of
 * its own, which can grow, the last the completion itself, which cannot. */
BPF_XDP_REDIRECT_MAP("devmap", struct devmap_entry, carrier_template, 2);
BPF_ARRAY_OF_MAPS(carriers, "carrier_template", MAX_BACKENDS);

static long (*redirect_map)(void *map, __u64 key, __u64 flags) = (void *)REDIRECT_MAP;

/* ---- the state machine: all of it under state.lock, no helper may be called ---- */

/* The free threads of a backend. The empty asm hides what the compiler knows of the index, so that it emits the mask
 * that the verifier needs. */
static __always_inline __u32 *free_threads(struct state *s, __u32 index)
{
	asm volatile("" : "+r"(index));
	return (__u32 *)s->free_threads + (index & (MAX_BACKENDS - 1));
}

/* The finalizer of MurmurHash3 (Appleby): every bit of the result depends on every bit of the word. */
static __always_inline __u32 mixed(__u32 word)
{
	word = (word ^ word >> 16) * 0x85ebca6b;
	word = (word ^ word >> 13) * 0xc2b2ae35;
	return word ^ word >> 16;
}

/* How much a backend with free threads is wanted, and its index in the lowest byte: the largest wins. Of equals it is
 * the first in turn, `distance` places behind the one whose turn it is. */
static __always_inline __u64 preference(struct state *s, struct config *c, __u32 index, __u32 free, __u32 random)
{
	bool in_turn = c->policy == MOST_FREE || c->policy == ROUND_ROBIN;
	__u32 distance = (index - (in_turn ? s->turn : 0)) & 0xff;
	__u64 wanted = 1;

	if (c->policy == MOST_FREE)
		wanted = free;
	if (c->policy == RANDOM) /* equal odds for all: the largest of one hash each wins */
		wanted = mixed(random ^ index * 0x9e3779b9);
	return wanted << 16 | (0xff - distance) << 8 | index;
}

/* Take a thread of the backend that the policy chooses; NONE when no thread is free. The best so far stands in the map
 * and not in a register: the verifier would follow every value that it can have, backend by backend. */
static __always_inline __u32 take_thread(struct state *s, struct config *c, __u32 random)
{
	__u32 chosen;

	s->best = 0;
	for (__u32 index = 0; index < MAX_BACKENDS; index++) {
		if (index >= c->backends)
			break;
		__u32 free = *free_threads(s, index);

		if (free) {
			__u64 wanted = preference(s, c, index, free, random);

			if (wanted > s->best)
				s->best = wanted;
		}
	}
	if (!s->best)
		return NONE;
	chosen = s->best & (MAX_BACKENDS - 1);
	--*free_threads(s, chosen);
	s->turn = chosen + 1;
	return chosen;
}

/* Own a slot to copy a request into; NONE when all are in use. */
static __always_inline __u32 take_slot(struct state *s, struct ring *r)
{
	if (s->spares && s->spares <= QUEUE)
		return ((__u32 *)r->spare)[--s->spares];
	if (s->fresh < QUEUE)
		return s->fresh++;
	return NONE;
}

static __always_inline void give_slot(struct state *s, struct ring *r, __u32 slot)
{
	if (s->spares < QUEUE)
		((__u32 *)r->spare)[s->spares++] = slot;
}

static __always_inline void push(struct state *s, struct ring *r, __u32 slot)
{
	__u32 place = s->head + s->depth;

	if (place >= QUEUE)
		place -= QUEUE;
	if (place < QUEUE)
		((__u32 *)r->waiting)[place] = slot;
	s->depth++;
}

static __always_inline __u32 pop(struct state *s, struct ring *r)
{
	__u32 place = s->head, slot = NONE;

	if (place < QUEUE)
		slot = ((__u32 *)r->waiting)[place];
	s->head = place + 1 < QUEUE ? place + 1 : 0;
	s->depth--;
	return slot;
}

/* ---- stages ---- */

/* Address a request to a backend. The headers were checked when it arrived; the bounds are checked again because the
 * packet may have been changed in length since. */
static __always_inline bool address_to(struct xdp_md *ctx, struct backend *backend)
{
	struct cursor cursor = packet(ctx);
	struct ethhdr *ethernet = parse_ethernet(&cursor);
	struct iphdr *ip = ethernet ? parse_ipv4(&cursor) : NULL;
	struct udphdr *udp = ip ? parse_udp(&cursor) : NULL;

	if (!udp)
		return false;
	__builtin_memcpy(ethernet->h_dest, backend->mac, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, backend->our_mac, ETH_ALEN);
	rewrite_destination(ip, udp, backend->address);
	return true;
}

static __always_inline __u32 forward(struct xdp_md *ctx, __u32 chosen, __u32 number, __u32 free, __u32 length)
{
	struct backend *backend = backends.lookup(&chosen);
	int surplus = (int)bpf_xdp_get_buff_len(ctx) - (int)length;

	if (surplus > 0) /* what stands behind the packet could make the frame too long for the backend's link */
		bpf_xdp_adjust_tail(ctx, -surplus);
	if (!backend || !address_to(ctx, backend))
		return PASS_MALFORMED_IP;
	trace("forward #%u to %s, free %u", number, backend->name, free);
	doors.redirect_map(chosen, 0);
	return FORWARDED;
}

/* Copy a request into its slot, then decide again under the lock: a thread may have become free meanwhile. If so, it is
 * taken and `chosen` says whose; `free` is what that backend has left. */
static __always_inline __u32 wait_in_queue(struct xdp_md *ctx, struct config *c, struct state *s, struct ring *r,
					   __u32 slot_number, __u32 number, __u64 length, __u32 *chosen, __u32 *free)
{
	struct slot *slot = slots.lookup(&slot_number);
	__u32 random = bpf_get_prandom_u32(), depth = 0;
	bool copied = false;

	asm volatile("" : "+r"(length)); /* as above: keep the bounds where the verifier looks for them */
	if (slot && length > 0 && length <= sizeof(slot->frame)) {
		slot->length = length;
		slot->number = number;
		copied = bpf_xdp_load_bytes(ctx, 0, slot->frame, length) == 0;
	}
	bpf_spin_lock(&s->lock);
	s->received++;
	if (copied && !s->depth)
		*chosen = take_thread(s, c, random);
	if (copied && *chosen == NONE) {
		push(s, r, slot_number);
		s->queued++;
		depth = s->depth;
	} else {
		give_slot(s, r, slot_number);
		if (copied) {
			s->forwarded++;
			*free = *free_threads(s, *chosen);
		} else {
			s->dropped++;
		}
	}
	bpf_spin_unlock(&s->lock);

	if (!copied) {
		trace("drop #%u, it cannot be copied", number);
		return DROP_COPY_FAILED;
	}
	if (*chosen == NONE)
		trace("queue #%u, depth %u", number, depth);
	return QUEUED;
}

static __always_inline __u32 request(struct xdp_md *ctx, struct config *c, struct state *s, struct ring *r,
				     struct iphdr *ip, struct udphdr *udp)
{
	__u32 random = bpf_get_prandom_u32(), length = ETH_HLEN + bpf_ntohs(ip->tot_len);
	__u32 chosen = NONE, slot = NONE, number, free = 0;
	bool too_long = length > c->longest;

	bpf_spin_lock(&s->lock);
	number = ++s->number;
	if (!s->depth && !too_long)
		chosen = take_thread(s, c, random);
	if (chosen != NONE) {
		free = *free_threads(s, chosen);
		s->received++;
		s->forwarded++;
	} else {
		if (!too_long)
			slot = take_slot(s, r);
		if (slot == NONE) {
			s->received++;
			s->dropped++;
		}
	}
	bpf_spin_unlock(&s->lock);

	trace("request #%u from %pI4:%u", number, &ip->saddr, bpf_ntohs(udp->source));
	if (too_long) {
		trace("drop #%u, its %u bytes are too long", number, length);
		return DROP_TOO_LONG;
	}
	if (chosen == NONE && slot == NONE) {
		trace("drop #%u, the queue is full", number);
		return DROP_QUEUE_FULL;
	}
	if (chosen == NONE) {
		__u32 reason = wait_in_queue(ctx, c, s, r, slot, number, length, &chosen, &free);

		if (chosen == NONE)
			return reason;
	}
	return forward(ctx, chosen, number, free, length);
}

static __always_inline __u32 completion(struct xdp_md *ctx, struct state *s, struct iphdr *ip)
{
	__u32 *index = backend_at.lookup(&ip->saddr);
	struct backend *backend = index ? backends.lookup(index) : NULL;
	__u32 free = 0, depth = 0;
	bool excess;

	if (!backend) {
		trace("completion from %pI4 ignored, it is no backend", &ip->saddr);
		return COMPLETION_STRANGER;
	}
	if (backend->ifindex != ctx->ingress_ifindex) {
		trace("completion from %s ignored, it came in on interface %u", backend->name, ctx->ingress_ifindex);
		return COMPLETION_WRONG_INTERFACE;
	}
	__u32 k = *index;
	void *carrier = carriers.lookup(&k);

	bpf_spin_lock(&s->lock);
	excess = *free_threads(s, k) >= backend->capacity;
	if (!excess) {
		free = ++*free_threads(s, k);
		s->completions++;
	}
	depth = s->depth;
	bpf_spin_unlock(&s->lock);

	if (excess) {
		trace("completion from %s ignored, all its threads are free", backend->name);
		return COMPLETION_EXCESS;
	}
	trace("completion from %s, free %u, depth %u", backend->name, free, depth);
	if (depth && carrier) {
		redirect_map(carrier, 0, BPF_F_BROADCAST);
		return COMPLETION_CARRIED;
	}
	return COMPLETION_FREED;
}

/* A carrier on its way to backend k. Takes the oldest queued request, if one still waits and a thread of that backend is
 * still free. Grows first: a failing adjustment must come before the decision, which cannot be taken back. */
static __always_inline __u32 carry(struct xdp_md *ctx, __u32 k, struct backend *backend, struct state *s, struct ring *r)
{
	__u32 slot_number = NONE, depth = 0;

	if (bpf_xdp_adjust_tail(ctx, ETH_HLEN + MTU - (int)bpf_xdp_get_buff_len(ctx)))
		return CARRIER_NO_ROOM;

	bpf_spin_lock(&s->lock);
	if (s->depth && *free_threads(s, k)) {
		--*free_threads(s, k);
		slot_number = pop(s, r);
		s->dequeued++;
		depth = s->depth;
	}
	bpf_spin_unlock(&s->lock);
	struct slot *slot = slots.lookup(&slot_number);

	if (!slot)
		return CARRIER_EMPTY;
	__u64 length = slot->length;
	__u32 number = slot->number;
	bool filled = false;

	asm volatile("" : "+r"(length));
	if (length > 0 && length <= sizeof(slot->frame))
		filled = !bpf_xdp_store_bytes(ctx, 0, slot->frame, length) &&
			 !bpf_xdp_adjust_tail(ctx, (int)length - (int)(ETH_HLEN + MTU));

	bpf_spin_lock(&s->lock);
	give_slot(s, r, slot_number);
	bpf_spin_unlock(&s->lock);

	if (!filled || !address_to(ctx, backend))
		return CARRIER_NOT_FILLED;
	trace("dequeue #%u to %s, depth %u", number, backend->name, depth);
	return CARRIER_SENT;
}

/* Whether a frame is for the interface it came in on; one to a group is. */
static __always_inline bool is_for_us(struct xdp_md *ctx, struct ethhdr *ethernet)
{
	__u32 ifindex = ctx->ingress_ifindex;
	struct mac *ours = our_macs.lookup(&ifindex);

	__u16 *theirs = (__u16 *)ethernet->h_dest;

	if (ethernet->h_dest[0] & 1)
		return true;
	return ours && theirs[0] == ours->words[0] && theirs[1] == ours->words[1] && theirs[2] == ours->words[2];
}

/* A packet to one of our ports: what every receiver would drop must not take a thread. */
static __always_inline __u32 balance(struct xdp_md *ctx, struct config *c, struct ethhdr *ethernet, struct iphdr *ip,
				     struct udphdr *udp)
{
	__u32 zero = 0, datagram = bpf_ntohs(udp->len), room = bpf_ntohs(ip->tot_len) - sizeof(*ip);
	struct state *s = state.lookup(&zero);
	struct ring *r = ring.lookup(&zero);

	if (!s || !r)
		return PASS_UNCONFIGURED;
	if (!is_for_us(ctx, ethernet))
		return PASS_OTHER_HOST;
	if (!is_checksum_right(ip))
		return PASS_MALFORMED_IP;
	if (is_martian(ip->saddr))
		return PASS_MARTIAN;
	if (datagram < sizeof(*udp) || datagram > room)
		return DROP_BAD_LENGTH;
	if (udp->dest == c->completion_port)
		return completion(ctx, s, ip);
	return request(ctx, c, s, r, ip, udp);
}

/* Tell requests and completions from all that is none of ours, and return the reason by which the frame leaves. */
static __always_inline __u32 classify(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct config *c = config.lookup(&zero);
	struct cursor cursor = packet(ctx);

	if (!c || !c->ready)
		return PASS_UNCONFIGURED;
	struct ethhdr *ethernet = parse_ethernet(&cursor);

	if (!ethernet || ethernet->h_proto != bpf_htons(ETH_P_IP))
		return PASS_NOT_IPV4;
	struct iphdr *ip = parse_ipv4(&cursor);

	if (!ip)
		return PASS_MALFORMED_IP;
	if (!local_addresses.lookup(&ip->daddr))
		return PASS_NOT_LOCAL;
	if (ip->protocol != IPPROTO_UDP)
		return PASS_NOT_UDP;
	if (ip->frag_off & bpf_htons(IP_FRAGMENT_MASK))
		return PASS_FRAGMENT;
	if (ip->ihl != IP_MIN_WORDS)
		return PASS_IP_OPTIONS;
	struct udphdr *udp = parse_udp(&cursor);

	if (!udp || bpf_ntohs(ip->tot_len) < sizeof(*ip) + sizeof(*udp))
		return PASS_TRUNCATED_UDP;
	if (udp->dest != c->service_port && udp->dest != c->completion_port)
		return PASS_OTHER_PORT;
	return balance(ctx, c, ethernet, ip, udp);
}

static __always_inline __u32 egress(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct cursor cursor = packet(ctx);
	struct ethhdr *ethernet = parse_ethernet(&cursor);
	struct iphdr *ip = ethernet ? parse_ipv4(&cursor) : NULL;
	struct udphdr *udp = ip ? parse_udp(&cursor) : NULL;
	struct config *c = config.lookup(&zero);

	if (udp && c && udp->dest == c->service_port)
		return NO_CARRIER;
	__u32 *index = udp ? backend_at.lookup(&ip->saddr) : NULL;
	struct backend *backend = index ? backends.lookup(index) : NULL;
	struct state *s = state.lookup(&zero);
	struct ring *r = ring.lookup(&zero);

	return backend && s && r ? carry(ctx, *index, backend, s, r) : CARRIER_MALFORMED;
}

/* ---- the exits: each frame leaves here, counted once ---- */

int balancer(struct xdp_md *ctx)
{
	__u32 reason = classify(ctx);

	tally(reasons.lookup(&reason), ctx);
	if (reason < FIRST_DROP)
		return XDP_PASS;
	return reason == FORWARDED || reason == COMPLETION_CARRIED ? XDP_REDIRECT : XDP_DROP;
}

static __always_inline int leave(struct xdp_md *ctx)
{
	__u32 reason = egress(ctx);

	if (reason == NO_CARRIER) /* a request, counted when it was forwarded */
		return XDP_PASS;
	tally(carrier_reasons.lookup(&reason), ctx);
	return reason == CARRIER_SENT ? XDP_PASS : XDP_DROP;
}

/* Sees every frame that we redirect: forwarded requests, which leave as they are, and carriers. */
int egress_devmap(struct xdp_md *ctx)
{
	return leave(ctx);
}

#ifdef TEST_ENTRIES
/* Devmap programs cannot be test run; this is the same body as an ordinary program. */
int egress_test(struct xdp_md *ctx)
{
	return leave(ctx);
}
#endif
