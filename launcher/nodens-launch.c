/*
 * The image's entry point: nodens as a program, on a Node with the heap flags nodens wants.
 *
 * Kubernetes gives a non-root container no ambient capabilities: uid 65532 with NET_BIND_SERVICE
 * added still gets EACCES on port 53. This binary carries the file capability, raises it to ambient
 * and execs plain node, which so keeps it.
 *
 * The file capability is `cap_net_bind_service=p`, without the effective bit: with that bit the
 * kernel refuses to exec the file (EPERM) where the bounding set lacks the capability, as it does
 * in the init container.
 *
 * What is run is fixed when this is compiled, never taken from the environment: who can run this
 * binary gets no more than nodens on port 53.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef NODENS_NODE
#define NODENS_NODE "/usr/local/bin/node"
#endif
#ifndef NODENS_MAIN
#define NODENS_MAIN "/opt/nodens/dist/agent/main.js"
#endif

/*
 * Heap flags only work on the command line. Node's default old space is 256 MB even where the
 * cgroup's limit is less, and its young generation may reach 48 MB: both would spend the limit that
 * is promised to the cache.
 */
static char *const node_flags[] = {"--max-old-space-size-percentage=33", "--max-semi-space-size=4"};

#define FLAG_COUNT (sizeof node_flags / sizeof node_flags[0])
#define NET_BIND_SERVICE_BIT CAP_TO_MASK(CAP_NET_BIND_SERVICE)
#define UNPRIVILEGED_PORT_FILE "/proc/sys/net/ipv4/ip_unprivileged_port_start"
#define DNS_PORT 53

static void complain(const char *what, const char *why) {
  fprintf(stderr, "nodens-launch: %s: %s\n", what, why);
}

/* Raises CAP_NET_BIND_SERVICE to inheritable and ambient: 0, or -1 with errno. EPERM: not permitted. */
static int raise_net_bind_service(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
  if (syscall(SYS_capget, &header, sets) != 0) return -1;
  if ((sets[0].permitted & NET_BIND_SERVICE_BIT) == 0) {
    errno = EPERM;
    return -1;
  }
  sets[0].inheritable |= NET_BIND_SERVICE_BIT;
  if (syscall(SYS_capset, &header, sets) != 0) return -1;
  return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0);
}

/* Whether port 53 needs no capability here: a sysctl of the network namespace. */
static int dns_port_is_free_for_all(void) {
  FILE *file = fopen(UNPRIVILEGED_PORT_FILE, "re");
  int first = 1024;
  if (file == NULL) return 0;
  if (fscanf(file, "%d", &first) != 1) first = 1024;
  fclose(file);
  return first <= DNS_PORT;
}

int main(int argc, char **argv) {
  /* Root keeps what its container grants through exec: nothing to raise. */
  if (geteuid() != 0 && raise_net_bind_service() != 0 && !dns_port_is_free_for_all())
    complain("no CAP_NET_BIND_SERVICE, ports below 1024 cannot be bound (capability not added, or "
             "allowPrivilegeEscalation: false)", strerror(errno));

  char **child = calloc(FLAG_COUNT + (size_t)argc + 3, sizeof *child);
  if (child == NULL) {
    complain("cannot start", strerror(errno));
    return 126;
  }
  size_t count = 0;
  child[count++] = NODENS_NODE;
  for (size_t i = 0; i < FLAG_COUNT; i++) child[count++] = node_flags[i];
  child[count++] = NODENS_MAIN;
  for (int i = 1; i < argc; i++) child[count++] = argv[i];

  execv(NODENS_NODE, child);
  complain("cannot execute " NODENS_NODE, strerror(errno));
  return errno == ENOENT ? 127 : 126;
}
