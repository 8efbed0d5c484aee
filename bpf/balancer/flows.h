/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flows: which client a backend's answer belongs to, so that a reply can look as if the balancer itself had sent it.
 *
 * A flow is written when a request leaves for a backend, and read when that backend answers the client. Replies are
 * rewritten only where there is a flow; other UDP of the same hosts passes untouched.
 */
#pragma once

#include "balancer/config.h"
#include "balancer/maps.h"
#include "datagram.h"

/* If requests are held, an answer must tell which request it answers. So each request leaves from a port of its own,
 * made of its number, and is a flow of its own. These ports are below those that a client's kernel chooses (32768 and
 * up on Linux, RFC 6335: 49152), so that they are not mistaken for a client's own packets to a backend. */
#define FIRST_NUMBERED 1024
#define NUMBERED 31743 /* and one more, in the place of the service's port */

struct flow_key {
	struct address client;
	__be16 port;            /* from which the backend was asked: the client's, or a numbered one */
	__u16 backend;
};

struct flow {
	__u64 outstanding;      /* requests not answered yet */
	__u32 slot;             /* behind a numbered port: where the one request is held */
	__u32 number;           /* and which it is */
	struct address service; /* the address that the client has sent them to */
	__u32 ifindex;          /* where the client lives, or the router to it */
	__u32 interface_number; /* the same, among our interfaces */
	unsigned char mac[ETH_ALEN];
	unsigned char our_mac[ETH_ALEN];
	__be16 port;            /* behind a numbered port: the client's own; else 0 */
};

/* A request on its way to a backend, and where it came in. */
struct leaving {
	__u32 backend;          /* its index */
	__u32 ifindex;
	__u32 interface_number; /* the same, among our interfaces */
	__u32 slot;             /* where the request is held, or NONE */
	__u32 number;           /* of the request */
};

/* The port from which a numbered request leaves. It is never the service's port, by which egress knows answers. */
static __always_inline __be16 numbered_port(__u32 number, __be16 service_port)
{
	__be16 port = bpf_htons(FIRST_NUMBERED + number % NUMBERED);

	return port == service_port ? bpf_htons(FIRST_NUMBERED + NUMBERED) : port;
}

/* Count an answer: one request less of this flow is outstanding. False if none was. */
static __always_inline bool count_answer(struct flow *flow)
{
	__s64 before = __sync_fetch_and_add(&flow->outstanding, -1);

	if (before > 0)
		return true;
	__sync_fetch_and_add(&flow->outstanding, 1);
	return false;
}

/* Record the flow of a request before it leaves to a backend; the packet still has the addresses that it came with. Of
 * several CPUs at once one inserts the flow, and each counts in it. Answers come from the address that was asked last.
 * */
static __always_inline void record_flow(struct datagram *datagram, struct leaving *leaving)
{
	__u32 ifindex = leaving->ifindex;
	struct interface *here = find_interface(&ifindex);
	struct flow_key key = {
		.client = datagram->source, .port = datagram->udp->source, .backend = leaving->backend
	};
	struct flow *flow = find_flow(&key), fresh = {};

	if (!flow) {
		insert_flow(&key, &fresh);
		flow = find_flow(&key);
	}
	if (!flow || !here)
		return;
	__sync_fetch_and_add(&flow->outstanding, 1);
	flow->service = datagram->destination;
	flow->ifindex = ifindex;
	flow->interface_number = leaving->interface_number;
	copy_mac(flow->mac, datagram->ethernet->h_source);
	copy_mac(flow->our_mac, here->mac); /* the request itself may have been to a group */
}

/* The same for a request that is held until it is answered. It leaves from a numbered port, which its answer comes back
 * to. */
static __always_inline void record_numbered_flow(struct datagram *datagram, struct config *c, struct leaving *leaving)
{
	struct flow_key key = { .client = datagram->source, .backend = leaving->backend };
	struct flow fresh = {
		.outstanding = 1,
		.service = datagram->destination,
		.ifindex = leaving->ifindex,
		.interface_number = leaving->interface_number,
	};
	__u32 ifindex = leaving->ifindex;
	struct interface *here = find_interface(&ifindex);

	if (!here)
		return;
	key.port = numbered_port(leaving->number, c->service_port);
	fresh.slot = leaving->slot;
	fresh.number = leaving->number;
	fresh.port = datagram->udp->source;
	copy_mac(fresh.mac, datagram->ethernet->h_source);
	copy_mac(fresh.our_mac, here->mac);
	update_flow(&key, &fresh);
	rewrite_port(datagram->udp, &datagram->udp->source, key.port);
}

/* Address a request to its backend, and record its flow. */
static __always_inline void address_to(struct datagram *datagram, struct config *c, struct backend *backend,
				       struct leaving *leaving)
{
	if (c->holds == BY_REPLIES)
		record_numbered_flow(datagram, c, leaving);
	else
		record_flow(datagram, leaving);
	copy_mac(datagram->ethernet->h_dest, backend->mac);
	copy_mac(datagram->ethernet->h_source, backend->our_mac);
	give_destination(datagram, datagram->ipv4 ? &backend->ipv4 : &backend->ipv6);
}
