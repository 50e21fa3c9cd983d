/*
 * Tables of nf_tables that end with another process. A table is owned by a netlink socket: the kernel drops it when the last
 * descriptor of the socket is closed. The only one lies, sent and never received, in a unix socket of the other process, so
 * that it is closed with that: by whatever death, and without anybody having to notice.
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

struct loan {
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
 * A netlink socket under a number of its own; -1 with errno. The number that the kernel gives may be that of a socket that is
 * just being closed, and what the kernel still drops with that would be ours.
 */
static int open_netlink(void) {
  int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  if (netlink < 0) return -1;
  struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  for (int i = 0; i < BIND_TRIES; i++) {
    errno = EIO;
    if (getrandom(&address.nl_pid, sizeof address.nl_pid, 0) != sizeof address.nl_pid) break;
    /* Above all process ids, which others take theirs from. */
    address.nl_pid |= 0x80000000;
    if (bind(netlink, (struct sockaddr *)&address, sizeof address) == 0) return netlink;
    if (errno != EADDRINUSE) break;
  }
  int error = errno;
  close(netlink);
  errno = error;
  return -1;
}

/* The kernel answers while it takes the batch. 0 or errno: the first failure, or EPROTO without an acknowledgement. */
static int verdict(int netlink) {
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

/* Leaves `descriptor` in the socket at the other end. 0 or errno. */
static int leave(int connection, int descriptor) {
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

/* Not in the thread of JavaScript: the kernel's lock of the tables may be somebody else's for a while. */
static void lend(napi_env env, void *data) {
  (void)env;
  struct loan *loan = data;
  int netlink = open_netlink();
  if (netlink < 0) {
    loan->error = errno;
    return;
  }
  ssize_t sent = send(netlink, loan->batch, loan->length, 0);
  loan->error = sent < 0 ? errno : verdict(netlink);
  if (loan->error == 0) {
    loan->call = "sendmsg";
    loan->error = leave(loan->connection, netlink);
  }
  close(netlink);
}

static void settle(napi_env env, napi_status status, void *data) {
  struct loan *loan = data;
  napi_value result;
  if (status != napi_ok) loan->error = ECANCELED;
  if (loan->error != 0) {
    throw_errno(env, loan->call, loan->error);
    napi_get_and_clear_last_exception(env, &result);
    napi_reject_deferred(env, loan->deferred, result);
  } else {
    napi_get_undefined(env, &result);
    napi_resolve_deferred(env, loan->deferred, result);
  }
  napi_delete_async_work(env, loan->work);
  close(loan->connection);
  free(loan);
}

/*
 * lendTable(batch, descriptor) → Promise: carries out `batch`, a transaction of nf_tables, as the owner of the table that it
 * makes, and leaves the table to whoever is at the other end of the unix socket `descriptor`. Rejects with the system's
 * error, and throws it where there is no batch or no such descriptor.
 */
static napi_value lend_table(napi_env env, napi_callback_info info) {
  napi_value args[2], name, promise;
  size_t count = 2, length;
  void *batch;
  int32_t descriptor;
  if (napi_get_cb_info(env, info, &count, args, NULL, NULL) != napi_ok) return NULL;
  if (napi_get_buffer_info(env, args[0], &batch, &length) != napi_ok ||
      napi_get_value_int32(env, args[1], &descriptor) != napi_ok || length == 0)
    return throw_errno(env, "lendTable", EINVAL);
  struct loan *loan = calloc(1, sizeof *loan + length);
  if (loan == NULL) return throw_errno(env, "lendTable", ENOMEM);
  memcpy(loan->batch, batch, length);
  loan->length = length;
  loan->call = "netlink";
  /* Node may close its own meanwhile, and the number be another's. */
  loan->connection = fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
  int error = loan->connection < 0 ? errno : 0;
  if (error != 0) {
    free(loan);
    return throw_errno(env, "dup", error);
  }
  if (napi_create_string_utf8(env, "lendTable", NAPI_AUTO_LENGTH, &name) == napi_ok &&
      napi_create_async_work(env, NULL, name, lend, settle, loan, &loan->work) == napi_ok) {
    if (napi_create_promise(env, &loan->deferred, &promise) == napi_ok &&
        napi_queue_async_work(env, loan->work) == napi_ok)
      return promise;
    napi_delete_async_work(env, loan->work);
  }
  close(loan->connection);
  free(loan);
  return throw_errno(env, "lendTable", ENOMEM);
}

void define_lend(napi_env env, napi_value exports) {
  napi_value function;
  if (napi_create_function(env, "lendTable", NAPI_AUTO_LENGTH, lend_table, NULL, &function) == napi_ok)
    napi_set_named_property(env, exports, "lendTable", function);
}
