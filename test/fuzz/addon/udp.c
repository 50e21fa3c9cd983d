/*
 * native/udp/receive.c, fair.c and send.c between a kernel and a JavaScript with any allowed behaviour: libFuzzer's bytes set
 * the number and length of datagrams, the data that JavaScript writes into its slots, and how much the kernel accepts.
 */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../../../native/udp/transport.h"

static const uint8_t *input;
static size_t left;

/* A number below `bound`; 0 when the input has ended. */
static uint32_t take(uint32_t bound) {
  uint32_t value = 0;
  for (int i = 0; i < 4 && left > 0 && (bound > 0x100 || i == 0); i++, left--) value = value << 8 | *input++;
  return value % bound;
}

static uint32_t sum;

/* Reads each byte, so that the sanitizer detects bytes outside the buffer. */
static void look_at(const struct msghdr *header) {
  const uint8_t *bytes = header->msg_iov->iov_base;
  for (size_t i = 0; i < header->msg_iov->iov_len; i++) sum += bytes[i];
  for (size_t i = 0; i < header->msg_namelen; i++) sum += ((const uint8_t *)header->msg_name)[i];
  for (size_t i = 0; i < header->msg_controllen; i++) sum += ((const uint8_t *)header->msg_control)[i];
}

static int refused(void) {
  static const int errors[] = {EAGAIN, ENOBUFS, EINTR, EPERM, EMSGSIZE, ENETUNREACH};
  errno = errors[take(6)];
  return -1;
}

static size_t put_control(struct msghdr *header, size_t at, int level, int type, size_t bytes) {
  struct cmsghdr *control = (struct cmsghdr *)((uint8_t *)header->msg_control + at);
  *control = (struct cmsghdr){.cmsg_len = CMSG_LEN(bytes), .cmsg_level = level, .cmsg_type = type};
  memset(CMSG_DATA(control), (int)take(256), bytes);
  return at + CMSG_SPACE(bytes);
}

/* The destination address, where the buffer has room for it, and the number of dropped datagrams. */
static void put_controls(struct msghdr *header, int is_v6) {
  size_t room = header->msg_controllen, bytes = is_v6 ? sizeof(struct in6_pktinfo) : sizeof(struct in_pktinfo), at = 0;
  if (room >= DROPS_CONTROL_BYTES + DESTINATION_CONTROL_BYTES && take(4) != 0)
    at = put_control(header, at, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP, is_v6 ? IPV6_PKTINFO : IP_PKTINFO, bytes);
  if (take(2) == 0) at = put_control(header, at, SOL_SOCKET, SO_RXQ_OVFL, sizeof(uint32_t));
  header->msg_controllen = at;
}

static int kernel_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *limit) {
  (void)fd, (void)flags, (void)limit;
  if (left == 0) {
    errno = EAGAIN;
    return -1;
  }
  if (take(8) == 0) return refused();
  unsigned received = 1 + take(count);
  for (unsigned i = 0; i < received; i++) {
    struct msghdr *header = &messages[i].msg_hdr;
    size_t room = header->msg_iov->iov_len, length = take(2 * (uint32_t)room);
    header->msg_flags = length > room ? MSG_TRUNC : 0;
    messages[i].msg_len = (unsigned)(length > room ? room : length);
    memset(header->msg_iov->iov_base, 1, messages[i].msg_len);
    int is_v6 = (int)take(2);
    struct sockaddr_in6 address = {.sin6_family = is_v6 ? AF_INET6 : AF_INET};
    if (is_v6) address.sin6_addr.s6_addr[15] = (uint8_t)take(4);
    else ((struct sockaddr_in *)&address)->sin_addr.s_addr = take(4);
    header->msg_namelen = is_v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    memcpy(header->msg_name, &address, header->msg_namelen);
    put_controls(header, is_v6);
  }
  return (int)received;
}

static int kernel_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
  (void)fd, (void)flags;
  for (unsigned i = 0; i < count; i++) look_at(&messages[i].msg_hdr);
  if (take(3) == 1) return refused();
  return left == 0 ? (int)count : (int)(1 + take(count));
}

static ssize_t kernel_sendmsg(int fd, const struct msghdr *header, int flags) {
  (void)fd, (void)flags;
  look_at(header);
  return take(3) == 1 ? refused() : (ssize_t)header->msg_iov->iov_len;
}

#define recvmmsg kernel_recvmmsg
#define sendmmsg kernel_sendmmsg
#define sendmsg kernel_sendmsg
#include "../../../native/udp/fair.c"
#include "../../../native/udp/receive.c"
#include "../../../native/udp/send.c"
#include "../../../native/udp/transport.c"

