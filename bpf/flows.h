/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which requests are answered by whom: what a reply needs to look as if the balancer itself had sent it.
 *
 * A flow is written when a request leaves for a backend, and read when that backend answers the client. Replies are
 * rewritten only where there is a flow; other UDP of the same hosts passes untouched.
 */
#pragma once

#include "address.h"

struct flow_key {
	struct address client;
	__be16 port;          /* the client's */
	__u16 backend;
};

struct flow {
	__u64 outstanding;    /* requests not answered yet */
	__u64 settled_ns;     /* when there was none the last time; kept where requests are held */
	struct address asked; /* the address that the client has sent them to */
	__u32 ifindex;        /* where the client lives, or the router to it */
	__u32 way;            /* of that interface, in `pairs` */
	unsigned char mac[ETH_ALEN];
	unsigned char our_mac[ETH_ALEN];
};

/* Take one off the requests that a flow waits for, and say whether it has waited for any. When it waits for no more,
 * all that was sent before `now` is answered: a request's time is taken after it is counted, `now` before it is taken
 * off. */
static __always_inline bool is_answer(struct flow *flow, __u64 now)
{
	__s64 before = __sync_fetch_and_add(&flow->outstanding, -1);

	if (before == 1)
		flow->settled_ns = now;
	if (before > 0)
		return true;
	__sync_fetch_and_add(&flow->outstanding, 1);
	return false;
}
