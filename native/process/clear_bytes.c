/*
 * Sets memory of JavaScript to zero and returns its pages to the kernel, which gives new ones, zeroed, when it is used
 * again. A shared buffer cannot be freed on request, and the garbage collector may not look at it for hours.
 */
#include "../napi/addon.h"
#include "../napi/napi_util.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* clearBytes(bytes) */
static napi_value clear_bytes(napi_env env, napi_callback_info info) {
  struct arguments arguments;
  size_t length;
  read_arguments(env, info, &arguments);
  uint8_t *bytes = next_bytes(&arguments, &length);
  if (arguments.error != 0) return throw_errno(env, "madvise", arguments.error);
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  uintptr_t start = ((uintptr_t)bytes + page - 1) / page * page;
  uintptr_t end = ((uintptr_t)bytes + length) / page * page;
  if (start >= end || madvise((void *)start, end - start, MADV_DONTNEED) != 0) {
    memset(bytes, 0, length);
    return NULL;
  }
  memset(bytes, 0, start - (uintptr_t)bytes);
  memset((void *)end, 0, (uintptr_t)bytes + length - end);
  return NULL;
}

void export_clear_bytes(napi_env env, napi_value exports) {
  export_function(env, exports, "clearBytes", clear_bytes);
}
