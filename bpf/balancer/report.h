/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a backend may report of itself beside its completions: running totals, so that whatever was lost on the way is
 * known again with the next packet. All numbers are in network byte order. The totals count from the backend's start,
 * which `incarnation` names: another one is a backend that has started again.
 *
 * Totals alone do not tell a request that is lost from one that is on its way. A marker does: it goes the same way as
 * the requests, behind those that were sent before it and before those that are sent after it. So what was sent before
 * a marker, and has not arrived when the marker does, is lost.
 *
 * A marker is a report that comes back to the backend's service port, with the magic number MARKER_MAGIC, its own
 * number in `marker` and the requests that were sent before it in `sent`; all else, digests too, is as it was. A
 * backend that `reads_markers` reads them from the same socket as requests, and counts the requests that it has read
 * before: where several threads read, no other may have read one and not yet counted it. It reports at once, and
 * repeats what it knows of the last marker in every report. A packet with that magic number that does not have its
 * incarnation, 64 bits which others cannot guess, is not from the balancer: it is a request like any other. A marker is
 * no request: it is neither counted nor completed.
 *
 * A marker comes at most each 50 ms, and only after a report by which something is missing. A backend that does not
 * read markers gets none; a request that is lost on its way to it keeps its thread until the backend starts again.
 */
#pragma once

#include "packet.h"

/* Behind it may stand digests, of 8 bytes each, of requests: first of those done last, in the order in which they were
 * done, so that the last of them is number `completed`; then of those in hand. User space reads them
 * (netlab/balancer/holds.py). */
enum magic {
	REPORT_MAGIC = 0x4e4c5231, /* NLR1 */
	MARKER_MAGIC = 0x4e4c4d31, /* NLM1 */
};

struct report {
	__be32 magic;
	__be32 received;           /* requests that a thread has taken, modulo 2^32 */
	__be32 completed;          /* those among them that are done, modulo 2^32 */
	__be32 listed;             /* how many of the digests behind this are of requests that are done */
	__be64 incarnation;        /* any number but 0; one that cannot be guessed, if it reads markers */
	__be32 reads_markers;      /* 1 or 0; if 0, so are the next three */
	__be32 marker;             /* the number of the last one; 0 before the first */
	__be32 sent;               /* as that marker said */
	__be32 received_at_marker; /* what `received` was when that marker was read */
};

/* The same in the host's byte order, but for the incarnation, which is no number. */
struct totals {
	__u64 incarnation;
	__u32 received;
	__u32 completed;
	__u32 reads_markers;
	__u32 marker;
	__u32 sent_at_marker;
	__u32 received_at_marker;
};

static __always_inline struct report *parse_report(struct cursor *cursor)
{
	struct report *report = cursor->at;

	if ((void *)(report + 1) > cursor->end || report->magic != bpf_htonl(REPORT_MAGIC) || !report->incarnation)
		return NULL;
	return report;
}

static __always_inline struct totals totals_of(struct report *report)
{
	return (struct totals){
		.incarnation = report->incarnation,
		.received = bpf_ntohl(report->received),
		.completed = bpf_ntohl(report->completed),
		.reads_markers = bpf_ntohl(report->reads_markers),
		.marker = bpf_ntohl(report->marker),
		.sent_at_marker = bpf_ntohl(report->sent),
		.received_at_marker = bpf_ntohl(report->received_at_marker),
	};
}
