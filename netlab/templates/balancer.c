/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A load balancer to be finished: it sends each request to one of three servers, whether or not that has a free
 * thread. Three steps are missing, and each is a function here. docs/write-your-own.md of netlab goes through them.
 *
 * A request is a UDP packet to SERVICE_PORT, a completion one to COMPLETION_PORT: a server's thread is free again.
 */
#include <uapi/linux/bpf.h>
#include <uapi/linux/if_ether.h>
#include <uapi/linux/in.h>
#include <uapi/linux/ip.h>
#include <uapi/linux/udp.h>
#include "lab.h"             /* made by netlab for each lab: addresses and interfaces as constants (docs/programs.md) */

#define SERVERS LAB_WORKER_COUNT
#define THREADS 5            /* of each server */
#define SERVICE_PORT 8080    /* of the balancer, and of the servers */
#define COMPLETION_PORT 9090
#define SLOTS 256            /* requests that may wait, a power of two */
#define BYTES 16             /* of data in a request that waits, at most */
#define HEADERS (sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct udphdr))

/* Not the number of a server: what becomes of a request that no server gets now. */
#define WAITS SERVERS
#define NO_ROOM (SERVERS + 1)

struct request {             /* one that waits: what it takes to make the packet again */
	u32 number;
	u32 client;          /* address and port as in the packet */
	u16 port;
	u16 bytes;
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

/* The headers of a packet, once it is known to have them. */
struct packet {
	struct ethhdr *ethernet;
	struct iphdr *ip;
	struct udphdr *udp;
};

/*
 * STEP 1. Under the lock: choose a server with a free thread, and take the thread. If there is none, put the request
 * into state->waiting and return WAITS, or NO_ROOM. Now each server has its turn, and nothing ever waits.
 */
static __always_inline u32 decide(struct state *state, struct request *request)
{
	return state->number % SERVERS;
}

/*
 * STEP 2. Under the lock: a thread of the server is free. If a request waits, the thread takes the oldest: copy it to
 * *request, and return 1. Now nothing is counted.
 */
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
		if (i == server)
			free = THREADS - state->busy[i];
	return free;
}

/* Return what the IPv4 header's checksum must be (RFC 1071); its field is 0 meanwhile. */
static __always_inline u16 checksum(struct iphdr *ip)
{
	u16 *words = (void *)ip;
	u32 sum = 0;

#pragma unroll
	for (int i = 0; i < sizeof(*ip) / 2; i++)
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
	if (data + HEADERS > end || packet->ethernet->h_proto != htons(ETH_P_IP))
		return 0;
	return packet->ip->ihl == 5 && packet->ip->protocol == IPPROTO_UDP && !(packet->ip->frag_off & htons(0x3fff));
}

/* Return which server has this address, from 0 for worker1; SERVERS for none. */
static __always_inline u32 server_at(u32 address)
{
	u32 server = SERVERS;

#define HAS_ADDRESS(number, NAME) \
	if (address == TO_##NAME##_IP4) \
		server = number;
	LAB_EACH_WORKER(HAS_ADDRESS)         /* a line for each: HAS_ADDRESS(0, WORKER1) HAS_ADDRESS(1, WORKER2) … */
	return server;
}

/* Send a packet to a server: only its addresses and checksums change. */
static __always_inline int send(struct packet *packet, u32 server)
{
	u32 interface = 0;

#define GOES_TO(number, NAME) \
	if (server == number) { \
		u8 to[ETH_ALEN] = TO_##NAME##_MAC, from[ETH_ALEN] = TO_##NAME##_MY_MAC; \
		__builtin_memcpy(packet->ethernet->h_dest, to, ETH_ALEN); \
		__builtin_memcpy(packet->ethernet->h_source, from, ETH_ALEN); \
		packet->ip->daddr = TO_##NAME##_IP4; \
		interface = TO_##NAME##_IFINDEX; \
	}
	LAB_EACH_WORKER(GOES_TO)
	packet->ip->check = 0;
	packet->ip->check = checksum(packet->ip);
	packet->udp->dest = htons(SERVICE_PORT);
	packet->udp->check = 0;      /* none, which IPv4 allows */
	return bpf_redirect(interface, 0);
}

/*
 * STEP 3. Make the completion that has just arrived the request that has waited, and send it to the server. No packet
 * can be made from nothing here: the one that is there gets other data and another length. Now it is lost.
 */
static __always_inline int send_waiting(struct xdp_md *ctx, u32 server, struct request *request)
{
	return XDP_DROP;
}

static __always_inline int receive_request(struct xdp_md *ctx, struct packet *packet, struct state *state)
{
	struct request request = {.client = packet->ip->saddr, .port = packet->udp->source};
	u8 *data = (void *)(packet->udp + 1), *end = (void *)(long)ctx->data_end;

	request.bytes = ntohs(packet->udp->len) - sizeof(struct udphdr);
#pragma unroll
	for (int i = 0; i < BYTES; i++)
		if (data + i + 1 <= end)
			request.data[i] = data[i];
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
	if (server == WAITS)
		bpf_trace_printk("queue #%u, depth %u", request.number, depth);
	else
		bpf_trace_printk("drop #%u, no room for it", request.number);
	return XDP_DROP;
}

static __always_inline int receive_completion(struct xdp_md *ctx, struct packet *packet, struct state *state)
{
	u32 server = server_at(packet->ip->saddr);
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
	struct packet packet;
	int zero = 0;
	struct state *state = states.lookup(&zero);

	if (!state || !parse(ctx, &packet))
		return XDP_PASS;                             /* all that is not ours, such as ping and TCP */
	if (packet.udp->dest == htons(SERVICE_PORT))
		return receive_request(ctx, &packet, state);
	if (packet.udp->dest == htons(COMPLETION_PORT))
		return receive_completion(ctx, &packet, state);
	return XDP_PASS;
}
