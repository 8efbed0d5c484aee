/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Markers: reports that go back to their backend behind the requests, so that it can tell which are lost (report.h). */
#pragma once

#include "balancer/config.h"
#include "balancer/reporter.h"
#include "datagram.h"

/* Whether a backend that has just reported gets a marker, which then counts as sent. It gets one if some requests have
 * neither arrived nor are known to be lost: then one of its threads is idle, or will be when they arrive, and reads the
 * marker. If it has fewer threads than we know of, only few markers wait among its requests. Under state.lock. */
static __always_inline bool needs_marker(struct reporter *reporter, struct totals *totals, __u32 sent, __u64 now)
{
	__u32 open = reporter->markers_sent - reporter->marker_answered;

	if (!totals->reads_markers || sent - reporter->sent_before == reporter->lost + reporter->received ||
	    now - reporter->marker_sent_ns < (__u64)MARK_NS << (open < MAX_OPEN ? open : MAX_OPEN))
		return false;
	reporter->markers_sent++;
	reporter->marker_sent_ns = now;
	return true;
}

/* Turn a backend's report into a marker for it. */
static __always_inline void make_marker(struct datagram *datagram, struct report *report, struct backend *backend,
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
