/*
 * Sends queries to port 53 of an address at the given rate, and reads no answer.
 *
 *     flood ADDRESS SOURCE_PORT PACKETS_PER_SECOND SECONDS
 *
 * From one of the ports of init's probes, which rules keep untracked: what it sends reaches the agent only.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { DNS_PORT = 53, PER_TICK_MS = 1, BIND_TRIES = 500 };

/* localhost A: answered without any upstream. */
static const unsigned char QUERY[] = {0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 9,
                                      'l', 'o', 'c', 'a', 'l', 'h', 'o', 's', 't', 0, 0, 1, 0, 1};

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  struct sockaddr_in from = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[2]))};
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(DNS_PORT)};
  if (inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) return 2;
  from.sin_addr = to.sin_addr;
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  /* A probe of init may use the port for a moment. */
  for (int tries = 0; bind(fd, (struct sockaddr *)&from, sizeof from) != 0; tries++) {
    if (errno != EADDRINUSE || tries == BIND_TRIES) {
      perror("bind");
      return 1;
    }
    nanosleep(&(struct timespec){.tv_nsec = PER_TICK_MS * 1000000L}, NULL);
  }
  int per_tick = atoi(argv[3]) * PER_TICK_MS / 1000;
  int ticks = atoi(argv[4]) * 1000 / PER_TICK_MS;
  for (int i = 0; i < ticks; i++) {
    for (int j = 0; j < per_tick; j++)
      sendto(fd, QUERY, sizeof QUERY, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to);
    nanosleep(&(struct timespec){.tv_nsec = PER_TICK_MS * 1000000L}, NULL);
  }
  return 0;
}
