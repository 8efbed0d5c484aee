/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How bounds of a number reach the verifier, on every kernel from Linux 6.1 on.
 *
 * The compiler leaves out a check whose outcome it knows, and checks copies of a number. The verifier knows less, and
 * wants the check on the register that is used. Those of Linux 6.1 and 6.12 know still less:
 *   - a byte swap (bpf_ntohs, bpf_ntohl) makes them forget all bounds of its register;
 *   - `n != 0`, and `n > 0` which the compiler turns into it, does not raise the least value of n to 1.
 */
#pragma once

/* Hide from the compiler what it knows of a variable, so that it keeps the check that follows. */
#define barrier_var(variable) asm volatile("" : "+r"(variable))

/* A number whose other bits are zero, which the verifier knows, too. */
static __always_inline __u32 masked(__u32 number, const __u32 mask)
{
	barrier_var(number);
	return number & mask;
}

/* A 16-bit number from a packet, in the host's byte order, that will be added to a pointer into that packet. */
static __always_inline __u32 host_u16(__be16 number)
{
	return masked(bpf_ntohs(number), 0xffff);
}
