/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any UDP packet from a worker frees a thread. */
#define ANY_FREES
#include "balancer.h"

int balance(struct xdp_md *ctx)
{
	int zero = 0;

	return balanced(ctx, office.lookup(&zero));
}
