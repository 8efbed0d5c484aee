BPF_ARRAY(counts, u64, 16);
BPF_QUEUE(waiting, u32, 4);
BPF_HASH(flows, u32, u64);

int counting(struct xdp_md *ctx)
{
    return XDP_PASS;
}
