/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a backend may tell of itself beside its completions: running totals, so that whatever was lost on the way is
 * known again with the next packet. All numbers are in network byte order. The totals count from the backend's start,
 * which `incarnation` names: another one is a backend that has started again.
 *
 * Totals alone do not tell a request that is lost from one that is on its way. A marker does: it goes the same way as
 * the requests, behind those that were sent before it and before those that are sent after it. So what was sent before
 * a marker, and has not arrived when the marker does, is lost.
 *
 * A marker is a report that comes back to the backend's service port, with the magic number MARKER_MAGIC, its own
 * number in `marker` and the requests that were sent before it in `sent`; all else, digests too, is as it was. A
 * backend that `hears` markers reads them from the same socket as requests, and counts those that it has read before:
 * where several threads read, no other may have read one and not yet counted it. It reports at once, and repeats what
 * it knows of the last marker in every report. A packet with that magic number that does not have its incarnation, 64
 * bits which others cannot guess, is not from the balancer: it is a request like any other. A marker is no request: it
 * is neither counted nor completed.
 *
 * A marker comes at most each 50 ms, and only after a report by which something is missing. A backend that does not
 * hear markers gets none; a request that is lost on its way to it keeps its thread until the backend starts again.
 */
#pragma once

#include "packet.h"

/* Behind it may stand digests, of 8 bytes each, of requests: first of those done last, in the order in which they were
 * done, so that the last of them is number `completed`; then of those in hand. User space reads them
 * (netlab/balancer/holds.py). */
#define REPORT_MAGIC 0x4e4c5231 /* NLR1 */
#define MARKER_MAGIC 0x4e4c4d31 /* NLM1 */

struct report {
	__be32 magic;
	__be32 received;      /* requests that a thread has taken, modulo 2^32 */
	__be32 completed;     /* those among them that are done, modulo 2^32 */
	__be32 listed;        /* how many of the digests behind this are of requests that are done */
	__be64 incarnation;   /* any number but 0; one that cannot be guessed, if it hears markers */
	__be32 hears;         /* 1 if it hears markers, otherwise 0, as the next three are */
	__be32 marker;        /* the number of the last one; 0 before the first */
	__be32 sent;          /* as that marker said */
	__be32 before;        /* what `received` was when that marker was read */
};

/* The same in the host's byte order, but for the incarnation, which is no number. */
struct told {
	__u64 incarnation;
	__u32 received;
	__u32 completed;
	__u32 hears;
	__u32 marker;
	__u32 sent;
	__u32 before;
};

/* What is known of a backend that reports; changed under state.lock. Totals count modulo 2^32. */
struct reporter {
	__u64 incarnation;    /* 0: has never reported */
	__u64 heard_ns;       /* when it last did */
	__u64 asked_ns;       /* when the last marker was sent */
	__u32 base;           /* requests sent to it before this incarnation */
	__u32 asked;          /* the number of the last marker that was sent, */
	__u32 answered;       /* and of the last one that it has told of */
	__s32 missing;        /* how many requests had been sent before that one and had not arrived before it */
	__u32 received;
	__u32 completed;
	__u32 lost;           /* of this incarnation's requests, on their way to it */
	__u32 silent;         /* has not reported for too long: gets no requests */
	__u32 lost_requests;  /* in all, of every incarnation; for people to read, as are the next two */
	__u32 lost_completions; /* reports have made up for them; fewer, when one was only late */
	__u32 doubled_completions; /* came twice, or from nowhere */
	__u32 owed;           /* how many of those lost may still come: this incarnation's, not long ago */
	__u64 owed_ns;        /* when a report last made up for one */
	__u32 over;           /* requests in hand beyond its threads: so many completions free none */
	__u32 unused;
};

static __always_inline struct report *parse_report(struct cursor *cursor)
{
	struct report *report = cursor->at;

	if ((void *)(report + 1) > cursor->end || report->magic != bpf_htonl(REPORT_MAGIC) || !report->incarnation)
		return NULL;
	return report;
}

static __always_inline struct told told_by(struct report *report)
{
	return (struct told){
		.incarnation = report->incarnation,
		.received = bpf_ntohl(report->received),
		.completed = bpf_ntohl(report->completed),
		.hears = bpf_ntohl(report->hears),
		.marker = bpf_ntohl(report->marker),
		.sent = bpf_ntohl(report->sent),
		.before = bpf_ntohl(report->before),
	};
}
