/*
 * A companion (companion.h) that makes the kernel close the sockets of a killed agent first.
 *
 * The kernel frees the memory of a killed process before it closes its descriptors. For 80 MB that takes 5 to 20 ms, in
 * which it still queues datagrams at sockets that no process reads. While another process shares the memory, there is
 * nothing to free, and the sockets are closed within a millisecond.
 */
#include "../napi/addon.h"
#include "../napi/napi_util.h"
#include "companion.h"

static struct companion memory_holder = {.name = "nodens-keeper", .lifeline = -1};

/* keepMemory() → process id of the memory holder. Starts it if it does not run. */
static napi_value keep_memory(napi_env env, napi_callback_info info) {
  (void)info;
  int error = is_companion_running(&memory_holder) ? 0 : start_companion(&memory_holder, -1);
  return error == 0 ? create_int32(env, memory_holder.pid) : throw_errno(env, "clone", error);
}

void export_memory_holder(napi_env env, napi_value exports) {
  export_function(env, exports, "keepMemory", keep_memory);
}
