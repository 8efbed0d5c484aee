/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one exit of a program, counted by reason, and its trace. A program defines `enum reason`, ending in REASONS. */
#pragma once

#include "packet.h"

#ifndef TRACE
#define TRACE 1
#endif

#if TRACE
#define trace(...) bpf_trace_printk(__VA_ARGS__)
#else
#define trace(...)
#endif

struct count {
	__u64 packets;
	__u64 bytes;
};

enum reason;

/* Brings the names of the reasons into BTF, where `netlab stats` finds them; nobody runs it. */
int reasons_by_name(enum reason *unused)
{
	return 0;
}

static __always_inline void tally(struct count *count, struct xdp_md *ctx)
{
	if (!count)
		return;
	count->packets++;
	count->bytes += length_of(ctx);
}
