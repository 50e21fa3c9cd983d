/* Entry point of the agent's addon, which agent/server/addon.ts loads. */
#include "addon.h"

NAPI_MODULE_INIT() {
  export_udp(env, exports);
  export_tcp(env, exports);
  export_memory_holder(env, exports);
  export_release_pages(env, exports);
  export_clear_bytes(env, exports);
  export_shrink_heap(env, exports);
  return exports;
}
