/* SPDX-License-Identifier: GPL-2.0-or-later */
/* It says that a request is sent when it lets it wait. */
#define LIES
#include "balancer.h"

int balance(struct xdp_md *ctx)
{
	int zero = 0;

	return balanced(ctx, office.lookup(&zero));
}
