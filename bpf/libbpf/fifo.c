/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A load balancer in libbpf's dialect: it sends each request to the server with the most free threads; if none is free,
 * the request waits here, and the next completion becomes the oldest one that waits. topologies/libbpf.yml is its lab.
 *
 * A request is a UDP packet to SERVICE_PORT, a completion one to COMPLETION_PORT: a thread of a server is free again.
 * A packet can be made only some bytes longer, so requests of more than BYTES do not wait.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "lab.h" /* made by netlab for each lab: addresses and interfaces as constants (docs/programs.md) */

#define SERVERS LAB_WORKER_COUNT
#define SERVICE_PORT 8080
#define COMPLETION_PORT 9090
#define SLOTS 256 /* requests that may wait, a power of two */
#define BYTES 16
#define HEADERS (sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct udphdr))
#define FRAGMENT 0x3fff /* in frag_off: the place of a fragment, or the flag that more follow */
#define TTL 64

/* Not the number of a server: what becomes of a request that no server gets now. */
#define WAITS SERVERS
#define NO_ROOM (SERVERS + 1)

const volatile __u32 threads = 5; /* of each server; the topology may say another number by `define:` */

struct request { /* what it takes to make a packet again */
	__u32 number;
	__be32 client;
	__be16 port;
	__u16 bytes;
	__u8 data[BYTES];
};

struct state { /* all of it is read and written under the lock */
	struct bpf_spin_lock lock;
	__u32 number; /* of the newest request */
	__u32 busy[SERVERS];
	__u32 first, next; /* request i that waits is in waiting[i % SLOTS]; first is the oldest */
	struct request waiting[SLOTS];
};

enum decision { FORWARD, QUEUE, DROP_NO_ROOM, COMPLETION, DEQUEUE, DROP_STRANGER, PASS, DECISIONS };

/* The one state of the balancer. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct state);
} states SEC(".maps");

/* Every packet, once, by what was decided: `netlab stats` shows it. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DECISIONS);
	__type(key, enum decision);
	__type(value, __u64);
} decisions SEC(".maps");

/* The headers of a packet, once it is known to have them. */
struct packet {
	struct ethhdr *ethernet;
	struct iphdr *ip;
	struct udphdr *udp;
};

/* Count a packet, and return what is to become of it. */
static __always_inline int counted(enum decision decision, int verdict)
{
	__u64 *count = bpf_map_lookup_elem(&decisions, &decision);

	if (count)
		++*count;
	return verdict;
}

/* Under the lock: take the thread of a server, or keep the request. */
static __always_inline __u32 decide(struct state *state, const struct request *request)
{
	__u32 server = NO_ROOM, least = threads;

#pragma unroll
	for (__u32 i = 0; i < SERVERS; i++) {
		if (state->busy[i] < least) {
			least = state->busy[i];
			server = i;
		}
	}
#pragma unroll
	for (__u32 i = 0; i < SERVERS; i++) {
		if (i == server) {
			state->busy[i]++;
			return server;
		}
	}
	if (state->next - state->first >= SLOTS)
		return NO_ROOM;
	state->waiting[state->next++ % SLOTS] = *request;
	return WAITS;
}

/* Under the lock: a thread is free. Give it the oldest request that waits, and say whether there was one. */
static __always_inline int thread_is_free(struct state *state, __u32 server, struct request *request)
{
	if (state->first != state->next) {
		*request = state->waiting[state->first++ % SLOTS];
		return 1;
	}
#pragma unroll
	for (__u32 i = 0; i < SERVERS; i++)
		if (i == server && state->busy[i] > 0)
			state->busy[i]--;
	return 0;
}

/* Return how many threads of a server are free; 0 for what is no server. */
static __always_inline __u32 threads_free(const struct state *state, __u32 server)
{
	__u32 free = 0;

#pragma unroll
	for (__u32 i = 0; i < SERVERS; i++)
		if (i == server)
			free = threads - state->busy[i];
	return free;
}

/* Return what the IPv4 header's checksum must be (RFC 1071); its field is 0 meanwhile. */
static __always_inline __u16 checksum(const struct iphdr *ip)
{
	const __u16 *words = (const void *)ip;
	__u32 sum = 0;

#pragma unroll
	for (__u32 i = 0; i < sizeof(*ip) / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16));
}

/* Find the headers of a UDP packet over IPv4 without options; 0 for any other packet. */
static __always_inline int parse(struct xdp_md *ctx, struct packet *packet)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	packet->ethernet = data;
	packet->ip = data + sizeof(struct ethhdr);
	packet->udp = data + sizeof(struct ethhdr) + sizeof(struct iphdr);
	if (data + HEADERS > end || packet->ethernet->h_proto != bpf_htons(ETH_P_IP))
		return 0;
	if (packet->ip->ihl != 5 || packet->ip->protocol != IPPROTO_UDP)
		return 0;
	return !(packet->ip->frag_off & bpf_htons(FRAGMENT)) && bpf_ntohs(packet->udp->len) >= sizeof(struct udphdr);
}

