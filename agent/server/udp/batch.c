/*
 * UDP in batches: one recvmmsg, one call into JavaScript and one sendmmsg for up to 64 datagrams. A socket is bound, and
 * answers whoever asks, or connected, and asks.
 *
 * Node-API and libuv's uv_poll only. Everything happens on the main thread. JavaScript owns the buffers that datagrams
 * are read into and written from; we hold references to them until the handle is closed. A reply that the kernel does
 * not take at once waits in a bounded tail; while it does, nothing is read.
 */
#define _GNU_SOURCE
#include "../addon.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

enum {
  BATCH = 64,
  /* Offsets into the address of a slot: a sockaddr as the kernel wrote it. */
  ADDRESS_BYTES = sizeof(struct sockaddr_in6),
  CONTROL_BYTES = CMSG_SPACE(sizeof(uint32_t)),
  /* Replies that may wait for the kernel, each with a copy of its octets, and all octets together. */
  TAIL_MAX = 1024,
  TAIL_BYTES_MAX = 1024 * 1024,
  /* Batches read at a close: more than a receive buffer holds, and an end to it should they go on coming. */
  LAST_BATCHES = 256
};

/* Numbers that JavaScript reads, by their place in `stats`. */
enum { STAT_RECEIVE_DROPS, STAT_SEND_FAILED, STAT_COUNT };

struct waiting {
  struct waiting *next;
  socklen_t address_length;
  struct sockaddr_in6 address;
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
  uint8_t *in, *out, *addresses;
  int32_t *in_lengths, *out_lengths;
  /* What JavaScript sends on its own: messages behind each other, their lengths, and whom they are for. */
  uint8_t *late, *late_addresses;
  int32_t *late_lengths;
  size_t late_bytes;
  uint32_t *stats;
  struct waiting *tail_first, **tail_last;
  size_t tail_count, tail_bytes;
  napi_deferred closed;
  struct mmsghdr in_messages[BATCH], out_messages[BATCH];
  struct iovec in_vectors[BATCH], out_vectors[BATCH];
  uint8_t controls[BATCH][CONTROL_BYTES];
};

static void on_poll(uv_poll_t *poll, int status, int events);

/* ── errors ────────────────────────────────────────────────────────────────────────────────────────────────────── */

