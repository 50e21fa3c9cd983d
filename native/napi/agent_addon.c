/* Entry point of the agent's addon: what agent/server/addon.ts loads. */
#include "addon.h"

NAPI_MODULE_INIT() {
  define_batch(env, exports);
  define_steer(env, exports);
  define_companions(env, exports);
  define_pages(env, exports);
  return exports;
}
