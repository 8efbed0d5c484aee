/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TCP beside the requests is dropped. */
#define DROPS_TCP
#include "balancer.h"

int balance(struct xdp_md *ctx)
{
	int zero = 0;

	return balanced(ctx, office.lookup(&zero));
}
