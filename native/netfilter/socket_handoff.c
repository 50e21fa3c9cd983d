/*
 * Tables of nf_tables that end with another process. The kernel drops a table when the netlink socket that owns it is closed.
 * init creates the table and then sends the only descriptor of that socket to the other process over a unix socket. The
 * other process never receives it: it lies in the receive queue, and the kernel closes it when that process ends.
 */
#include "../napi/addon.h"
#include "../napi/napi_util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <linux/netlink.h>

enum { ANSWER_BYTES = 8192, BIND_TRIES = 16, MAX_ERRNO = 4095 };

struct handoff {
  napi_async_work work;
  napi_deferred deferred;
  /* Our end of the connection to the other process. */
  int connection;
  /* What failed, and why; 0: nothing. */
  const char *call;
  int error;
  size_t length;
  unsigned char batch[];
};

/*
 * A netlink socket with a port id of its own; -1 with errno. The port id that the kernel assigns may be that of a socket that
 * is being closed, and with that socket the kernel would drop our table.
 */
static int open_netlink(void) {
  int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  if (netlink < 0) return -1;
  struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  for (int i = 0; i < BIND_TRIES; i++) {
    errno = EIO;
    if (getrandom(&address.nl_pid, sizeof address.nl_pid, 0) != sizeof address.nl_pid) break;
    /* Above all process ids, which other programs and the kernel use as port ids. */
    address.nl_pid |= 0x80000000;
    if (bind(netlink, (struct sockaddr *)&address, sizeof address) == 0) return netlink;
    if (errno != EADDRINUSE) break;
  }
  int error = errno;
  close(netlink);
  errno = error;
  return -1;
}

/* The kernel has replied when send() returns. 0, or errno: the first failure, or EPROTO without an acknowledgement. */
static int read_replies(int netlink) {
  _Alignas(struct nlmsghdr) char answer[ANSWER_BYTES];
  int error = EPROTO;
  for (;;) {
    ssize_t length = recv(netlink, answer, sizeof answer, MSG_DONTWAIT);
    if (length < 0) return errno == EAGAIN ? error : errno;
    int left = (int)length;
    for (struct nlmsghdr *head = (struct nlmsghdr *)answer; NLMSG_OK(head, left); head = NLMSG_NEXT(head, left)) {
      if (head->nlmsg_type != NLMSG_ERROR || head->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr))) continue;
      int code = ((struct nlmsgerr *)NLMSG_DATA(head))->error;
      if (code != 0) return code < 0 && code >= -MAX_ERRNO ? -code : EPROTO;
      error = 0;
    }
  }
}

/* Sends `descriptor` over the unix socket `connection`. 0 or errno. */
static int send_descriptor(int connection, int descriptor) {
  char byte = '\n';
  struct iovec data = {.iov_base = &byte, .iov_len = 1};
  union {
    struct cmsghdr head;
    char space[CMSG_SPACE(sizeof(int))];
  } control;
  struct msghdr message = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
  memcpy(CMSG_DATA(&control.head), &descriptor, sizeof descriptor);
  return sendmsg(connection, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 ? 0 : errno;
}

/* On a worker thread: another process may hold the kernel's nf_tables lock for a while. */
static void run_handoff(napi_env env, void *data) {
  (void)env;
  struct handoff *handoff = data;
  int netlink = open_netlink();
  if (netlink < 0) {
    handoff->error = errno;
    return;
  }
  ssize_t sent = send(netlink, handoff->batch, handoff->length, 0);
  handoff->error = sent < 0 ? errno : read_replies(netlink);
  if (handoff->error == 0) {
    handoff->call = "sendmsg";
    handoff->error = send_descriptor(handoff->connection, netlink);
  }
  close(netlink);
}

static void settle(napi_env env, napi_status status, void *data) {
  struct handoff *handoff = data;
  napi_value undefined;
  if (status != napi_ok) handoff->error = ECANCELED;
  if (handoff->error != 0) {
    napi_reject_deferred(env, handoff->deferred, create_errno_error(env, handoff->call, handoff->error));
  } else if (napi_get_undefined(env, &undefined) == napi_ok) {
    napi_resolve_deferred(env, handoff->deferred, undefined);
  }
  napi_delete_async_work(env, handoff->work);
  close(handoff->connection);
  free(handoff);
}

/* The promise of `handoff`, which is queued; NULL, and not queued, without memory. */
static napi_value queue_handoff(napi_env env, struct handoff *handoff) {
  napi_value name, promise;
  if (napi_create_string_utf8(env, "nodens:handoff", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_async_work(env, NULL, name, run_handoff, settle, handoff, &handoff->work) != napi_ok)
    return NULL;
  if (napi_create_promise(env, &handoff->deferred, &promise) == napi_ok &&
      napi_queue_async_work(env, handoff->work) == napi_ok)
    return promise;
  napi_delete_async_work(env, handoff->work);
  return NULL;
}

/*
 * lendTable(batch, descriptor) → Promise: sends `batch`, an nf_tables transaction, to the kernel. The new table's owner is a
 * new netlink socket, which goes to the process at the other end of the unix socket `descriptor`.
 */
static napi_value lend_table(napi_env env, napi_callback_info info) {
  struct arguments arguments;
  size_t length;
  read_arguments(env, info, &arguments);
  const void *batch = next_bytes(&arguments, &length);
  int32_t descriptor = next_int32(&arguments);
  if (arguments.error != 0 || length == 0) return throw_errno(env, "lendTable", EINVAL);
  struct handoff *handoff = calloc(1, sizeof *handoff + length);
  if (handoff == NULL) return throw_errno(env, "lendTable", ENOMEM);
  memcpy(handoff->batch, batch, length);
  handoff->length = length;
  handoff->call = "netlink";
  /* A copy: Node may close its own meanwhile, and another file may get the number. */
  handoff->connection = fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
  if (handoff->connection < 0) {
    int error = errno;
    free(handoff);
    return throw_errno(env, "dup", error);
  }
  napi_value promise = queue_handoff(env, handoff);
  if (promise != NULL) return promise;
  close(handoff->connection);
  free(handoff);
  return throw_errno(env, "lendTable", ENOMEM);
}

void export_socket_handoff(napi_env env, napi_value exports) {
  export_function(env, exports, "lendTable", lend_table);
}
