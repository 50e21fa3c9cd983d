/*
 * A process that makes the kernel close the sockets of a killed agent first.
 *
 * The kernel frees the memory of a killed process before it closes its descriptors. For 80 MB that takes 5 to 20 ms, in
 * which it still queues datagrams at sockets that no process reads. The memory holder shares the agent's memory (clone
 * with CLONE_VM), but not its sockets. While it exists there is nothing to free, and the sockets are closed within a
 * millisecond. The kernel then ends the holder's pipe, and the holder ends. docs/decisions has what was measured.
 */
#include "../napi/addon.h"
#include "../napi/napi_util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

enum { STACK_BYTES = 16384, START_TIMEOUT_SECONDS = 1 };

/* Agent and memory holder both use it, as all memory. */
static struct {
  _Alignas(16) char stack[STACK_BYTES];
  enum { STARTING, RUNNING, FAILED } state;
  /* The holder's end of the pipe. */
  int lifeline;
  /* The agent's end. The holder ends when this is closed, also by the kernel after SIGKILL. -1: none. */
  int agent_end;
  /* 0 before the first start. */
  int pid;
} holder = {.agent_end = -1};

/* ── what runs in the memory holder: system calls only, because libc's state belongs to the agent ────────────────────── */

static int close_other_descriptors(void) {
  unsigned lifeline = (unsigned)holder.lifeline;
  if (lifeline > 0 && syscall(SYS_close_range, 0, lifeline - 1, 0) != 0) return -1;
  return (int)syscall(SYS_close_range, lifeline + 1, ~0U, 0);
}

static int run_holder(void *unused) {
  (void)unused;
  /* The kernel shows 15 characters. */
  syscall(SYS_prctl, PR_SET_NAME, "nodens-mem-hold", 0, 0, 0);
  /* Linux before 5.9 has no close_range(). A holder that also held the agent's sockets would be worse than none. */
  int state = close_other_descriptors() == 0 ? RUNNING : FAILED;
  __atomic_store_n(&holder.state, state, __ATOMIC_SEQ_CST);
  syscall(SYS_futex, &holder.state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  /* The agent writes nothing, so the only event is that its end is closed. */
  struct pollfd end = {.fd = holder.lifeline};
  if (state == RUNNING)
    while (syscall(SYS_ppoll, &end, 1, NULL, NULL, 0) < 0 && errno == EINTR) continue;
  syscall(SYS_exit_group, 0);
  return 0;
}

/* ── what runs in the agent ──────────────────────────────────────────────────────────────────────────────────────────── */

static int is_running(void) { return holder.pid > 0 && waitpid(holder.pid, NULL, WNOHANG | __WALL) == 0; }

static void end_holder(void) {
  if (holder.agent_end >= 0) close(holder.agent_end);
  holder.agent_end = -1;
}

/* Waits until the holder has closed its copies of the agent's descriptors. 0 or errno. */
static int wait_for_start(void) {
  struct timespec limit = {.tv_sec = START_TIMEOUT_SECONDS};
  while (__atomic_load_n(&holder.state, __ATOMIC_SEQ_CST) == STARTING) {
    long result = syscall(SYS_futex, &holder.state, FUTEX_WAIT_PRIVATE, STARTING, &limit, NULL, 0);
    if (result != 0 && errno == ETIMEDOUT) return ETIMEDOUT;
  }
  return holder.state == RUNNING ? 0 : ENOSYS;
}

/* 0 or errno. */
static int start_holder(void) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return errno;
  holder.lifeline = ends[0];
  holder.agent_end = ends[1];
  holder.state = STARTING;
  /* The holder inherits the mask, and must not run the agent's signal handlers. */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  /* Without an exit signal, so that Node, which waits for its own children, does not notice this one. */
  int pid = clone(run_holder, holder.stack + sizeof holder.stack, CLONE_VM, NULL);
  int error = pid > 0 ? 0 : errno;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  holder.pid = pid > 0 ? pid : 0;
  if (error == 0) error = wait_for_start();
  if (error != 0) end_holder();
  close(ends[0]);
  return error;
}

/* holdMemory() → process id of the memory holder. Starts it if it does not run. */
static napi_value hold_memory(napi_env env, napi_callback_info info) {
  (void)info;
  if (is_running()) return create_int32(env, holder.pid);
  end_holder();
  int error = start_holder();
  return error == 0 ? create_int32(env, holder.pid) : throw_errno(env, "clone", error);
}

void export_memory_holder(napi_env env, napi_value exports) {
  export_function(env, exports, "holdMemory", hold_memory);
}
