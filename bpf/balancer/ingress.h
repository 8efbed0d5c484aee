/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The interface that a frame comes in on, and which addresses are this node's own. */
#pragma once

#include "address.h"
#include "balancer/config.h"
#include "balancer/maps.h"
#include "datagram.h"

/* The interface that a frame came in on, or NULL if it is not in the map. */
static __always_inline struct interface *ingress_interface(struct xdp_md *ctx)
{
	__u32 ifindex = ctx->ingress_ifindex;
	struct interface *here = find_interface(&ifindex);

	return here && here->in_use ? here : NULL;
}

/* Whether an address is one of this node's. An interface that lacks one has the unspecified address there. */
static __always_inline bool is_local(struct interface *here, struct address *address)
{
	if (here && (is_same(address, &here->ipv4) || is_same(address, &here->ipv6)))
		return !is_unspecified(address);
	return find_local_address(address);
}

/* Whether a frame is for this interface, or for a group. False if the interface is not known. */
static __always_inline bool is_addressed_to(struct interface *ours, struct ethhdr *ethernet)
{
	__u16 *theirs = (__u16 *)ethernet->h_dest;

	if (!ours)
		return false;
	return ethernet->h_dest[0] & 1 ||
	       (theirs[0] == ours->mac[0] && theirs[1] == ours->mac[1] && theirs[2] == ours->mac[2]);
}

static __always_inline bool is_in_network(struct address *address, struct network *network)
{
	__be32 *ours = network->address.word, *mask = network->mask.word, *word = address->word;

	return !(((word[0] ^ ours[0]) & mask[0]) | ((word[1] ^ ours[1]) & mask[1]) | ((word[2] ^ ours[2]) & mask[2]) |
		 ((word[3] ^ ours[3]) & mask[3]));
}

/* Whether a client is in the network of the backends behind its interface. They would answer it directly, past us, and
 * it accepts answers only from the address that it has asked. A backend that is alone there cannot be such a client. */
static __always_inline bool is_neighbour(struct interface *here, struct datagram *datagram)
{
	__u32 family = datagram->ipv4 ? HAS_IPV4 : HAS_IPV6;

	if (!(here->networks & family))
		return false;
	return is_in_network(&datagram->source, datagram->ipv4 ? &here->ipv4_network : &here->ipv6_network) &&
	       (here->crowded & family || !find_backend_at(&datagram->source));
}

/* Whether a request claims to be from where it goes, or from the first address of the interface that it comes in on:
 * its answer would not leave this node. */
static __always_inline bool is_from_ourselves(struct interface *here, struct datagram *datagram)
{
	struct address *source = &datagram->source;

	return is_same(source, &datagram->destination) || is_same(source, &here->ipv4) || is_same(source, &here->ipv6);
}
