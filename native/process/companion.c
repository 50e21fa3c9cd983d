/*
 * Two processes that share the agent's memory, and make its death short for those who ask it.
 *
 * A process that is killed gives its memory back before it closes its descriptors: 5 to 20 ms for 80 MB, in which the
 * kernel goes on queueing datagrams at sockets that nobody will read. While another process shares the memory there is
 * nothing to give back, and the sockets are closed within a millisecond. That process is the keeper.
 *
 * The OOM killer takes all that share the memory, first the one with the most points, which among equals is the
 * youngest: that is the herald. Its end withdraws interception while the agent is still being killed: it closes a
 * connection to init, and what lies in that.
 *
 * Of descriptors each has one end of a pipe, whose other end is the agent's, so that it ends with the agent; the herald
 * has its connection, too. In that lies, sent by init and never received, what ends with the herald: a socket that owns
 * rules (native/netfilter/lend.c).
 */
#include "../napi/addon.h"
#include "../napi/napi_util.h"

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

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

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
  enum { STARTING, LIVING, FAILED } state;
  /* 0: none was started, or its end has been seen. */
  int pid;
  /* The agent's end of its pipe; -1: none. */
  int lifeline;
};

static struct companion keeper = {.name = "nodens-keeper", .lifeline = -1};
static struct companion herald = {.name = "nodens-herald", .lifeline = -1};

/* What follows runs in the companions. Only system calls: libc's state is the agent's. */

/* Returns when another end of what is kept has been closed, which is the only thing to come. */
static void wait_for_end(const struct companion *self) {
  struct pollfd ends[MAX_KEPT];
  for (int i = 0; i < self->kept_count; i++) ends[i] = (struct pollfd){.fd = self->kept[i]};
  while (syscall(SYS_ppoll, ends, self->kept_count, NULL, NULL, 0) < 0 && errno == EINTR) continue;
  /* Before the end, which takes 5 to 20 ms for the one that is the last to share the memory. */
  for (int i = 0; i < self->kept_count; i++) syscall(SYS_close, self->kept[i]);
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
  int state = close_others(self) == 0 ? LIVING : FAILED;
  __atomic_store_n(&self->state, state, __ATOMIC_SEQ_CST);
  syscall(SYS_futex, &self->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  if (state == LIVING) wait_for_end(self);
  syscall(SYS_exit_group, 0);
  return 0;
}

/* What follows runs in the agent. */

/* Ends it, wherever it is. */
static void dismiss(struct companion *self) {
  if (self->lifeline >= 0) close(self->lifeline);
  self->lifeline = -1;
}

/* Whether it runs; its stack, its exit status and its pipe are free where it does not. */
static int is_alive(struct companion *self) {
  if (self->pid > 0 && waitpid(self->pid, NULL, WNOHANG | __WALL) == 0) return 1;
  self->pid = 0;
  dismiss(self);
  return 0;
}

/* Waits until it has let go of our descriptors. 0 or errno. */
static int settle(struct companion *self) {
  struct timespec limit = {.tv_sec = READY_SECONDS};
  while (__atomic_load_n(&self->state, __ATOMIC_SEQ_CST) == STARTING)
    if (syscall(SYS_futex, &self->state, FUTEX_WAIT_PRIVATE, STARTING, &limit, NULL, 0) != 0 && errno == ETIMEDOUT)
      return ETIMEDOUT;
  return self->state == LIVING ? 0 : ENOSYS;
}

/* Starts a companion that keeps `connection` (-1: none). 0 or errno. */
static int start(struct companion *self, int connection) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return errno;
  int is_before = connection >= 0 && connection < ends[0];
  self->kept[is_before] = ends[0];
  self->kept[!is_before] = connection;
  self->kept_count = connection < 0 ? 1 : 2;
  self->state = STARTING;
  self->lifeline = ends[1];
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  /* No exit signal: nobody waits for it as for a child. */
  int pid = clone(live, self->stack + sizeof self->stack, CLONE_VM, self);
  int error = pid > 0 ? 0 : errno;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  self->pid = pid > 0 ? pid : 0;
  if (error == 0) error = settle(self);
  if (error != 0) dismiss(self);
  close(ends[0]);
  return error;
}

/* A connection to the unix socket `path`; -errno. */
static int connect_to(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return -ENAMETOOLONG;
  strcpy(address.sun_path, path);
  int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (connection < 0) return -errno;
  if (connect(connection, (struct sockaddr *)&address, sizeof address) == 0) return connection;
  int error = errno;
  close(connection);
  return -error;
}

/* 0 or errno. */
static int say(int connection, const char *greeting) {
  ssize_t length = (ssize_t)strlen(greeting);
  ssize_t sent = send(connection, greeting, (size_t)length, MSG_NOSIGNAL);
  if (sent == length) return 0;
  return sent < 0 ? errno : EIO;
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
  /* One that was dismissed has its stack until it has ended. */
  if (is_alive(&herald)) return pid_or_error(env, &herald, "startHerald", herald.lifeline < 0 ? EAGAIN : 0);
  int connection = connect_to(path);
  if (connection < 0) return throw_errno(env, "connect", -connection);
  int error = start(&herald, connection);
  /* Only now: its end is an alarm to whoever has heard of it. */
  if (error == 0) {
    error = say(connection, greeting);
    if (error != 0) dismiss(&herald);
  }
  close(connection);
  return pid_or_error(env, &herald, "startHerald", error);
}

/* endHerald(): ends the herald, if there is one, and what init has bound to it. */
static napi_value end_herald(napi_env env, napi_callback_info info) {
  (void)env;
  (void)info;
  dismiss(&herald);
  return NULL;
}

void define_companions(napi_env env, napi_value exports) {
  napi_property_descriptor functions[] = {
      {"keepMemory", NULL, keep_memory, NULL, NULL, NULL, napi_enumerable, NULL},
      {"startHerald", NULL, start_herald, NULL, NULL, NULL, napi_enumerable, NULL},
      {"endHerald", NULL, end_herald, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions);
}
