/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Address rewriting with incremental checksums. */
#pragma once

#include "packet.h"

#define NO_UDP_CHECKSUM 0          /* RFC 768: the sender computed none */
#define COMPUTED_ZERO_CHECKSUM 0xffff /* RFC 768: how a computed zero is sent */
#define IPV4_WORDS 1
#define IPV6_WORDS 4

/* RFC 1624, equation 3: HC' = ~(~HC + ~m + m'), for an address of so many 32-bit words, taken as 16-bit words. */
static __always_inline __u16 checksum_replace(__u16 checksum, __be32 *from, __be32 *to, const int words)
{
	__u32 sum = (__u16)~checksum;

#pragma unroll
	for (int i = 0; i < words; i++) {
		sum += (__u16)~from[i];
		sum += (__u16)(~from[i] >> 16);
		sum += (__u16)to[i];
		sum += (__u16)(to[i] >> 16);
	}
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~sum;
}

/* The UDP checksum after an address has changed, as right, or as wrong, as it was. */
static __always_inline void replace_in_udp(struct udphdr *udp, __be32 *from, __be32 *to, const int words)
{
	if (udp->check != NO_UDP_CHECKSUM) {
		__u16 checksum = checksum_replace(udp->check, from, to, words);

		udp->check = checksum ? checksum : COMPUTED_ZERO_CHECKSUM;
	}
}

/* Give a UDP packet another port in the place of this one of its own. */
static __always_inline void rewrite_port(struct udphdr *udp, __be16 *port, __be16 to)
{
	__be32 before = *port, after = to;

	replace_in_udp(udp, &before, &after, 1);
	*port = to;
}

/* Give an IPv4 UDP packet another address in the place of this one of its own. */
static __always_inline void rewrite_ipv4(struct iphdr *ip, __be32 *address, struct udphdr *udp, __be32 to)
{
	ip->check = checksum_replace(ip->check, address, &to, IPV4_WORDS);
	replace_in_udp(udp, address, &to, IPV4_WORDS);
	*address = to;
}

/* Give an IPv6 UDP packet another address in the place of this one of its own. IPv6 has no checksum of its own. */
static __always_inline void rewrite_ipv6(struct in6_addr *address, struct udphdr *udp, __be32 *to)
{
	replace_in_udp(udp, address->in6_u.u6_addr32, to, IPV6_WORDS);
	__builtin_memcpy(address, to, sizeof(*address));
}
