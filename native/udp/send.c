/*
 * The sending side: one sendmmsg for all replies of a batch. Replies that the kernel does not accept at once wait in a
 * bounded backlog; until it is empty no datagrams are read.
 */
#include "transport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Copies a message into the backlog, or counts it as lost if the backlog is full. */
static void add_to_backlog(struct transport *self, const struct msghdr *header) {
  size_t length = header->msg_iov->iov_len;
  int has_room = self->backlog_count < BACKLOG_MAX_COUNT && self->backlog_bytes + length <= BACKLOG_MAX_BYTES;
  struct queued_reply *reply = has_room ? malloc(sizeof *reply + length) : NULL;
  if (reply == NULL) {
    self->stats[STAT_SEND_FAILED]++;
    return;
  }
  reply->next = NULL;
  reply->address_length = header->msg_namelen;
  if (header->msg_name != NULL) memcpy(&reply->peer, header->msg_name, sizeof reply->peer);
  reply->length = length;
  memcpy(reply->bytes, header->msg_iov->iov_base, length);
  *self->backlog_end = reply;
  self->backlog_end = &reply->next;
  self->backlog_bytes += length;
  if (self->backlog_count++ == 0) update_poll(self);
}

/* Makes the destination address of the query the source address of the reply. */
static void set_source(struct msghdr *header, uint8_t *control, const struct peer *peer) {
  int is_v6 = peer->address.sin6_family == AF_INET6;
  size_t bytes = is_v6 ? sizeof(struct in6_pktinfo) : sizeof(struct in_pktinfo);
  header->msg_control = control;
  header->msg_controllen = CMSG_SPACE(bytes);
  struct cmsghdr *first = CMSG_FIRSTHDR(header);
  first->cmsg_level = is_v6 ? IPPROTO_IPV6 : IPPROTO_IP;
  first->cmsg_type = is_v6 ? IPV6_PKTINFO : IP_PKTINFO;
  first->cmsg_len = CMSG_LEN(bytes);
  if (is_v6) {
    struct in6_pktinfo info = peer->destination.v6;
    /* The routing table chooses the interface. Only a link-local address means nothing without one. */
    if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) info.ipi6_ifindex = 0;
    memcpy(CMSG_DATA(first), &info, sizeof info);
  } else {
    struct in_pktinfo info = {.ipi_spec_dst = peer->destination.v4};
    memcpy(CMSG_DATA(first), &info, sizeof info);
  }
}

/* Whether the kernel may accept the same message later. ENOBUFS: the send buffer filled up between two fragments. */
static int is_full(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS; }

static ssize_t send_queued(struct transport *self, struct queued_reply *reply) {
  struct iovec vector = {.iov_base = reply->bytes, .iov_len = reply->length};
  struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1, .msg_namelen = reply->address_length};
  if (reply->address_length > 0) header.msg_name = &reply->peer;
  if (self->is_wildcard) set_source(&header, self->output_controls[0], &reply->peer);
  return sendmsg(self->fd, &header, MSG_DONTWAIT);
}

void send_backlog(struct transport *self) {
  while (self->backlog_first != NULL) {
    struct queued_reply *reply = self->backlog_first;
    ssize_t sent = send_queued(self, reply);
    if (sent < 0 && errno == EINTR) continue;
    /* ENOBUFS from a writable socket means that the system lacks memory: to wait for writability would spin. */
    if (sent < 0 && errno != ENOBUFS && is_full(errno)) return;
    if (sent < 0) self->stats[STAT_SEND_FAILED]++;
    self->backlog_first = reply->next;
    if (self->backlog_first == NULL) self->backlog_end = &self->backlog_first;
    self->backlog_count--;
    self->backlog_bytes -= reply->length;
    free(reply);
  }
  update_poll(self);
}

/*
 * Sends the first `count` of `output_messages` and queues what the kernel does not accept now. Returns the errno of the
 * last one that cannot be sent at all, or 0.
 */
static int send_messages(struct transport *self, int count) {
  int done = 0, error = 0;
  while (done < count && self->backlog_count == 0) {
    int sent = sendmmsg(self->fd, self->output_messages + done, (unsigned)(count - done), MSG_DONTWAIT);
    if (sent >= 0) {
      done += sent;
    } else if (is_full(errno)) {
      break;
    } else if (errno != EINTR) {
      /* The first of the rest cannot be sent (unreachable, not permitted). Those behind it still can. */
      error = errno;
      self->stats[STAT_SEND_FAILED]++;
      done++;
    }
  }
  for (; done < count; done++) add_to_backlog(self, &self->output_messages[done].msg_hdr);
  return error;
}

static void set_message(struct transport *self, int index, uint8_t *bytes, size_t length, struct peer *peer,
                        socklen_t address_length) {
  struct msghdr *header = &self->output_messages[index].msg_hdr;
  self->output_vectors[index].iov_base = bytes;
  self->output_vectors[index].iov_len = length;
  header->msg_name = peer;
  header->msg_namelen = address_length;
  if (self->is_wildcard) set_source(header, self->output_controls[index], peer);
}

void send_replies(struct transport *self, int received) {
  int count = 0;
  for (int slot = 0; slot < received; slot++) {
    int32_t length = self->output_lengths[slot];
    if (length <= 0 || (size_t)length > self->slot_bytes) continue;
    set_message(self, count++, self->output + (size_t)slot * self->slot_bytes, (size_t)length,
                &self->peers[slot], self->input_messages[slot].msg_hdr.msg_namelen);
  }
  send_messages(self, count);
}

int send_deferred(struct transport *self, int count) {
  size_t offset = 0;
  int used = 0;
  for (int i = 0; i < count && i < BATCH; i++) {
    int32_t length = self->deferred_lengths[i];
    if (length < 0 || offset + (size_t)length > self->deferred_bytes) break;
    struct peer *peer = self->is_connected ? NULL : &self->deferred_peers[i];
    socklen_t address_length = 0;
    if (peer != NULL) address_length = peer->address.sin6_family == AF_INET ? sizeof(struct sockaddr_in) : ADDRESS_BYTES;
    set_message(self, used++, self->deferred + offset, (size_t)length, peer, address_length);
    offset += (size_t)length;
  }
  return send_messages(self, used);
}

void free_backlog(struct transport *self) {
  while (self->backlog_first != NULL) {
    struct queued_reply *reply = self->backlog_first;
    self->backlog_first = reply->next;
    free(reply);
  }
}
