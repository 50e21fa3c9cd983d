/*
 * A companion is a process that shares the agent's memory (clone with CLONE_VM), but not the sockets on which the agent
 * serves. It ends when the agent ends. memory_holder.c and herald.c say what each companion is for.
 */
#ifndef NODENS_PROCESS_COMPANION_H
#define NODENS_PROCESS_COMPANION_H

enum {
  COMPANION_STACK_BYTES = 16384,
  COMPANION_MAX_DESCRIPTORS = 2,
};

/* Agent and companion both use it, as all memory. */
struct companion {
  /* Process name; the kernel shows 15 characters. */
  const char *name;
  _Alignas(16) char stack[COMPANION_STACK_BYTES];
  /* Descriptors that the companion has, ascending: its end of the lifeline, and the connection if there is one. */
  int descriptors[COMPANION_MAX_DESCRIPTORS];
  int descriptor_count;
  enum { COMPANION_STARTING, COMPANION_RUNNING, COMPANION_FAILED } state;
  /* 0 before the first start, and after the exit status was taken. */
  int pid;
  /* The agent's end of a pipe. The companion ends when this is closed, also by the kernel after SIGKILL. -1: none. */
  int lifeline;
};

/* Starts a companion that also has the descriptor `connection`, or only its lifeline if that is -1. 0 or errno. */
int start_companion(struct companion *self, int connection);

/* Whether the process exists. If not, takes its exit status and frees its stack and lifeline for the next start. */
int is_companion_running(struct companion *self);

/* Makes the companion end; it may still run for some milliseconds. */
void end_companion(struct companion *self);

#endif
