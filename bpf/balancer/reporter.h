/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of a backend that reports, and how a report corrects it: all of it under state.lock.
 *
 * Requests in hand at a backend are those that were sent to it, without those that are lost and those that it has
 * completed. All totals count modulo 2^32.
 */
#pragma once

#include "balancer/reasons.h"
#include "balancer/report.h"
#include "balancer/threads.h"

/* Why a backend gets no requests. Its threads all count as taken meanwhile, and none of them grows old. */
enum absence {
	PRESENT,
	SILENT,   /* it has reported, and no longer does */
	REFUSING, /* its kernel says that nobody listens at its port */
	ILL,      /* so user space has found */
};

struct reporter {
	__u64 incarnation;         /* 0: has never reported */
	__u64 heard_ns;            /* when its last report came */
	__u64 marker_sent_ns;      /* when the last marker was sent to it */
	__u32 sent_before;         /* requests sent to it before this incarnation */
	__u32 markers_sent;        /* which is the number of the last one, too */
	__u32 marker_answered;     /* the number of the last one of which a report has told */
	__s32 missing;             /* requests sent before that marker that had not arrived before it */
	__u32 received;
	__u32 completed;
	__u32 lost;                /* of this incarnation's requests, on their way to it */
	__u32 silent;              /* enum absence */
	__u32 lost_requests;       /* in all, of every incarnation; for people to read, as are the next two */
	__u32 lost_completions;    /* reports have made up for them; fewer, when one was only late */
	__u32 doubled_completions; /* came twice, or from nowhere */
	__u32 overdue;             /* completions of this incarnation, taken for lost, that may still come */
	__u64 overdue_ns;          /* when a completion was last taken for lost */
	__u32 overload;            /* requests in hand beyond its threads: so many completions free none */
	__u32 unused;
};

/* Reduce the overload by one completion, if there is an overload; such a completion frees no thread. */
static __always_inline bool reduces_overload(struct reporter *reporter)
{
	bool is_overloaded = !reporter->silent && reporter->overload;

	reporter->overload -= is_overloaded;
	return is_overloaded;
}

/* Send no more requests to a backend, for a reason. Returns how many it has in hand. */
static __always_inline __u32 leave_out(struct state *s, struct config *c, struct reporter *reporter, __u32 index,
				       __u32 capacity, __u32 absence)
{
	__u32 free = *free_threads(s, index);

	reporter->silent = absence;
	reporter->overload = 0;
	*reports(s, index) |= IS_ABSENT;
	set_free_threads(s, c, index, 0);
	return capacity - free;
}

/* A new incarnation. Requests that were sent before it began are gone. When its very first report comes, requests that
 * it will get may already be on their way. While it is absent, the threads do not say how many; those that arrive later
 * are noticed then. Returns the reason to count. */
static __always_inline __u32 begin_incarnation(struct state *s, struct reporter *reporter, __u32 index, __u32 in_hand,
					       struct totals *totals)
{
	__u32 known_before = reporter->incarnation != 0;
	__u32 own = known_before ? totals->received : in_hand + totals->completed; /* requests that were sent to it */

	reporter->sent_before = *sent(s, index) - own;
	reporter->incarnation = totals->incarnation;
	reporter->marker_answered = reporter->markers_sent;
	reporter->marker_sent_ns = 0;
	reporter->missing = 0;
	reporter->lost = 0;
	reporter->overdue = 0;
	return known_before ? REPORT_RESTARTED : REPORT_BEGUN;
}

/* How many requests are lost, by what a report says of the last marker, if that is new. Below zero: so many more have
 * arrived than were sent to this incarnation. Two markers in a row must agree before it is believed: on another CPU a
 * request may be counted just before a marker and leave just behind it, or the other way round. */
static __always_inline __s32 lost_by_markers(struct reporter *reporter, struct totals *totals, __u32 sent_to_it)
{
	__u32 marked = totals->sent_at_marker - reporter->sent_before;
	__u32 open = reporter->markers_sent - reporter->marker_answered;
	__s32 missing = marked - totals->received_at_marker, last = reporter->missing, lost = reporter->lost;
	__s32 least = missing < last ? missing : last, most = missing < last ? last : missing;

	if (totals->marker - reporter->marker_answered - 1 >= open || marked > sent_to_it ||
	    (__s32)(totals->received - totals->received_at_marker) < 0)
		return lost;
	reporter->marker_answered = totals->marker;
	reporter->missing = missing;
	if (lost < least)
		return least;
	return lost > most ? most : lost;
}

