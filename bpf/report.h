/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a backend may tell of itself beside its completions: running totals, so that whatever was lost on the way is
 * known again with the next packet. All numbers are in network byte order. The totals count from the backend's start,
 * which `incarnation` names: another one is a backend that has started again.
 */
#pragma once

#include "packet.h"

/* Behind it may stand digests, of 8 bytes each, of requests: first of those done last, in the order in which they were
 * done, so that the last of them is number `completed`; then of those in hand. User space reads them
 * (netlab/holding.py). */
#define REPORT_MAGIC 0x4e4c5231 /* NLR1 */

struct report {
	__be32 magic;
	__be32 received;      /* requests that a thread has taken, modulo 2^32 */
	__be32 completed;     /* those among them that are done, modulo 2^32 */
	__be32 listed;        /* how many of the digests behind this are of requests that are done */
	__be64 incarnation;   /* any number but 0 */
};

/* What is known of a backend that reports; changed under state.lock. Totals count modulo 2^32. */
struct reporter {
	__u64 incarnation;    /* 0: has never reported */
	__u64 heard_ns;       /* when it last did */
	__u64 marked_ns;
	__u32 base;           /* requests sent to it before this incarnation */
	__u32 marked;         /* requests sent to this incarnation until marked_ns: what has not arrived since is lost */
	__u32 received;
	__u32 completed;
	__u32 lost;           /* of this incarnation's requests, on their way to it */
	__u32 silent;         /* has not reported for too long: gets no requests */
	__u32 lost_requests;  /* in all, of every incarnation; for people to read, as are the next two */
	__u32 lost_completions;
	__u32 doubled_completions; /* came later than a report that told of them, or twice */
	__u32 padding;
};

static __always_inline struct report *parse_report(struct cursor *cursor)
{
	struct report *report = cursor->at;

	if ((void *)(report + 1) > cursor->end || report->magic != bpf_htonl(REPORT_MAGIC) || !report->incarnation)
		return NULL;
	return report;
}
