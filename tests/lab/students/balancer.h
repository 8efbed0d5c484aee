/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A right balancer that is not netlab's: it has its own maps and lines. Each file beside it makes a program of it,
 * and each but balancer.c makes one mistake. */
#include <uapi/linux/bpf.h>
#include <uapi/linux/if_ether.h>
#include <uapi/linux/in.h>
#include <uapi/linux/ip.h>
#include <uapi/linux/udp.h>

#ifndef THREADS
#define THREADS 5
#endif
#define WORKERS 3
#ifndef USED_WORKERS
#define USED_WORKERS WORKERS
#endif
#define FRONT (sizeof(struct ethhdr) + sizeof(struct iphdr)) /* bytes before the UDP header */
#define ROOM 16   /* bytes of data that a place has */
#define PLACES 128
#ifndef DEPTH
#define DEPTH PLACES
#endif
#ifndef FIRST_INTERFACE
#define FIRST_INTERFACE 17 /* towards the first worker */
#endif
#define ASK 8080
#define DONE 9090

struct kept {
	u32 client;
	u32 length;        /* of the data, of which there are zeros behind it */
	struct udphdr udp; /* as the client has sent it */
	u8 data[ROOM];
};

struct office {
	struct bpf_spin_lock lock;
	u32 begin, length, seen, done;
	u32 busy[WORKERS];
	struct kept places[PLACES];
};

BPF_ARRAY(office, struct office, 1);

struct headers {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
} __attribute__((packed));

