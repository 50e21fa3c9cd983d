#include "companion.h"

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

enum { START_TIMEOUT_SECONDS = 1 };

/* ── what runs in the companion: system calls only, because libc's state belongs to the agent ────────────────────────── */

/* Returns when the other end of a descriptor was closed, which is the only event that can occur. */
static void wait_for_end(const struct companion *self) {
  struct pollfd ends[COMPANION_MAX_DESCRIPTORS];
  for (int i = 0; i < self->descriptor_count; i++) ends[i] = (struct pollfd){.fd = self->descriptors[i]};
  while (syscall(SYS_ppoll, ends, self->descriptor_count, NULL, NULL, 0) < 0 && errno == EINTR) continue;
  /* Here and not by the exit: the last process that shares the memory frees it first, which takes 5 to 20 ms. */
  for (int i = 0; i < self->descriptor_count; i++) syscall(SYS_close, self->descriptors[i]);
}

static int close_other_descriptors(const struct companion *self) {
  unsigned first = 0;
  for (int i = 0; i < self->descriptor_count; i++) {
    unsigned kept = (unsigned)self->descriptors[i];
    if (kept > first && syscall(SYS_close_range, first, kept - 1, 0) != 0) return -1;
    first = kept + 1;
  }
  return (int)syscall(SYS_close_range, first, ~0U, 0);
}

static int run_companion(void *argument) {
  struct companion *self = argument;
  syscall(SYS_prctl, PR_SET_NAME, self->name, 0, 0, 0);
  /* Linux before 5.9 has no close_range(). A companion that holds the agent's sockets would be worse than none. */
  int state = close_other_descriptors(self) == 0 ? COMPANION_RUNNING : COMPANION_FAILED;
  __atomic_store_n(&self->state, state, __ATOMIC_SEQ_CST);
  syscall(SYS_futex, &self->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  if (state == COMPANION_RUNNING) wait_for_end(self);
  syscall(SYS_exit_group, 0);
  return 0;
}

/* ── what runs in the agent ──────────────────────────────────────────────────────────────────────────────────────────── */

void end_companion(struct companion *self) {
  if (self->lifeline >= 0) close(self->lifeline);
  self->lifeline = -1;
}

int is_companion_running(struct companion *self) {
  if (self->pid > 0 && waitpid(self->pid, NULL, WNOHANG | __WALL) == 0) return 1;
  self->pid = 0;
  end_companion(self);
  return 0;
}

/* Waits until the companion has closed its copies of the agent's descriptors. 0 or errno. */
static int wait_for_start(struct companion *self) {
  struct timespec limit = {.tv_sec = START_TIMEOUT_SECONDS};
  while (__atomic_load_n(&self->state, __ATOMIC_SEQ_CST) == COMPANION_STARTING) {
    long result = syscall(SYS_futex, &self->state, FUTEX_WAIT_PRIVATE, COMPANION_STARTING, &limit, NULL, 0);
    if (result != 0 && errno == ETIMEDOUT) return ETIMEDOUT;
  }
  return self->state == COMPANION_RUNNING ? 0 : ENOSYS;
}

static void keep_descriptors(struct companion *self, int lifeline, int connection) {
  int is_connection_first = connection >= 0 && connection < lifeline;
  self->descriptors[is_connection_first] = lifeline;
  self->descriptors[!is_connection_first] = connection;
  self->descriptor_count = connection < 0 ? 1 : 2;
}

int start_companion(struct companion *self, int connection) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return errno;
  keep_descriptors(self, ends[0], connection);
  self->state = COMPANION_STARTING;
  self->lifeline = ends[1];
  /* The companion inherits the mask, and must not run the agent's signal handlers. */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  /* Without an exit signal, so that Node, which waits for its own children, does not notice this one. */
  int pid = clone(run_companion, self->stack + sizeof self->stack, CLONE_VM, self);
  int error = pid > 0 ? 0 : errno;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  self->pid = pid > 0 ? pid : 0;
  if (error == 0) error = wait_for_start(self);
  if (error != 0) end_companion(self);
  close(ends[0]);
  return error;
}
