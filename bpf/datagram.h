/* SPDX-License-Identifier: GPL-2.0-or-later */
/* UDP packets of both families: how they are recognised, and how their addresses are rewritten. */
#pragma once

#include "address.h"
#include "rewrite.h"

/* Why a packet is no datagram: the first of these that is true. Packets from NO_UDP on have addresses. */
enum shape {
	DATAGRAM,
	NO_IP,          /* ARP, a VLAN tag, or shorter than an Ethernet header */
	MALFORMED_IP,   /* truncated, or its lengths contradict each other or the frame */
	MAPPED_ADDRESS, /* IPv6 from or to ::ffff:a.b.c.d, which must not be taken for the IPv4 address */
	NO_UDP,
	FIRST_FRAGMENT, /* of either family, and the datagram is whole but for the rest of its data */
	FRAGMENT,       /* any other one of IPv4 */
	IPV4_OPTIONS,
	IPV6_FRAGMENT,  /* any other one of IPv6 */
	IPV6_EXTENSION, /* another header between IPv6 and what it carries */
	TRUNCATED_UDP,  /* too short to have ports */
};

struct datagram {
	struct ethhdr *ethernet;
	struct iphdr *ipv4;          /* or NULL */
	struct ipv6hdr *ipv6;        /* or NULL */
	struct udphdr *udp;
	struct address source;
	struct address destination;
	__u32 length;                /* bytes of the packet from its IP header on */
	__u32 room;                  /* those of them behind the IP header */
	__be32 identification;       /* of a fragment: the same in all of one packet */
};

/* RFC 8200, 4.5 */
struct ipv6_fragment {
	__u8 next;
	__u8 reserved;
	__be16 place; /* where in its packet it belongs, two unused bits, and whether more follow */
	__be32 identification;
};

#define IPV6_OFFSET_MASK 0xfff8

static __always_inline __u32 read_ipv4(struct cursor *cursor, struct datagram *datagram)
{
	struct iphdr *ip = parse_ipv4(cursor);

	if (!ip)
		return MALFORMED_IP;
	datagram->ipv4 = ip;
	datagram->source = ipv4_address(ip->saddr);
	datagram->destination = ipv4_address(ip->daddr);
	datagram->length = bpf_ntohs(ip->tot_len);
	datagram->room = datagram->length - sizeof(*ip);
	if (ip->protocol != IPPROTO_UDP)
		return NO_UDP;
	if (ip->frag_off & bpf_htons(IP_FRAGMENT_MASK)) {
		datagram->identification = ip->id;
		return ip->frag_off & bpf_htons(IP_OFFSET_MASK) || ip->ihl != IP_MIN_WORDS ? FRAGMENT : FIRST_FRAGMENT;
	}
	return ip->ihl == IP_MIN_WORDS ? DATAGRAM : IPV4_OPTIONS;
}

/* A fragment of IPv6, whose header is the first behind the fixed one. */
static __always_inline __u32 read_ipv6_fragment(struct cursor *cursor, struct datagram *datagram)
{
	struct ipv6_fragment *fragment = cursor->at;

	if ((void *)(fragment + 1) > cursor->end || datagram->room < sizeof(*fragment) ||
	    fragment->next != IPPROTO_UDP)
		return IPV6_EXTENSION;
	cursor->at = fragment + 1;
	datagram->room -= sizeof(*fragment);
	datagram->identification = fragment->identification;
	return fragment->place & bpf_htons(IPV6_OFFSET_MASK) ? IPV6_FRAGMENT : FIRST_FRAGMENT;
}

static __always_inline __u32 read_ipv6(struct cursor *cursor, struct datagram *datagram)
{
	struct ipv6hdr *ip = parse_ipv6(cursor);

	if (!ip)
		return MALFORMED_IP;
	datagram->ipv6 = ip;
	datagram->source = ipv6_address(&ip->saddr);
	datagram->destination = ipv6_address(&ip->daddr);
	if (is_mapped(&datagram->source) || is_mapped(&datagram->destination))
		return MAPPED_ADDRESS;
	datagram->room = bpf_ntohs(ip->payload_len);
	datagram->length = sizeof(*ip) + datagram->room;
	if (ip->nexthdr == IPPROTO_UDP)
		return DATAGRAM;
	if (ip->nexthdr == IPPROTO_FRAGMENT)
		return read_ipv6_fragment(cursor, datagram);
	return is_ipv6_extension(ip->nexthdr) ? IPV6_EXTENSION : NO_UDP;
}

