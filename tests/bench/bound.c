/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How fast a star can be made at all: a centre and N leaves, a veth pair, IPv4 and IPv6 addresses and routes each, by
 * netlink messages and system calls only. What netlab makes, without names, checks, records, sysctls, or Python.
 *
 *     bound up N FOLDER       bound down FOLDER
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_INDEX 16
#define BATCH 60000    /* bytes of a batch, below the send buffer */
#define THREADS_FROM 100
#define MOST_THREADS 2
#define PATH 256

struct batch {
	char data[BATCH + 4096];
	size_t length, last;
};

static const char *folder;
static int leaves, threads, centre_fd;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void check(int result, const char *what)
{
	if (result < 0)
		fail(what);
}

/* ---- messages ---- */

static void *grow(struct batch *b, size_t length)
{
	void *at = b->data + b->length;

	memset(at, 0, NLMSG_ALIGN(length));
	b->length += NLMSG_ALIGN(length);
	return at;
}

static void *message(struct batch *b, int type, int flags, size_t length)
{
	b->last = b->length;
	struct nlmsghdr *header = grow(b, sizeof(*header));

	header->nlmsg_type = type;
	header->nlmsg_flags = NLM_F_REQUEST | flags;
	return grow(b, length);
}

static size_t attribute(struct batch *b, int type, const void *value, size_t length)
{
	size_t at = b->length;
	struct rtattr *header = grow(b, RTA_LENGTH(length));

	header->rta_type = type;
	header->rta_len = RTA_LENGTH(length);
	if (value)
		memcpy(RTA_DATA(header), value, length);
	return at;
}

static void close_nest(struct batch *b, size_t at)
{
	((struct rtattr *)(b->data + at))->rta_len = b->length - at;
}

static void end(struct batch *b)
{
	((struct nlmsghdr *)(b->data + b->last))->nlmsg_len = b->length - b->last;
}

static void set_up(struct batch *b, int index)
{
	struct ifinfomsg *link = message(b, RTM_NEWLINK, 0, sizeof(*link));

	link->ifi_index = index;
	link->ifi_flags = link->ifi_change = IFF_UP;
	end(b);
}

static void add_veth(struct batch *b, int number)
{
	struct ifinfomsg *link = message(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(*link));
	char name[IFNAMSIZ];

	link->ifi_index = FIRST_INDEX;
	link->ifi_flags = link->ifi_change = IFF_UP;
	attribute(b, IFLA_IFNAME, "eth0", 5);
	size_t info = attribute(b, IFLA_LINKINFO, NULL, 0);

	attribute(b, IFLA_INFO_KIND, "veth", 5);
	size_t data = attribute(b, IFLA_INFO_DATA, NULL, 0), peer = attribute(b, VETH_INFO_PEER, NULL, 0);
	struct ifinfomsg *far = grow(b, sizeof(*far));

	far->ifi_index = FIRST_INDEX + number;
	attribute(b, IFLA_IFNAME, name, snprintf(name, sizeof(name), "eth%d", number) + 1);
	attribute(b, IFLA_NET_NS_FD, &centre_fd, sizeof(centre_fd));
	close_nest(b, peer);
	close_nest(b, data);
	close_nest(b, info);
	end(b);
}

/* 10.X.Y.HOST and fd00:0:0:NUMBER::HOST, a network for each leaf. */
static void address_of(int number, int host, struct in_addr *four, struct in6_addr *six)
{
	four->s_addr = htonl(10u << 24 | number << 8 | host);
	memset(six, 0, sizeof(*six));
	six->s6_addr[0] = 0xfd;
	six->s6_addr[6] = number >> 8;
	six->s6_addr[7] = number;
	six->s6_addr[15] = host;
}

static void add_address(struct batch *b, int index, int family, int prefix, const void *address, size_t length)
{
	struct ifaddrmsg *added = message(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(*added));

	added->ifa_family = family;
	added->ifa_prefixlen = prefix;
	added->ifa_flags = family == AF_INET6 ? IFA_F_NODAD : 0;
	added->ifa_index = index;
	attribute(b, IFA_LOCAL, address, length);
	end(b);
}

