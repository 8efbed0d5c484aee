/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The balancer's constants: those that a topology's `define:` may set, and fixed ones. */
#pragma once

/* From `define:`; netlab itself defines MTU, the largest of the node's interfaces, and NETLAB_CPUS. */
#ifndef QUEUE
#define QUEUE 1024
#endif
#if QUEUE < 1
#error "QUEUE must be at least 1"
#endif
#ifndef MTU
#define MTU 1500
#endif
#ifndef FLOWS
#define FLOWS 16384             /* if there are more, the least recently used one is removed */
#endif
#ifndef FRAGMENTS
#define FRAGMENTS 4096          /* answers in fragments at a time, as FLOWS */
#endif
#ifndef FRAGMENT_NS
#define FRAGMENT_NS 5000000000ULL /* for so long the rest of an answer may follow its first fragment */
#endif
#ifndef MARK_NS
#define MARK_NS 50000000ULL     /* between two markers; twice as long for each one that is not answered */
#endif
#ifndef SILENT_NS
#define SILENT_NS 700000000ULL  /* a backend that has reported, and then does not for so long, is dead or cut off */
#endif
#ifndef LATE_NS
#define LATE_NS 1000000000ULL   /* for so long a completion that was taken for lost may still come */
#endif

#define SLOTS (QUEUE + 2 * NETLAB_CPUS) /* for each CPU one in reserve, and one for whoever interrupts its use */
#define MAX_BACKENDS 128        /* 2 to the power of LEVELS */
#define LEVELS 7                /* of the tree, below its root */
#define MAX_INTERFACES 1024
#define MAX_PAIRS 4096          /* of a backend and an interface */
#define MAX_OPEN 16             /* markers that are not answered, and count for MARK_NS */
#define AGES 8                  /* after so many ages a thread without a completion is free again */
#define MAX_LOCAL_ADDRESSES 1024
#define NAME_BYTES 64           /* a DNS label and its end */
#define NONE 0xffffffff         /* no backend, no slot */
