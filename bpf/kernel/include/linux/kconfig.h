/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * netlab's stand-in for the kernel's build configuration. bcc takes the folder above for the source of a kernel; the
 * other headers come from /usr/include, so that programs compile the same whether kernel headers are installed or not.
 */
#pragma once

#define CONFIG_BPF_SYSCALL 1
#define CONFIG_64BIT 1
#ifdef __x86_64__
#define CONFIG_X86_64 1
#endif
#ifdef __aarch64__
#define CONFIG_ARM64 1
#endif
