/* What leaves a socket. Replies that the kernel does not take at once wait in a bounded tail; meanwhile nothing is read. */
#define _GNU_SOURCE
#include "batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Keeps a message for later, or counts it as lost where too many wait already. */
static void keep(struct transport *self, const void *address, socklen_t address_length, const uint8_t *bytes,
                 size_t length) {
  int has_room = self->tail_count < TAIL_MAX && self->tail_bytes + length <= TAIL_BYTES_MAX;
  struct waiting *one = has_room ? malloc(sizeof *one + length) : NULL;
  if (one == NULL) {
    self->stats[STAT_SEND_FAILED]++;
    return;
  }
  one->next = NULL;
  one->address_length = address_length;
  if (address_length > 0) memcpy(&one->address, address, address_length);
  one->length = length;
  memcpy(one->bytes, bytes, length);
  *self->tail_last = one;
  self->tail_last = &one->next;
  self->tail_bytes += length;
  if (self->tail_count++ == 0) watch(self);
}

/* Whether the same reply may be taken later. ENOBUFS comes where the buffer fills up in the middle of a fragmented one. */
static int is_full(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS; }

void send_tail(struct transport *self) {
  while (self->tail_first != NULL) {
    struct waiting *one = self->tail_first;
    struct sockaddr *address = one->address_length > 0 ? (struct sockaddr *)&one->address : NULL;
    ssize_t sent = sendto(self->fd, one->bytes, one->length, MSG_DONTWAIT, address, one->address_length);
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
  for (; done < count; done++) {
    struct msghdr *header = &self->out_messages[done].msg_hdr;
    keep(self, header->msg_name, header->msg_namelen, header->msg_iov->iov_base, header->msg_iov->iov_len);
  }
  return error;
}

static void put_message(struct transport *self, int place, uint8_t *bytes, size_t length, void *address,
                        socklen_t address_length) {
  self->out_vectors[place].iov_base = bytes;
  self->out_vectors[place].iov_len = length;
  self->out_messages[place].msg_hdr.msg_name = address;
  self->out_messages[place].msg_hdr.msg_namelen = address_length;
}

void send_batch(struct transport *self, int received) {
  int count = 0;
  for (int slot = 0; slot < received; slot++) {
    int32_t length = self->out_lengths[slot];
    if (length <= 0 || (size_t)length > self->slot_bytes) continue;
    put_message(self, count++, self->out + (size_t)slot * self->slot_bytes, (size_t)length,
                self->addresses + (size_t)slot * ADDRESS_BYTES, self->in_messages[slot].msg_hdr.msg_namelen);
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
    uint8_t *address = self->late_addresses + (size_t)i * ADDRESS_BYTES;
    int family = ((struct sockaddr *)address)->sa_family;
    socklen_t address_length = family == AF_INET ? sizeof(struct sockaddr_in) : ADDRESS_BYTES;
    if (self->is_connected) put_message(self, used++, self->late + at, (size_t)length, NULL, 0);
    else put_message(self, used++, self->late + at, (size_t)length, address, address_length);
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
