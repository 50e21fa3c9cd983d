/*
 * A listening TCP socket that takes every new connection of its address over from an older one.
 *
 * Closing a listener resets what waits in its accept queue, and without more the kernel spreads new connections over
 * all SO_REUSEPORT listeners of an address. So the newest, which is the last of its group, gets a program that names
 * index 1: while two are there (an upgrade) that is the newer one, and the older one's queue runs dry before it
 * closes. With one listener in the group, index 1 is out of range and the kernel falls back to hashing: to that one.
 */
#include "../napi/addon.h"
#include "../napi/napi_util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <net/if.h>
#include <unistd.h>

enum {
  NEWER = 1,
  /* As in steer.ts. Accepted sockets inherit them; the kernel doubles each. Left to itself it lets both grow to megabytes
     for a client that sends and does not read. */
  RECEIVE_BUFFER = 16 * 1024,
  SEND_BUFFER = 32 * 1024,
};

/* A bound, listening, non-blocking socket, or -errno. */
static int open_listener(const char *text, int port, int backlog) {
  struct sockaddr_in6 address;
  socklen_t length;
  if (parse_address(text, port, &address, &length) != 0) return -EINVAL;
  int family = ((struct sockaddr *)&address)->sa_family;
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, NEWER)};
  struct sock_fprog program = {.len = 1, .filter = code};
  int one = 1, receive = RECEIVE_BUFFER, send = SEND_BUFFER;
  /* Before listen(): the window that a client is offered follows from it. A refusal leaves larger buffers, no harm. */
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive, sizeof receive);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send, sizeof send);
  int failed = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
               setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0 ||
               (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) != 0) ||
               bind(fd, (struct sockaddr *)&address, length) != 0 || listen(fd, backlog) != 0;
  int error = errno;
  if (failed) {
    close(fd);
    return -error;
  }
  /* After listen(), which is what joins the group. A kernel that refuses leaves us with hashing: no reason to stop. */
  setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program);
  return fd;
}

/* listenSteered(address, port, backlog) → descriptor. Throws the system's error. */
static napi_value listen_steered(napi_env env, napi_callback_info info) {
  napi_value args[3], result;
  size_t count = 3, length;
  char address[INET6_ADDRSTRLEN + IF_NAMESIZE];
  int32_t port, backlog;
  if (napi_get_cb_info(env, info, &count, args, NULL, NULL) != napi_ok ||
      napi_get_value_string_utf8(env, args[0], address, sizeof address, &length) != napi_ok ||
      napi_get_value_int32(env, args[1], &port) != napi_ok ||
      napi_get_value_int32(env, args[2], &backlog) != napi_ok)
    return throw_errno(env, "listen", EINVAL);
  int fd = open_listener(address, port, backlog);
  if (fd < 0) return throw_errno(env, "listen", -fd);
  if (napi_create_int32(env, fd, &result) != napi_ok) {
    close(fd);
    return throw_errno(env, "listen", ENOMEM);
  }
  return result;
}

void define_steer(napi_env env, napi_value exports) {
  napi_property_descriptor function = {
      "listenSteered", NULL, listen_steered, NULL, NULL, NULL, napi_enumerable, NULL};
  napi_define_properties(env, exports, 1, &function);
}
