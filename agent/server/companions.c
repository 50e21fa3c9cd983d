/*
 * Two processes that share the agent's memory, and make its death short for those who ask it.
 *
 * A process that is killed gives its memory back before it closes its descriptors: 5 to 20 ms for 80 MB, in which the
 * kernel goes on queueing datagrams at sockets that nobody will read. While another process shares the memory there is
 * nothing to give back, and the sockets are closed within a millisecond. That process is the keeper.
 *
 * The OOM killer takes all that share the memory, first the one with the most points, which among equals is the
 * youngest: that is the herald. Its end closes a connection to init, which withdraws interception while the agent is
 * still being killed.
 *
 * Neither has any of the agent's descriptors but its end of a pipe, whose other end is the agent's: they end with it.
 */
#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  STACK_BYTES = 16384,
  READY_SECONDS = 1,
  MAX_KEPT = 2,
};

/* Shared with the companions, like all memory. */
struct companion {
  const char *name;
  _Alignas(16) char stack[STACK_BYTES];
  /* Ascending. */
  int kept[MAX_KEPT];
  int kept_count;
  int is_settled;
  int pid;
};

static struct companion keeper = {.name = "nodens-keeper"};
static struct companion herald = {.name = "nodens-herald"};

/* What follows runs in the companions. Only system calls: libc's state is the agent's. */

/* Returns when another end of what is kept has been closed, which is the only thing to come. */
static void wait_for_end(const struct companion *self) {
  struct pollfd ends[MAX_KEPT];
  for (int i = 0; i < self->kept_count; i++) ends[i] = (struct pollfd){.fd = self->kept[i]};
  while (syscall(SYS_ppoll, ends, self->kept_count, NULL, NULL, 0) < 0) continue;
}

static int close_others(const struct companion *self) {
  unsigned first = 0;
  for (int i = 0; i < self->kept_count; i++) {
    unsigned kept = (unsigned)self->kept[i];
    if (kept > first && syscall(SYS_close_range, first, kept - 1, 0) != 0) return -1;
    first = kept + 1;
  }
  return (int)syscall(SYS_close_range, first, ~0U, 0);
}

static int live(void *argument) {
  struct companion *self = argument;
  syscall(SYS_prctl, PR_SET_NAME, self->name, 0, 0, 0);
  /* A kernel that cannot (before 5.9) gets no companion: one that holds sockets would be worse than none. */
  int failed = close_others(self) != 0;
  __atomic_store_n(&self->is_settled, 1, __ATOMIC_SEQ_CST);
  syscall(SYS_futex, &self->is_settled, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  if (!failed) wait_for_end(self);
  syscall(SYS_exit_group, 0);
  return 0;
}

/* What follows runs in the agent. */

/* Starts a companion that keeps `connection` (-1: none), and waits until it has let go of our descriptors. 0 or errno. */
static int start(struct companion *self, int connection) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return errno;
  int is_before = connection >= 0 && connection < ends[0];
  self->kept[is_before] = ends[0];
  self->kept[!is_before] = connection;
  self->kept_count = connection < 0 ? 1 : 2;
  self->is_settled = 0;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  /* No exit signal: nobody waits for it as for a child. */
  self->pid = clone(live, self->stack + sizeof self->stack, CLONE_VM, self);
  int error = self->pid > 0 ? 0 : errno;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error == 0) {
    struct timespec limit = {.tv_sec = READY_SECONDS};
    while (__atomic_load_n(&self->is_settled, __ATOMIC_SEQ_CST) == 0)
      if (syscall(SYS_futex, &self->is_settled, FUTEX_WAIT_PRIVATE, 0, &limit, NULL, 0) != 0 && errno == ETIMEDOUT) break;
  } else {
    close(ends[1]);
  }
  close(ends[0]);
  return error;
}

/* Whether it runs; its stack and its exit status are free where it does not. */
static int is_alive(const struct companion *self) {
  return self->pid > 0 && waitpid(self->pid, NULL, WNOHANG | __WALL) == 0;
}

/* A connection to the unix socket `path` on which `greeting` has been said; -errno. */
static int greet(const char *path, const char *greeting) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return -ENAMETOOLONG;
  strcpy(address.sun_path, path);
  int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (connection < 0) return -errno;
  size_t length = strlen(greeting);
  if (connect(connection, (struct sockaddr *)&address, sizeof address) == 0 &&
      send(connection, greeting, length, MSG_NOSIGNAL) == (ssize_t)length)
    return connection;
  int error = errno;
  close(connection);
  return -error;
}

static napi_value pid_or_error(napi_env env, const struct companion *self, const char *call, int error) {
  napi_value result;
  if (error != 0) return throw_errno(env, call, error);
  return napi_create_int32(env, self->pid, &result) == napi_ok ? result : NULL;
}

/* keepMemory() → process id of the keeper, started unless it runs. Throws the system's error. */
static napi_value keep_memory(napi_env env, napi_callback_info info) {
  (void)info;
  return pid_or_error(env, &keeper, "clone", is_alive(&keeper) ? 0 : start(&keeper, -1));
}

/* startHerald(path, greeting) → process id of the herald, started unless it runs. Throws the system's error. */
static napi_value start_herald(napi_env env, napi_callback_info info) {
  napi_value args[2];
  size_t count = 2, length;
  char path[sizeof((struct sockaddr_un *)0)->sun_path + 1], greeting[256];
  if (napi_get_cb_info(env, info, &count, args, NULL, NULL) != napi_ok) return NULL;
  if (napi_get_value_string_utf8(env, args[0], path, sizeof path, &length) != napi_ok ||
      napi_get_value_string_utf8(env, args[1], greeting, sizeof greeting, &length) != napi_ok)
    return throw_errno(env, "startHerald", EINVAL);
  if (is_alive(&herald)) return pid_or_error(env, &herald, "", 0);
  int connection = greet(path, greeting);
  if (connection < 0) return throw_errno(env, "connect", -connection);
  int error = start(&herald, connection);
  close(connection);
  return pid_or_error(env, &herald, "clone", error);
}

/* reap(pid): takes the exit status of a child that has ended and that nobody started, a dead agent's companion. */
static napi_value reap(napi_env env, napi_callback_info info) {
  napi_value args[1];
  size_t count = 1;
  int32_t pid;
  if (napi_get_cb_info(env, info, &count, args, NULL, NULL) != napi_ok) return NULL;
  if (napi_get_value_int32(env, args[0], &pid) == napi_ok && pid > 0) waitpid(pid, NULL, WNOHANG | __WALL);
  return NULL;
}

void define_companions(napi_env env, napi_value exports) {
  napi_property_descriptor functions[] = {
      {"keepMemory", NULL, keep_memory, NULL, NULL, NULL, napi_enumerable, NULL},
      {"startHerald", NULL, start_herald, NULL, NULL, NULL, napi_enumerable, NULL},
      {"reap", NULL, reap, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  napi_define_properties(env, exports, 3, functions);
}
