/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Address rewriting with incremental checksums. */
#pragma once

#include "packet.h"

#define NO_UDP_CHECKSUM 0          /* RFC 768: the sender computed none */
#define COMPUTED_ZERO_CHECKSUM 0xffff /* RFC 768: how a computed zero is sent */

/* RFC 1624, equation 3: HC' = ~(~HC + ~m + m'), for a 32-bit field taken as two 16-bit words. */
static __always_inline __u16 checksum_replace4(__u16 checksum, __be32 from, __be32 to)
{
	__u32 sum = (__u16)~checksum;

	sum += (__u16)~from;
	sum += (__u16)(~from >> 16);
	sum += (__u16)to;
	sum += (__u16)(to >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~sum;
}

/* Both checksums after an address has changed, as right, or as wrong, as they were. */
static __always_inline void replace_address(struct iphdr *ip, struct udphdr *udp, __be32 from, __be32 to)
{
	ip->check = checksum_replace4(ip->check, from, to);
	if (udp->check != NO_UDP_CHECKSUM) {
		__u16 checksum = checksum_replace4(udp->check, from, to);

		udp->check = checksum ? checksum : COMPUTED_ZERO_CHECKSUM;
	}
}

/* Give an IPv4 UDP packet a new source address. */
static __always_inline void rewrite_source(struct iphdr *ip, struct udphdr *udp, __be32 to)
{
	replace_address(ip, udp, ip->saddr, to);
	ip->saddr = to;
}

/* Give an IPv4 UDP packet a new destination address. */
static __always_inline void rewrite_destination(struct iphdr *ip, struct udphdr *udp, __be32 to)
{
	replace_address(ip, udp, ip->daddr, to);
	ip->daddr = to;
}
