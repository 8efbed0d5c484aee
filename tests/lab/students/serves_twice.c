/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every fourth request that leaves at once is kept as well. */
#define TWICE
#include "balancer.h"

int balance(struct xdp_md *ctx)
{
	int zero = 0;

	return balanced(ctx, office.lookup(&zero));
}