#define CHECK(env, call) \
  if ((call) != napi_ok) return napi_throw_error(env, "EINVAL", "batch: " #call), NULL

/* ── sending ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static void watch(struct transport *self) {
  int events = self->tail_count > 0 ? UV_WRITABLE : UV_READABLE;
  uv_poll_start(&self->poll, events, on_poll);
}

/* Keeps a message for later, or counts it as lost where too many wait already. */
static void keep(struct transport *self, const void *address, socklen_t address_length, const uint8_t *bytes,
                 size_t length) {
  int has_room = self->tail_count < TAIL_MAX && self->tail_bytes + length <= TAIL_BYTES_MAX;
  struct waiting *one = has_room ? malloc(sizeof *one + length) : NULL;
  if (one == NULL) {
    self->stats[STAT_SEND_FAILED]++;
    return;
  }
  one->next = NULL;
  one->address_length = address_length;
  if (address_length > 0) memcpy(&one->address, address, address_length);
  one->length = length;
  memcpy(one->bytes, bytes, length);
  *self->tail_last = one;
  self->tail_last = &one->next;
  self->tail_bytes += length;
  if (self->tail_count++ == 0) watch(self);
}

/* Whether the same reply may be taken later. ENOBUFS comes where the buffer fills up in the middle of a fragmented one. */
static int is_full(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS; }

/* Sends what waits, until the kernel takes no more. */
static void send_tail(struct transport *self) {
  while (self->tail_first != NULL) {
    struct waiting *one = self->tail_first;
    struct sockaddr *address = one->address_length > 0 ? (struct sockaddr *)&one->address : NULL;
    ssize_t sent = sendto(self->fd, one->bytes, one->length, MSG_DONTWAIT, address, one->address_length);
    if (sent < 0 && errno == EINTR) continue;
    /* ENOBUFS from a socket that is writable is the system's lack of memory: waiting for it would spin. */
    if (sent < 0 && errno != ENOBUFS && is_full(errno)) return;
    if (sent < 0) self->stats[STAT_SEND_FAILED]++;
    self->tail_first = one->next;
    if (self->tail_first == NULL) self->tail_last = &self->tail_first;
    self->tail_count--;
    self->tail_bytes -= one->length;
    free(one);
  }
  watch(self);
}

/*
 * Sends the first `count` of `out_messages`; what the kernel does not take now waits. Returns the error of the last one
 * that cannot be sent at all, or 0.
 */
static int send_messages(struct transport *self, int count) {
  int done = 0, error = 0;
  while (done < count && self->tail_count == 0) {
    int sent = sendmmsg(self->fd, self->out_messages + done, (unsigned)(count - done), MSG_DONTWAIT);
    if (sent >= 0) {
      done += sent;
    } else if (is_full(errno)) {
      break;
    } else if (errno != EINTR) {
      /* The first of the rest cannot be sent (unreachable, forbidden): the others still can. */
      error = errno;
      self->stats[STAT_SEND_FAILED]++;
      done++;
    }
  }
  for (; done < count; done++) {
    struct msghdr *header = &self->out_messages[done].msg_hdr;
    keep(self, header->msg_name, header->msg_namelen, header->msg_iov->iov_base, header->msg_iov->iov_len);
  }
  return error;
}

static void put_message(struct transport *self, int place, uint8_t *bytes, size_t length, void *address,
                        socklen_t address_length) {
  self->out_vectors[place].iov_base = bytes;
  self->out_vectors[place].iov_len = length;
  self->out_messages[place].msg_hdr.msg_name = address;
  self->out_messages[place].msg_hdr.msg_namelen = address_length;
}

/* Sends the replies that JavaScript has put into its slots. */
static void send_batch(struct transport *self, int received) {
  int count = 0;
  for (int slot = 0; slot < received; slot++) {
    int32_t length = self->out_lengths[slot];
    if (length <= 0 || (size_t)length > self->slot_bytes) continue;
    put_message(self, count++, self->out + (size_t)slot * self->slot_bytes, (size_t)length,
                self->addresses + (size_t)slot * ADDRESS_BYTES, self->in_messages[slot].msg_hdr.msg_namelen);
  }
  send_messages(self, count);
}

/* ── receiving ─────────────────────────────────────────────────────────────────────────────────────────────────── */

/* The kernel's count of datagrams dropped because the buffer was full (SO_RXQ_OVFL). */
static void note_drops(struct transport *self, struct msghdr *header) {
  for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control != NULL; control = CMSG_NXTHDR(header, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SO_RXQ_OVFL) continue;
    memcpy(&self->stats[STAT_RECEIVE_DROPS], CMSG_DATA(control), sizeof(uint32_t));
  }
}

static int receive(struct transport *self) {
  for (int slot = 0; slot < BATCH; slot++) {
    self->in_messages[slot].msg_hdr.msg_namelen = ADDRESS_BYTES;
    self->in_messages[slot].msg_hdr.msg_controllen = CONTROL_BYTES;
  }
  int received;
  do {
    received = recvmmsg(self->fd, self->in_messages, BATCH, MSG_DONTWAIT, NULL);
  } while (received < 0 && errno == EINTR);
  for (int slot = 0; slot < received; slot++) {
    struct msghdr *header = &self->in_messages[slot].msg_hdr;
    /* A datagram longer than a slot is no query: 0 octets is what JavaScript drops and counts. */
    self->in_lengths[slot] = (header->msg_flags & MSG_TRUNC) != 0 ? 0 : (int32_t)self->in_messages[slot].msg_len;
    self->out_lengths[slot] = 0;
    if (header->msg_controllen > 0) note_drops(self, header);
  }
  return received;
}

