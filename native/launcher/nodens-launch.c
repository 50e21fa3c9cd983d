/*
 * The image's entry point: nodens as a program.
 *
 * `nodens probe SOCKET PAGE` is answered here: the kubelet's probes ask their own pod's agent on its
 * unix socket, and every few seconds, for which starting Node (tens of ms of CPU) would be a waste.
 * `nodens probe SOCKET PAGE UNTIL SECONDS` asks for PAGE when UNTIL is there, or SECONDS have passed:
 * the kubelet makes a Warning event of each probe that fails, of startup probes too, and that a start
 * takes its time is none.
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
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifndef NODENS_NODE
#define NODENS_NODE "/usr/local/bin/node"
#endif
#ifndef NODENS_MAIN
#define NODENS_MAIN "/opt/nodens/dist/agent/main.js"
#endif

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

/* ── nodens probe ──────────────────────────────────────────────────────────────────────────────── */

enum { PROBE_SECONDS = 2, PROBE_USAGE = 2, PAGE_BYTES = 512, MAX_WAIT_SECONDS = 3600 };
enum { PAUSE_NANOSECONDS = 100000000 };

/* A connection to the socket, on which nothing waits longer than the probe may take: -1 with errno. */
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

/* Reads up to the end of the connection or of `bytes`; the octets read, or -1 with errno where none came. */
static ssize_t read_all(int fd, char *into, size_t bytes) {
  size_t length = 0;
  while (length < bytes) {
    ssize_t count = read(fd, into + length, bytes - length);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && length == 0) return -1;
    if (count <= 0) break;
    length += (size_t)count;
  }
  return (ssize_t)length;
}

/* 0 where the agent on `path` answers `page` with 200; `say` hears what else it said. */
static int ask(const char *path, const char *page, void (*say)(const char *, const char *)) {
  char request[PAGE_BYTES], reply[2 * PAGE_BYTES + 1];
  int length = snprintf(request, sizeof request, "GET %s HTTP/1.0\r\n\r\n", page);
  if (length < 0 || (size_t)length >= sizeof request) {
    say("probe", strerror(ENAMETOOLONG));
    return 1;
  }
  int fd = connect_unix(path);
  ssize_t count = -1;
  if (fd >= 0 && send(fd, request, (size_t)length, MSG_NOSIGNAL) == length)
    count = read_all(fd, reply, sizeof reply - 1);
  int error = errno;
  if (fd >= 0) close(fd);
  if (count < 0) {
    say(path, strerror(error));
    return 1;
  }
  reply[count] = '\0';
  if (strncmp(reply, "HTTP/1.1 200 ", 13) == 0) return 0;
  const char *body = strstr(reply, "\r\n\r\n");
  say(page, body == NULL ? "no answer" : body + 4);
  return 1;
}

static void ignore(const char *what, const char *why) { (void)what, (void)why; }

static double monotonic_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Returns when the agent answers `page` with 200, or after `seconds`. */
static void await_page(const char *path, const char *page, long seconds) {
  const struct timespec pause = {.tv_nsec = PAUSE_NANOSECONDS};
  double end = monotonic_seconds() + (double)seconds;
  while (ask(path, page, ignore) != 0 && monotonic_seconds() < end) nanosleep(&pause, NULL);
}

/* `words` are what follows `nodens probe`. The exit code. */
static int probe(int count, char **words) {
  char *end = "x";
  long seconds = count == 4 ? strtol(words[3], &end, 10) : 0;
  int may_wait = *end == '\0' && seconds > 0 && seconds <= MAX_WAIT_SECONDS;
  if (count != 2 && !may_wait) {
    complain("usage", "nodens probe SOCKET PAGE [UNTIL SECONDS]");
    return PROBE_USAGE;
  }
  if (may_wait) await_page(words[0], words[2], seconds);
  return ask(words[0], words[1], complain);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "probe") == 0) return probe(argc - 2, argv + 2);
  /* Root keeps what its container grants through exec: nothing to raise. */
  if (geteuid() != 0 && raise_net_bind_service() != 0 && !dns_port_is_free_for_all())
    complain("no CAP_NET_BIND_SERVICE, ports below 1024 cannot be bound (capability not added, or "
             "allowPrivilegeEscalation: false)", strerror(errno));

  char **child = calloc((size_t)argc + 3, sizeof *child);
  if (child == NULL) {
    complain("cannot start", strerror(errno));
    return 126;
  }
  size_t count = 0;
  child[count++] = NODENS_NODE;
  child[count++] = NODENS_MAIN;
  for (int i = 1; i < argc; i++) child[count++] = argv[i];

  execv(NODENS_NODE, child);
  complain("cannot execute " NODENS_NODE, strerror(errno));
  return errno == ENOENT ? 127 : 126;
}
