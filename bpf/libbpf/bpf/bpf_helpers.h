/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What netlab puts before libbpf's own header of this name: bpf_printk() begins each line with LAB_NODE, so that `netlab
 * trace` can tell whose it is. netlab defines LAB_NODE, the text "LAB/NODE" or "LAB/NODE/NAME", on the command line.
 * A source may bring along a header of this name that is older, and has bpf_printk() in another form.
 */
#pragma once
#include_next <bpf/bpf_helpers.h>

#ifdef ___bpf_pick_printk
#undef bpf_printk
#define bpf_printk(format, args...) ___bpf_pick_printk(args)(LAB_NODE " " format, ##args)
#elif defined(bpf_printk)
#undef bpf_printk
#define bpf_printk(format, args...) ({ \
	static const char netlab_line[] = LAB_NODE " " format; \
	bpf_trace_printk(netlab_line, sizeof(netlab_line), ##args); \
})
#endif
