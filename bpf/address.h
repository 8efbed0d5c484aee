/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses of both families in one form, so that maps and decisions need not know which one a packet is of. */
#pragma once

#include "packet.h"

#define IPV4_MAPPED bpf_htonl(0xffff)

/* An IPv6 address, or an IPv4 address mapped into one: ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). */
struct address {
	__be32 word[4];
};

static __always_inline struct address ipv4_address(__be32 ipv4)
{
	struct address address = { .word = { 0, 0, IPV4_MAPPED, ipv4 } };

	return address;
}

static __always_inline struct address ipv6_address(struct in6_addr *ipv6)
{
	struct address address;

	__builtin_memcpy(&address, ipv6, sizeof(address));
	return address;
}

static __always_inline bool is_same(struct address *one, struct address *other)
{
	return !((one->word[0] ^ other->word[0]) | (one->word[1] ^ other->word[1]) | (one->word[2] ^ other->word[2]) |
		 (one->word[3] ^ other->word[3])); /* one branch for the verifier to follow, not four */
}

/* Whether an address of an IPv6 packet has the form in which we keep those of IPv4, which is none for the wire. */
static __always_inline bool is_mapped(struct address *address)
{
	return !address->word[0] && !address->word[1] && address->word[2] == IPV4_MAPPED;
}

static __always_inline bool is_unspecified(struct address *address)
{
	return !(address->word[0] | address->word[1] | address->word[2] | address->word[3]);
}

/* A source that no host can have. IPv4: this network (0/8), loopback (127/8), multicast and above (RFC 1812, 5.3.7).
 * IPv6: unspecified, loopback, multicast (RFC 4291, 2.5 and 2.7; ip6_rcv_core in net/ipv6/ip6_input.c). */
static __always_inline bool is_martian(struct address *source, bool is_ipv6)
{
	__u8 first = bpf_ntohl(source->word[3]) >> 24;

	if (!is_ipv6)
		return first == 0 || first == 127 || first >= 224;
	if (bpf_ntohl(source->word[0]) >> 24 == 0xff)
		return true;
	return !source->word[0] && !source->word[1] && !source->word[2] && bpf_ntohl(source->word[3]) <= 1;
}
