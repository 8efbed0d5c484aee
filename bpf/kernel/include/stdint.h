/* SPDX-License-Identifier: GPL-2.0-only */
/* The C library's name for what linux/types.h has. */
#pragma once

#include <linux/types.h>
