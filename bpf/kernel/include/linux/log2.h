/* SPDX-License-Identifier: GPL-2.0-only */
/* Empty: bcc includes it, and uses nothing of it in a program. */
#pragma once
