/*
 * The functions for UDP that JavaScript calls. One recvmmsg, one call into JavaScript and one sendmmsg handle up to 64
 * datagrams. A socket is either bound and answers clients, or connected and asks a server.
 */
#include "../napi/addon.h"
#include "transport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <unistd.h>

static int is_unspecified(const struct sockaddr_in6 *address) {
  if (address->sin6_family == AF_INET6) return IN6_IS_ADDR_UNSPECIFIED(&address->sin6_addr);
  return ((const struct sockaddr_in *)address)->sin_addr.s_addr == INADDR_ANY;
}

static napi_value open_transport(napi_env env, napi_callback_info info, int is_connected) {
  struct arguments arguments;
  struct socket_options options = {.is_connected = is_connected};
  napi_value handle;
  read_arguments(env, info, &arguments);
  next_endpoint(&arguments, &options.endpoint);
  options.receive_buffer_bytes = next_int32(&arguments);
  int32_t slot_bytes = next_int32(&arguments);
  napi_value buffers = next_value(&arguments), on_batch = next_value(&arguments);
  if (arguments.error != 0 || slot_bytes <= 0) return throw_errno(env, "open", EINVAL);
  options.is_wildcard = !is_connected && is_unspecified(&options.endpoint.address);
  struct transport *self = new_transport(env, &options, (size_t)slot_bytes);
  if (self == NULL) return throw_errno(env, "open", ENOMEM);
  if (!use_buffers(self, buffers)) {
    release_transport(self);
    return throw_errno(env, "open", EINVAL);
  }
  if (!create_handle(self, &handle)) {
    release_transport(self);
    return throw_errno(env, "open", ENOMEM);
  }
  /* From here on the garbage collector releases it, together with the handle. */
  self->fd = open_socket(&options);
  if (self->fd < 0) return throw_errno(env, is_connected ? "connect" : "bind", -self->fd);
  if (!start(self, buffers, on_batch)) {
    close(self->fd);
    return throw_errno(env, "open", ENOMEM);
  }
  return handle;
}

/* open(address, port, receiveBufferBytes, slotBytes, buffers, onBatch) → handle */
static napi_value js_open(napi_env env, napi_callback_info info) { return open_transport(env, info, 0); }

/*
 * connect(…), arguments as for open(). `onBatch` gets an error of the socket as a negative errno. The socket does not keep
 * the process alive.
 */
static napi_value js_connect(napi_env env, napi_callback_info info) { return open_transport(env, info, 1); }

/* port(handle) → the bound port */
static napi_value js_port(napi_env env, napi_callback_info info) {
  struct arguments arguments;
  struct sockaddr_in6 address;
  socklen_t length = sizeof address;
  read_arguments(env, info, &arguments);
  struct transport *self = next_external(&arguments);
  if (self == NULL || self->is_closing) return throw_errno(env, "getsockname", EBADF);
  if (getsockname(self->fd, (struct sockaddr *)&address, &length) != 0) return throw_errno(env, "getsockname", errno);
  /* sockaddr_in has the port at the same place. */
  return create_int32(env, ntohs(address.sin6_port));
}

/*
 * sendDeferred(handle, count) → 0, or the errno of a message that cannot be sent. Sends the first `count` deferred
 * messages. Those that are lost count in `stats`.
 */
static napi_value js_send_deferred(napi_env env, napi_callback_info info) {
  struct arguments arguments;
  read_arguments(env, info, &arguments);
  struct transport *self = next_external(&arguments);
  int32_t count = next_int32(&arguments);
  if (arguments.error != 0) return throw_errno(env, "sendDeferred", arguments.error);
  if (self->is_closing) return NULL;
  return create_int32(env, send_deferred(self, count));
}

/* receiveNow(handle). Calls `onBatch` for up to one batch of what is in the receive queue, before it returns. */
static napi_value js_receive_now(napi_env env, napi_callback_info info) {
  struct arguments arguments;
  read_arguments(env, info, &arguments);
  struct transport *self = next_external(&arguments);
  if (arguments.error != 0) return throw_errno(env, "receiveNow", arguments.error);
  receive_now(self);
  return NULL;
}

/*
 * close(handle) → Promise, resolved when the socket is closed. To be called once. Before it returns it calls `onBatch`
 * for what is in the receive queue.
 */
static napi_value js_close(napi_env env, napi_callback_info info) {
  struct arguments arguments;
  napi_value promise;
  read_arguments(env, info, &arguments);
  struct transport *self = next_external(&arguments);
  if (self == NULL || self->is_closing) return throw_errno(env, "close", EBADF);
  if (napi_create_promise(env, &self->close_promise, &promise) != napi_ok) return throw_errno(env, "close", ENOMEM);
  /* Called from within a batch, the slots are in use. A connected socket asks, and owes no answer. */
  if (!self->is_connected) leave_port(self);
  if (!self->is_in_batch && !self->is_connected) drain_receive_queue(self);
  start_close(self);
  return promise;
}

void export_udp(napi_env env, napi_value exports) {
  export_function(env, exports, "open", js_open);
  export_function(env, exports, "connect", js_connect);
  export_function(env, exports, "port", js_port);
  export_function(env, exports, "sendDeferred", js_send_deferred);
  export_function(env, exports, "receiveNow", js_receive_now);
  export_function(env, exports, "close", js_close);
}
