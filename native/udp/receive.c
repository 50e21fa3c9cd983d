/* The receiving side: one recvmmsg and one call into JavaScript for up to 64 datagrams. */
#include "transport.h"

#include <errno.h>
#include <string.h>

enum {
  /* What a batch may take. Hits take less; of datagrams that take longer there are fewer in a batch, down to SHORTEST_BATCH. */
  BATCH_NANOSECONDS = 256 * 1000,
  SHORTEST_BATCH = 4,
  /* Batches read in one go: more than arrive while a batch is answered. */
  READ_AHEAD_BATCHES = 32,
  /* More than these waiting means that clients ask faster than the agent answers. */
  BEHIND_COUNT = 256,
};

static void on_poll(uv_poll_t *poll, int status, int events);

void update_poll(struct transport *self) {
  int events = self->backlog_count > 0 ? UV_WRITABLE : UV_READABLE;
  /* A writable socket is reported in every turn of the event loop: the next datagrams that wait are then answered. */
  self->is_polled_for_waiting = self->backlog_count == 0 && waiting_count(self) > 0;
  if (self->is_polled_for_waiting) events |= UV_WRITABLE;
  uv_poll_start(&self->poll, events, on_poll);
}

/* A datagram to a broadcast or multicast address is no query: length 0 makes JavaScript drop and count it. */
static void read_destination(struct transport *self, int slot, const struct cmsghdr *control) {
  int is_to_many;
  if (control->cmsg_level == IPPROTO_IPV6) {
    struct in6_pktinfo *destination = &self->peers[slot].destination.v6;
    memcpy(destination, CMSG_DATA(control), sizeof *destination);
    is_to_many = IN6_IS_ADDR_MULTICAST(&destination->ipi6_addr);
  } else {
    struct in_pktinfo info;
    memcpy(&info, CMSG_DATA(control), sizeof info);
    self->peers[slot].destination.v4 = info.ipi_spec_dst;
    is_to_many = info.ipi_addr.s_addr != info.ipi_spec_dst.s_addr;
  }
  if (is_to_many) self->input_lengths[slot] = 0;
}

static void read_controls(struct transport *self, int slot, struct msghdr *header) {
  for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control != NULL; control = CMSG_NXTHDR(header, control)) {
    if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SO_RXQ_OVFL) {
      /* How many datagrams the kernel has dropped because the receive buffer was full, since the socket was opened. */
      memcpy(&self->stats[STAT_RECEIVE_DROPS], CMSG_DATA(control), sizeof(uint32_t));
    } else if (self->is_wildcard && control->cmsg_level != SOL_SOCKET) {
      read_destination(self, slot, control);
    }
  }
}

static int receive_batch(struct transport *self, int most) {
  size_t control_bytes =
      self->is_wildcard ? DROPS_CONTROL_BYTES + DESTINATION_CONTROL_BYTES : DROPS_CONTROL_BYTES;
  for (int slot = 0; slot < most; slot++) {
    self->input_messages[slot].msg_hdr.msg_namelen = ADDRESS_BYTES;
    self->input_messages[slot].msg_hdr.msg_controllen = control_bytes;
  }
  int received;
  do {
    received = recvmmsg(self->fd, self->input_messages, (unsigned)most, MSG_DONTWAIT, NULL);
  } while (received < 0 && errno == EINTR);
  for (int slot = 0; slot < received; slot++) {
    struct msghdr *header = &self->input_messages[slot].msg_hdr;
    /* A datagram that is longer than a slot is no query: length 0 makes JavaScript drop and count it. */
    self->input_lengths[slot] =
        (header->msg_flags & MSG_TRUNC) != 0 ? 0 : (int32_t)self->input_messages[slot].msg_len;
    self->output_lengths[slot] = 0;
    if (header->msg_controllen > 0) read_controls(self, slot, header);
  }
  return received;
}