/* How many requests of this incarnation are lost, by everything that a report says. */
static __always_inline __u32 lost_requests(struct state *s, struct reporter *reporter, __u32 index,
					   struct totals *totals)
{
	__s32 lost, more = totals->received + reporter->sent_before - *sent(s, index);

	if (more > 0) /* it has got what we took for gone */
		reporter->sent_before -= more;
	lost = lost_by_markers(reporter, totals, *sent(s, index) - reporter->sent_before);
	if (lost < 0) { /* the same, found by markers */
		reporter->sent_before += lost;
		lost = 0;
	}
	__u32 sent_to_it = *sent(s, index) - reporter->sent_before;

	if ((__s32)(sent_to_it - lost - totals->received) < 0) /* it was only late */
		lost = sent_to_it - totals->received;
	return lost;
}

/* Correct the count of completions by a report: so many have not come, and are taken for lost; below zero, so many came
 * too often. Of those, as many as are overdue were only late; the others came twice. */
static __always_inline __u32 account_completions(struct reporter *reporter, __s32 not_heard, __u64 now)
{
	__u32 surplus = not_heard < 0 ? -not_heard : 0, late;

	if (now > reporter->overdue_ns + LATE_NS)
		reporter->overdue = 0;
	if (not_heard > 0) {
		reporter->overdue += not_heard;
		reporter->overdue_ns = now;
		reporter->lost_completions += not_heard;
		return REPORT_COMPLETION_LOST;
	}
	late = surplus < reporter->overdue ? surplus : reporter->overdue;
	reporter->overdue -= late;
	reporter->lost_completions -= late;
	reporter->doubled_completions += surplus - late;
	if (!surplus)
		return REPORT_AGREED;
	return late == surplus ? REPORT_COMPLETION_LATE : REPORT_COMPLETION_DOUBLED;
}

/* Compare a report with what is known, and correct that. Requests that are still on their way to the backend are in
 * hand. Below zero, `spare` and `spare_before` are requests in hand beyond the threads. */
static __always_inline __u32 apply_report(struct state *s, struct config *c, struct reporter *reporter, __u32 index,
					  __u32 capacity, __u64 now, struct totals *totals)
{
	__u32 reason = REPORT_AGREED, received = totals->received, completed = totals->completed;
	__u32 before = *free_threads(s, index);
	__s32 spare_before = before - reporter->overload;

	if (reporter->incarnation == totals->incarnation &&
	    ((__s32)(received - reporter->received) < 0 || (__s32)(completed - reporter->completed) < 0))
		return REPORT_OLD;
	if (reporter->incarnation != totals->incarnation)
		reason = begin_incarnation(s, reporter, index, reporter->silent ? 0 : capacity - before, totals);

	__u32 lost = lost_requests(s, reporter, index, totals);
	__u32 in_hand = *sent(s, index) - reporter->sent_before - lost - completed;
	__u32 free = in_hand < capacity ? capacity - in_hand : 0;

	reporter->overload = (__s32)(in_hand - capacity) > 0 ? in_hand - capacity : 0;
	if (reason == REPORT_AGREED && reporter->silent) {
		reason = reporter->silent == ILL ? REPORT_AGREED : REPORT_RETURNED;
	} else if (reason == REPORT_AGREED) {
		__s32 spare = free - reporter->overload, newly_lost = lost - reporter->lost;

		reason = account_completions(reporter, spare - spare_before - newly_lost, now);
		if (newly_lost > 0)
			reason = REPORT_REQUEST_LOST;
	}
	reporter->lost_requests += lost - reporter->lost; /* fewer, when one was only late */
	reporter->lost = lost;
	reporter->received = received;
	reporter->completed = completed;
	reporter->heard_ns = now;
	if (reporter->silent == ILL) {
		reporter->overload = 0;
		return reason;
	}
	reporter->silent = PRESENT;
	*reports(s, index) &= ~IS_ABSENT;
	set_free_threads(s, c, index, free);
	return reason;
}
