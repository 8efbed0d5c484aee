/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The reasons by which frames leave the balancer. Each frame leaves by one of them, and is counted by it once. */
#pragma once

enum reason {
	PASS_UNCONFIGURED,          /* the role has not set the balancer up yet */
	PASS_NOT_IP,                /* ARP, a VLAN tag, or shorter than an Ethernet header */
	PASS_MALFORMED_IP,          /* truncated, its lengths contradict each other or the frame, or a wrong checksum */
	PASS_NOT_LOCAL,             /* routed through this node */
	PASS_OTHER_HOST,            /* to another host's MAC: a switch has flooded it */
	PASS_MARTIAN,               /* from an address that no other host has, or of IPv6 and to one that none has */
	PASS_NOT_UDP,
	PASS_FRAGMENT,              /* carries no ports, or not the whole packet */
	PASS_FRAGMENTED_REQUEST,    /* the first fragment of what would be a request */
	PASS_IP_OPTIONS,
	PASS_IPV6_EXTENSION,        /* a header between IPv6 and what it carries; other fragments have one too */
	PASS_TRUNCATED_UDP,         /* too short to have ports */
	PASS_OTHER_PORT,
	PASS_OTHER_FAMILY,          /* a request of a family in which not every backend has an address */
	DROP_BAD_LENGTH,            /* to one of our ports, but the UDP length contradicts the IP length */
	DROP_NO_CHECKSUM,           /* IPv6 without a UDP checksum: every receiver would drop it (RFC 8200, 8.1) */
	DROP_TOO_LONG,              /* a request longer than a backend's link carries */
	DROP_NEIGHBOUR,             /* a request whose answer would not come by us: from the backends' own network */
	DROP_QUEUE_FULL,
	DROP_COPY_FAILED,           /* the kernel refused to copy a request into its slot */
	FORWARDED,                  /* a request sent on at once */
	QUEUED,                     /* a request copied to a slot; the frame itself ends here */
	COMPLETION_FREED,           /* a thread more is free, or one request less in hand than there were too many */
	COMPLETION_CARRIED,         /* a thread more is free, and a carrier is on its way to fetch a queued request */
	COMPLETION_EXCESS,          /* all threads of this backend were free already */
	COMPLETION_LATE,            /* the same, but a report had made up for it; or its backend is silent */
	COMPLETION_STRANGER,        /* not from a backend's address */
	COMPLETION_WRONG_INTERFACE, /* from a backend's address, but not where that backend lives */
	REPLIED,                    /* a backend's answer on its way to the client, from the address that it asked */
	REPLY_FREED,                /* the same, and a thread more is free */
	REPLY_CARRIED,              /* the same, and a clone of it is on its way to fetch a queued request */
	REPLY_FRAGMENT,             /* a later fragment of a reply, on its way to the client like the first */
	BACKEND_REFUSED,            /* ICMP: nobody listens at a backend's port; it gets no requests */
	REFUSED_AGAIN,              /* the same of one that gets none as it is */
	REPORT_AGREED,              /* a backend's report says what we know */
	REPORT_BEGUN,               /* its first one */
	REPORT_RESTARTED,           /* the first one since it has started again: what it had in hand is gone */
	REPORT_REQUEST_LOST,        /* a request has not arrived; its thread is free */
	REPORT_COMPLETION_LOST,     /* it has completed more than we have heard of; the threads are free */
	REPORT_COMPLETION_LATE,     /* one that a report had made up for has freed a thread more, which is taken */
	REPORT_COMPLETION_DOUBLED,  /* it has completed less than we have heard of otherwise; the threads are taken */
	REPORT_RETURNED,            /* it was silent for too long, refused or was ill, and is back */
	REPORT_OLD,                 /* overtaken by a later one */
	REPORT_MALFORMED,
	REPORT_STRANGER,            /* as with completions */
	REPORT_WRONG_INTERFACE,
	KICKED,                     /* a carrier that user space has sent, because a thread is free again */
	KICK_NEEDLESS,              /* the same, but nothing waits, or no thread is free */
	BACKEND_SILENT,             /* user space has found that a backend no longer reports; it gets no requests */
	BACKEND_EXCLUDED,           /* user space has found that a backend is ill; it gets no requests */
	BACKEND_READMITTED,         /* it has found that one is well which was ill or refused; it gets requests again */
	ROLE_RESUMED,               /* the role has started again, and goes on with the state that is there */
	DROP_RETRIES_SPENT,         /* a request that no backend has done, although it was sent again `retries` times */
	REASONS
};

#define FIRST_DROP DROP_BAD_LENGTH /* all reasons before it pass */

/* Beside the reason of a report: */
#define IS_SENT_BACK 0x100 /* it goes back to its backend, as a carrier or as a marker */
#define IS_FOR_ROLE 0x200  /* it passes, and the role reads it too */

/* What became of a frame that we sent to an interface: a carrier, that is a completion or its page-sized clone, on its
 * way back to fetch a queued request; or a reply. */
enum carrier_reason {
	CARRIER_SENT,
	CARRIER_EMPTY,      /* the queue was served, or the thread taken, while it was on its way */
	CARRIER_NO_ROOM,    /* cannot grow: the completion itself, behind its clone, which can */
	CARRIER_MALFORMED,  /* no longer the completion it was */
	CARRIER_NOT_FILLED, /* the kernel refused to copy a request into it; that request waits again */
	REPLY_SENT,         /* no carrier: a reply, rewritten */
	REPLY_FORGOTTEN,    /* a reply whose flow has gone while it was on its way */
	CARRIER_REASONS
};

#define NO_CARRIER 0xffffffff /* a request, which was counted when it was forwarded, or a later fragment */

static __always_inline bool is_redirected(__u32 reason)
{
	return reason == FORWARDED || reason == COMPLETION_CARRIED || (reason >= REPLIED && reason <= REPLY_FRAGMENT);
}
