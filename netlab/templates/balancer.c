/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A load balancer to be finished: each of three servers has its turn, whether or not it has a free thread. Three steps
 * are missing, and each is a function here. docs/write-your-own.md of netlab goes through them. */
#include <uapi/linux/if_ether.h>
#include <uapi/linux/in.h>
#include <uapi/linux/ip.h>
#include <uapi/linux/udp.h>
#include "lab.h"             /* made by netlab for each lab: addresses and interfaces as constants (docs/programs.md) */

#define SERVERS LAB_WORKER_COUNT
#define THREADS 5            /* of each server */
#define SERVICE_PORT 8080    /* of the balancer, and of the servers: a UDP packet to it is a request */
#define COMPLETION_PORT 9090 /* of the balancer: a UDP packet to it says that a thread of its sender is free */
#define SLOTS 256            /* requests that may wait, a power of two */
#define BYTES 16             /* of data in a request that waits, at most */
#define WAITS SERVERS        /* not the number of a server: what becomes of a request that no server gets now */
#define NO_ROOM (SERVERS + 1)

struct packet {              /* UDP over IPv4 without options */
	struct ethhdr ethernet;
	struct iphdr ip;
	struct udphdr udp;
	u8 data[];
} __attribute__((packed));

struct request {             /* one that waits: what it takes to make the packet again */
	u32 number, client;  /* the client's address and port are as in the packet */
	u16 port, bytes;
	u8 data[BYTES];
};

struct state {               /* all of it is read and written under the lock */
	struct bpf_spin_lock lock;
	u32 number;          /* of the newest request */
	u32 busy[SERVERS];   /* threads */
	u32 first, next;     /* request number i that waits is in waiting[i % SLOTS]; first is the oldest */
	struct request waiting[SLOTS];
};

BPF_ARRAY(states, struct state, 1);

/* STEP 1. Under the lock: choose a server with a free thread, and take the thread. If there is none, put the request
 * into state->waiting and return WAITS, or NO_ROOM. Now each server has its turn, and nothing ever waits. */
static __always_inline u32 decide(struct state *state, struct request *request)
{
	return state->number % SERVERS;
}

/* STEP 2. Under the lock: a thread of the server is free. If a request waits, the thread takes the oldest: copy it to
 * *request, and return 1. Now nothing is counted. */
static __always_inline int thread_is_free(struct state *state, u32 server, struct request *request)
{
	return 0;
}

/* Return how many threads of a server are free; 0 for what is no server. A plain busy[server] upsets the verifier. */
static __always_inline u32 threads_free(struct state *state, u32 server)
{
	u32 free = 0;
#pragma unroll
	for (u32 i = 0; i < SERVERS; i++)
		free = i == server ? THREADS - state->busy[i] : free;
	return free;
}

/* Return a packet if it is one; its headers may be read, and as much of its data as is before data_end. */
static __always_inline struct packet *parse(struct xdp_md *ctx)
{
	struct packet *packet = (void *)(long)ctx->data;

	if ((void *)packet->data > (void *)(long)ctx->data_end || packet->ethernet.h_proto != htons(ETH_P_IP))
		return NULL;
	if (packet->ip.ihl != 5 || packet->ip.protocol != IPPROTO_UDP || packet->ip.frag_off & htons(0x3fff))
		return NULL;
	return packet;
}

/* Send a packet to a server: only its addresses and checksums change. */
static __always_inline int send(struct packet *packet, u32 server)
{
	u32 interface = 0;
#define GOES_TO(number, NAME) \
	if (server == number) { \
		struct ethhdr ethernet = {TO_##NAME##_MAC, TO_##NAME##_MY_MAC, htons(ETH_P_IP)}; \
		packet->ethernet = ethernet; \
		packet->ip.daddr = TO_##NAME##_IP4; \
		interface = TO_##NAME##_IFINDEX; \
	}
	LAB_EACH_WORKER(GOES_TO)     /* a line for each: GOES_TO(0, WORKER1) GOES_TO(1, WORKER2) … */
	packet->ip.check = 0;
	u32 sum = bpf_csum_diff(0, 0, (void *)&packet->ip, sizeof(struct iphdr), 0);
	sum = (sum & 0xffff) + (sum >> 16);
	packet->ip.check = ~(sum + (sum >> 16));     /* RFC 1071 */
	packet->udp.dest = htons(SERVICE_PORT);
	packet->udp.check = 0;       /* none, which IPv4 allows */
	return bpf_redirect(interface, 0);
}

/* STEP 3. Make the completion that has just arrived the request that has waited, and send it to the server. No packet
 * can be made from nothing here: the one that is there gets other data and another length. Now it is lost. */
static __always_inline int send_waiting(struct xdp_md *ctx, u32 server, struct request *request)
{
	return XDP_DROP;
}

static __always_inline int receive_request(struct xdp_md *ctx, struct packet *packet, struct state *state)
{
	struct request request = {.client = packet->ip.saddr, .port = packet->udp.source};

	request.bytes = ntohs(packet->udp.len) - sizeof(struct udphdr);
#pragma unroll
	for (int i = 0; i < BYTES; i++)
		if (packet->data + i + 1 <= (u8 *)(long)ctx->data_end)
			request.data[i] = packet->data[i];
	bpf_spin_lock(&state->lock);
	request.number = ++state->number;
	u32 server = request.bytes <= BYTES ? decide(state, &request) : NO_ROOM;
	u32 free = threads_free(state, server), depth = state->next - state->first;
	bpf_spin_unlock(&state->lock);

	bpf_trace_printk("request #%u from %pI4:%u", request.number, &request.client, ntohs(request.port));
	if (server < SERVERS) {
		bpf_trace_printk("forward #%u to worker%u, free %u", request.number, server + 1, free);
		return send(packet, server);
	}
	if (server == NO_ROOM)
		bpf_trace_printk("drop #%u, no room for it", request.number);
	else
		bpf_trace_printk("queue #%u, depth %u", request.number, depth);
	return XDP_DROP;
}

static __always_inline int receive_completion(struct xdp_md *ctx, struct packet *packet, struct state *state)
{
#define IS_AT(number, NAME) packet->ip.saddr == TO_##NAME##_IP4 ? number :
	u32 server = LAB_EACH_WORKER(IS_AT) SERVERS;
	struct request request = {};

	if (server == SERVERS)
		return XDP_DROP;
	bpf_spin_lock(&state->lock);
	u32 depth = state->next - state->first;      /* before it goes, if one does */
	int goes = thread_is_free(state, server, &request);
	u32 free = threads_free(state, server) + goes;
	bpf_spin_unlock(&state->lock);

	bpf_trace_printk("completion from worker%u, free %u, depth %u", server + 1, free, depth);
	if (!goes)
		return XDP_DROP;
	bpf_trace_printk("dequeue #%u to worker%u, depth %u", request.number, server + 1, depth - 1);
	return send_waiting(ctx, server, &request);
}

int balancer(struct xdp_md *ctx)
{
	int zero = 0;
	struct state *state = states.lookup(&zero);
	struct packet *packet = parse(ctx);
	u16 port = state && packet ? ntohs(packet->udp.dest) : 0;

	return port == SERVICE_PORT ? receive_request(ctx, packet, state)
	     : port == COMPLETION_PORT ? receive_completion(ctx, packet, state)
	     : XDP_PASS;                             /* all that is not ours, such as ping and TCP */
}