/* ── what Node is to it ────────────────────────────────────────────────────────────────────────────────────────── */

static struct transport *open_one;

#define NANOSECONDS_BETWEEN_LOOKS take(1 << 21)
#include "../../support/native/node_stubs.h"

static int32_t any_length(size_t bytes) {
  return (int32_t)take((uint32_t)bytes + 64) - 32;
}

static void answer_later(void) {
  for (int i = 0; i < BATCH; i++) {
    open_one->deferred_lengths[i] = any_length(open_one->slot_bytes);
    open_one->deferred_peers[i].address.sin6_family = take(2) == 0 ? AF_INET : AF_INET6;
  }
  send_deferred(open_one, (int)take(2 * BATCH) - 8);
}

/* JavaScript: it answers some at once, and others later. */
napi_status napi_make_callback(napi_env env, napi_async_context context, napi_value self, napi_value function, size_t count,
                               const napi_value *args, napi_value *result) {
  (void)env, (void)context, (void)self, (void)function, (void)count, (void)args, (void)result;
  for (int i = 0; i < BATCH; i++) open_one->output_lengths[i] = any_length(open_one->slot_bytes);
  if (take(4) == 0) answer_later();
  if (take(16) == 0) open_one->is_closing = 1;
  return napi_ok;
}

/* ── the search ────────────────────────────────────────────────────────────────────────────────────────────────── */

static void assert_counted(const struct transport *self) {
  size_t count = 0, bytes = 0;
  for (const struct queued_reply *one = self->backlog_first; one != NULL; one = one->next) {
    count++;
    bytes += one->length;
  }
  assert(count == self->backlog_count && bytes == self->backlog_bytes);
  assert(count <= BACKLOG_MAX_COUNT && bytes <= BACKLOG_MAX_BYTES);
}

static void assert_waiting(const struct transport *self) {
  const struct fair_queue *fair = self->fair;
  if (fair == NULL) return;
  uint32_t count = 0, active = 0;
  size_t bytes = 0;
  for (int i = 0; i < SENDERS; i++) {
    const struct sender *sender = &fair->senders[i];
    active += sender->count > 0;
    const struct waiting_datagram *one = sender->first;
    for (uint32_t left_there = sender->count; left_there > 0; left_there--, one = one->next) {
      count++;
      bytes += (size_t)one->length;
    }
  }
  assert(count == fair->count && bytes == fair->bytes && active == fair->active);
  assert(count <= WAITING_MAX_COUNT);
  for (uint32_t i = 0; i < fair->active; i++)
    assert(fair->senders[fair->ring[(fair->turn + i) % SENDERS]].count > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const size_t slots[] = {1, 64, 512, 4096};
  input = data;
  left = size;
  struct transport *self = open_one = calloc(1, sizeof *self);
  self->fd = -1;
  self->poll.data = self;
  self->slot_bytes = slots[take(4)];
  self->is_connected = (int)take(2);
  self->is_wildcard = !self->is_connected && take(2) == 0;
  self->backlog_end = &self->backlog_first;
  /* Each is a separate allocation, exactly as long as JavaScript must make it. */
  self->input = calloc(BATCH, self->slot_bytes);
  self->output = calloc(BATCH, self->slot_bytes);
  self->peers = calloc(BATCH, sizeof(struct peer));
  self->input_lengths = calloc(BATCH, sizeof(int32_t));
  self->output_lengths = calloc(BATCH, sizeof(int32_t));
  self->deferred_bytes = 4 * self->slot_bytes;
  self->deferred = calloc(1, self->deferred_bytes);
  self->deferred_peers = calloc(BATCH, sizeof(struct peer));
  self->deferred_lengths = calloc(BATCH, sizeof(int32_t));
  self->stats = calloc(STAT_COUNT, sizeof(uint32_t));
  self->shed_peer = calloc(1, sizeof(struct peer));
  self->batch_limit = BATCH;
  self->full_batches_left = 1 + (int)take(FULL_BATCHES);
  prepare_messages(self);
  while (left > 0 && !self->is_closing) {
    uint32_t what = take(8);
    if (what == 0) answer_later();
    else if (what == 1) drain_receive_queue(self);
    else on_poll(&self->poll, 0, what < 4 ? UV_WRITABLE : self->backlog_count > 0 ? UV_WRITABLE : UV_READABLE);
    assert_counted(self);
    assert_waiting(self);
  }
  free_backlog(self);
  free_waiting(self);
  void *all[] = {self->input,    self->output,         self->peers,            self->input_lengths, self->output_lengths,
                 self->deferred, self->deferred_peers, self->deferred_lengths, self->stats,
                 self->shed_peer, self};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
  return 0;
}
