/* SPDX-License-Identifier: GPL-2.0-only */
/* See linux/skbuff.h. */
#pragma once

#include <linux/skbuff.h>
