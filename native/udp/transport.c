/*
 * The life of a transport: it is made, started and closed. Everything runs on the main thread. JavaScript owns the memory
 * that datagrams are read into and sent from; a reference to it lasts until the poll handle is closed.
 */
#include "transport.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct transport *new_transport(napi_env env, const struct socket_options *options, size_t slot_bytes) {
  struct transport *self = calloc(1, sizeof *self);
  if (self == NULL) return NULL;
  self->env = env;
  self->references = 1;
  /* Until it has started, functions that JavaScript calls must not touch it. */
  self->is_closing = 1;
  self->is_connected = options->is_connected;
  self->is_wildcard = options->is_wildcard;
  self->slot_bytes = slot_bytes;
  self->backlog_end = &self->backlog_first;
  self->batch_limit = BATCH;
  self->full_batches_left = FULL_BATCHES;
  return self;
}

void release_transport(struct transport *self) {
  if (--self->references == 0) free(self);
}

static void on_handle_collected(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  release_transport(data);
}

int create_handle(struct transport *self, napi_value *handle) {
  return napi_create_external(self->env, self, on_handle_collected, NULL, handle) == napi_ok;
}

/* The bytes of the typed array `object[name]`; NULL if it has fewer than `least`. */
static void *array_of(napi_env env, napi_value object, const char *name, size_t least, size_t *length) {
  napi_value value;
  if (napi_get_named_property(env, object, name, &value) != napi_ok) return NULL;
  void *data = bytes_of(env, value, length);
  return data != NULL && *length >= least ? data : NULL;
}

static void prepare_messages(struct transport *self) {
  for (int slot = 0; slot < BATCH; slot++) {
    self->input_vectors[slot].iov_base = self->input + (size_t)slot * self->slot_bytes;
    self->input_vectors[slot].iov_len = self->slot_bytes;
    struct msghdr *input = &self->input_messages[slot].msg_hdr;
    input->msg_name = &self->peers[slot];
    input->msg_iov = &self->input_vectors[slot];
    input->msg_iovlen = 1;
    input->msg_control = self->input_controls[slot];
    struct msghdr *output = &self->output_messages[slot].msg_hdr;
    output->msg_iov = &self->output_vectors[slot];
    output->msg_iovlen = 1;
  }
}

int use_buffers(struct transport *self, napi_value buffers) {
  napi_env env = self->env;
  size_t length;
  self->input = array_of(env, buffers, "input", BATCH * self->slot_bytes, &length);
  self->output = array_of(env, buffers, "output", BATCH * self->slot_bytes, &length);
  self->peers = array_of(env, buffers, "peers", BATCH * sizeof(struct peer), &length);
  self->input_lengths = array_of(env, buffers, "inputLengths", BATCH * sizeof(int32_t), &length);
  self->output_lengths = array_of(env, buffers, "outputLengths", BATCH * sizeof(int32_t), &length);
  self->deferred_lengths = array_of(env, buffers, "deferredLengths", BATCH * sizeof(int32_t), &length);
  self->deferred_peers = array_of(env, buffers, "deferredPeers", BATCH * sizeof(struct peer), &length);
  self->deferred = array_of(env, buffers, "deferred", 0, &self->deferred_bytes);
  self->shed_peer = array_of(env, buffers, "shedPeer", sizeof(struct peer), &length);
  self->stats = array_of(env, buffers, "stats", STAT_COUNT * sizeof(uint32_t), &length);
  if (!self->input || !self->output || !self->peers || !self->input_lengths || !self->output_lengths ||
      !self->deferred || !self->deferred_lengths || !self->deferred_peers || !self->stats || !self->shed_peer)
    return 0;
  prepare_messages(self);
  return 1;
}

static void on_env_closing(napi_async_cleanup_hook_handle hook, void *data) {
  struct transport *self = data;
  (void)hook;
  self->is_env_closing = 1;
  if (!self->is_closing) start_close(self);
}

int start(struct transport *self, napi_value buffers, napi_value on_batch) {
  napi_env env = self->env;
  uv_loop_t *loop;
  napi_value name;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok || uv_poll_init(loop, &self->poll, self->fd) != 0) return 0;
  self->poll.data = self;
  self->references++;
  self->is_closing = 0;
  if (self->is_connected) uv_unref((uv_handle_t *)&self->poll);
  napi_create_reference(env, on_batch, 1, &self->on_batch);
  napi_create_reference(env, buffers, 1, &self->buffers);
  napi_create_string_utf8(env, "nodens:udp", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, buffers, name, &self->async);
  napi_add_async_cleanup_hook(env, on_env_closing, self, &self->cleanup_hook);
  update_poll(self);
  return 1;
}

/* In a callback scope, so that what awaits the promise runs now. */
static void resolve_close_promise(struct transport *self) {
  napi_callback_scope scope;
  napi_value buffers, undefined;
  if (napi_get_reference_value(self->env, self->buffers, &buffers) == napi_ok &&
      napi_get_undefined(self->env, &undefined) == napi_ok &&
      napi_open_callback_scope(self->env, buffers, self->async, &scope) == napi_ok) {
    napi_resolve_deferred(self->env, self->close_promise, undefined);
    napi_close_callback_scope(self->env, scope);
  }
}

static void on_poll_closed(uv_handle_t *handle) {
  struct transport *self = handle->data;
  napi_env env = self->env;
  napi_handle_scope scope;
  /* Not earlier: libuv must not poll a descriptor that is closed, or already another file's. */
  close(self->fd);
  free_backlog(self);
  free_waiting(self);
  if (napi_open_handle_scope(env, &scope) == napi_ok) {
    if (self->close_promise != NULL && !self->is_env_closing) resolve_close_promise(self);
    napi_delete_reference(env, self->on_batch);
    napi_delete_reference(env, self->buffers);
    napi_async_destroy(env, self->async);
    napi_close_handle_scope(env, scope);
  }
  /* The last call: the environment may end with it. */
  napi_async_cleanup_hook_handle cleanup_hook = self->cleanup_hook;
  release_transport(self);
  napi_remove_async_cleanup_hook(cleanup_hook);
}

void start_close(struct transport *self) {
  self->is_closing = 1;
  uv_poll_stop(&self->poll);
  uv_close((uv_handle_t *)&self->poll, on_poll_closed);
}
