/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The smallest program: every packet passes to the stack. */
#include <linux/bpf.h>

int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}
