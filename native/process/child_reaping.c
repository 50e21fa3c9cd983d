/*
 * Reaps children that Node did not start. When an agent is killed, its companions (companions.c) become children of the
 * first process of the container, which may be init. Node reaps only what it has started itself.
 */
#include "../napi/addon.h"
#include "../napi/napi_util.h"

#include <sys/wait.h>

/* reap(pid): takes the exit status of a child that has ended. Does nothing for one that runs, or is no child. */
static napi_value reap(napi_env env, napi_callback_info info) {
  napi_value args[1];
  size_t count = 1;
  int32_t pid;
  if (napi_get_cb_info(env, info, &count, args, NULL, NULL) != napi_ok) return NULL;
  if (napi_get_value_int32(env, args[0], &pid) == napi_ok && pid > 0) waitpid(pid, NULL, WNOHANG | __WALL);
  return NULL;
}

void define_child_reaping(napi_env env, napi_value exports) {
  napi_property_descriptor function = {"reap", NULL, reap, NULL, NULL, NULL, napi_enumerable, NULL};
  napi_define_properties(env, exports, 1, &function);
}