/* One call into JavaScript for the whole batch. A throw would vanish in napi_make_callback: it is reported as fatal. */
static void call_batch(struct transport *self, int received) {
  napi_env env = self->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  self->is_in_batch = 1;
  napi_value receiver, function, count;
  if (napi_get_reference_value(env, self->receiver, &receiver) == napi_ok &&
      napi_get_reference_value(env, self->on_batch, &function) == napi_ok &&
      napi_create_int32(env, received, &count) == napi_ok) {
    napi_make_callback(env, self->async, receiver, function, 1, &count, NULL);
  }
  bool is_pending = false;
  napi_is_exception_pending(env, &is_pending);
  if (is_pending) {
    napi_value error;
    if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
  }
  self->is_in_batch = 0;
  napi_close_handle_scope(env, scope);
}

/*
 * An error that stands on the socket (an administrator's `ss -K`, or nobody where it is connected to): libuv has stopped
 * watching and does not say which. Reading the error clears it, and the socket goes on; whose a connected one is may
 * think otherwise.
 */
static void recover(struct transport *self) {
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(self->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return;
  watch(self);
  if (self->is_connected && error != 0) call_batch(self, -error);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
  struct transport *self = poll->data;
  if (self->is_closing) return;
  if (status < 0) {
    recover(self);
    return;
  }
  if ((events & UV_WRITABLE) != 0) send_tail(self);
  if ((events & UV_READABLE) == 0) return;
  int received = receive(self);
  if (received < 0 && self->is_connected && errno != EAGAIN && errno != EWOULDBLOCK) {
    /* Somebody says that the other side cannot be reached. */
    call_batch(self, -errno);
    return;
  }
  if (received <= 0) return;
  call_batch(self, received);
  /* JavaScript may have closed us in the meantime. */
  if (!self->is_closing) send_batch(self, received);
}

/* ── opening and closing ───────────────────────────────────────────────────────────────────────────────────────── */

static void drop_tail(struct transport *self) {
  while (self->tail_first != NULL) {
    struct waiting *one = self->tail_first;
    self->tail_first = one->next;
    free(one);
  }
}

static void release(struct transport *self) {
  if (--self->owners == 0) free(self);
}

static void on_handle_collected(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  release(data);
}

/* Fulfils the promise of close(), with a callback scope so that what waits for it runs now. */
static void tell_closed(struct transport *self) {
  napi_callback_scope callback;
  napi_value receiver, undefined;
  if (napi_get_reference_value(self->env, self->receiver, &receiver) == napi_ok &&
      napi_get_undefined(self->env, &undefined) == napi_ok &&
      napi_open_callback_scope(self->env, receiver, self->async, &callback) == napi_ok) {
    napi_resolve_deferred(self->env, self->closed, undefined);
    napi_close_callback_scope(self->env, callback);
  }
}

static void on_closed(uv_handle_t *handle) {
  struct transport *self = handle->data;
  napi_env env = self->env;
  napi_handle_scope scope;
  /* uv_poll must not watch a descriptor that is closed already: only now. */
  close(self->fd);
  drop_tail(self);
  if (napi_open_handle_scope(env, &scope) == napi_ok) {
    if (self->closed != NULL && !self->is_env_gone) tell_closed(self);
    napi_delete_reference(env, self->on_batch);
    napi_delete_reference(env, self->receiver);
    napi_async_destroy(env, self->async);
    napi_close_handle_scope(env, scope);
  }
  /* The last call: from here on the environment may go. */
  napi_async_cleanup_hook_handle cleanup = self->cleanup;
  release(self);
  napi_remove_async_cleanup_hook(cleanup);
}

static void begin_close(struct transport *self) {
  self->is_closing = 1;
  uv_poll_stop(&self->poll);
  uv_close((uv_handle_t *)&self->poll, on_closed);
}

static void on_env_gone(napi_async_cleanup_hook_handle hook, void *data) {
  struct transport *self = data;
  (void)hook;
  self->is_env_gone = 1;
  if (!self->is_closing) begin_close(self);
}

/* Where the socket is to be bound, or whom to connect to. */
struct place {
  struct sockaddr_in6 address;
  socklen_t length;
  int receive_bytes, is_connected;
};

static int settle(int fd, const struct place *place) {
  const struct sockaddr *address = (const struct sockaddr *)&place->address;
  int one = 1;
  if (place->is_connected) return connect(fd, address, place->length);
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0) return -1;
  if (address->sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) != 0) return -1;
  return bind(fd, address, place->length);
}

