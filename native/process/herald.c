/*
 * A companion (companion.h) whose end withdraws interception while the agent is still being killed.
 *
 * The OOM killer kills all processes that share the memory, first the one with the most points, which among equals is the
 * youngest: the herald. It holds a connection to init, so its end closes that connection and, with it, the netlink socket
 * that init has sent over it (netfilter/socket_handoff.c).
 */
#include "../napi/addon.h"
#include "../napi/napi_util.h"
#include "companion.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum { GREETING_BYTES = 256 };

static struct companion herald = {.name = "nodens-herald", .lifeline = -1};

/* A connection to the unix socket `path`, or -errno. */
static int connect_to(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strcpy(address.sun_path, path);
  int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (connection < 0) return -errno;
  if (connect(connection, (struct sockaddr *)&address, sizeof address) == 0) return connection;
  int error = errno;
  close(connection);
  return -error;
}

/* 0 or errno. */
static int send_text(int connection, const char *text) {
  ssize_t length = (ssize_t)strlen(text);
  ssize_t sent = send(connection, text, (size_t)length, MSG_NOSIGNAL);
  if (sent == length) return 0;
  return sent < 0 ? errno : EIO;
}

/* 0 or errno. */
static int start_connected(int connection, const char *greeting) {
  int error = start_companion(&herald, connection);
  if (error != 0) return error;
  /* Not earlier: once init has the greeting, it takes the end of the connection for the agent's. */
  error = send_text(connection, greeting);
  if (error != 0) end_companion(&herald);
  return error;
}

/* startHerald(path, greeting) → process id of the herald. Starts it if it does not run. */
static napi_value start_herald(napi_env env, napi_callback_info info) {
  struct arguments arguments;
  char path[sizeof((struct sockaddr_un *)0)->sun_path], greeting[GREETING_BYTES];
  read_arguments(env, info, &arguments);
  next_text(&arguments, path, sizeof path);
  next_text(&arguments, greeting, sizeof greeting);
  if (arguments.error != 0) return throw_errno(env, "startHerald", arguments.error);
  if (is_companion_running(&herald)) {
    /* It was told to end, and uses its stack until it has. */
    if (herald.lifeline < 0) return throw_errno(env, "startHerald", EAGAIN);
    return create_int32(env, herald.pid);
  }
  int connection = connect_to(path);
  if (connection < 0) return throw_errno(env, "connect", -connection);
  int error = start_connected(connection, greeting);
  close(connection);
  return error == 0 ? create_int32(env, herald.pid) : throw_errno(env, "startHerald", error);
}

/* endHerald(): ends the herald, if it runs, and what init has bound to it. */
static napi_value end_herald(napi_env env, napi_callback_info info) {
  (void)env, (void)info;
  end_companion(&herald);
  return NULL;
}

void export_herald(napi_env env, napi_value exports) {
  export_function(env, exports, "startHerald", start_herald);
  export_function(env, exports, "endHerald", end_herald);
}
