/* SPDX-License-Identifier: GPL-2.0-only */
/* What <linux/if.h>, and through it <linux/icmp.h>, wants of the C library. */
#pragma once

struct sockaddr {
	unsigned short sa_family;
	char sa_data[14];
};
