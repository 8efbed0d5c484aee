/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How all headers reach the maps. The maps and these functions are defined in the program's file: bcc knows the methods
 * of maps, such as `map.lookup()`, in that file only.
 *
 * Each find_…() returns NULL if a map has no such entry. The verifier wants this check for arrays of one entry, too.
 * Keys are given by their address, as the helpers take them.
 */
#pragma once

#include "balancer/settings.h"
#include "verdict.h"

struct address;
struct flow_key;
struct fragment_key;

static __always_inline struct config *find_config(__u32 *zero);
static __always_inline struct backend *find_backend(__u32 *index);
static __always_inline __u32 *find_backend_at(struct address *address);
static __always_inline __u8 *find_local_address(struct address *address);
static __always_inline struct interface *find_interface(__u32 *ifindex);
static __always_inline struct state *find_state(__u32 *zero);
static __always_inline struct reporter *find_reporter(__u32 *index);
static __always_inline struct ring *find_ring(__u32 *zero);
static __always_inline struct slot *find_slot(__u32 *number);
static __always_inline __u64 *find_reserve(__u32 *zero);
static __always_inline struct holds *find_holds(__u32 *zero);
static __always_inline struct flow *find_flow(struct flow_key *key);
static __always_inline void insert_flow(struct flow_key *key, struct flow *flow); /* keeps one that is there */
static __always_inline void update_flow(struct flow_key *key, struct flow *flow); /* replaces one that is there */
static __always_inline struct fragment *find_fragment(struct fragment_key *key);
static __always_inline void update_fragment(struct fragment_key *key, struct fragment *fragment); /* the same */
static __always_inline struct count *find_count(__u32 *reason);
static __always_inline struct count *find_carrier_count(__u32 *reason);
static __always_inline void *find_carriers(__u32 *index);                         /* a devmap: see send_to_all() */
static __always_inline void *find_pair(__u32 *pair);                              /* a devmap, too */
static __always_inline void send_by(__u32 ifindex);                              /* redirect the frame */

#define REDIRECT_MAP 51 /* the helper's number: bcc's own redirect_map() cannot take an inner map */

static long (*const redirect_map)(void *map, __u64 key, __u64 flags) = (void *)REDIRECT_MAP;

/* Redirect clones of a frame by the first entries of a devmap, and the frame itself by the last one. */
static __always_inline void send_to_all(void *devmap)
{
	redirect_map(devmap, 0, BPF_F_BROADCAST);
}
