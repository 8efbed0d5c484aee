/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What netlab puts before libbpf's own header of this name: bpf_printk() begins each line with LAB_NODE, so that `netlab
 * trace` can tell whose it is. netlab defines LAB_NODE, the text "LAB/NODE" or "LAB/NODE/NAME", on the command line.
 */
#pragma once
#include_next <bpf/bpf_helpers.h>

#undef bpf_printk
#define bpf_printk(format, args...) ___bpf_pick_printk(args)(LAB_NODE " " format, ##args)
