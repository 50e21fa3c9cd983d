/*
 * UDP in batches: what the parts share. `socket.c` opens a socket, `receive.c` reads from it and calls JavaScript,
 * `send.c` writes to it, `batch.c` begins and ends all that and is what JavaScript sees.
 */
#ifndef NODENS_BATCH_H
#define NODENS_BATCH_H

#include "../napi/napi_util.h"

#include <stdint.h>

#include <uv.h>

enum {
  BATCH = 64,
  ADDRESS_BYTES = sizeof(struct sockaddr_in6),
  /* What the kernel tells of a datagram: how many it dropped, and to a wildcard socket which address was asked. */
  DROPS_BYTES = CMSG_SPACE(sizeof(uint32_t)),
  ASKED_BYTES = CMSG_SPACE(sizeof(struct in6_pktinfo)),
  /* Replies that may wait for the kernel, each with a copy of its octets, and all octets together. */
  TAIL_MAX = 1024,
  TAIL_BYTES_MAX = 1024 * 1024,
  /* Batches read at a close: more than a receive buffer holds, and an end to it should they go on coming. */
  LAST_BATCHES = 256
};

/* Numbers that JavaScript reads, by their place in `stats`. */
enum { STAT_RECEIVE_DROPS, STAT_SEND_FAILED, STAT_COUNT };

/* Who asked, a sockaddr as the kernel wrote it, and which of our addresses, which only a wildcard socket has to know. */
struct peer {
  struct sockaddr_in6 address;
  union {
    struct in_addr v4;
    struct in6_pktinfo v6;
  } asked;
};

struct waiting {
  struct waiting *next;
  socklen_t address_length;
  struct peer peer;
  size_t length;
  uint8_t bytes[];
};

struct transport {
  uv_poll_t poll;
  napi_env env;
  /* Keeps the environment alive until the poll handle is closed. */
  napi_async_cleanup_hook_handle cleanup;
  /* `receiver` is the object that holds the buffers. */
  napi_ref on_batch, receiver;
  napi_async_context async;
  int fd;
  int is_closing, is_env_gone, is_in_batch;
  /* Who may still look at this: the open socket and the JavaScript handle. */
  int owners;
  size_t slot_bytes;
  /* To one other side only, which sends to us and gets all we send. */
  int is_connected;
  /* Bound to every address: an answer leaves from the one that was asked. */
  int is_wildcard;
  uint8_t *in, *out;
  /* Of each slot. */
  struct peer *peers;
  int32_t *in_lengths, *out_lengths;
  /* What JavaScript sends on its own: messages behind each other, their lengths, and whom they are for. */
  uint8_t *late;
  struct peer *late_peers;
  int32_t *late_lengths;
  size_t late_bytes;
  uint32_t *stats;
  struct waiting *tail_first, **tail_last;
  size_t tail_count, tail_bytes;
  napi_deferred closed;
  struct mmsghdr in_messages[BATCH], out_messages[BATCH];
  struct iovec in_vectors[BATCH], out_vectors[BATCH];
  _Alignas(struct cmsghdr) uint8_t in_controls[BATCH][DROPS_BYTES + ASKED_BYTES];
  _Alignas(struct cmsghdr) uint8_t out_controls[BATCH][ASKED_BYTES];
};

/* Where the socket is to be bound, or whom to connect to. */
struct place {
  struct sockaddr_in6 address;
  socklen_t length;
  int receive_bytes, is_connected, is_wildcard;
};

/* A non-blocking socket at its place, or -errno. */
int open_socket(const struct place *place);

/* Waits for what can be done next: for room where replies wait, else for datagrams. */
void watch(struct transport *self);

/* Answers what has already been received, which a close would throw away. */
void receive_last(struct transport *self);

/* Sends what waits, until the kernel takes no more. */
void send_tail(struct transport *self);

void drop_tail(struct transport *self);

/* Sends the replies that JavaScript has put into the slots of a batch. */
void send_batch(struct transport *self, int received);

/* Sends the first `count` of `late`. Returns the error of the last one that cannot be sent at all, or 0. */
int send_late(struct transport *self, int count);

#endif
