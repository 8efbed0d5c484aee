/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What it costs to run a program on a packet, round after round (BPF_PROG_TEST_RUN with `repeat`).
 *
 * Each round finds the packet that the last one left. So `rounds` first gives it its length and the beginning that it
 * had, and then calls the program that is measured, the one in `target`. With `nothing_run` there, a round costs what
 * the restoring, the call and the kernel's loop cost: that is taken off. Run without `rounds`, it costs what the
 * kernel's loop does. `redirect_run` is the least that a program can do that sends a frame to another host.
 *
 * `walk_run` does the same for several programs in one run: some rounds of the first, of the second, and so on, lap by
 * lap, and notes how long each of them has taken in each lap. What one leaves behind the next finds in the CPU's caches,
 * and all have the same luck.
 *
 * Each CPU has a frame and a target of its own, so that two can be at work. It has to be one program: before the kernel
 * runs another than it runs already, it lets all that run pause (bpf_dispatcher_change_prog), which may take longer
 * than they run.
 */
#include <uapi/linux/bpf.h>

#include "packet.h"

#define STAGES 32
#define LAPS 4096
#define HEADERS 56 /* bytes that are restored: all that a program of ours changes, in whole words */

struct frame {
	unsigned char beginning[HEADERS] __attribute__((aligned(8)));
	__u32 length;
	__u32 padding;
};

struct door {
	__u32 ifindex;
	__u32 program;
};

struct key {
	__u64 bytes;
};

struct slot {
	struct bpf_spin_lock lock;
	__u32 count;
	__u64 sum;
	unsigned char frame[ETH_HLEN + MTU];
};

struct stage {
	struct frame frame;
	__u32 rounds;         /* of it in each lap */
	__u32 padding;
};

struct walk {
	__u64 since;          /* when the present stage began */
	__u32 stage;
	__u32 left;           /* rounds of it */
	__u32 lap;
	__u32 stages;         /* how many there are */
};

/* Nanoseconds, as 32-bit words by lap and stage; bytes, since bcc makes a reader for every element of other arrays. */
struct times {
	unsigned char ns[LAPS * STAGES * sizeof(__u32)] __attribute__((aligned(4)));
};

BPF_ARRAY(frame, struct frame, NETLAB_CPUS);
BPF_ARRAY(stages, struct stage, STAGES);
BPF_ARRAY(walks, struct walk, 1);
BPF_ARRAY(times, struct times, 1);
BPF_PROG_ARRAY(stage_target, STAGES);
BPF_PROG_ARRAY(target, NETLAB_CPUS);
BPF_XDP_REDIRECT_MAP("devmap", struct door, doors, 2);
BPF_ARRAY(slots, struct slot, 1);
BPF_HASH(known, __u32, __u64, 16);
BPF_TABLE("lru_hash", struct key, __u64, flows, 16384);

/* Write eight bytes so that no field of IPv4's headers lies in two such words: a CPU cannot hand what it has just written
 * in two pieces to who reads it as one, and stalls, as it would not with a packet that came a while ago. */
static __always_inline void restore(void *beginning, struct frame *restored, int at)
{
	*(__u64 *)(beginning + at) = *(__u64 *)(restored->beginning + at);
}

static __always_inline bool renew(struct xdp_md *ctx, struct frame *restored)
{
	if (bpf_xdp_adjust_tail(ctx, (int)restored->length - (int)bpf_xdp_get_buff_len(ctx)))
		return false;
	void *beginning = (void *)(long)ctx->data;

	if (beginning + HEADERS > (void *)(long)ctx->data_end)
		return false;
	restore(beginning, restored, 0);
	restore(beginning, restored, 6);
	restore(beginning, restored, 14);
	restore(beginning, restored, 22);
	restore(beginning, restored, 30);
	restore(beginning, restored, 38);
	restore(beginning, restored, 46);
	restore(beginning, restored, 48);
	return true;
}

int rounds(struct xdp_md *ctx)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct frame *restored = frame.lookup(&cpu);

	if (restored && renew(ctx, restored))
		target.call(ctx, cpu);
	return XDP_ABORTED;
}

