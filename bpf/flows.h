/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which requests are answered by whom: what a reply needs to look as if the balancer itself had sent it.
 *
 * A flow is written when a request leaves for a backend, and read when that backend answers the client. Replies are
 * rewritten only where there is a flow; other UDP of the same hosts passes untouched.
 */
#pragma once

#include "address.h"

/* Where an answer must tell which request it answers, each request leaves from a port of its own, and is a flow of its
 * own: its number in the place of the client's port. These ports are below those that a client's kernel chooses (32768
 * and up on Linux, RFC 6335: 49152), so that what a client asks a backend directly is not taken for it. */
#define FIRST_NUMBERED 1024
#define NUMBERED 31743 /* and one more, for whose port is the service's */

struct flow_key {
	struct address client;
	__be16 port;          /* from which the backend was asked: the client's, or a numbered one */
	__u16 backend;
};

struct flow {
	__u64 outstanding;    /* requests not answered yet */
	__u32 slot;           /* behind a numbered port: where the one request is held */
	__u32 number;         /* and which it is */
	struct address asked; /* the address that the client has sent them to */
	__u32 ifindex;        /* where the client lives, or the router to it */
	__u32 way;            /* of that interface, in `pairs` */
	unsigned char mac[ETH_ALEN];
	unsigned char our_mac[ETH_ALEN];
	__be16 port;          /* behind a numbered port: the client's own; else 0 */
};

/* The port from which a numbered request leaves; never that of the service, by which egress tells answers. */
static __always_inline __be16 numbered_port(__u32 number, __be16 service_port)
{
	__be16 port = bpf_htons(FIRST_NUMBERED + number % NUMBERED);

	return port == service_port ? bpf_htons(FIRST_NUMBERED + NUMBERED) : port;
}

/* Take one off the requests that a flow waits for, and say whether it has waited for any. */
static __always_inline bool is_answer(struct flow *flow)
{
	__s64 before = __sync_fetch_and_add(&flow->outstanding, -1);

	if (before > 0)
		return true;
	__sync_fetch_and_add(&flow->outstanding, 1);
	return false;
}
