/* SPDX-License-Identifier: GPL-2.0-or-later */
/* It never uses the last worker, and lets requests wait. */
#define USED_WORKERS 2
#include "balancer.h"

int balance(struct xdp_md *ctx)
{
	int zero = 0;

	return balanced(ctx, office.lookup(&zero));
}
