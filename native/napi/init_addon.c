/* Entry point of init's addon, which init/node/addon.ts loads. */
#include "addon.h"

NAPI_MODULE_INIT() {
  export_child_reaping(env, exports);
  export_netlink_owner(env, exports);
  export_netlink_query(env, exports);
  export_netlink_watch(env, exports);
  export_release_pages(env, exports);
  return exports;
}