/* A non-blocking socket at its place, or -errno. */
static int open_socket(const struct place *place) {
  int fd = socket(((const struct sockaddr *)&place->address)->sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  if (settle(fd, place) != 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  /* Both only help: without them there is less room for bursts, and no count of what was lost. FORCE needs a
   * capability that the agent does not have; it is tried for those who run as root. */
  int bytes = place->receive_bytes, one = 1;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0) {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  }
  setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &one, sizeof one);
  return fd;
}

static void prepare_messages(struct transport *self) {
  memset(self->in_messages, 0, sizeof self->in_messages);
  memset(self->out_messages, 0, sizeof self->out_messages);
  for (int slot = 0; slot < BATCH; slot++) {
    self->in_vectors[slot].iov_base = self->in + (size_t)slot * self->slot_bytes;
    self->in_vectors[slot].iov_len = self->slot_bytes;
    struct msghdr *in = &self->in_messages[slot].msg_hdr;
    in->msg_name = self->addresses + (size_t)slot * ADDRESS_BYTES;
    in->msg_iov = &self->in_vectors[slot];
    in->msg_iovlen = 1;
    in->msg_control = self->controls[slot];
    struct msghdr *out = &self->out_messages[slot].msg_hdr;
    out->msg_iov = &self->out_vectors[slot];
    out->msg_iovlen = 1;
  }
}

/* The octets of the typed array `object[name]`, and how many they are; NULL where it is none. */
static void *bytes_of(napi_env env, napi_value object, const char *name, size_t *bytes) {
  napi_value value, buffer;
  napi_typedarray_type type;
  size_t count, offset;
  void *data;
  if (napi_get_named_property(env, object, name, &value) != napi_ok) return NULL;
  if (napi_get_typedarray_info(env, value, &type, &count, &data, &buffer, &offset) != napi_ok) return NULL;
  *bytes = count * (type == napi_int32_array || type == napi_uint32_array ? 4 : 1);
  return data;
}

/* As `bytes_of`; NULL where they are fewer than `least`. */
static void *array_of(napi_env env, napi_value object, const char *name, size_t least) {
  size_t bytes;
  void *data = bytes_of(env, object, name, &bytes);
  return data != NULL && bytes >= least ? data : NULL;
}

static int take_buffers(napi_env env, struct transport *self, napi_value buffers) {
  self->in = array_of(env, buffers, "input", BATCH * self->slot_bytes);
  self->out = array_of(env, buffers, "output", BATCH * self->slot_bytes);
  self->addresses = array_of(env, buffers, "addresses", BATCH * ADDRESS_BYTES);
  self->in_lengths = array_of(env, buffers, "inputLengths", BATCH * sizeof(int32_t));
  self->out_lengths = array_of(env, buffers, "outputLengths", BATCH * sizeof(int32_t));
  self->late_lengths = array_of(env, buffers, "lateLengths", BATCH * sizeof(int32_t));
  self->late_addresses = array_of(env, buffers, "lateAddresses", BATCH * ADDRESS_BYTES);
  self->late = bytes_of(env, buffers, "late", &self->late_bytes);
  self->stats = array_of(env, buffers, "stats", STAT_COUNT * sizeof(uint32_t));
  return self->in && self->out && self->addresses && self->in_lengths && self->out_lengths && self->late &&
         self->late_lengths && self->late_addresses && self->stats;
}

