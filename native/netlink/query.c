/*
 * One question to the kernel by netlink, on a thread of libuv's pool: a node with many Services has 100 MB of rules to
 * go through, and the event loop has probes to send meanwhile. The thread does not touch JavaScript.
 */
#include "../napi/addon.h"
#include "filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* The kernel answers in microseconds, but may hold the lock of the tables for a large transaction. */
enum { ANSWER_SECONDS = 10 };

struct query {
  napi_async_work work;
  napi_deferred deferred;
  /* Asks on this socket; NULL: on one of its own. */
  struct owner *owner;
  int protocol, most, error;
  uint8_t *request;
  size_t request_length;
  struct filter filter;
  struct matches matches;
};

/* What one message means: it goes on (0), the answer is complete (1), or it failed (-errno). */
static int read_message(struct query *self, const struct nlmsghdr *message) {
  /*
   * Other transactions changed what the dump goes through: it may have left something out. Where they removed all of the
   * rest, only the message that ends the dump says so.
   */
  if ((message->nlmsg_flags & NLM_F_DUMP_INTR) != 0) return -EINTR;
  if (message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE) {
    int error = 0;
    if (NLMSG_PAYLOAD(message, 0) >= (long)sizeof error) memcpy(&error, NLMSG_DATA(message), sizeof error);
    return error < 0 ? error : 1;
  }
  if (!filter_passes(&self->filter, message)) return 0;
  int error = add_match(&self->matches, message);
  if (error != 0) return -error;
  return self->most > 0 && self->matches.count >= self->most;
}

static int read_answer(struct query *self, int fd, uint8_t *bytes) {
  for (;;) {
    ssize_t length = receive_netlink(fd, bytes, DATAGRAM_MAX_BYTES);
    if (length < 0) return (int)length;
    /* Signed: NLMSG_NEXT takes off the padding of a last message, which need not be there. */
    ssize_t left = length;
    for (const struct nlmsghdr *message = (void *)bytes; NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      int state = read_message(self, message);
      if (state != 0) return state;
    }
  }
}

/*
 * An answer that an earlier query did not read to its end, because it had failed. ENOBUFS says that the kernel had no room
 * for a part of it; the rest is there.
 */
static void drain(int fd, uint8_t *bytes) {
  while (recv(fd, bytes, DATAGRAM_MAX_BYTES, MSG_DONTWAIT) >= 0 || errno == ENOBUFS || errno == EINTR) continue;
}

static int ask(struct query *self) {
  int fd = self->owner != NULL ? self->owner->fd : open_netlink(self->protocol, 0);
  if (fd < 0) return fd;
  struct timeval timeout = {.tv_sec = ANSWER_SECONDS};
  uint8_t *bytes = malloc(DATAGRAM_MAX_BYTES);
  int state = -ENOMEM;
  if (bytes != NULL) {
    if (self->owner != NULL) drain(fd, bytes);
    state = setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == 0 &&
                    send(fd, self->request, self->request_length, 0) >= 0
                ? read_answer(self, fd, bytes)
                : -errno;
  }
  free(bytes);
  if (self->owner == NULL) close(fd);
  return state;
}

static void on_thread(napi_env env, void *data) {
  struct query *self = data;
  (void)env;
  int state = ask(self);
  self->error = state < 0 ? -state : 0;
}

static void free_query(struct query *self) {
  free_filter(&self->filter);
  free(self->matches.bytes);
  free(self->request);
  free(self);
}

static void on_done(napi_env env, napi_status status, void *data) {
  struct query *self = data;
  napi_value result = NULL;
  if (status == napi_ok && self->error == 0 &&
      napi_create_buffer_copy(env, self->matches.length, self->matches.bytes, NULL, &result) == napi_ok) {
    napi_resolve_deferred(env, self->deferred, result);
  } else {
    int error = self->error != 0 ? self->error : ECANCELED;
    napi_reject_deferred(env, self->deferred, create_errno_error(env, "netlink", error));
  }
  if (self->owner != NULL) release_owner(self->owner);
  napi_delete_async_work(env, self->work);
  free_query(self);
}

/* The protocol, or the socket of an owner, which must be open and not in use. */
static void read_socket(struct query *self, struct arguments *arguments) {
  napi_valuetype type;
  napi_value first = arguments->values[arguments->next];
  if (napi_typeof(arguments->env, first, &type) != napi_ok || type != napi_external) {
    self->protocol = next_int32(arguments);
    return;
  }
  struct owner *owner = next_external(arguments);
  if (arguments->error == 0 && (owner->fd < 0 || owner->is_busy)) arguments->error = owner->fd < 0 ? EBADF : EBUSY;
  if (arguments->error == 0) self->owner = owner;
}

static struct query *read_query(struct arguments *arguments) {
  struct query *self = calloc(1, sizeof *self);
  if (self == NULL) {
    arguments->error = ENOMEM;
    return NULL;
  }
  read_socket(self, arguments);
  const uint8_t *request = next_bytes(arguments, &self->request_length);
  next_filter(arguments, &self->filter);
  self->most = next_int32(arguments);
  if (arguments->error == 0 && self->request_length < sizeof(struct nlmsghdr)) arguments->error = EINVAL;
  if (arguments->error != 0) return self;
  self->request = malloc(self->request_length);
  if (self->request == NULL) arguments->error = ENOMEM;
  else memcpy(self->request, request, self->request_length);
  return self;
}

/*
 * queryNetlink(protocol, request, filter, most): on a new socket of this protocol, or on one of openNetlink(); a promise
 * of the bytes of the messages that pass the filter. `most` above 0: the answer is not read further once it has so many.
 * Rejects with the kernel's errno; EINTR where the answer may be incomplete, because what was asked for changed.
 */
static napi_value query_netlink(napi_env env, napi_callback_info info) {
  struct arguments arguments;
  read_arguments(env, info, &arguments);
  struct query *self = read_query(&arguments);
  napi_value promise, name;
  if (arguments.error == 0 &&
      (napi_create_string_utf8(env, "nodens:netlink", NAPI_AUTO_LENGTH, &name) != napi_ok ||
       napi_create_async_work(env, NULL, name, on_thread, on_done, self, &self->work) != napi_ok))
    arguments.error = ENOMEM;
  if (arguments.error != 0) {
    if (self != NULL) free_query(self);
    return throw_errno(env, "queryNetlink", arguments.error);
  }
  if (napi_create_promise(env, &self->deferred, &promise) == napi_ok &&
      napi_queue_async_work(env, self->work) == napi_ok) {
    if (self->owner != NULL) use_owner(self->owner);
    return promise;
  }
  napi_delete_async_work(env, self->work);
  free_query(self);
  return throw_errno(env, "queryNetlink", ENOMEM);
}

void export_netlink_query(napi_env env, napi_value exports) {
  export_function(env, exports, "queryNetlink", query_netlink);
}
