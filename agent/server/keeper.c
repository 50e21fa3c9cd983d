/*
 * A companion that keeps the agent's memory a moment longer than the agent lives.
 *
 * A process that is killed gives its memory back before it closes its descriptors: 5 to 20 ms for 80 MB, in which the
 * kernel goes on queueing datagrams at sockets that nobody will read. While another process shares the memory there is
 * nothing to give back, and the sockets are closed within a millisecond. The companion has none of the agent's
 * descriptors but the end of a pipe, and ends when the agent's end is closed; that is after the memory was let go of.
 */
#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STACK_BYTES = 16384, READY_SECONDS = 1 };

/* Shared with the companion, like all memory. */
static _Alignas(16) char stack[STACK_BYTES];
static int lifeline;
static int is_settled;

/* Ends the companion where there is one, and costs nothing otherwise. Only system calls: libc's state is the agent's. */
static int keep(void *unused) {
  (void)unused;
  int end = lifeline;
  char byte;
  syscall(SYS_prctl, PR_SET_NAME, "nodens-keeper", 0, 0, 0);
  /* A kernel that cannot (before 5.9) gets no companion: one that holds sockets would be worse than none. */
  int failed = (end > 0 && syscall(SYS_close_range, 0, end - 1, 0) != 0) ||
               syscall(SYS_close_range, end + 1, ~0U, 0) != 0;
  __atomic_store_n(&is_settled, 1, __ATOMIC_SEQ_CST);
  syscall(SYS_futex, &is_settled, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  if (!failed) syscall(SYS_read, end, &byte, 1);
  syscall(SYS_exit_group, 0);
  return 0;
}

/* Starts the companion, and waits until it has let go of our descriptors. Its id, or -errno. */
static int start_keeper(void) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return -errno;
  lifeline = ends[0];
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  /* No exit signal: nobody waits for it as for a child. */
  int pid = clone(keep, stack + sizeof stack, CLONE_VM, NULL);
  int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (pid > 0) {
    struct timespec limit = {.tv_sec = READY_SECONDS};
    while (__atomic_load_n(&is_settled, __ATOMIC_SEQ_CST) == 0)
      if (syscall(SYS_futex, &is_settled, FUTEX_WAIT_PRIVATE, 0, &limit, NULL, 0) != 0 && errno == ETIMEDOUT) break;
  } else {
    close(ends[1]);
  }
  close(ends[0]);
  return pid > 0 ? pid : -error;
}

/* keepMemory() → process id of the companion; the same for every call. Throws the system's error. */
static napi_value keep_memory(napi_env env, napi_callback_info info) {
  (void)info;
  static int pid;
  napi_value result;
  if (pid <= 0) pid = start_keeper();
  if (pid < 0) return throw_errno(env, "clone", -pid);
  return napi_create_int32(env, pid, &result) == napi_ok ? result : NULL;
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

void define_keeper(napi_env env, napi_value exports) {
  napi_property_descriptor functions[] = {
      {"keepMemory", NULL, keep_memory, NULL, NULL, NULL, napi_enumerable, NULL},
      {"reap", NULL, reap, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  napi_define_properties(env, exports, 2, functions);
}
