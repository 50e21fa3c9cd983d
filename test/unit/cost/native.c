/*
 * A fixed script for instruction counts: `native WHAT TIMES`. The kernel and Node are stubs that do next to nothing, so what
 * is counted is native/udp and native/netlink. The difference of two counts leaves out the start of the program.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../../../native/udp/transport.h"

enum { QUERY_BYTES = 52, REPLY_BYTES = 80 };

/* Datagrams in the receive queue: as many as arrive until a batch has been answered. */
static unsigned queued;

static int kernel_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *limit) {
  (void)fd, (void)flags, (void)limit;
  if (count > queued) count = queued;
  queued -= count;
  for (unsigned i = 0; i < count; i++) {
    messages[i].msg_len = QUERY_BYTES;
    messages[i].msg_hdr.msg_namelen = sizeof(struct sockaddr_in);
    ((struct sockaddr_in *)messages[i].msg_hdr.msg_name)->sin_family = AF_INET;
    /* An empty list, as while no datagram has been dropped. */
    messages[i].msg_hdr.msg_controllen = 0;
  }
  return (int)count;
}

static int kernel_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
  (void)fd, (void)messages, (void)flags;
  return (int)count;
}

#define recvmmsg kernel_recvmmsg
#define sendmmsg kernel_sendmmsg
#include "../../../native/netlink/filter.c"
#include "../../../native/udp/fair.c"
#include "../../../native/udp/receive.c"
#include "../../../native/udp/send.c"
#include "../../../native/udp/transport.c"

/* ── what Node is to it ────────────────────────────────────────────────────────────────────────────────────────── */

static struct transport transport;

#define NANOSECONDS_BETWEEN_LOOKS 1000
#include "../../support/native/node_stubs.h"

static int is_hit;

/* JavaScript: it answers all at once, or none. */
napi_status napi_make_callback(napi_env env, napi_async_context context, napi_value self, napi_value function, size_t count,
                               const napi_value *args, napi_value *result) {
  (void)env, (void)context, (void)self, (void)function, (void)count, (void)args, (void)result;
  for (int i = 0; i < BATCH; i++) transport.output_lengths[i] = is_hit ? REPLY_BYTES : 0;
  return napi_ok;
}

/* ── the script ────────────────────────────────────────────────────────────────────────────────────────────────── */

static void open_transport(void) {
  transport.fd = -1;
  transport.poll.data = &transport;
  transport.slot_bytes = 4096;
  transport.backlog_end = &transport.backlog_first;
  transport.input = calloc(BATCH, transport.slot_bytes);
  transport.output = calloc(BATCH, transport.slot_bytes);
  transport.peers = calloc(BATCH, sizeof(struct peer));
  transport.input_lengths = calloc(BATCH, sizeof(int32_t));
  transport.output_lengths = calloc(BATCH, sizeof(int32_t));
  transport.deferred_bytes = 128 * 1024;
  transport.deferred = calloc(1, transport.deferred_bytes);
  transport.deferred_peers = calloc(BATCH, sizeof(struct peer));
  transport.deferred_lengths = calloc(BATCH, sizeof(int32_t));
  transport.stats = calloc(STAT_COUNT, sizeof(uint32_t));
  transport.shed_peer = calloc(1, sizeof(struct peer));
  transport.batch_limit = BATCH;
  transport.full_batches_left = FULL_BATCHES;
  prepare_messages(&transport);
  for (int i = 0; i < BATCH; i++) {
    transport.deferred_lengths[i] = REPLY_BYTES;
    transport.deferred_peers[i].address.sin6_family = AF_INET;
  }
}

/* Batches of hits: each is answered in its slot. */
static void hits(long batches) {
  is_hit = 1;
  for (long i = 0; i < batches; i++) {
    queued = BATCH;
    on_poll(&transport.poll, 0, UV_READABLE);
  }
}

/* Batches of misses: nothing is answered at once, and all at the end of a later turn. */
static void misses(long batches) {
  is_hit = 0;
  for (long i = 0; i < batches; i++) {
    queued = BATCH;
    on_poll(&transport.poll, 0, UV_READABLE);
    send_deferred(&transport, BATCH);
  }
}

/* A rule of another program, of 1 KiB, that init's filter looks at and drops. */
static void filtered(long messages) {
  static _Alignas(struct nlmsghdr) uint8_t message[1024];
  static uint8_t entry[] = {6, 10, 12, 0, 'n', 'o', 'd', 'e', 'n', 's', '-', 'q', 'u', 'e', 'r', 'y'};
  memset(message, 'n', sizeof message);
  struct nlmsghdr *header = (struct nlmsghdr *)message;
  *header = (struct nlmsghdr){.nlmsg_len = sizeof message, .nlmsg_type = 0x0a06};
  struct filter filter = {.entries = entry, .length = sizeof entry};
  int passed = 0;
  for (long i = 0; i < messages; i++) passed += filter_passes(&filter, header);
  if (passed != 0) exit(1);
}

int main(int count, char **words) {
  if (count != 3) return 2;
  long times = atol(words[2]);
  open_transport();
  if (strcmp(words[1], "hits") == 0) hits(times);
  else if (strcmp(words[1], "misses") == 0) misses(times);
  else if (strcmp(words[1], "filtered") == 0) filtered(times);
  else return 2;
  return 0;
}
