/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decides which backend serves a UDP request, and lets requests wait in the kernel while no thread is free.
 *
 * A request is a UDP packet, of IPv4 or IPv6, to one of the node's own addresses and the service port. It goes to a
 * backend with a free thread, which it takes, or waits in one first-in-first-out queue. A completion, a UDP packet from
 * a backend to the completion port, frees a thread. Everything else passes to the stack untouched.
 *
 * Counts and queue are one state under one lock; docs/balancer.md argues why nothing is lost or stranded.
 *
 * This file has the maps and the programs. What they do is in balancer/, by subject:
 *
 *   classify.h     what a frame is, on its way in      egress.h    frames on their way out
 *   requests.h     forwarded, queued or dropped        replies.h   from backends to clients
 *   completions.h  completions and reports             control.h   what user space runs
 *
 *   config.h       what user space sets                state.h     what changes, under one lock
 *   choice.h       the tree that chooses a backend     threads.h   taken and freed
 *   queue.h        what waits, and slots               holding.h   requests kept until they are done
 *   reporter.h     what reports correct                marker.h    which requests are lost
 *   flows.h        who has asked                       fragments.h answers in fragments
 *   reasons.h      why a frame leaves                  report.h    the packet that a backend sends
 *   ingress.h      which addresses are our own         settings.h  numbers, those of `define:` too
 *   refusals.h     backends where nobody listens       maps.h      how the headers reach the maps
 */
#include <uapi/linux/bpf.h>

#include "balancer/classify.h"
#include "balancer/control.h"
#include "balancer/egress.h"

/* ---- maps ---- */

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
BPF_ARRAY(marks, struct progress, MAX_BACKENDS);
BPF_TABLE("lru_hash", struct flow_key, struct flow, flows, FLOWS);
BPF_TABLE("lru_hash", struct fragment_key, struct fragment, fragments, FRAGMENTS);
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

/* ---- how the headers reach them: balancer/maps.h ---- */

static __always_inline struct config *find_config(__u32 *zero)
{
	return config.lookup(zero);
}

static __always_inline struct backend *find_backend(__u32 *index)
{
	return backends.lookup(index);
}

static __always_inline __u32 *find_backend_at(struct address *address)
{
	return backend_at.lookup(address);
}

static __always_inline __u8 *find_local_address(struct address *address)
{
	return local_addresses.lookup(address);
}

static __always_inline struct interface *find_interface(__u32 *ifindex)
{
	return interfaces.lookup(ifindex);
}

static __always_inline struct state *find_state(__u32 *zero)
{
	return state.lookup(zero);
}

static __always_inline struct reporter *find_reporter(__u32 *index)
{
	return reporters.lookup(index);
}

static __always_inline struct ring *find_ring(__u32 *zero)
{
	return ring.lookup(zero);
}

static __always_inline struct slot *find_slot(__u32 *number)
{
	return slots.lookup(number);
}

static __always_inline __u64 *find_reserve(__u32 *zero)
{
	return reserve.lookup(zero);
}

static __always_inline struct holds *find_holds(__u32 *zero)
{
	return held.lookup(zero);
}

static __always_inline struct flow *find_flow(struct flow_key *key)
{
	return flows.lookup(key);
}

static __always_inline void insert_flow(struct flow_key *key, struct flow *flow)
{
	flows.insert(key, flow);
}

static __always_inline void update_flow(struct flow_key *key, struct flow *flow)
{
	flows.update(key, flow);
}

static __always_inline struct fragment *find_fragment(struct fragment_key *key)
{
	return fragments.lookup(key);
}

static __always_inline void update_fragment(struct fragment_key *key, struct fragment *fragment)
{
	fragments.update(key, fragment);
}

static __always_inline struct count *find_count(__u32 *reason)
{
	return reasons.lookup(reason);
}

static __always_inline struct count *find_carrier_count(__u32 *reason)
{
	return carrier_reasons.lookup(reason);
}

static __always_inline void *find_carriers(__u32 *index)
{
	return carriers.lookup(index);
}

static __always_inline void *find_pair(__u32 *pair)
{
	return pairs.lookup(pair);
}

static __always_inline void send_by(__u32 ifindex)
{
	doors.redirect_map(ifindex, 0);
}

/* ---- programs on interfaces ---- */

/* Sees every frame that comes in. */
int balancer(struct xdp_md *ctx)
{
	__u32 found = classify(ctx), reason = found & ~(IS_SENT_BACK | IS_FOR_ROLE);

	tally(find_count(&reason), ctx);
	if (found & IS_SENT_BACK)
		return XDP_REDIRECT;
	if (reason < FIRST_DROP || found & IS_FOR_ROLE)
		return XDP_PASS;
	return is_redirected(reason) ? XDP_REDIRECT : XDP_DROP;
}

/* Sees every frame that we redirect: forwarded requests, which leave as they are, replies and carriers. */
int egress_devmap(struct xdp_md *ctx)
{
	return leave(ctx, ctx->egress_ifindex);
}

#ifdef TEST_ENTRIES
/* Devmap programs cannot be test run; this is the same body as an ordinary program, whose frame leaves where it came
 * in. */
int egress_test(struct xdp_md *ctx)
{
	return leave(ctx, ctx->ingress_ifindex);
}
#endif

/* ---- programs that user space runs: balancer/control.h and holding.h ---- */

/* Apply policy and weights that have changed in the settings. */
int arrange_run(struct xdp_md *ctx)
{
	return apply_settings();
}

/* Say that the role has started again. */
int resume_run(struct xdp_md *ctx)
{
	__u32 reason = ROLE_RESUMED;

	trace("resumed: the balancer's role has started again");
	tally(find_count(&reason), ctx);
	return 1;
}

/* Let all taken threads grow older, and free those that were not heard of for too long; returns how many. */
int age_run(struct xdp_md *ctx)
{
	return age_threads();
}

/* Let a backend that is new, or has come back, begin; returns how many threads it has. */
int begin_run(struct xdp_md *ctx)
{
	return begin_backend(ctx);
}

/* See whether a backend that has reported still does; returns whether it is silent. */
int watch_run(struct xdp_md *ctx)
{
	return watch_backend(ctx);
}

/* A backend is ill; returns whether that is news. */
int exclude_run(struct xdp_md *ctx)
{
	return exclude_backend(ctx);
}

/* A backend is well again; returns whether that is news. */
int readmit_run(struct xdp_md *ctx)
{
	return readmit_backend(ctx);
}

/* A held request is done; returns whether it was held. */
int release_run(struct xdp_md *ctx)
{
	return release(ctx);
}

/* A held request is to wait again; returns what has become of it, enum requeued. */
int requeue_run(struct xdp_md *ctx)
{
	return requeue(ctx);
}

/* Send a carrier to a backend that has a free thread while requests wait. */
int kick_run(struct xdp_md *ctx)
{
	return kick_backend(ctx);
}

/* ---- what user space knows by name ---- */

/* The types that no map has, or only as bytes. */
union layouts {
	enum carrier_reason carrier_reason;
	enum policy policy;
	enum known_by known_by;
	enum family family;
	enum absence absence;
	struct hold hold;
	struct claim claim;
	struct report report;
	enum magic magic;
	enum requeued requeued;
	struct devmap_entry devmap_entry;
};

/* Brings them into BTF, as verdict.h does with the reasons; nobody runs it. */
int types_by_name(union layouts *unused)
{
	return 0;
}
