/*
 * UDP in batches: one recvmmsg, one call into JavaScript and one sendmmsg for up to 64 datagrams. A socket is bound, and
 * answers its clients, or connected, and asks.
 *
 * Node-API and libuv's uv_poll only. Everything happens on the main thread. JavaScript owns the buffers that datagrams
 * are read into and written from; we hold references to them until the handle is closed.
 */
#include "batch.h"

#include "../napi/addon.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(env, call) \
  if ((call) != napi_ok) return napi_throw_error(env, "EINVAL", "batch: " #call), NULL

/* ── opening and closing ───────────────────────────────────────────────────────────────────────────────────────── */

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

static void prepare_messages(struct transport *self) {
  memset(self->in_messages, 0, sizeof self->in_messages);
  memset(self->out_messages, 0, sizeof self->out_messages);
  for (int slot = 0; slot < BATCH; slot++) {
    self->in_vectors[slot].iov_base = self->in + (size_t)slot * self->slot_bytes;
    self->in_vectors[slot].iov_len = self->slot_bytes;
    struct msghdr *in = &self->in_messages[slot].msg_hdr;
    in->msg_name = &self->peers[slot];
    in->msg_iov = &self->in_vectors[slot];
    in->msg_iovlen = 1;
    in->msg_control = self->in_controls[slot];
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
  self->peers = array_of(env, buffers, "peers", BATCH * sizeof(struct peer));
  self->in_lengths = array_of(env, buffers, "inputLengths", BATCH * sizeof(int32_t));
  self->out_lengths = array_of(env, buffers, "outputLengths", BATCH * sizeof(int32_t));
  self->late_lengths = array_of(env, buffers, "lateLengths", BATCH * sizeof(int32_t));
  self->late_peers = array_of(env, buffers, "latePeers", BATCH * sizeof(struct peer));
  self->late = bytes_of(env, buffers, "late", &self->late_bytes);
  self->stats = array_of(env, buffers, "stats", STAT_COUNT * sizeof(uint32_t));
  return self->in && self->out && self->peers && self->in_lengths && self->out_lengths && self->late &&
         self->late_lengths && self->late_peers && self->stats;
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

static int is_any(const struct sockaddr_in6 *address) {
  if (address->sin6_family == AF_INET6) return IN6_IS_ADDR_UNSPECIFIED(&address->sin6_addr);
  return ((const struct sockaddr_in *)address)->sin_addr.s_addr == INADDR_ANY;
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
  if (parse_address(text, port, &place->address, &place->length) != 0) return 0;
  place->is_wildcard = !place->is_connected && is_any(&place->address);
  return 1;
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
  self->is_wildcard = place.is_wildcard;
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
  size_t arguments = 2;
  int32_t count;
  CHECK(env, napi_get_cb_info(env, info, &arguments, args, NULL, NULL));
  CHECK(env, napi_get_value_int32(env, args[1], &count));
  struct transport *self = transport_of(env, args[0]);
  if (self == NULL || self->is_closing) return NULL;
  CHECK(env, napi_create_int32(env, send_late(self, count), &result));
  return result;
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