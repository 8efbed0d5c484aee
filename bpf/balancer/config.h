/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What user space writes: the settings, the backends, and the interfaces of this node. */
#pragma once

#include "address.h"
#include "balancer/settings.h"
#include "bounds.h"

/* Families of addresses, as bits. */
enum family { HAS_IPV4 = 1, HAS_IPV6 = 2 };

/* Which backend with a free thread gets a request. A weight counts threads, turns or chances that many times. */
enum policy { MOST_FREE, ROUND_ROBIN, RANDOM, FIRST_FREE };

/* How it is known that a held request is done. */
enum known_by { NOT_HELD, BY_REPORTS, BY_REPLIES };

struct config {
	__u32 ready;           /* set last */
	__be16 service_port;
	__be16 completion_port;
	__u32 policy;
	__u32 backends;        /* how many entries of `backends` are in use */
	__u32 longest;         /* bytes of the longest frame that every backend's link carries */
	__u32 replies;         /* a reply frees its thread; there are no completions then */
	__be16 report_port;    /* 0: nobody reports */
	__u16 padding;
	__u32 pair_interfaces; /* interfaces that each backend is paired with; 0 when there are too many pairs */
	__u32 families;        /* enum family: those in which every backend has an address */
	__u32 holds;           /* enum known_by: a request keeps its slot until it is known to be done */
	__u32 weights[MAX_BACKENDS]; /* 0: gets no requests */
	__u32 retries;         /* how often a held request is sent again at most */
};

struct backend {
	struct address ipv4;   /* each of a family that config.families has */
	struct address ipv6;
	__u32 ifindex;         /* of our interface that leads to it */
	__u32 capacity;        /* threads */
	__u32 weight;          /* when it is not drained */
	unsigned char mac[ETH_ALEN];
	unsigned char our_mac[ETH_ALEN];
	char name[NAME_BYTES];
};

/* All addresses that agree in the bits of the mask. */
struct network {
	struct address address;
	struct address mask;
};

/* One of this node's own. */
struct interface {
	__u16 mac[ETH_ALEN / 2]; /* a whole word at a time is compared */
	__u16 number;            /* among our interfaces, in `pairs` */
	__u32 in_use;            /* 0: no interface of ours has this index */
	struct address ipv4;     /* its first ones, which are most often asked */
	struct address ipv6;
	__u32 networks;          /* enum family: those in which backends live behind it, in one network each, */
	__u32 crowded;           /* and those in which several do: */
	struct network ipv4_network;
	struct network ipv6_network;
};

struct devmap_entry {
	__u32 ifindex;
	__u32 program;         /* fd of the egress program */
};

/* A backend's share of the requests, relative to the others. 0: it gets none, as it is drained or removed. */
static __always_inline __u32 weight(struct config *c, __u32 index)
{
	return c->weights[masked(index, MAX_BACKENDS - 1)];
}
