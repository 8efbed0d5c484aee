/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A worker that is not netlab's: server BALANCER PORT. Five threads sleep for as long as each packet says. */
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define THREADS 5

static int place;
static struct addrinfo *balancer;
static double total;
static pthread_mutex_t sum = PTHREAD_MUTEX_INITIALIZER;

static void *serve(void *unused)
{
	char data[1501];

	for (;;) {
		ssize_t length = recv(place, data, sizeof(data) - 1, 0);
		double wanted;

		if (length < 0)
			continue;
		data[length] = 0;
		data[strcspn(data, " \n")] = 0;
		wanted = atof(data);
		printf("got work: %s\n", data);
		struct timespec pause = {wanted, (wanted - (long)wanted) * 1e9};
		nanosleep(&pause, NULL);
		pthread_mutex_lock(&sum);
		total += wanted;
		printf("did %s, all in all %.3f\n", data, total);
		pthread_mutex_unlock(&sum);
		sendto(place, "ok", 2, 0, balancer->ai_addr, balancer->ai_addrlen);
	}
	return unused;
}

int main(int count, char **words)
{
	struct addrinfo wanted = {.ai_family = AF_INET, .ai_socktype = SOCK_DGRAM}, *own;
	pthread_t threads[THREADS];

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (count != 3 || getaddrinfo(words[1], "9090", &wanted, &balancer))
		return 1;
	wanted.ai_flags = AI_PASSIVE;
	if (getaddrinfo(NULL, words[2], &wanted, &own))
		return 1;
	place = socket(AF_INET, SOCK_DGRAM, 0);
	if (bind(place, own->ai_addr, own->ai_addrlen))
		return 1;
	for (int at = 0; at < THREADS; at++)
		pthread_create(&threads[at], NULL, serve, NULL);
	pthread_join(threads[0], NULL);
	return 0;
}
