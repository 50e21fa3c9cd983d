/* What leaves a socket. Replies that the kernel does not take at once wait in a bounded tail; meanwhile nothing is read. */
#include "batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Keeps a message for later, or counts it as lost where too many wait already. */
static void keep(struct transport *self, const struct msghdr *header) {
  size_t length = header->msg_iov->iov_len;
  int has_room = self->tail_count < TAIL_MAX && self->tail_bytes + length <= TAIL_BYTES_MAX;
  struct waiting *one = has_room ? malloc(sizeof *one + length) : NULL;
  if (one == NULL) {
    self->stats[STAT_SEND_FAILED]++;
    return;
  }
  one->next = NULL;
  one->address_length = header->msg_namelen;
  if (header->msg_name != NULL) memcpy(&one->peer, header->msg_name, sizeof one->peer);
  one->length = length;
  memcpy(one->bytes, header->msg_iov->iov_base, length);
  *self->tail_last = one;
  self->tail_last = &one->next;
  self->tail_bytes += length;
  if (self->tail_count++ == 0) watch(self);
}

/* Has a message leave from the address that `peer` asked. The interface is the routes' to choose, except for link-local ones. */
static void put_source(struct msghdr *header, uint8_t *control, const struct peer *peer) {
  int is_v6 = peer->address.sin6_family == AF_INET6;
  size_t bytes = is_v6 ? sizeof(struct in6_pktinfo) : sizeof(struct in_pktinfo);
  header->msg_control = control;
  header->msg_controllen = CMSG_SPACE(bytes);
  struct cmsghdr *first = CMSG_FIRSTHDR(header);
  first->cmsg_level = is_v6 ? IPPROTO_IPV6 : IPPROTO_IP;
  first->cmsg_type = is_v6 ? IPV6_PKTINFO : IP_PKTINFO;
  first->cmsg_len = CMSG_LEN(bytes);
  if (is_v6) {
    struct in6_pktinfo info = peer->asked.v6;
    if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) info.ipi6_ifindex = 0;
    memcpy(CMSG_DATA(first), &info, sizeof info);
  } else {
    struct in_pktinfo info = {.ipi_spec_dst = peer->asked.v4};
    memcpy(CMSG_DATA(first), &info, sizeof info);
  }
}

/* Whether the same reply may be taken later. ENOBUFS comes where the buffer fills up in the middle of a fragmented one. */
static int is_full(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS; }

static ssize_t send_one(struct transport *self, struct waiting *one) {
  struct iovec vector = {.iov_base = one->bytes, .iov_len = one->length};
  struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1, .msg_namelen = one->address_length};
  if (one->address_length > 0) header.msg_name = &one->peer;
  if (self->is_wildcard) put_source(&header, self->out_controls[0], &one->peer);
  return sendmsg(self->fd, &header, MSG_DONTWAIT);
}

void send_tail(struct transport *self) {
  while (self->tail_first != NULL) {
    struct waiting *one = self->tail_first;
    ssize_t sent = send_one(self, one);
    if (sent < 0 && errno == EINTR) continue;
    /* ENOBUFS from a socket that is writable is the system's lack of memory: waiting for it would spin. */
    if (sent < 0 && errno != ENOBUFS && is_full(errno)) return;
    if (sent < 0) self->stats[STAT_SEND_FAILED]++;
    self->tail_first = one->next;
    if (self->tail_first == NULL) self->tail_last = &self->tail_first;
    self->tail_count--;
    self->tail_bytes -= one->length;
    free(one);
  }
  watch(self);
}

/*
 * Sends the first `count` of `out_messages`; what the kernel does not take now waits. Returns the error of the last one
 * that cannot be sent at all, or 0.
 */
static int send_messages(struct transport *self, int count) {
  int done = 0, error = 0;
  while (done < count && self->tail_count == 0) {
    int sent = sendmmsg(self->fd, self->out_messages + done, (unsigned)(count - done), MSG_DONTWAIT);
    if (sent >= 0) {
      done += sent;
    } else if (is_full(errno)) {
      break;
    } else if (errno != EINTR) {
      /* The first of the rest cannot be sent (unreachable, forbidden): the others still can. */
      error = errno;
      self->stats[STAT_SEND_FAILED]++;
      done++;
    }
  }
  for (; done < count; done++) keep(self, &self->out_messages[done].msg_hdr);
  return error;
}

static void put_message(struct transport *self, int place, uint8_t *bytes, size_t length, struct peer *peer,
                        socklen_t address_length) {
  struct msghdr *header = &self->out_messages[place].msg_hdr;
  self->out_vectors[place].iov_base = bytes;
  self->out_vectors[place].iov_len = length;
  header->msg_name = peer;
  header->msg_namelen = address_length;
  if (self->is_wildcard) put_source(header, self->out_controls[place], peer);
}

void send_batch(struct transport *self, int received) {
  int count = 0;
  for (int slot = 0; slot < received; slot++) {
    int32_t length = self->out_lengths[slot];
    if (length <= 0 || (size_t)length > self->slot_bytes) continue;
    put_message(self, count++, self->out + (size_t)slot * self->slot_bytes, (size_t)length,
                &self->peers[slot], self->in_messages[slot].msg_hdr.msg_namelen);
  }
  send_messages(self, count);
}

/* The messages lie behind each other. */
int send_late(struct transport *self, int count) {
  size_t at = 0;
  int used = 0;
  for (int i = 0; i < count && i < BATCH; i++) {
    int32_t length = self->late_lengths[i];
    if (length < 0 || at + (size_t)length > self->late_bytes) break;
    struct peer *peer = &self->late_peers[i];
    int is_v4 = peer->address.sin6_family == AF_INET;
    socklen_t address_length = is_v4 ? sizeof(struct sockaddr_in) : ADDRESS_BYTES;
    if (self->is_connected) put_message(self, used++, self->late + at, (size_t)length, NULL, 0);
    else put_message(self, used++, self->late + at, (size_t)length, peer, address_length);
    at += (size_t)length;
  }
  return send_messages(self, used);
}

void drop_tail(struct transport *self) {
  while (self->tail_first != NULL) {
    struct waiting *one = self->tail_first;
    self->tail_first = one->next;
    free(one);
  }
}
