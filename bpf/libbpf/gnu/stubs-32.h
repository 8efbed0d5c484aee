/* SPDX-License-Identifier: GPL-2.0-or-later */
/* glibc asks for this on machines that it does not know, such as BPF; Debian has it for none of 64 bits. */
