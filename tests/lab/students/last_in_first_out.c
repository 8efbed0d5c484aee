/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Those that wait leave in the opposite order. */
#define LAST_FIRST
#include "balancer.h"

int balance(struct xdp_md *ctx)
{
	int zero = 0;

	return balanced(ctx, office.lookup(&zero));
}
