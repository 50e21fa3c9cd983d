/*
 * Asks name servers for one name at a steady rate, each from a few UDP sockets in turn, and records every query.
 *
 *     background-load NAME QUERIES_PER_SECOND SERVER...
 *
 * The rate is for each server. Prints `asking` once queries are answered; when its standard input ends, it waits a second
 * for late answers and prints, as JSON, for each server: `sent`, `lost` (no answer without error within that second),
 * `gapMs` (longest run of lost queries: from the first to the next that was answered), `slowestMs`, and `stallMs` (how late
 * the client itself was at worst: what the machine took from it).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SERVERS = 4, SOCKETS = 8, MAX_QUERIES = 1 << 20, IDS = 1 << 16, QUERY_BYTES = 512, DNS_PORT = 53 };
static const double LATE_MS = 1000;
static const double UNANSWERED = -1;

struct server {
  const char *name;
  struct sockaddr_storage address;
  socklen_t length;
  int fds[SOCKETS];
  int sent;
  /* Indexed by the number of the query. */
  double *sent_ms, *took_ms;
};

static struct server servers[MAX_SERVERS];
static int server_count;
static uint8_t query[QUERY_BYTES];
static size_t query_length;

static double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

/* NAME IN A, recursion desired; the ID is written for each query. */
static void make_query(const char *name) {
  query[2] = 1;
  query[5] = 1;
  query_length = 12;
  while (*name != '\0') {
    size_t label = strcspn(name, ".");
    if (query_length + label + 6 > sizeof query) exit(2);
    query[query_length++] = (uint8_t)label;
    memcpy(query + query_length, name, label);
    query_length += label;
    name += label + (name[label] == '.');
  }
  const uint8_t tail[] = {0, 0, 1, 0, 1};
  memcpy(query + query_length, tail, sizeof tail);
  query_length += sizeof tail;
}

static void open_server(struct server *server, const char *name) {
  struct sockaddr_in *v4 = (struct sockaddr_in *)&server->address;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&server->address;
  server->name = name;
  if (inet_pton(AF_INET, name, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(DNS_PORT);
    server->length = sizeof *v4;
  } else if (inet_pton(AF_INET6, name, &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(DNS_PORT);
    server->length = sizeof *v6;
  } else {
    die(name);
  }
  server->sent_ms = calloc(MAX_QUERIES, sizeof *server->sent_ms);
  server->took_ms = calloc(MAX_QUERIES, sizeof *server->took_ms);
  if (server->sent_ms == NULL || server->took_ms == NULL) die("calloc");
  for (int i = 0; i < SOCKETS; i++) {
    server->fds[i] = socket(server->address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (server->fds[i] < 0) die("socket");
  }
}

static void ask(struct server *server) {
  int number = server->sent++;
  query[0] = (uint8_t)(number >> 8);
  query[1] = (uint8_t)number;
  server->sent_ms[number] = now_ms();
  server->took_ms[number] = UNANSWERED;
  sendto(server->fds[number % SOCKETS], query, query_length, 0, (struct sockaddr *)&server->address, server->length);
}

/* IDs repeat: the latest query with this ID counts. */
static void hear(struct server *server, int fd) {
  uint8_t answer[QUERY_BYTES];
  ssize_t length;
  while ((length = recv(fd, answer, sizeof answer, 0)) >= 12) {
    int last = server->sent - 1;
    int id = answer[0] << 8 | answer[1];
    int number = last - (((last - id) % IDS) + IDS) % IDS;
    if (number < 0 || (answer[3] & 0x0f) != 0 || server->took_ms[number] != UNANSWERED) continue;
    server->took_ms[number] = now_ms() - server->sent_ms[number];
  }
}

static int all_answered(void) {
  for (int i = 0; i < server_count; i++)
    if (servers[i].sent == 0 || servers[i].took_ms[servers[i].sent - 1] == UNANSWERED) return 0;
  return 1;
}

/* Receives until `until_ms`; whether standard input is still open. */
static int listen_until(double until_ms, struct pollfd *polled, int watches_stdin) {
  nfds_t count = 0;
  for (int i = 0; i < server_count; i++)
    for (int j = 0; j < SOCKETS; j++) polled[count++] = (struct pollfd){.fd = servers[i].fds[j], .events = POLLIN};
  polled[count] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
  for (double left_ms; (left_ms = until_ms - now_ms()) > 0;) {
    struct timespec limit = {.tv_sec = (time_t)(left_ms / 1e3), .tv_nsec = (long)(left_ms * 1e6) % 1000000000L};
    if (ppoll(polled, count + (nfds_t)watches_stdin, &limit, NULL) <= 0) continue;
    for (nfds_t i = 0; i < count; i++)
      if (polled[i].revents != 0) hear(&servers[i / SOCKETS], polled[i].fd);
    char byte;
    if (watches_stdin && polled[count].revents != 0 && read(STDIN_FILENO, &byte, 1) <= 0) return 0;
  }
  return 1;
}

static void print_report(const struct server *server, double interval_ms, double stall_ms) {
  int lost = 0;
  double gap_ms = 0, since_ms = 0, slowest_ms = 0;
  for (int i = 0; i < server->sent; i++) {
    double took_ms = server->took_ms[i];
    if (took_ms > slowest_ms) slowest_ms = took_ms;
    if (took_ms != UNANSWERED && took_ms <= LATE_MS) {
      since_ms = 0;
      continue;
    }
    lost++;
    if (since_ms == 0) since_ms = server->sent_ms[i];
    double next_ms = i + 1 < server->sent ? server->sent_ms[i + 1] : server->sent_ms[i] + interval_ms;
    if (next_ms - since_ms > gap_ms) gap_ms = next_ms - since_ms;
  }
  printf("{\"server\":\"%s\",\"sent\":%d,\"lost\":%d,\"gapMs\":%.2f,\"slowestMs\":%.2f,\"stallMs\":%.2f}", server->name,
         server->sent, lost, gap_ms, slowest_ms, stall_ms);
}

int main(int argc, char **argv) {
  static struct pollfd polled[MAX_SERVERS * SOCKETS + 1];
  server_count = argc - 3;
  if (server_count < 1 || server_count > MAX_SERVERS || atoi(argv[2]) < 1) {
    fprintf(stderr, "usage: background-load NAME QUERIES_PER_SECOND SERVER...\n");
    return 2;
  }
  make_query(argv[1]);
  double interval_ms = 1e3 / atoi(argv[2]) / server_count;
  for (int i = 0; i < server_count; i++) open_server(&servers[i], argv[3 + i]);
  int is_asking = 0;
  double due_ms = now_ms(), stall_ms = 0;
  for (int turn = 0; servers[0].sent < MAX_QUERIES - 1; turn++) {
    ask(&servers[turn % server_count]);
    due_ms += interval_ms;
    if (!listen_until(due_ms, polled, 1)) break;
    double late_ms = now_ms() - due_ms;
    if (late_ms > stall_ms) stall_ms = late_ms;
    if (!is_asking && all_answered()) is_asking = puts("asking") >= 0 && fflush(stdout) == 0;
  }
  listen_until(now_ms() + LATE_MS, polled, 0);
  putchar('[');
  for (int i = 0; i < server_count; i++) {
    if (i > 0) putchar(',');
    print_report(&servers[i], interval_ms * server_count, stall_ms);
  }
  puts("]");
  return 0;
}
