/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's own type names, on top of those it shares with user space. */
#pragma once

#include <uapi/linux/types.h>

typedef __s8 s8;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;

typedef __s8 int8_t;
typedef __s16 int16_t;
typedef __s32 int32_t;
typedef __s64 int64_t;
typedef __u8 uint8_t;
typedef __u16 uint16_t;
typedef __u32 uint32_t;
typedef __u64 uint64_t;

typedef unsigned long size_t;
#ifndef __ssize_t_defined /* by the C library's headers */
typedef long ssize_t;
#define __ssize_t_defined
#endif
typedef long intptr_t;
typedef unsigned long uintptr_t;

typedef _Bool bool;
#define true 1
#define false 0

#define NULL ((void *)0)
#define offsetof(type, member) __builtin_offsetof(type, member)