/* Say what a packet is. All fields are set for a datagram, and for the first fragment of one. */
static __always_inline __u32 read_datagram(struct xdp_md *ctx, struct datagram *datagram)
{
	struct cursor cursor = packet(ctx);
	__u32 shape = NO_IP;

	datagram->ipv4 = NULL;
	datagram->ipv6 = NULL;
	datagram->udp = NULL;
	datagram->ethernet = parse_ethernet(&cursor);
	if (!datagram->ethernet)
		return NO_IP;
	if (datagram->ethernet->h_proto == bpf_htons(ETH_P_IP))
		shape = read_ipv4(&cursor, datagram);
	else if (datagram->ethernet->h_proto == bpf_htons(ETH_P_IPV6))
		shape = read_ipv6(&cursor, datagram);
	if (shape != DATAGRAM && shape != FIRST_FRAGMENT)
		return shape;
	datagram->udp = parse_udp(&cursor);
	if (datagram->udp && datagram->room >= sizeof(struct udphdr))
		return shape;
	if (shape == DATAGRAM)
		return TRUNCATED_UDP;
	return datagram->ipv4 ? FRAGMENT : IPV6_FRAGMENT;
}

/* Find the parts of a datagram again, after a change of its length or its return from a slot, which both make pointers
 * to it invalid. What it claims was checked when it came; only the bounds are checked again. */
static __always_inline bool find_datagram(struct xdp_md *ctx, struct datagram *datagram)
{
	struct cursor cursor = packet(ctx);

	datagram->ipv4 = NULL;
	datagram->ipv6 = NULL;
	datagram->ethernet = parse_ethernet(&cursor);
	if (!datagram->ethernet)
		return false;
	if (datagram->ethernet->h_proto == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = cursor.at;

		cursor.at = ip + 1;
		datagram->udp = parse_udp(&cursor);
		if (!datagram->udp)
			return false;
		datagram->ipv4 = ip;
		datagram->source = ipv4_address(ip->saddr);
		datagram->destination = ipv4_address(ip->daddr);
	} else {
		struct ipv6hdr *ip = cursor.at;

		cursor.at = ip + 1;
		datagram->udp = parse_udp(&cursor);
		if (!datagram->udp)
			return false;
		datagram->ipv6 = ip;
		datagram->source = ipv6_address(&ip->saddr);
		datagram->destination = ipv6_address(&ip->daddr);
	}
	return true;
}

static __always_inline void give_source(struct datagram *datagram, struct address *to)
{
	if (datagram->ipv4)
		rewrite_ipv4(datagram->ipv4, &datagram->ipv4->saddr, datagram->udp, to->word[3]);
	else if (datagram->ipv6)
		rewrite_ipv6(&datagram->ipv6->saddr, datagram->udp, to->word);
}

static __always_inline void give_destination(struct datagram *datagram, struct address *to)
{
	if (datagram->ipv4)
		rewrite_ipv4(datagram->ipv4, &datagram->ipv4->daddr, datagram->udp, to->word[3]);
	else if (datagram->ipv6)
		rewrite_ipv6(&datagram->ipv6->daddr, datagram->udp, to->word);
}

/* Give a fragment without ports, and so without a UDP checksum, another source. */
static __always_inline void give_fragment_source(struct datagram *datagram, struct address *to)
{
	__be32 ipv4 = to->word[3];

	if (datagram->ipv4) {
		datagram->ipv4->check =
			checksum_replace(datagram->ipv4->check, &datagram->ipv4->saddr, &ipv4, IPV4_WORDS);
		datagram->ipv4->saddr = ipv4;
	} else if (datagram->ipv6) {
		__builtin_memcpy(&datagram->ipv6->saddr, to, sizeof(*to));
	}
}

/* Send a packet back to where it came from. No checksum changes by that. */
static __always_inline void swap_addresses(struct datagram *datagram)
{
	if (datagram->ipv4) {
		datagram->ipv4->saddr = datagram->destination.word[3];
		datagram->ipv4->daddr = datagram->source.word[3];
	} else if (datagram->ipv6) {
		__builtin_memcpy(&datagram->ipv6->saddr, &datagram->destination, sizeof(struct in6_addr));
		__builtin_memcpy(&datagram->ipv6->daddr, &datagram->source, sizeof(struct in6_addr));
	}
}
