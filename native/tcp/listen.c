/*
 * Opens a listening TCP socket that gets every new connection of its address, also while an older agent still listens there,
 * and accepts connections.
 *
 * During an upgrade two agents listen on one address with SO_REUSEPORT. Without a program, the kernel spreads new
 * connections over both, and those in the accept queue of the older one are reset when it closes. So the newer socket
 * attaches a BPF program to the group that always selects index 1. The older socket has index 0 and gets no new connection,
 * so that its agent can accept what is queued and close. A group of one has no index 1: then the kernel falls back to its
 * hash, which can only select the one socket.
 */
#include "../napi/addon.h"
#include "../napi/napi_util.h"

#include <errno.h>
#include <linux/filter.h>
#include <unistd.h>

enum {
  NEWER_SOCKET = 1,
  /*
   * As in agent/server/tcp/reuseport-takeover.ts. Accepted sockets inherit these sizes, and the kernel doubles them.
   * Its defaults grow to megabytes for a client that sends queries and does not read the answers.
   */
  RECEIVE_BUFFER_BYTES = 16 * 1024,
  SEND_BUFFER_BYTES = 32 * 1024,
};

static int set_option(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value);
}

/* 0, or -1 with errno. */
static int bind_and_listen(int fd, const struct endpoint *endpoint, int backlog) {
  const struct sockaddr *address = (const struct sockaddr *)&endpoint->address;
  /* Before listen(), because the window offered to a client depends on them. Larger buffers are no error. */
  set_option(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER_BYTES);
  set_option(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_BYTES);
  if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) != 0 || set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) != 0) return -1;
  if (address->sa_family == AF_INET6 && set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) != 0) return -1;
  if (bind(fd, address, endpoint->length) != 0) return -1;
  return listen(fd, backlog);
}

/* A listening, non-blocking socket, or -errno. */
static int open_listener(const struct endpoint *endpoint, int backlog) {
  int fd = socket(endpoint->address.sin6_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  if (bind_and_listen(fd, endpoint, backlog) != 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, NEWER_SOCKET)};
  struct sock_fprog program = {.len = 1, .filter = code};
  /* After listen(), which adds the socket to the group. If the kernel refuses, it spreads connections as without it. */
  setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program);
  return fd;
}

/* listenWithTakeover(address, port, backlog) → descriptor */
static napi_value listen_with_takeover(napi_env env, napi_callback_info info) {
  struct arguments arguments;
  struct endpoint endpoint;
  read_arguments(env, info, &arguments);
  next_endpoint(&arguments, &endpoint);
  int32_t backlog = next_int32(&arguments);
  if (arguments.error != 0) return throw_errno(env, "listen", arguments.error);
  int fd = open_listener(&endpoint, backlog);
  if (fd < 0) return throw_errno(env, "listen", -fd);
  napi_value result = create_int32(env, fd);
  if (result == NULL) close(fd);
  return result;
}

/*
 * acceptNext(descriptor, peer) → descriptor, or -1 if there is no connection or none can be accepted: libuv, which polls
 * the socket, then meets the same error and reports it. The client's address is written to `peer`.
 */
static napi_value accept_next(napi_env env, napi_callback_info info) {
  struct arguments arguments;
  size_t bytes;
  read_arguments(env, info, &arguments);
  int32_t listening = next_int32(&arguments);
  void *peer = next_bytes(&arguments, &bytes);
  if (arguments.error == 0 && bytes < sizeof(struct sockaddr_in6)) arguments.error = EINVAL;
  if (arguments.error != 0) return throw_errno(env, "accept", arguments.error);
  socklen_t length = sizeof(struct sockaddr_in6);
  int fd;
  do {
    fd = accept4(listening, peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    /* ECONNABORTED: this one is gone, and the next may be there. */
  } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
  napi_value result = create_int32(env, fd < 0 ? -1 : fd);
  if (result == NULL && fd >= 0) close(fd);
  return result;
}

void export_tcp(napi_env env, napi_value exports) {
  export_function(env, exports, "acceptNext", accept_next);
  export_function(env, exports, "listenWithTakeover", listen_with_takeover);
}
