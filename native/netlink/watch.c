/*
 * What the kernel reports of links, addresses and rules by itself, as `ip monitor` and `nft monitor` show it, but without
 * their copy of all rules: messages that the filter does not pass are gone when they are read.
 */
#include "../napi/addon.h"
#include "filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

enum {
  /* Datagrams of one turn of the event loop; libuv calls again while there are more. */
  TURN_MAX_DATAGRAMS = 128,
  /* kube-proxy's larger transactions are 100,000 messages. What does not fit is reported as loss. */
  RECEIVE_BUFFER_BYTES = 2 * 1024 * 1024,
};

struct watch {
  uv_poll_t poll;
  napi_env env;
  /* Keeps the environment alive until the poll handle is closed. */
  napi_async_cleanup_hook_handle cleanup_hook;
  napi_ref on_messages;
  napi_async_context async;
  int fd, is_closing;
  /* Two at most: the poll handle, and the external value that JavaScript has. The last to release frees this. */
  int references;
  struct filter filter;
  struct matches matches;
  uint8_t bytes[DATAGRAM_MAX_BYTES];
};

static void release_watch(struct watch *self) {
  if (--self->references > 0) return;
  free_filter(&self->filter);
  free(self->matches.bytes);
  free(self);
}

/* `messages` NULL: JavaScript gets undefined, because messages are lost. */
static void call_on_messages(struct watch *self, const struct matches *messages) {
  napi_env env = self->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value global, function, argument;
  napi_status status = messages == NULL
                           ? napi_get_undefined(env, &argument)
                           : napi_create_buffer_copy(env, messages->length, messages->bytes, NULL, &argument);
  if (status == napi_ok && napi_get_reference_value(env, self->on_messages, &function) == napi_ok &&
      napi_get_global(env, &global) == napi_ok)
    napi_make_callback(env, self->async, global, function, 1, &argument, NULL);
  /* napi_make_callback leaves an exception pending, and the event loop would lose it. */
  bool is_pending = false;
  napi_is_exception_pending(env, &is_pending);
  napi_value error;
  if (is_pending && napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
  napi_close_handle_scope(env, scope);
}

/* Returns 0, or the errno of a message that had no room. */
static int keep_matches(struct watch *self, ssize_t left) {
  int error = 0;
  for (const struct nlmsghdr *message = (void *)self->bytes; error == 0 && NLMSG_OK(message, left);
       message = NLMSG_NEXT(message, left))
    if (filter_passes(&self->filter, message)) error = add_match(&self->matches, message);
  return error;
}

/* Also with an error pending on the socket, which reading from it clears: ENOBUFS where the kernel dropped messages. */
static void on_poll(uv_poll_t *poll, int status, int events) {
  struct watch *self = poll->data;
  (void)events;
  if (self->is_closing) return;
  int is_lossy = 0;
  self->matches.length = 0;
  self->matches.count = 0;
  for (int datagrams = 0; datagrams < TURN_MAX_DATAGRAMS; datagrams++) {
    ssize_t length = receive_netlink(self->fd, self->bytes, sizeof self->bytes);
    if (length == -EAGAIN || length == -EWOULDBLOCK) break;
    if (length < 0 || keep_matches(self, length) != 0) is_lossy = 1;
  }
  /* libuv stops polling when the socket has an error. */
  if (status < 0) {
    is_lossy = 1;
    uv_poll_start(&self->poll, UV_READABLE, on_poll);
  }
  if (is_lossy) call_on_messages(self, NULL);
  else if (self->matches.count > 0) call_on_messages(self, &self->matches);
}

static void on_poll_closed(uv_handle_t *handle) {
  struct watch *self = handle->data;
  napi_env env = self->env;
  napi_handle_scope scope;
  /* Not earlier: libuv must not poll a descriptor that is closed, or already another file's. */
  close(self->fd);
  if (napi_open_handle_scope(env, &scope) == napi_ok) {
    napi_delete_reference(env, self->on_messages);
    napi_async_destroy(env, self->async);
    napi_close_handle_scope(env, scope);
  }
  /* The last call: the environment may end with it. */
  napi_async_cleanup_hook_handle cleanup_hook = self->cleanup_hook;
  release_watch(self);
  napi_remove_async_cleanup_hook(cleanup_hook);
}

static void start_close(struct watch *self) {
  if (self->is_closing) return;
  self->is_closing = 1;
  uv_poll_stop(&self->poll);
  uv_close((uv_handle_t *)&self->poll, on_poll_closed);
}

static void on_env_closing(napi_async_cleanup_hook_handle hook, void *data) {
  (void)hook;
  start_close(data);
}

static void on_handle_collected(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  release_watch(data);
}

/* Returns the socket, in each of the groups, or -errno. */
static int open_watch(int protocol, const int32_t *groups, size_t count) {
  int fd = open_netlink(protocol, SOCK_NONBLOCK);
  if (fd < 0) return fd;
  /* Without CAP_NET_ADMIN the buffer stays small, and messages are lost earlier, which is reported. */
  const int bytes = RECEIVE_BUFFER_BYTES;
  (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  for (size_t i = 0; i < count; i++) {
    if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof groups[i]) == 0) continue;
    int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

/* Makes libuv and the environment know of the socket. False if libuv refuses; then the caller closes the socket. */
static int start_watch(struct watch *self, napi_value on_messages) {
  napi_env env = self->env;
  uv_loop_t *loop;
  napi_value name;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok || uv_poll_init(loop, &self->poll, self->fd) != 0) return 0;
  self->poll.data = self;
  self->references++;
  napi_create_reference(env, on_messages, 1, &self->on_messages);
  napi_create_string_utf8(env, "nodens:netlink", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, NULL, name, &self->async);
  napi_add_async_cleanup_hook(env, on_env_closing, self, &self->cleanup_hook);
  uv_poll_start(&self->poll, UV_READABLE, on_poll);
  return 1;
}

/*
 * watchNetlink(protocol, groups, filter, onMessages): calls onMessages with the bytes of messages of these groups
 * (Int32Array) that pass the filter, many at once, or with undefined where messages are lost. Returns what
 * unwatchNetlink() takes.
 */
static napi_value watch_netlink(napi_env env, napi_callback_info info) {
  struct arguments arguments;
  read_arguments(env, info, &arguments);
  struct watch *self = calloc(1, sizeof *self);
  if (self == NULL) return throw_errno(env, "watchNetlink", ENOMEM);
  self->env = env;
  self->references = 1;
  int protocol = next_int32(&arguments);
  size_t group_bytes;
  const int32_t *groups = next_bytes(&arguments, &group_bytes);
  next_filter(&arguments, &self->filter);
  napi_value on_messages = next_value(&arguments), handle;
  self->fd = arguments.error != 0 ? -arguments.error : open_watch(protocol, groups, group_bytes / sizeof *groups);
  if (self->fd >= 0 && !start_watch(self, on_messages)) {
    close(self->fd);
    self->fd = -ENOMEM;
  }
  if (self->fd < 0) {
    int error = -self->fd;
    release_watch(self);
    return throw_errno(env, "watchNetlink", error);
  }
  if (napi_create_external(env, self, on_handle_collected, NULL, &handle) == napi_ok) return handle;
  start_close(self);
  release_watch(self);
  return throw_errno(env, "watchNetlink", ENOMEM);
}

/* unwatchNetlink(handle): onMessages is not called any more. A second call does nothing. */
static napi_value unwatch_netlink(napi_env env, napi_callback_info info) {
  struct arguments arguments;
  read_arguments(env, info, &arguments);
  struct watch *self = next_external(&arguments);
  if (arguments.error != 0) return throw_errno(env, "unwatchNetlink", arguments.error);
  start_close(self);
  return NULL;
}

void export_netlink_watch(napi_env env, napi_value exports) {
  export_function(env, exports, "watchNetlink", watch_netlink);
  export_function(env, exports, "unwatchNetlink", unwatch_netlink);
}
