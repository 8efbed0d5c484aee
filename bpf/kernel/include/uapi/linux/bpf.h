/* SPDX-License-Identifier: GPL-2.0-only */
/* Empty: bcc brings its own and includes it before every program. */
#pragma once
