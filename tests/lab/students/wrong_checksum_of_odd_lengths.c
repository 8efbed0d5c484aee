/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The checksum of UDP leaves out the last byte of an odd length. */
#define WRONG_ODD
#include "balancer.h"

int balance(struct xdp_md *ctx)
{
	int zero = 0;

	return balanced(ctx, office.lookup(&zero));
}
