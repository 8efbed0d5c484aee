/* SPDX-License-Identifier: GPL-2.0-or-later */
/* It promises more places than it has. */
#define DEPTH 12
#include "balancer.h"

int balance(struct xdp_md *ctx)
{
	int zero = 0;

	return balanced(ctx, office.lookup(&zero));
}