/* Note how long a stage has taken, and go on to the next one. */
static __always_inline void go_on(struct walk *walk, struct times *times)
{
	__u64 now = bpf_ktime_get_ns();
	__u64 at = walk->lap * STAGES + walk->stage;

	asm volatile("" : "+r"(at)); /* keeps the bounds where the verifier looks for them */
	((__u32 *)times->ns)[at & (LAPS * STAGES - 1)] = now - walk->since;
	walk->since = now;
	walk->stage++;
	if (walk->stage == walk->stages) {
		walk->stage = 0;
		walk->lap++;
	}
}

int walk_run(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct walk *walk = walks.lookup(&zero);
	struct times *noted = times.lookup(&zero);

	if (!walk || !noted)
		return XDP_ABORTED;
	bool is_over = !walk->left;

	if (is_over)
		go_on(walk, noted);
	__u32 number = walk->stage;
	struct stage *stage = stages.lookup(&number);

	if (!stage || !renew(ctx, &stage->frame))
		return XDP_ABORTED;
	walk->left = (is_over ? stage->rounds : walk->left) - 1;
	stage_target.call(ctx, number);
	return XDP_ABORTED;
}

int nothing_run(struct xdp_md *ctx)
{
	return XDP_REDIRECT;
}

int redirect_run(struct xdp_md *ctx)
{
	struct cursor cursor = packet(ctx);
	struct ethhdr *ethernet = parse_ethernet(&cursor);

	if (!ethernet)
		return XDP_PASS;
	__builtin_memcpy(ethernet->h_dest, "\x02\0\0\0\1\2", ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, "\x02\0\0\0\1\1", ETH_ALEN);
	return doors.redirect_map(1, XDP_PASS);
}

int array_run(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct slot *slot = slots.lookup(&zero);

	if (slot)
		slot->count++;
	return XDP_REDIRECT;
}

int atomic_run(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct slot *slot = slots.lookup(&zero);

	return slot && __sync_fetch_and_add(&slot->sum, 1) != -1 ? XDP_REDIRECT : XDP_DROP;
}

int hash_run(struct xdp_md *ctx)
{
	__u32 key = 1;

	return known.lookup(&key) ? XDP_REDIRECT : XDP_DROP;
}

int lru_run(struct xdp_md *ctx)
{
	struct key key = { .bytes = 1 };

	return flows.lookup(&key) ? XDP_REDIRECT : XDP_DROP;
}

int lock_run(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct slot *slot = slots.lookup(&zero);

	if (!slot)
		return XDP_ABORTED;
	bpf_spin_lock(&slot->lock);
	slot->count++;
	bpf_spin_unlock(&slot->lock);
	return XDP_REDIRECT;
}

int random_run(struct xdp_md *ctx)
{
	return bpf_get_prandom_u32() ? XDP_REDIRECT : XDP_DROP;
}

int copy_run(struct xdp_md *ctx)
{
	__u32 zero = 0;
	__u64 length = bpf_xdp_get_buff_len(ctx);
	struct slot *slot = slots.lookup(&zero);

	asm volatile("" : "+r"(length)); /* keeps the bounds where the verifier looks for them */
	if (slot && length > 0 && length <= sizeof(slot->frame))
		bpf_xdp_load_bytes(ctx, 0, slot->frame, length);
	return XDP_REDIRECT;
}

int grow_run(struct xdp_md *ctx)
{
	int missing = ETH_HLEN + MTU - (int)bpf_xdp_get_buff_len(ctx);

	bpf_xdp_adjust_tail(ctx, missing);
	bpf_xdp_adjust_tail(ctx, -missing);
	return XDP_REDIRECT;
}

int print_run(struct xdp_md *ctx)
{
	bpf_trace_printk("request #%u from %pI4:%u", 1, &(__u32){ 1 }, 2);
	return XDP_REDIRECT;
}

/* Brings the type of doors, of which the kernel keeps none, into BTF; nobody runs it. */
int types_by_name(struct door *unused)
{
	return 0;
}
