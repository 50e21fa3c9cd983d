/*
 * Asks at a fixed rate and measures every answer from the moment its question was due, not from when it was sent: a
 * server that stalls is charged for all queries that were due meanwhile. Reads lines of `NAME TYPE` as dnsperf does.
 * `latency PORT FILE QPS SECONDS` prints one line of JSON, times in microseconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { SLOT = 288, IDS = 65536, MAX_QUERIES = 1 << 18, GRACE_NS = 500000000 };
/* A sender of at most 2,000 a second sleeps in between, so that it can have a real-time priority. */
enum { PATIENT_NS = 500000, LATE_US = 1000 };

struct question {
  uint16_t length;
  uint8_t bytes[SLOT];
};

static struct question *questions;
static size_t question_count;
/* The due time of the question with each ID; 0 where none is open. */
static int64_t due[IDS];
static float *samples;
static size_t sample_count;

static int64_t now_ns(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static void add_question(const char *name, const char *type) {
  struct question *one = &questions[question_count++];
  uint8_t *at = one->bytes + 12;
  memset(one->bytes, 0, 12);
  one->bytes[2] = 1; /* RD */
  one->bytes[5] = 1;
  while (*name != '\0' && *name != '.') {
    size_t length = strcspn(name, ".");
    *at++ = (uint8_t)length;
    memcpy(at, name, length);
    at += length;
    name += length + (name[length] == '.');
  }
  *at++ = 0;
  *at++ = 0;
  *at++ = strcmp(type, "AAAA") == 0 ? 28 : 1;
  *at++ = 0;
  *at++ = 1;
  one->length = (uint16_t)(at - one->bytes);
}

static void read_questions(const char *path) {
  char name[256], type[16];
  FILE *file = fopen(path, "r");
  questions = calloc(MAX_QUERIES, sizeof *questions);
  if (file == NULL || questions == NULL) {
    perror("latency");
    exit(1);
  }
  while (question_count < MAX_QUERIES && fscanf(file, "%255s %15s", name, type) == 2) add_question(name, type);
  fclose(file);
}

static int connected(int port) {
  int fd = socket(AF_INET, SOCK_DGRAM, 0), bytes = 4 << 20;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
    perror("latency: connect");
    exit(1);
  }
  return fd;
}

/* Until a datagram comes, or the time `at`. */
static void sleep_until(int fd, int64_t at) {
  int64_t left = at - now_ns();
  struct timespec timeout = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
  struct pollfd socket = {.fd = fd, .events = POLLIN};
  if (left > 0) ppoll(&socket, 1, &timeout, NULL);
}

static void receive(int fd) {
  uint8_t bytes[4096];
  ssize_t got;
  while ((got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
    if (got < 12) continue;
    int id = bytes[0] << 8 | bytes[1];
    if (due[id] == 0) continue;
    samples[sample_count++] = (float)(now_ns() - due[id]) / 1000;
    due[id] = 0;
  }
}

static int ascending(const void *a, const void *b) {
  float left = *(const float *)a, right = *(const float *)b;
  return (left > right) - (left < right);
}

static double percentile(double share) {
  if (sample_count == 0) return 0;
  size_t index = (size_t)(share * (double)sample_count);
  return samples[index < sample_count ? index : sample_count - 1];
}

/* Questions that were answered later than after a millisecond, or not at all. */
static size_t late(size_t asked) {
  size_t in_time = 0;
  while (in_time < sample_count && samples[in_time] <= LATE_US) in_time++;
  return asked - in_time;
}

int main(int argc, char **argv) {
  if (argc != 5) return fprintf(stderr, "usage: latency PORT FILE QPS SECONDS\n"), 2;
  int fd = connected(atoi(argv[1]));
  read_questions(argv[2]);
  int64_t gap = 1000000000LL / atoll(argv[3]);
  int64_t total = (int64_t)(atof(argv[4]) * 1e9) / gap, start = now_ns() + 1000000;
  samples = malloc((size_t)total * sizeof *samples);
  if (samples == NULL || question_count == 0) return 1;
  for (int64_t sent = 0; sent < total;) {
    int64_t at = start + sent * gap;
    if (gap >= PATIENT_NS) sleep_until(fd, at);
    if (now_ns() >= at) {
      struct question *one = &questions[(size_t)sent % question_count];
      int id = (int)(sent % IDS);
      one->bytes[0] = (uint8_t)(id >> 8);
      one->bytes[1] = (uint8_t)id;
      due[id] = at;
      send(fd, one->bytes, one->length, MSG_DONTWAIT);
      sent++;
    }
    receive(fd);
  }
  for (int64_t end = now_ns() + GRACE_NS; now_ns() < end && sample_count < (size_t)total;) {
    if (gap >= PATIENT_NS) sleep_until(fd, end);
    receive(fd);
  }
  qsort(samples, sample_count, sizeof *samples, ascending);
  printf("{\"sent\":%lld,\"answered\":%zu,\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f,\"late\":%zu}\n",
         (long long)total, sample_count, percentile(0.5), percentile(0.99), percentile(0.999), percentile(1),
         late((size_t)total));
  return 0;
}
