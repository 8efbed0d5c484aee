/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's own header of this name brings these along. */
#pragma once
#include <linux/icmpv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include_next <linux/ipv6.h>
