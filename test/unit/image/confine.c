/*
 * Runs a program as a container runtime does, in a network namespace of its own:
 *
 *   confine UID CAPABILITIES NO_NEW_PRIVS FIRST_UNPRIVILEGED_PORT PROGRAM [ARG...]
 *
 * CAPABILITIES is a mask. It becomes the bounding set; it is permitted and effective up to the
 * exec, never inheritable or ambient (containerd and CRI-O give a non-root process no more). Exits
 * 125 when it cannot.
 */
#define _GNU_SOURCE
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void must(int result, const char *what) {
  if (result >= 0) return;
  perror(what);
  exit(125);
}

static void set_first_unprivileged_port(const char *port) {
  FILE *file = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "w");
  must(file == NULL ? -1 : fprintf(file, "%s", port), "port");
  must(fclose(file), "port");
}

int main(int argc, char **argv) {
  if (argc < 6) return 125;
  uid_t uid = (uid_t)atoi(argv[1]);
  unsigned mask = (unsigned)strtoul(argv[2], NULL, 0);
  must(unshare(CLONE_NEWNET), "unshare");
  set_first_unprivileged_port(argv[4]);
  for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
    if (cap > 31 || (mask & (1u << cap)) == 0)
      must(prctl(PR_CAPBSET_DROP, cap, 0, 0, 0), "bounding set");
  must(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "keepcaps");
  must(setgroups(0, NULL), "setgroups");
  must(setresgid(uid, uid, uid), "setresgid");
  must(setresuid(uid, uid, uid), "setresuid");
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  struct __user_cap_data_struct sets[2] = {{.permitted = mask, .effective = mask}};
  must((int)syscall(SYS_capset, &header, sets), "capset");
  if (atoi(argv[3]) != 0) must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
  execv(argv[5], argv + 5);
  perror(argv[5]);
  return 125;
}
