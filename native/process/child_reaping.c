/*
 * Reaps children that Node did not start. When an agent is killed, its memory holder (memory_holder.c) becomes a child of
 * the first process of the container, which is init in a container that runs both. Node reaps only what it has started.
 */
#include "../napi/addon.h"
#include "../napi/napi_util.h"

#include <errno.h>
#include <sys/wait.h>

/* reap(pid): takes the exit status of a child that has ended. Does nothing to a process that runs or is no child. */
static napi_value reap(napi_env env, napi_callback_info info) {
  struct arguments arguments;
  read_arguments(env, info, &arguments);
  int32_t pid = next_int32(&arguments);
  /* waitpid() takes numbers below 1 for groups of children. */
  if (arguments.error != 0 || pid < 1) return throw_errno(env, "waitpid", EINVAL);
  waitpid(pid, NULL, WNOHANG | __WALL);
  return NULL;
}

void export_child_reaping(napi_env env, napi_value exports) { export_function(env, exports, "reap", reap); }
