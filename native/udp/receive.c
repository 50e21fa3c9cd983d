/* What comes in at a socket: one recvmmsg and one call into JavaScript for up to 64 datagrams. */
#include "batch.h"

#include <errno.h>
#include <string.h>

static void on_poll(uv_poll_t *poll, int status, int events);

void watch(struct transport *self) {
  int events = self->tail_count > 0 ? UV_WRITABLE : UV_READABLE;
  uv_poll_start(&self->poll, events, on_poll);
}

/* Which address was asked. A datagram to many (broadcast, multicast) is no query: 0 octets. */
static void note_asked(struct transport *self, int slot, const struct cmsghdr *control) {
  int is_to_many;
  if (control->cmsg_level == IPPROTO_IPV6) {
    struct in6_pktinfo *asked = &self->peers[slot].asked.v6;
    memcpy(asked, CMSG_DATA(control), sizeof *asked);
    is_to_many = IN6_IS_ADDR_MULTICAST(&asked->ipi6_addr);
  } else {
    struct in_pktinfo info;
    memcpy(&info, CMSG_DATA(control), sizeof info);
    self->peers[slot].asked.v4 = info.ipi_spec_dst;
    is_to_many = info.ipi_addr.s_addr != info.ipi_spec_dst.s_addr;
  }
  if (is_to_many) self->in_lengths[slot] = 0;
}

static void note_controls(struct transport *self, int slot, struct msghdr *header) {
  for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control != NULL; control = CMSG_NXTHDR(header, control)) {
    if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SO_RXQ_OVFL) {
      /* The kernel's count of datagrams dropped because the buffer was full. */
      memcpy(&self->stats[STAT_RECEIVE_DROPS], CMSG_DATA(control), sizeof(uint32_t));
    } else if (self->is_wildcard && control->cmsg_level != SOL_SOCKET) {
      note_asked(self, slot, control);
    }
  }
}

static int receive(struct transport *self) {
  size_t control_bytes = self->is_wildcard ? DROPS_BYTES + ASKED_BYTES : DROPS_BYTES;
  for (int slot = 0; slot < BATCH; slot++) {
    self->in_messages[slot].msg_hdr.msg_namelen = ADDRESS_BYTES;
    self->in_messages[slot].msg_hdr.msg_controllen = control_bytes;
  }
  int received;
  do {
    received = recvmmsg(self->fd, self->in_messages, BATCH, MSG_DONTWAIT, NULL);
  } while (received < 0 && errno == EINTR);
  for (int slot = 0; slot < received; slot++) {
    struct msghdr *header = &self->in_messages[slot].msg_hdr;
    /* A datagram longer than a slot is no query: 0 octets is what JavaScript drops and counts. */
    self->in_lengths[slot] = (header->msg_flags & MSG_TRUNC) != 0 ? 0 : (int32_t)self->in_messages[slot].msg_len;
    self->out_lengths[slot] = 0;
    if (header->msg_controllen > 0) note_controls(self, slot, header);
  }
  return received;
}

/* One call into JavaScript for the whole batch. A throw would vanish in napi_make_callback: it is reported as fatal. */
static void call_batch(struct transport *self, int received) {
  napi_env env = self->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  self->is_in_batch = 1;
  napi_value receiver, function, count;
  if (napi_get_reference_value(env, self->receiver, &receiver) == napi_ok &&
      napi_get_reference_value(env, self->on_batch, &function) == napi_ok &&
      napi_create_int32(env, received, &count) == napi_ok) {
    napi_make_callback(env, self->async, receiver, function, 1, &count, NULL);
  }
  bool is_pending = false;
  napi_is_exception_pending(env, &is_pending);
  if (is_pending) {
    napi_value error;
    if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
  }
  self->is_in_batch = 0;
  napi_close_handle_scope(env, scope);
}

/*
 * An error that stands on the socket (an administrator's `ss -K`, or no server where it is connected to): libuv has stopped
 * watching and does not say which. Reading the error clears it, and the socket goes on; whose a connected one is may
 * think otherwise.
 */
static void recover(struct transport *self) {
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(self->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return;
  watch(self);
  if (self->is_connected && error != 0) call_batch(self, -error);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
  struct transport *self = poll->data;
  if (self->is_closing) return;
  if (status < 0) {
    recover(self);
    return;
  }
  if ((events & UV_WRITABLE) != 0) send_tail(self);
  if ((events & UV_READABLE) == 0) return;
  int received = receive(self);
  if (received < 0 && self->is_connected && errno != EAGAIN && errno != EWOULDBLOCK) {
    /* An ICMP message says that the other side cannot be reached. */
    call_batch(self, -errno);
    return;
  }
  if (received <= 0) return;
  call_batch(self, received);
  /* JavaScript may have closed us in the meantime. */
  if (!self->is_closing) send_batch(self, received);
}

void receive_last(struct transport *self) {
  for (int batches = 0; batches < LAST_BATCHES && self->tail_count == 0; batches++) {
    int received = receive(self);
    if (received <= 0) return;
    call_batch(self, received);
    send_batch(self, received);
  }
}