static struct transport *transport_of(napi_env env, napi_value value) {
  void *data = NULL;
  napi_get_value_external(env, value, &data);
  return data;
}

/* Lets libuv and the environment know of the socket. From here on `close` is the only way out. */
static int begin(napi_env env, struct transport *self, napi_value buffers, napi_value on_batch) {
  uv_loop_t *loop;
  napi_value name;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok || uv_poll_init(loop, &self->poll, self->fd) != 0) return 0;
  self->poll.data = self;
  if (self->is_connected) uv_unref((uv_handle_t *)&self->poll);
  self->owners++;
  napi_create_reference(env, on_batch, 1, &self->on_batch);
  napi_create_reference(env, buffers, 1, &self->receiver);
  napi_create_string_utf8(env, "nodens:udp", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, buffers, name, &self->async);
  napi_add_async_cleanup_hook(env, on_env_gone, self, &self->cleanup);
  watch(self);
  return 1;
}

/* What `open` and `connect` are called with. */
static int read_place(napi_env env, const napi_value *args, struct place *place, int32_t *slot_bytes) {
  char text[INET6_ADDRSTRLEN + UV_IF_NAMESIZE];
  size_t length;
  int32_t port, receive_bytes;
  if (napi_get_value_string_utf8(env, args[0], text, sizeof text, &length) != napi_ok ||
      napi_get_value_int32(env, args[1], &port) != napi_ok ||
      napi_get_value_int32(env, args[2], &receive_bytes) != napi_ok ||
      napi_get_value_int32(env, args[3], slot_bytes) != napi_ok || *slot_bytes <= 0) {
    return 0;
  }
  place->receive_bytes = receive_bytes;
  return parse_address(text, port, &place->address, &place->length) == 0;
}

static napi_value open_at(napi_env env, napi_callback_info info, int is_connected) {
  napi_value args[6], handle;
  size_t count = 6;
  int32_t slot_bytes;
  struct place place = {.is_connected = is_connected};
  CHECK(env, napi_get_cb_info(env, info, &count, args, NULL, NULL));
  if (!read_place(env, args, &place, &slot_bytes)) return throw_errno(env, "open", EINVAL);
  struct transport *self = calloc(1, sizeof *self);
  if (self == NULL) return throw_errno(env, "open", ENOMEM);
  self->env = env;
  self->is_closing = 1;
  self->is_connected = is_connected;
  self->tail_last = &self->tail_first;
  self->slot_bytes = (size_t)slot_bytes;
  if (!take_buffers(env, self, args[4])) {
    free(self);
    return throw_errno(env, "open", EINVAL);
  }
  self->owners = 1;
  if (napi_create_external(env, self, on_handle_collected, NULL, &handle) != napi_ok) {
    free(self);
    return throw_errno(env, "open", ENOMEM);
  }
  self->fd = open_socket(&place);
  if (self->fd < 0) return throw_errno(env, is_connected ? "connect" : "bind", -self->fd);
  prepare_messages(self);
  if (!begin(env, self, args[4], args[5])) {
    close(self->fd);
    return throw_errno(env, "open", ENOMEM);
  }
  self->is_closing = 0;
  return handle;
}

/* open(address, port, receiveBufferBytes, slotBytes, buffers, onBatch) → handle. Throws the system's error. */
static napi_value batch_open(napi_env env, napi_callback_info info) { return open_at(env, info, 0); }

/*
 * connect(…) as `open`, to an address. What cannot be received is told to `onBatch` as a negative error number. It does
 * not keep the process alive.
 */
static napi_value batch_connect(napi_env env, napi_callback_info info) { return open_at(env, info, 1); }

