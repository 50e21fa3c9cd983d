/* Entry point of init's addon: what init/addon.ts loads. */
#include "addon.h"

NAPI_MODULE_INIT() {
  define_lend(env, exports);
  define_child_reaping(env, exports);
  define_pages(env, exports);
  return exports;
}
