/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What comes from backends to our ports: completions and reports. */
#pragma once

#include "balancer/maps.h"
#include "balancer/marker.h"
#include "balancer/reporter.h"
#include "datagram.h"

/* A completion. If a report has already made up for it, it is late and changes nothing. It is known to be late if all
 * threads are free, or if the backend is silent, so that nobody knows which are taken. Otherwise it frees a thread, as
 * it may also be the next completion; the next report corrects that. */
static __always_inline __u32 receive_completion(struct config *c, struct state *s, __u32 index, struct backend *backend)
{
	__u32 free = 0, depth = 0;
	void *carrier = find_carriers(&index);
	struct reporter *reporter = find_reporter(&index);
	bool is_late, is_overload, excess, is_needed;

	if (!reporter)
		return COMPLETION_STRANGER;
	__u64 now = reporter->overdue ? bpf_ktime_get_ns() : 0;

	bpf_spin_lock(&s->lock);
	is_late = reporter->silent;
	is_overload = reduces_overload(reporter);
	excess = is_late || (!is_overload && !free_thread(s, c, index, backend->capacity));
	free = *free_threads(s, index);
	if (!excess) {
		s->completions++;
	} else if (!is_late && reporter->overdue && now <= reporter->overdue_ns + LATE_NS) {
		is_late = true;
		reporter->overdue--;
		reporter->lost_completions--;
	}
	depth = s->depth;
	is_needed = depth && weight(c, index) && !is_overload;
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
		send_to_all(carrier);
		return COMPLETION_CARRIED;
	}
	return COMPLETION_FREED;
}

static __always_inline void trace_report(__u32 reason, struct backend *backend, __u32 free, __u32 depth)
{
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
}

/* A report: the backend's own totals. While a thread is free, the report fetches a queued request as a completion does:
 * it may have freed more than one thread, and a carrier may be lost. A carrier too many finds nothing to carry. If
 * requests are held, the role must read reports, too; then a report becomes a carrier only if it has freed a thread. A
 * report that is no carrier, and by which requests are missing, goes back as a marker, the way that requests go. */
static __always_inline __u32 receive_report(struct xdp_md *ctx, struct config *c, struct state *s,
					    struct datagram *datagram, __u32 index, struct backend *backend)
{
	struct cursor cursor = { .at = datagram->udp + 1, .end = packet(ctx).end };
	struct report *report = parse_report(&cursor);
	struct reporter *reporter = find_reporter(&index);

	if (!reporter)
		return REPORT_STRANGER;
	if (!report || bpf_ntohs(datagram->udp->len) < sizeof(*datagram->udp) + sizeof(*report)) {
		trace("report from %s ignored, it is malformed", backend->name);
		return REPORT_MALFORMED;
	}
	struct totals totals = totals_of(report);
	__u64 now = bpf_ktime_get_ns();
	__u32 reason, before, free, depth, marker, marked;
	void *carrier = find_carriers(&index);
	bool carries, is_marked;

	bpf_spin_lock(&s->lock);
	before = *free_threads(s, index);
	reason = apply_report(s, c, reporter, index, backend->capacity, now, &totals);
	*reports(s, index) |= HAS_REPORTED;
	marked = *sent(s, index);
	is_marked = needs_marker(reporter, &totals, marked, now);
	marker = reporter->markers_sent;
	free = *free_threads(s, index);
	depth = s->depth;
	carries = depth && weight(c, index) && free > (c->holds ? before : 0);
	bpf_spin_unlock(&s->lock);

	trace_report(reason, backend, free, depth);
	if (carries && carrier) {
		send_to_all(carrier);
	} else if (is_marked) {
		make_marker(datagram, report, backend, c->service_port, marker, marked);
		send_by(backend->ifindex);
	} else {
		return c->holds && reason != REPORT_OLD ? reason | IS_FOR_ROLE : reason;
	}
	return reason | IS_SENT_BACK;
}

/* A completion or a report. It counts only from a backend's address, by the interface that leads to that backend. */
static __always_inline __u32 receive_from_backend(struct xdp_md *ctx, struct config *c, struct state *s,
						  struct datagram *datagram, bool is_report)
{
	__u32 *index = find_backend_at(&datagram->source);
	struct backend *backend = index ? find_backend(index) : NULL;
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
	return is_report ? receive_report(ctx, c, s, datagram, *index, backend)
			 : receive_completion(c, s, *index, backend);
}
