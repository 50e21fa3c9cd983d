/*
 * The socket that owns init's table of query rules (flag `owner`, Linux 5.12): no other process can change that table, and
 * the kernel drops it with the socket, however init ends.
 */
#include "../napi/addon.h"
#include "filter.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct closing {
  napi_async_work work;
  napi_deferred deferred;
  int fd;
};

void use_owner(struct owner *owner) {
  owner->is_busy = 1;
  owner->references++;
}

static void unreference(struct owner *owner) {
  if (--owner->references > 0) return;
  if (owner->fd >= 0) close(owner->fd);
  free(owner);
}

void release_owner(struct owner *owner) {
  owner->is_busy = 0;
  unreference(owner);
}

static void on_handle_collected(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  unreference(data);
}

/* openNetlink(protocol): a socket for queryNetlink(), until closeNetlink() gets it. Throws the system's error. */
static napi_value open_owner(napi_env env, napi_callback_info info) {
  struct arguments arguments;
  read_arguments(env, info, &arguments);
  int protocol = next_int32(&arguments);
  if (arguments.error != 0) return throw_errno(env, "openNetlink", arguments.error);
  struct owner *owner = calloc(1, sizeof *owner);
  if (owner == NULL) return throw_errno(env, "openNetlink", ENOMEM);
  napi_value handle;
  owner->references = 1;
  owner->fd = open_netlink(protocol, 0);
  int error = owner->fd < 0 ? -owner->fd : 0;
  if (error == 0 && napi_create_external(env, owner, on_handle_collected, NULL, &handle) == napi_ok) return handle;
  unreference(owner);
  return throw_errno(env, "openNetlink", error != 0 ? error : ENOMEM);
}

/* The kernel drops the tables before close() returns, and waits for the lock of the tables: not on the event loop. */
static void on_thread(napi_env env, void *data) {
  struct closing *self = data;
  (void)env;
  close(self->fd);
}

static void on_done(napi_env env, napi_status status, void *data) {
  struct closing *self = data;
  napi_value undefined;
  (void)status;
  if (napi_get_undefined(env, &undefined) == napi_ok) napi_resolve_deferred(env, self->deferred, undefined);
  napi_delete_async_work(env, self->work);
  free(self);
}

/* closeNetlink(handle): a promise that the socket is closed. EBUSY while a query uses it, EBADF where it is closed. */
static napi_value close_owner(napi_env env, napi_callback_info info) {
  struct arguments arguments;
  read_arguments(env, info, &arguments);
  struct owner *owner = next_external(&arguments);
  int error = arguments.error;
  if (error == 0 && owner->fd < 0) error = EBADF;
  if (error == 0 && owner->is_busy) error = EBUSY;
  struct closing *self = error == 0 ? calloc(1, sizeof *self) : NULL;
  napi_value promise, name;
  if (self == NULL) return throw_errno(env, "closeNetlink", error != 0 ? error : ENOMEM);
  self->fd = owner->fd;
  if (napi_create_string_utf8(env, "nodens:netlink", NAPI_AUTO_LENGTH, &name) == napi_ok &&
      napi_create_async_work(env, NULL, name, on_thread, on_done, self, &self->work) == napi_ok) {
    if (napi_create_promise(env, &self->deferred, &promise) == napi_ok &&
        napi_queue_async_work(env, self->work) == napi_ok) {
      owner->fd = -1;
      return promise;
    }
    napi_delete_async_work(env, self->work);
  }
  free(self);
  return throw_errno(env, "closeNetlink", ENOMEM);
}

void export_netlink_owner(napi_env env, napi_value exports) {
  export_function(env, exports, "openNetlink", open_owner);
  export_function(env, exports, "closeNetlink", close_owner);
}
