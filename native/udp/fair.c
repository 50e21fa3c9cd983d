/*
 * Datagrams that arrive faster than they are answered wait here, in a queue for each sender, and the queues have turns:
 * a client that floods the socket fills its own queue only. The kernel has one queue for all and discards what any client
 * sends while it is full, so that it is emptied in every turn of the event loop.
 */
#include "transport.h"

#include <stdlib.h>
#include <string.h>

enum {
  /* Queues. Senders with the same hash share one, until all queues are empty. */
  SENDERS = 256,
  /* Limits of all queues together; at the limit the longest queue loses its oldest datagram. */
  WAITING_MAX_COUNT = 1024,
  WAITING_MAX_BYTES = 512 * 1024,
};

struct waiting_datagram {
  struct waiting_datagram *next;
  struct peer peer;
  socklen_t address_length;
  int32_t length;
  uint8_t bytes[];
};

struct sender {
  struct waiting_datagram *first, *last;
  uint32_t count;
};

struct fair_queue {
  struct sender senders[SENDERS];
  /* A ring of the senders that have datagrams; the one at `turn` is next. */
  uint16_t ring[SENDERS];
  uint32_t turn, active, count, seed;
  size_t bytes;
};

int waiting_count(const struct transport *self) { return self->fair == NULL ? 0 : (int)self->fair->count; }

/* Of the address, without the port. */
static uint32_t hash_of(const struct fair_queue *fair, const struct sockaddr_in6 *address) {
  uint32_t hash = fair->seed, words[4] = {0};
  if (address->sin6_family == AF_INET6)
    memcpy(words, &address->sin6_addr, sizeof words);
  else
    memcpy(words, &((const struct sockaddr_in *)address)->sin_addr, sizeof words[0]);
  for (int i = 0; i < 4; i++) {
    hash = (hash ^ words[i]) * 0x9e3779b1u;
    hash ^= hash >> 15;
  }
  return hash % SENDERS;
}

static struct waiting_datagram *remove_first(struct fair_queue *fair, struct sender *sender) {
  struct waiting_datagram *first = sender->first;
  sender->first = first->next;
  sender->count--;
  fair->count--;
  fair->bytes -= (size_t)first->length;
  return first;
}

/* The queue keeps at least one datagram, so that its place in the ring is right. */
static void shed_oldest_of_longest(struct transport *self) {
  struct fair_queue *fair = self->fair;
  struct sender *longest = &fair->senders[0];
  for (int i = 1; i < SENDERS; i++)
    if (fair->senders[i].count > longest->count) longest = &fair->senders[i];
  if (longest->count < 2) return;
  struct waiting_datagram *shed = remove_first(fair, longest);
  self->stats[STAT_SHED]++;
  memcpy(self->shed_peer, &shed->peer, sizeof shed->peer);
  free(shed);
}

static void add_waiting(struct transport *self, int slot) {
  struct fair_queue *fair = self->fair;
  size_t length = (size_t)self->input_lengths[slot];
  struct waiting_datagram *added = malloc(sizeof *added + length);
  if (added == NULL) {
    self->stats[STAT_SHED]++;
    return;
  }
  added->next = NULL;
  added->peer = self->peers[slot];
  added->address_length = self->input_messages[slot].msg_hdr.msg_namelen;
  added->length = (int32_t)length;
  memcpy(added->bytes, self->input + (size_t)slot * self->slot_bytes, length);
  uint32_t hash = hash_of(fair, &added->peer.address);
  struct sender *sender = &fair->senders[hash];
  if (sender->count == 0) {
    sender->first = added;
    fair->ring[(fair->turn + fair->active++) % SENDERS] = (uint16_t)hash;
  } else {
    sender->last->next = added;
  }
  sender->last = added;
  sender->count++;
  fair->count++;
  fair->bytes += length;
}

/* Whether there is memory for queues. */
static int make_queues(struct transport *self) {
  if (self->fair == NULL) self->fair = calloc(1, sizeof *self->fair);
  return self->fair != NULL;
}

int wait_fairly(struct transport *self, int received) {
  if (!make_queues(self)) return 0;
  struct fair_queue *fair = self->fair;
  /* A client that shares a queue with a flood does so for a short time only. */
  if (fair->count == 0) fair->seed = (uint32_t)uv_hrtime();
  for (int slot = 0; slot < received; slot++) {
    add_waiting(self, slot);
    while (fair->count > WAITING_MAX_COUNT || fair->bytes > WAITING_MAX_BYTES) {
      uint32_t before = fair->count;
      shed_oldest_of_longest(self);
      if (fair->count == before) break;
    }
  }
  return 1;
}

int take_fairly(struct transport *self, int most) {
  struct fair_queue *fair = self->fair;
  int taken = 0;
  for (; taken < most && fair->active > 0; taken++) {
    uint16_t hash = fair->ring[fair->turn];
    struct sender *sender = &fair->senders[hash];
    struct waiting_datagram *first = remove_first(fair, sender);
    fair->turn = (fair->turn + 1) % SENDERS;
    fair->active--;
    if (sender->count > 0) fair->ring[(fair->turn + fair->active++) % SENDERS] = hash;
    self->peers[taken] = first->peer;
    self->input_messages[taken].msg_hdr.msg_namelen = first->address_length;
    self->input_lengths[taken] = first->length;
    self->output_lengths[taken] = 0;
    memcpy(self->input + (size_t)taken * self->slot_bytes, first->bytes, (size_t)first->length);
    free(first);
  }
  return taken;
}

void free_waiting(struct transport *self) {
  struct fair_queue *fair = self->fair;
  if (fair == NULL) return;
  while (fair->active > 0) {
    struct sender *sender = &fair->senders[fair->ring[fair->turn]];
    while (sender->count > 0) free(remove_first(fair, sender));
    fair->turn = (fair->turn + 1) % SENDERS;
    fair->active--;
  }
  free(fair);
  self->fair = NULL;
}
