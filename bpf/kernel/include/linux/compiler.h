/* SPDX-License-Identifier: GPL-2.0-only */
/* Empty: what programs use of the kernel's own header is in bpf/prelude.h. */
#pragma once
