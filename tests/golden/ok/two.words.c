// SPDX-License-Identifier: GPL-2.0-or-later
// A program for tests: its file is looked up, and never compiled.
int entry(struct xdp_md *ctx)
{
	return XDP_PASS;
}
