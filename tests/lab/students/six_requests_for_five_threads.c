/* SPDX-License-Identifier: GPL-2.0-or-later */
/* It counts on one thread more than each worker has. */
#define THREADS 6
#include "balancer.h"

int balance(struct xdp_md *ctx)
{
	int zero = 0;

	return balanced(ctx, office.lookup(&zero));
}