/* One call into JavaScript for the whole batch; `count` is a negative errno if the socket has failed. */
static void call_on_batch(struct transport *self, int count) {
  napi_env env = self->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  self->is_in_batch = 1;
  napi_value buffers, function, argument;
  if (napi_get_reference_value(env, self->buffers, &buffers) == napi_ok &&
      napi_get_reference_value(env, self->on_batch, &function) == napi_ok &&
      napi_create_int32(env, count, &argument) == napi_ok) {
    napi_make_callback(env, self->async, buffers, function, 1, &argument, NULL);
  }
  /* napi_make_callback leaves an exception pending, and the event loop would lose it. */
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
 * The socket has a pending error, for example from `ss -K` or because no server answers where it is connected to. libuv has
 * stopped polling and does not say which error it is. Reading the error clears it, and the socket works again; JavaScript
 * decides what becomes of a connected one.
 */
static void clear_socket_error(struct transport *self) {
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(self->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return;
  update_poll(self);
  if (self->is_connected && error != 0) call_on_batch(self, -error);
}

/* A batch that takes long makes the next one shorter: other sockets, and what waits in this one, get their turn. */
static void call_in_time(struct transport *self, int received) {
  if (received < SHORTEST_BATCH) {
    call_on_batch(self, received);
    return;
  }
  uint64_t start = uv_hrtime();
  call_on_batch(self, received);
  uint64_t each = (uv_hrtime() - start) / (uint64_t)received + 1;
  uint64_t in_time = BATCH_NANOSECONDS / each;
  self->batch_limit = in_time > BATCH ? BATCH : in_time < SHORTEST_BATCH ? SHORTEST_BATCH : (int)in_time;
}

/* Whether more may wait in the kernel than can be answered soon. While hits are answered it is seldom asked. */
static int may_be_behind(struct transport *self, int received) {
  if (received < self->batch_limit || self->is_connected) return 0;
  return self->batch_limit < BATCH || --self->full_batches_left <= 0;
}

/* Empties the kernel's queue into the queues of the senders. */
static void read_ahead(struct transport *self) {
  int received = BATCH;
  for (int batches = 0; batches < READ_AHEAD_BATCHES && received == BATCH; batches++) {
    received = receive_batch(self, BATCH);
    if (received > 0 && !wait_fairly(self, received)) return;
  }
  self->full_batches_left = waiting_count(self) > BEHIND_COUNT ? 0 : FULL_BATCHES;
}

/* The datagrams to answer next: in the order of their arrival, or if there are too many, one of each sender in turn. */
static int next_batch(struct transport *self) {
  if (waiting_count(self) == 0) {
    int received = receive_batch(self, self->batch_limit);
    if (!may_be_behind(self, received) || !wait_fairly(self, received)) return received;
  }
  read_ahead(self);
  return take_fairly(self, self->batch_limit);
}

static void answer_batch(struct transport *self, int received) {
  call_in_time(self, received);
  /* JavaScript may have closed the socket in the meantime. */
  if (self->is_closing) return;
  send_replies(self, received);
  if (self->backlog_count == 0 && self->is_polled_for_waiting != (waiting_count(self) > 0)) update_poll(self);
}

/* Receives a batch and answers it. */
static void handle_batch(struct transport *self) {
  int received = next_batch(self);
  if (received > 0) {
    answer_batch(self, received);
  } else if (received < 0 && self->is_connected && errno != EAGAIN && errno != EWOULDBLOCK) {
    /* An ICMP message reported that the server cannot be reached. */
    call_on_batch(self, -errno);
  }
}

static void on_poll(uv_poll_t *poll, int status, int events) {
  struct transport *self = poll->data;
  if (self->is_closing) return;
  if (status < 0) {
    clear_socket_error(self);
    return;
  }
  if (self->backlog_count > 0 && (events & UV_WRITABLE) != 0) send_backlog(self);
  if (self->backlog_count > 0) return;
  handle_batch(self);
}

void receive_now(struct transport *self) {
  if (self->is_closing || self->is_in_batch || self->backlog_count > 0) return;
  handle_batch(self);
}

void leave_port(const struct transport *self) {
  /* A socket that is connected to itself gets only what it sends itself, which is nothing. */
  struct sockaddr_storage own;
  socklen_t length = sizeof own;
  /* After a failure the socket keeps its port until it is closed: there is nothing better to do. */
  if (getsockname(self->fd, (struct sockaddr *)&own, &length) == 0)
    (void)connect(self->fd, (const struct sockaddr *)&own, length);
}

void drain_receive_queue(struct transport *self) {
  for (int batches = 0; batches < LAST_BATCHES_MAX && self->backlog_count == 0; batches++) {
    int received = next_batch(self);
    if (received <= 0) return;
    call_on_batch(self, received);
    send_replies(self, received);
  }
}
