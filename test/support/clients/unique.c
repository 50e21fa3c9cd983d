/*
 * Asks 127.0.0.1 for names that are never repeated, at a steady rate, and counts the answers.
 *
 *     unique PORT QUERIES_PER_SECOND SECONDS
 *
 * Prints, as JSON, `sent` and `answered`; answers within a second after the last query count.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { TICK_NS = 1000000, TICKS = 1000, DIGITS = 10, DIGITS_AT = 14, ANSWER_BYTES = 512 };

/* u0000000000.flood.test A */
static unsigned char query[] = "\0\0\1\0\0\1\0\0\0\0\0\0\13u0000000000\5flood\4test\0\0\1\0\1";

static void write_number(long number) {
  query[0] = (unsigned char)(number >> 8);
  query[1] = (unsigned char)number;
  for (int i = DIGITS - 1; i >= 0; i--, number /= 10) query[DIGITS_AT + i] = (unsigned char)('0' + number % 10);
}

static long drain(int fd) {
  unsigned char answer[ANSWER_BYTES];
  long answered = 0;
  while (recv(fd, answer, sizeof answer, MSG_DONTWAIT) > 0) answered++;
  return answered;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1]))};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  const int room = 8 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
    perror("connect");
    return 1;
  }
  const long per_tick = atol(argv[2]) / TICKS, ticks = atol(argv[3]) * TICKS;
  long sent = 0, answered = 0;
  struct timespec next;
  clock_gettime(CLOCK_MONOTONIC, &next);
  for (long tick = 0; tick < ticks + TICKS; tick++) {
    for (long i = 0; tick < ticks && i < per_tick; i++) {
      write_number(sent);
      if (send(fd, query, sizeof query - 1, 0) > 0) sent++;
    }
    answered += drain(fd);
    if ((next.tv_nsec += TICK_NS) >= 1000000000L) {
      next.tv_nsec -= 1000000000L;
      next.tv_sec++;
    }
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
  }
  printf("{\"sent\":%ld,\"answered\":%ld}\n", sent, answered);
  return 0;
}