static __always_inline u32 folded(u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* Writes the checksum of UDP over data with zeros behind it; none if it is too long to be in `data`. */
static __always_inline void sign(struct headers *all, u8 *data, u32 length)
{
	u16 *half = (u16 *)data;
	u32 sum = htons(IPPROTO_UDP) + all->udp.len + all->udp.len + all->udp.source + all->udp.dest;

	all->udp.check = 0;
	if (length > ROOM)
		return;
	sum += (all->ip.saddr & 0xffff) + (all->ip.saddr >> 16) + (all->ip.daddr & 0xffff) + (all->ip.daddr >> 16);
#pragma unroll
	for (int at = 0; at < ROOM / 2; at++)
#ifdef WRONG_ODD
		if (2 * at + 1 != length)
#endif
			sum += half[at];
	sum = ~folded(sum) & 0xffff;
	all->udp.check = sum ? sum : 0xffff;
}

/* Sends a packet that holds a request to a worker, whose MAC and address come from its number. */
static __always_inline void direct(struct headers *all, u32 worker, struct kept *request)
{
	u8 home[ETH_ALEN] = {2, 0x6e, 0, 0, worker + 1, 0}, here[ETH_ALEN] = {2, 0x6e, 0, 0, worker + 1, 1};
	u16 *half = (u16 *)&all->ip;
	u32 sum = 0;

	__builtin_memcpy(all->eth.h_dest, home, ETH_ALEN);
	__builtin_memcpy(all->eth.h_source, here, ETH_ALEN);
	all->ip.daddr = htonl(10 << 24 | (worker + 1) << 8 | 1);
	all->udp.dest = htons(ASK);
#ifndef WRONG_IP
	all->ip.check = 0;
#pragma unroll
	for (int at = 0; at < 10; at++)
		sum += half[at];
	all->ip.check = ~folded(sum);
#endif
	sign(all, request->data, request->length);
}

static __always_inline void keep(struct office *o, struct kept *request)
{
	o->places[(o->begin + o->length++) % PLACES] = *request;
}

static __always_inline int ask(struct xdp_md *ctx, struct office *o, struct headers *all, void *end)
{
	u32 length = ntohs(all->udp.len) - sizeof(struct udphdr), worker = WORKERS, number, waiting = 0;
	u32 copied = length <= ROOM ? length : 0;
	struct kept request = {.client = all->ip.saddr, .length = length};

	asm volatile("" : "+r"(copied)); /* or the verifier does not see that it is bounded */
	if (bpf_xdp_load_bytes(ctx, FRONT, &request.udp, sizeof(request.udp) + copied))
		return XDP_DROP;
	bpf_spin_lock(&o->lock);
	number = ++o->seen;
	if (!o->length) {
#pragma unroll
		for (int at = 0; at < WORKERS; at++)
			if (worker == WORKERS && at < USED_WORKERS && o->busy[at] < THREADS) {
				worker = at;
				o->busy[at]++;
			}
	}
	if (worker == WORKERS && length <= ROOM && o->length < DEPTH) {
		keep(o, &request);
		waiting = o->length;
	}
#ifdef TWICE
	if (worker != WORKERS && number % 4 == 0)
		keep(o, &request);
#endif
	bpf_spin_unlock(&o->lock);
	bpf_trace_printk("got packet %d", number);
	if (worker == WORKERS) {
#ifdef LIES
		bpf_trace_printk("packet %d sent to server %d", number, number % WORKERS + 1);
#else
		bpf_trace_printk("packet %d is put in line, %d in line", number, waiting);
#endif
		return XDP_DROP;
	}
	bpf_trace_printk("packet %d sent to server %d", number, worker + 1);
	direct(all, worker, &request);
	return bpf_redirect(FIRST_INTERFACE + worker, 0);
}

static __always_inline int done(struct xdp_md *ctx, struct office *o, struct headers *all, void *end)
{
	u32 worker = (ntohl(all->ip.saddr) >> 8 & 255) - 1, place, number, free;
	struct kept request = {};
	int is_sent = 0;

	if (worker >= WORKERS)
		return XDP_PASS;
	bpf_spin_lock(&o->lock);
	number = ++o->done;
	is_sent = o->length > 0;
#ifdef FORGETS
	is_sent = is_sent && number % 4;
#endif
	if (is_sent) {
		place = o->begin % PLACES;
#ifdef LAST_FIRST
		place = (o->begin + o->length - 1) % PLACES;
		o->begin--;
#endif
		request = o->places[place];
#ifdef FIRST_BYTES
		request.data[0] = o->places[(place + 1) % PLACES].data[0];
		request.data[1] = o->places[(place + 1) % PLACES].data[1];
		request.data[2] = o->places[(place + 1) % PLACES].data[2];
		request.data[3] = o->places[(place + 1) % PLACES].data[3];
#endif
		o->begin++;
		o->length--;
	} else if (o->busy[worker]) {
		o->busy[worker]--;
	}
	free = THREADS - o->busy[worker] + is_sent;
	bpf_spin_unlock(&o->lock);
	bpf_trace_printk("server %d finished one, %d of its threads idle", worker + 1, free);
	if (!is_sent)
		return XDP_DROP;
	u32 length = request.length & 31;
	if (length > ROOM)
		return XDP_ABORTED;
	asm volatile("" : "+r"(length));
	if (bpf_xdp_adjust_tail(ctx, (int)(sizeof(*all) + length) - (int)(end - (void *)all)))
		return XDP_ABORTED;
	if (bpf_xdp_store_bytes(ctx, FRONT, &request.udp, sizeof(request.udp) + length))
		return XDP_ABORTED;
	all = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if ((void *)(all + 1) > end)
		return XDP_ABORTED;
	all->ip.saddr = request.client;
	all->ip.ttl = 63;
	all->ip.tot_len = htons(sizeof(struct iphdr) + sizeof(struct udphdr) + length);
	direct(all, worker, &request);
	bpf_trace_printk("one from the line goes out to server %d", worker + 1);
	return XDP_TX;
}

static __always_inline int balanced(struct xdp_md *ctx, struct office *o)
{
	struct headers *all = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;

	if (!o || (void *)(all + 1) > end || all->eth.h_proto != htons(ETH_P_IP) || all->ip.ihl != 5)
		return XDP_PASS;
#ifdef DROPS_TCP
	if (all->ip.protocol == IPPROTO_TCP)
		return XDP_DROP;
#endif
	if (all->ip.protocol != IPPROTO_UDP)
		return XDP_PASS;
	if (all->udp.dest == htons(ASK))
		return ask(ctx, o, all, end);
#ifndef ANY_FREES
	if (all->udp.dest != htons(DONE))
		return XDP_PASS;
#endif
	return done(ctx, o, all, end);
}
