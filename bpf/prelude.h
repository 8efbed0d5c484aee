/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What netlab puts before every program: what bcc takes from the kernel's own headers, which netlab does without.
 * netlab defines LAB_NODE, the text "LAB/NODE" or, for one of several programs, "LAB/NODE/NAME", and MTU on the command
 * line.
 */
#pragma once

/*
 * Begin each trace line with LAB_NODE, so that `netlab trace` can tell whose it is. This is what bcc makes of
 * bpf_trace_printk(), which must not stand in a macro; as there, the format is a string literal, with three values at
 * most. What bcc reads by load_byte() and its kind must stand in no macro either: netlab defines NETLAB_PLAIN_PRINT for
 * programs with cursor_advance().
 */
#ifndef NETLAB_PLAIN_PRINT
#define bpf_trace_printk(format, ...)                                                   \
	({                                                                                  \
		char netlab_line_[] = LAB_NODE " " format;                                      \
		bpf_trace_printk_(netlab_line_, sizeof(netlab_line_), ##__VA_ARGS__);           \
	})
#endif
#define bpf_printk bpf_trace_printk

#ifndef htons
#define htons bpf_htons
#define ntohs bpf_ntohs
#define htonl bpf_htonl
#define ntohl bpf_ntohl
#endif

#ifndef memcpy
#define memcpy __builtin_memcpy
#define memmove __builtin_memmove
#define memset __builtin_memset
#endif

#ifndef likely
#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)
#endif

#ifndef READ_ONCE
#define READ_ONCE(place) (*(volatile typeof(place) *)&(place))
#define WRITE_ONCE(place, value) (*(volatile typeof(place) *)&(place) = (value))
#endif
