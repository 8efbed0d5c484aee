/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parsers that take a cursor, check bounds and what the packet claims, and return a header or NULL. */
#pragma once

#include <uapi/linux/if_ether.h>
#include <uapi/linux/in.h>
#include <uapi/linux/ip.h>
#include <uapi/linux/ipv6.h>
#include <uapi/linux/tcp.h>
#include <uapi/linux/udp.h>

#include "bounds.h"

#define IP_FRAGMENT_MASK 0x3fff /* more-fragments flag and offset; the don't-fragment bit is left out */
#define IP_OFFSET_MASK 0x1fff   /* where in its packet a fragment belongs; 0 in the first */
#define IP_VERSION_4 4
#define IP_VERSION_6 6
#define IP_WORD 4       /* ihl and doff count 32-bit words */
#define IP_MIN_WORDS 5  /* a header without options (RFC 791) */
#define TCP_MIN_WORDS 5 /* a header without options (RFC 9293) */

struct cursor {
	void *at;
	void *end;
};

static __always_inline struct cursor packet(struct xdp_md *ctx)
{
	struct cursor cursor = {
		.at = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
	};
	return cursor;
}

/* The length of a frame in one piece. A helper would cost as much as a map look-up. */
static __always_inline int length_of(struct xdp_md *ctx)
{
	return (void *)(long)ctx->data_end - (void *)(long)ctx->data;
}

static __always_inline struct ethhdr *parse_ethernet(struct cursor *cursor)
{
	struct ethhdr *ethernet = cursor->at;

	if ((void *)(ethernet + 1) > cursor->end)
		return NULL;
	cursor->at = ethernet + 1;
	return ethernet;
}

/* Copy a MAC by words of two bytes, to which all MACs are aligned. */
static __always_inline void copy_mac(void *to, const void *from)
{
	for (int i = 0; i < ETH_ALEN / 2; i++)
		((__u16 *)to)[i] = ((const __u16 *)from)[i];
}

/* The fixed part only; NULL also if the header or the packet claims to be longer than the frame. */
static __always_inline struct iphdr *parse_ipv4(struct cursor *cursor)
{
	struct iphdr *ip = cursor->at;

	if ((void *)(ip + 1) > cursor->end)
		return NULL;
	__u32 header = ip->ihl * IP_WORD, total = host_u16(ip->tot_len);

	if (ip->version != IP_VERSION_4 || ip->ihl < IP_MIN_WORDS || total < header)
		return NULL;
	if (cursor->at + total > cursor->end)
		return NULL;
	cursor->at = ip + 1;
	return ip;
}

/* The fixed header; NULL also if the packet claims to be longer than the frame. */
static __always_inline struct ipv6hdr *parse_ipv6(struct cursor *cursor)
{
	struct ipv6hdr *ip = cursor->at;

	if ((void *)(ip + 1) > cursor->end)
		return NULL;
	cursor->at = ip + 1;
	if (ip->version != IP_VERSION_6 || cursor->at + host_u16(ip->payload_len) > cursor->end)
		return NULL;
	return ip;
}

/* Whether what follows the fixed header is a header of IPv6's own, and only behind it what the packet carries (RFC
 * 7045). */
static __always_inline bool is_ipv6_extension(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_FRAGMENT || next == IPPROTO_AH ||
	       next == IPPROTO_DSTOPTS || next == IPPROTO_MH;
}

/* The checksum of a header without options (RFC 1071): the sum of all its words, this one too, is all ones. */
static __always_inline bool is_checksum_right(struct iphdr *ip)
{
	__u16 *word = (__u16 *)ip;
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < IP_MIN_WORDS * IP_WORD / 2; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16) == 0xffff;
}

static __always_inline struct udphdr *parse_udp(struct cursor *cursor)
{
	struct udphdr *udp = cursor->at;

	if ((void *)(udp + 1) > cursor->end)
		return NULL;
	cursor->at = udp + 1;
	return udp;
}

/* The fixed part only; what it claims of its own length is for the caller to check. */
static __always_inline struct tcphdr *parse_tcp(struct cursor *cursor)
{
	struct tcphdr *tcp = cursor->at;

	if ((void *)(tcp + 1) > cursor->end)
		return NULL;
	cursor->at = tcp + 1;
	return tcp;
}