static void add_addresses(struct batch *b, int index, int number, int host)
{
	struct in_addr four;
	struct in6_addr six;

	address_of(number, host, &four, &six);
	add_address(b, index, AF_INET, 24, &four, sizeof(four));
	add_address(b, index, AF_INET6, 64, &six, sizeof(six));
}

static void add_route(struct batch *b, int family, const void *gateway, size_t length)
{
	struct rtmsg *route = message(b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof(*route));

	route->rtm_family = family;
	route->rtm_table = RT_TABLE_MAIN;
	route->rtm_protocol = RTPROT_BOOT;
	route->rtm_type = RTN_UNICAST;
	attribute(b, RTA_GATEWAY, gateway, length);
	end(b);
}

static int channel(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	check(fd, "netlink");
	return fd;
}

/* Only the last message asks for an answer; errors come unasked. */
static void send_batch(int fd, struct batch *b)
{
	char answer[65536];

	((struct nlmsghdr *)(b->data + b->last))->nlmsg_flags |= NLM_F_ACK;
	check(send(fd, b->data, b->length, 0), "send");
	ssize_t length = recv(fd, answer, sizeof(answer), 0);

	check(length, "recv");
	errno = -((struct nlmsgerr *)NLMSG_DATA((struct nlmsghdr *)answer))->error;
	if (errno)
		fail("the kernel refuses a message");
	b->length = 0;
}

/* ---- the star ---- */

/* Put this thread into a new namespace, which a mount holds. */
static void make_namespace(int number)
{
	char path[PATH];

	snprintf(path, sizeof(path), "%s/%d", folder, number);
	int fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);

	check(fd, path);
	close(fd);
	check(unshare(CLONE_NEWNET), "unshare");
	check(mount("/proc/thread-self/ns/net", path, "", MS_BIND, NULL), "mount");
}

static void *make_leaves(void *argument)
{
	struct batch *b = calloc(1, sizeof(*b));
	struct in_addr four;
	struct in6_addr six;

	for (int number = (long)argument; number < leaves; number += threads) {
		make_namespace(number);
		int fd = channel();

		set_up(b, 1);
		add_veth(b, number);
		add_addresses(b, FIRST_INDEX, number, 1);
		address_of(number, 2, &four, &six);
		add_route(b, AF_INET, &four, sizeof(four));
		add_route(b, AF_INET6, &six, sizeof(six));
		send_batch(fd, b);
		close(fd);
	}
	free(b);
	return NULL;
}

static void forward(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	check(fd, path);
	check(write(fd, "1", 1), path);
	close(fd);
}

static void up(void)
{
	static struct batch b;
	pthread_t thread[MOST_THREADS];
	char path[PATH];

	check(mkdir(folder, 0755), folder);
	check(mount("tmpfs", folder, "tmpfs", 0, NULL), "mount");
	make_namespace(leaves);
	snprintf(path, sizeof(path), "%s/%d", folder, leaves);
	centre_fd = open(path, O_RDONLY | O_CLOEXEC);
	check(centre_fd, path);
	forward("/proc/sys/net/ipv4/ip_forward");
	forward("/proc/sys/net/ipv6/conf/all/forwarding");
	int fd = channel();

	set_up(&b, 1);
	send_batch(fd, &b);
	for (long each = 0; each < threads; each++)
		check(-pthread_create(&thread[each], NULL, make_leaves, (void *)each), "thread");
	for (int each = 0; each < threads; each++)
		pthread_join(thread[each], NULL);
	for (int number = 0; number < leaves; number++) {
		set_up(&b, FIRST_INDEX + number);
		add_addresses(&b, FIRST_INDEX + number, number, 2);
		if (b.length > BATCH || number == leaves - 1)
			send_batch(fd, &b);
	}
}

int main(int count, char **word)
{
	if (count == 4 && !strcmp(word[1], "up")) {
		leaves = atoi(word[2]);
		threads = leaves < THREADS_FROM ? 1 : MOST_THREADS;
		folder = word[3];
		up();
	} else if (count == 3 && !strcmp(word[1], "down")) {
		check(umount2(word[2], MNT_DETACH), "umount");
		check(rmdir(word[2]), "rmdir");
	} else {
		fprintf(stderr, "bound up N FOLDER | bound down FOLDER\n");
		return 2;
	}
	return 0;
}