/* port(handle) → the bound port. */
static napi_value batch_port(napi_env env, napi_callback_info info) {
  napi_value args[1], result;
  size_t count = 1;
  CHECK(env, napi_get_cb_info(env, info, &count, args, NULL, NULL));
  struct transport *self = transport_of(env, args[0]);
  struct sockaddr_in6 address;
  socklen_t length = sizeof address;
  if (self == NULL || self->is_closing) return throw_errno(env, "getsockname", EBADF);
  if (getsockname(self->fd, (struct sockaddr *)&address, &length) != 0) return throw_errno(env, "getsockname", errno);
  /* The port stands at the same place in both families. */
  CHECK(env, napi_create_int32(env, ntohs(address.sin6_port), &result));
  return result;
}

/*
 * sendLate(handle, count) → 0, or the number of an error that stands in the way of some. Sends the first `count` of
 * `late`. Lost ones are counted in `stats`.
 */
static napi_value batch_send_late(napi_env env, napi_callback_info info) {
  napi_value args[2], result;
  size_t arguments = 2, at = 0;
  int32_t count;
  int used = 0;
  CHECK(env, napi_get_cb_info(env, info, &arguments, args, NULL, NULL));
  CHECK(env, napi_get_value_int32(env, args[1], &count));
  struct transport *self = transport_of(env, args[0]);
  if (self == NULL || self->is_closing) return NULL;
  for (int i = 0; i < count && i < BATCH; i++) {
    int32_t length = self->late_lengths[i];
    if (length < 0 || at + (size_t)length > self->late_bytes) break;
    uint8_t *address = self->late_addresses + (size_t)i * ADDRESS_BYTES;
    int family = ((struct sockaddr *)address)->sa_family;
    socklen_t address_length = family == AF_INET ? sizeof(struct sockaddr_in) : ADDRESS_BYTES;
    if (self->is_connected) put_message(self, used++, self->late + at, (size_t)length, NULL, 0);
    else put_message(self, used++, self->late + at, (size_t)length, address, address_length);
    at += (size_t)length;
  }
  CHECK(env, napi_create_int32(env, send_messages(self, used), &result));
  return result;
}

/* Answers what has already been received: nobody else would. */
static void receive_last(struct transport *self) {
  for (int batches = 0; batches < LAST_BATCHES && self->tail_count == 0; batches++) {
    int received = receive(self);
    if (received <= 0) return;
    call_batch(self, received);
    send_batch(self, received);
  }
}

/*
 * close(handle) → promise that is fulfilled when the socket is closed. To be called once. Calls `onBatch` for what is
 * in the receive queue before it returns.
 */
static napi_value batch_close(napi_env env, napi_callback_info info) {
  napi_value args[1], promise;
  size_t count = 1;
  CHECK(env, napi_get_cb_info(env, info, &count, args, NULL, NULL));
  struct transport *self = transport_of(env, args[0]);
  if (self == NULL || self->is_closing) return throw_errno(env, "close", EBADF);
  CHECK(env, napi_create_promise(env, &self->closed, &promise));
  /* A batch that is being handled has the slots. */
  if (!self->is_in_batch && !self->is_connected) receive_last(self);
  begin_close(self);
  return promise;
}

void define_batch(napi_env env, napi_value exports) {
  napi_property_descriptor functions[] = {
      {"open", NULL, batch_open, NULL, NULL, NULL, napi_enumerable, NULL},
      {"port", NULL, batch_port, NULL, NULL, NULL, napi_enumerable, NULL},
      {"connect", NULL, batch_connect, NULL, NULL, NULL, napi_enumerable, NULL},
      {"sendLate", NULL, batch_send_late, NULL, NULL, NULL, napi_enumerable, NULL},
      {"close", NULL, batch_close, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  napi_define_properties(env, exports, sizeof functions / sizeof functions[0], functions);
}
