/* SPDX-License-Identifier: GPL-2.0-or-later */
/* It makes no mistake. */
#include "balancer.h"

int balance(struct xdp_md *ctx)
{
	int zero = 0;

	return balanced(ctx, office.lookup(&zero));
}
