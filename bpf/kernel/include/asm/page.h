/* SPDX-License-Identifier: GPL-2.0-only */
/* bcc sizes its own buffers by it; programs see whole frames. */
#pragma once

#ifndef PAGE_SIZE /* netlab defines the real one */
#define PAGE_SIZE 4096
#endif