/* Return which server has this address, from 0 for worker1; SERVERS for none. */
static __always_inline __u32 server_at(__be32 address)
{
	__u32 server = SERVERS;

#define HAS_ADDRESS(number, NAME)       \
	if (address == TO_##NAME##_IP4) \
		server = number;
	LAB_EACH_WORKER(HAS_ADDRESS)
	return server;
}

/* Send a packet to a server: only its addresses and checksums change. */
static __always_inline int send(struct packet *packet, __u32 server)
{
	__u32 interface = 0;

#define GOES_TO(number, NAME)                                                             \
	if (server == number) {                                                           \
		__u8 to[ETH_ALEN] = TO_##NAME##_MAC, from[ETH_ALEN] = TO_##NAME##_MY_MAC; \
		__builtin_memcpy(packet->ethernet->h_dest, to, ETH_ALEN);                 \
		__builtin_memcpy(packet->ethernet->h_source, from, ETH_ALEN);             \
		packet->ip->daddr = TO_##NAME##_IP4;                                      \
		interface = TO_##NAME##_IFINDEX;                                          \
	}
	LAB_EACH_WORKER(GOES_TO)
	packet->ip->check = 0;
	packet->ip->check = checksum(packet->ip);
	packet->udp->dest = bpf_htons(SERVICE_PORT);
	packet->udp->check = 0; /* none, which IPv4 allows */
	return bpf_redirect(interface, 0);
}

/* Make the completion that has just arrived the request that has waited. */
static __always_inline int send_waiting(struct xdp_md *ctx, __u32 server, const struct request *request)
{
	__u32 bytes = request->bytes <= BYTES ? request->bytes : BYTES;
	int longer = HEADERS + bytes - bpf_xdp_get_buff_len(ctx);
	struct packet packet;

	if (bpf_xdp_adjust_tail(ctx, longer) || !parse(ctx, &packet))
		return XDP_ABORTED;
	__u8 *data = (void *)(packet.udp + 1), *end = (void *)(long)ctx->data_end;

#pragma unroll
	for (int i = 0; i < BYTES; i++)
		if (data + i + 1 <= end)
			data[i] = request->data[i];
	packet.ip->saddr = request->client;
	packet.ip->tot_len = bpf_htons(sizeof(struct iphdr) + sizeof(struct udphdr) + bytes);
	packet.ip->ttl = TTL;
	packet.udp->source = request->port;
	packet.udp->len = bpf_htons(sizeof(struct udphdr) + bytes);
	return send(&packet, server);
}

static __always_inline int receive_request(struct xdp_md *ctx, struct packet *packet, struct state *state)
{
	struct request request = {.client = packet->ip->saddr, .port = packet->udp->source};
	__u8 *data = (void *)(packet->udp + 1), *end = (void *)(long)ctx->data_end;

	request.bytes = bpf_ntohs(packet->udp->len) - sizeof(struct udphdr);
#pragma unroll
	for (int i = 0; i < BYTES; i++)
		if (data + i + 1 <= end)
			request.data[i] = data[i];
	bpf_spin_lock(&state->lock);
	request.number = ++state->number;
	__u32 server = request.bytes <= BYTES ? decide(state, &request) : NO_ROOM;
	__u32 free = threads_free(state, server), depth = state->next - state->first;
	bpf_spin_unlock(&state->lock);

	bpf_printk("request #%u from %pI4:%u", request.number, &request.client, bpf_ntohs(request.port));
	if (server < SERVERS) {
		bpf_printk("forward #%u to worker%u, free %u", request.number, server + 1, free);
		return counted(FORWARD, send(packet, server));
	}
	if (server == WAITS) {
		bpf_printk("queue #%u, depth %u", request.number, depth);
		return counted(QUEUE, XDP_DROP);
	}
	bpf_printk("drop #%u, no room for it", request.number);
	return counted(DROP_NO_ROOM, XDP_DROP);
}

static __always_inline int receive_completion(struct xdp_md *ctx, struct packet *packet, struct state *state)
{
	__u32 server = server_at(packet->ip->saddr);
	struct request request = {};

	if (server == SERVERS)
		return counted(DROP_STRANGER, XDP_DROP);
	bpf_spin_lock(&state->lock);
	__u32 depth = state->next - state->first; /* before it goes, if one does */
	int goes = thread_is_free(state, server, &request);
	__u32 free = threads_free(state, server) + goes;
	bpf_spin_unlock(&state->lock);

	bpf_printk("completion from worker%u, free %u, depth %u", server + 1, free, depth);
	if (!goes)
		return counted(COMPLETION, XDP_DROP);
	bpf_printk("dequeue #%u to worker%u, depth %u", request.number, server + 1, depth - 1);
	return counted(DEQUEUE, send_waiting(ctx, server, &request));
}

SEC("xdp") int fifo(struct xdp_md *ctx)
{
	struct packet packet;
	__u32 zero = 0;
	struct state *state = bpf_map_lookup_elem(&states, &zero);

	if (!state || !parse(ctx, &packet))
		return counted(PASS, XDP_PASS); /* all that is not ours, such as ping and TCP */
	if (packet.udp->dest == bpf_htons(SERVICE_PORT))
		return receive_request(ctx, &packet, state);
	if (packet.udp->dest == bpf_htons(COMPLETION_PORT))
		return receive_completion(ctx, &packet, state);
	return counted(PASS, XDP_PASS);
}

char _license[] SEC("license") = "GPL";
