/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every fourth thread that becomes free gets nothing, although requests wait. */
#define FORGETS
#include "balancer.h"

int balance(struct xdp_md *ctx)
{
	int zero = 0;

	return balanced(ctx, office.lookup(&zero));
}
