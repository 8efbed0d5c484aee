/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What sources that are built in the kernel's own tree, such as samples/bpf, have from its headers. netlab puts it before
 * those that include `uapi/`, or use names like u32.
 */
#pragma once
#include <linux/types.h>
#include <asm/byteorder.h>

#define htons(value) __cpu_to_be16(value)
#define ntohs(value) __be16_to_cpu(value)
#define htonl(value) __cpu_to_be32(value)
#define ntohl(value) __be32_to_cpu(value)

#define cpu_to_be16(value) __cpu_to_be16(value)
#define cpu_to_be32(value) __cpu_to_be32(value)
#define cpu_to_be64(value) __cpu_to_be64(value)
#define be16_to_cpu(value) __be16_to_cpu(value)
#define be32_to_cpu(value) __be32_to_cpu(value)
#define be64_to_cpu(value) __be64_to_cpu(value)

#define memcpy __builtin_memcpy
#define memmove __builtin_memmove
#define memset __builtin_memset

#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)
#define READ_ONCE(place) (*(volatile typeof(place) *)&(place))
#define WRITE_ONCE(place, value) (*(volatile typeof(place) *)&(place) = (value))
#define barrier() asm volatile("" ::: "memory")

#define min(one, other) ((one) < (other) ? (one) : (other))
#define max(one, other) ((one) > (other) ? (one) : (other))

#define __packed __attribute__((packed))
#define __aligned(bytes) __attribute__((aligned(bytes)))
#define __force
#define __user

#define AF_INET 2
#define AF_INET6 10
