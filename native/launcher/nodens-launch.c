/*
 * The image's entry point.
 *
 * `nodens probe SOCKET PAGE` runs here and does not start Node. The kubelet's probes ask the agent of their own pod, on its
 * unix socket, every few seconds. To start Node for that would cost tens of milliseconds of CPU each time.
 *
 * `nodens probe SOCKET PAGE UNTIL SECONDS` first waits until UNTIL answers, or SECONDS have passed. The kubelet makes a
 * Warning event of each failed probe, startup probes included, but a start that takes its time is no reason for one.
 *
 * Everything else runs in Node, an agent with the flags for its heap (`heap_flags.h`). Kubernetes gives a container that is not
 * root no ambient capabilities: user 65532 with NET_BIND_SERVICE added still gets EACCES for port 53. This program has that
 * capability as a file capability, raises it to ambient and executes node, which inherits it.
 *
 * The file capability is `cap_net_bind_service=p`, without the effective bit. With that bit the kernel refuses to execute
 * the file (EPERM) where the bounding set lacks the capability, as in the init container.
 *
 * What is executed is fixed at compile time and not taken from the environment: this program gives its capability to nodens,
 * and to no other program.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "heap_flags.h"

#ifndef NODENS_NODE
#define NODENS_NODE "/usr/local/bin/node"
#endif
#ifndef NODENS_MAIN
#define NODENS_MAIN "/opt/nodens/dist/agent/main.js"
#endif

#define NET_BIND_SERVICE_BIT CAP_TO_MASK(CAP_NET_BIND_SERVICE)
#define UNPRIVILEGED_PORT_FILE "/proc/sys/net/ipv4/ip_unprivileged_port_start"
#define DNS_PORT 53

static void print_error(const char *what, const char *why) {
  fprintf(stderr, "nodens-launch: %s: %s\n", what, why);
}

/* Adds CAP_NET_BIND_SERVICE to the inheritable and ambient sets. 0, or -1 with errno. EPERM: it is not permitted. */
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

/* A sysctl of the network namespace can allow every process to bind port 53. */
static int dns_port_needs_no_capability(void) {
  FILE *file = fopen(UNPRIVILEGED_PORT_FILE, "re");
  int first = 1024;
  if (file == NULL) return 0;
  if (fscanf(file, "%d", &first) != 1) first = 1024;
  fclose(file);
  return first <= DNS_PORT;
}

/* ── nodens probe ────────────────────────────────────────────────────────────────────────────────────────────────────── */

enum { PROBE_SECONDS = 2, PROBE_USAGE = 2, PAGE_BYTES = 512, MAX_WAIT_SECONDS = 3600 };
enum { PAUSE_NANOSECONDS = 100000000 };

/* A connection with a time limit for each read and write, or -1 with errno. */
static int connect_unix(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  struct timeval limit = {.tv_sec = PROBE_SECONDS};
  if (strlen(path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

/* Reads until the connection ends or `size` bytes are there. Returns how many came, or -1 with errno if none did. */
static ssize_t read_all(int fd, char *into, size_t size) {
  size_t length = 0;
  while (length < size) {
    ssize_t count = read(fd, into + length, size - length);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && length == 0) return -1;
    if (count <= 0) break;
    length += (size_t)count;
  }
  return (ssize_t)length;
}

/* 0 if the agent on `path` answers `page` with 200. Otherwise 1, and `report` gets the reason. */
static int request(const char *path, const char *page, void (*report)(const char *, const char *)) {
  char text[PAGE_BYTES], reply[2 * PAGE_BYTES + 1];
  int length = snprintf(text, sizeof text, "GET %s HTTP/1.0\r\n\r\n", page);
  if (length < 0 || (size_t)length >= sizeof text) {
    report("probe", strerror(ENAMETOOLONG));
    return 1;
  }
  int fd = connect_unix(path);
  ssize_t count = -1;
  if (fd >= 0 && send(fd, text, (size_t)length, MSG_NOSIGNAL) == length)
    count = read_all(fd, reply, sizeof reply - 1);
  int error = errno;
  if (fd >= 0) close(fd);
  if (count < 0) {
    report(path, strerror(error));
    return 1;
  }
  reply[count] = '\0';
  if (strncmp(reply, "HTTP/1.1 200 ", 13) == 0) return 0;
  const char *body = strstr(reply, "\r\n\r\n");
  report(page, body == NULL ? "no answer" : body + 4);
  return 1;
}

static void ignore(const char *what, const char *why) { (void)what, (void)why; }

static double monotonic_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Returns when the agent answers `page` with 200, or after `seconds`. */
static void wait_for_page(const char *path, const char *page, long seconds) {
  const struct timespec pause = {.tv_nsec = PAUSE_NANOSECONDS};
  double end = monotonic_seconds() + (double)seconds;
  while (request(path, page, ignore) != 0 && monotonic_seconds() < end) nanosleep(&pause, NULL);
}

/* `arguments` are those after `nodens probe`. Returns the exit code. */
static int probe(int count, char **arguments) {
  char *end = "x";
  long seconds = count == 4 ? strtol(arguments[3], &end, 10) : 0;
  int may_wait = *end == '\0' && seconds > 0 && seconds <= MAX_WAIT_SECONDS;
  if (count != 2 && !may_wait) {
    print_error("usage", "nodens probe SOCKET PAGE [UNTIL SECONDS]");
    return PROBE_USAGE;
  }
  if (may_wait) wait_for_page(arguments[0], arguments[2], seconds);
  return request(arguments[0], arguments[1], print_error);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "probe") == 0) return probe(argc - 2, argv + 2);
  /* Root keeps the capabilities of its container when it executes a program. */
  if (geteuid() != 0 && raise_net_bind_service() != 0 && !dns_port_needs_no_capability())
    print_error("no CAP_NET_BIND_SERVICE, ports below 1024 cannot be bound (capability not added, or "
             "allowPrivilegeEscalation: false)", strerror(errno));

  struct heap_flags flags = choose_heap_flags(argc - 1, argv + 1);
  char **child = calloc((size_t)argc + (size_t)flags.count + 3, sizeof *child);
  if (child == NULL) {
    print_error("cannot start", strerror(errno));
    return 126;
  }
  size_t count = 0;
  child[count++] = NODENS_NODE;
  for (int i = 0; i < flags.count; i++) child[count++] = flags.text[i];
  child[count++] = NODENS_MAIN;
  for (int i = 1; i < argc; i++) child[count++] = argv[i];

  /* As in agent/cli/heap.ts. One that is set by hand wins. */
  if (flags.count > 0) setenv("MALLOC_ARENA_MAX", "1", 0);
  execv(NODENS_NODE, child);
  print_error("cannot execute " NODENS_NODE, strerror(errno));
  return errno == ENOENT ? 127 : 126;
}
