/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's own header of this name brings these along. */
#pragma once
#include <linux/in.h>
#include_next <linux/ip.h>
