/*
 * UDP in batches: what the files of this folder share. `exports.c` has the functions that JavaScript calls, `transport.c`
 * opens and closes, `socket.c` makes the socket, `receive.c` reads from it and calls JavaScript, `fair.c` orders
 * what waits to be read, `send.c` writes to it.
 */
#ifndef NODENS_UDP_TRANSPORT_H
#define NODENS_UDP_TRANSPORT_H

#include "../napi/napi_util.h"

#include <stdint.h>

#include <uv.h>

/* As in agent/server/udp/addon-buffers.ts. */
enum {
  BATCH = 64,
  ADDRESS_BYTES = sizeof(struct sockaddr_in6),
};

enum {
  /* Control messages of a datagram: how many datagrams the kernel has dropped, and the destination address. */
  DROPS_CONTROL_BYTES = CMSG_SPACE(sizeof(uint32_t)),
  DESTINATION_CONTROL_BYTES = CMSG_SPACE(sizeof(struct in6_pktinfo)),
  /* Replies that may wait until the kernel accepts them, each with a copy of its bytes. */
  BACKLOG_MAX_COUNT = 1024,
  BACKLOG_MAX_BYTES = 1024 * 1024,
  /* Batches read when a socket closes. More than a receive buffer holds; a limit, because new datagrams may arrive. */
  LAST_BATCHES_MAX = 256,
  /* Full batches of hits between two looks at how many datagrams wait: about forty milliseconds. */
  FULL_BATCHES = 128,
};

/* Indexes of `stats`, which JavaScript reads. */
enum { STAT_RECEIVE_DROPS, STAT_SEND_FAILED, STAT_SHED, STAT_COUNT };

/*
 * The client, as the kernel wrote its address, and the address it sent its query to. The kernel reports the latter only
 * to a wildcard socket, and only there it is needed: the reply must come from the same address.
 */
struct peer {
  struct sockaddr_in6 address;
  union {
    struct in_addr v4;
    struct in6_pktinfo v6;
  } destination;
};

/* PEER_BYTES of addon-buffers.ts. */
_Static_assert(sizeof(struct peer) == 48, "JavaScript copies peers as bytes");

struct queued_reply {
  struct queued_reply *next;
  socklen_t address_length;
  struct peer peer;
  size_t length;
  uint8_t bytes[];
};

struct transport {
  uv_poll_t poll;
  napi_env env;
  /* Keeps the environment alive until the poll handle is closed. */
  napi_async_cleanup_hook_handle cleanup_hook;
  /* `buffers` is the object that owns the memory which the pointers below point to. */
  napi_ref on_batch, buffers;
  napi_async_context async;
  int fd;
  int is_closing, is_env_closing, is_in_batch;
  /* Two at most: the poll handle, and the external value that JavaScript has. The last to release frees this. */
  int references;
  size_t slot_bytes;
  /* Sends to one server and receives from it only. */
  int is_connected;
  /* Bound to every address: a reply must leave from the address that the query was sent to. */
  int is_wildcard;
  /* One slot for each datagram of a batch, and its reply. */
  uint8_t *input, *output;
  struct peer *peers;
  int32_t *input_lengths, *output_lengths;
  /* Messages that JavaScript sends outside a batch: their bytes one after the other, lengths and receivers. */
  uint8_t *deferred;
  struct peer *deferred_peers;
  int32_t *deferred_lengths;
  size_t deferred_bytes;
  uint32_t *stats;
  /* Datagrams that wait for their turn; NULL until some did. `shed_peer`: who sent the last one that was discarded. */
  struct fair_queue *fair;
  struct peer *shed_peer;
  /* The most datagrams of the next batch; full batches until the next look at how many wait. */
  int batch_limit, full_batches_left;
  /* Whether libuv also reports that the socket is writable, which it nearly always is. */
  int is_polled_for_waiting;
  /* Replies that the kernel did not accept yet. */
  struct queued_reply *backlog_first, **backlog_end;
  size_t backlog_count, backlog_bytes;
  napi_deferred close_promise;
  struct mmsghdr input_messages[BATCH], output_messages[BATCH];
  struct iovec input_vectors[BATCH], output_vectors[BATCH];
  _Alignas(struct cmsghdr) uint8_t input_controls[BATCH][DROPS_CONTROL_BYTES + DESTINATION_CONTROL_BYTES];
  _Alignas(struct cmsghdr) uint8_t output_controls[BATCH][DESTINATION_CONTROL_BYTES];
};

/* ── socket.c ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

struct socket_options {
  /* The address to bind, or the server to connect to. */
  struct endpoint endpoint;
  int receive_buffer_bytes, is_connected, is_wildcard;
};

/* A non-blocking socket, or -errno. */
int open_socket(const struct socket_options *options);

/* ── transport.c ──────────────────────────────────────────────────────────────────────────────────────────────────── */

struct transport *new_transport(napi_env env, const struct socket_options *options, size_t slot_bytes);

/* Takes the memory of JavaScript's `buffers`. False if an array is missing or too short. */
int use_buffers(struct transport *self, napi_value buffers);

/* Makes libuv and the environment know of the open socket. False if they refuse. Then only start_close() ends it. */
int start(struct transport *self, napi_value buffers, napi_value on_batch);

/* Closes the socket in a later turn of the event loop and resolves `close_promise`, if there is one. */
void start_close(struct transport *self);

/* Makes the value that JavaScript knows the transport by, which takes over the first reference. False without memory. */
int create_handle(struct transport *self, napi_value *handle);

void release_transport(struct transport *self);

/* ── receive.c ────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Polls for what can be done next: for room in the send buffer while replies are queued, otherwise for datagrams. */
void update_poll(struct transport *self);

/* Answers one batch of what is in the receive queue. No effect within a batch, or while replies wait for the kernel. */
void receive_now(struct transport *self);

/*
 * Gives the port to the next socket that is bound to it. To be called before the last look at the receive queue: the
 * kernel discards what comes between that look and the end of the socket, which is a turn of the event loop later.
 */
void leave_port(const struct transport *self);

/* Answers what is in the receive queue, which the kernel discards when the socket closes. */
void drain_receive_queue(struct transport *self);

/* ── fair.c ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Datagrams that wait for their turn. */
int waiting_count(const struct transport *self);

/* Puts the datagrams of the first `received` slots into the queues of their senders. 0 if there is no memory. */
int wait_fairly(struct transport *self, int received);

/* Fills the first slots with at most `most` datagrams, one of each sender in turn. Returns their number. */
int take_fairly(struct transport *self, int most);

void free_waiting(struct transport *self);

/* ── send.c ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Sends the replies that JavaScript wrote into the slots of a batch. */
void send_replies(struct transport *self, int received);

/* Sends the first `count` deferred messages. Returns the errno of the last one that cannot be sent at all, or 0. */
int send_deferred(struct transport *self, int count);

/* Sends queued replies until the kernel accepts no more. */
void send_backlog(struct transport *self);

void free_backlog(struct transport *self);

#endif
