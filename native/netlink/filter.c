/* Which netlink messages init looks at, and what `query.c` and `watch.c` do alike with their sockets. */
#include "filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What JavaScript gets at once: a node has few rules of nodens. */
enum { MATCHES_MAX_BYTES = 1024 * 1024, MATCHES_FIRST_BYTES = 4096 };

struct entry {
  uint16_t type, needle_length;
  int excludes;
};

enum { ENTRY_BYTES = 2 * sizeof(uint16_t) };

static size_t padded(size_t length) { return (length + 3) & ~(size_t)3; }

static struct entry read_entry(const uint8_t *bytes) {
  uint16_t head[2];
  memcpy(head, bytes, sizeof head);
  return (struct entry){head[0], head[1] & ~FILTER_EXCLUDES, (head[1] & FILTER_EXCLUDES) != 0};
}

static int is_well_formed(const uint8_t *bytes, size_t length) {
  size_t at = 0;
  while (at < length) {
    if (length - at < ENTRY_BYTES) return 0;
    struct entry entry = read_entry(bytes + at);
    at += ENTRY_BYTES;
    if (length - at < padded(entry.needle_length)) return 0;
    at += padded(entry.needle_length);
  }
  return length > 0;
}

void next_filter(struct arguments *arguments, struct filter *filter) {
  const uint8_t *bytes = next_bytes(arguments, &filter->length);
  filter->entries = NULL;
  if (arguments->error != 0) return;
  if (!is_well_formed(bytes, filter->length)) {
    arguments->error = EINVAL;
    return;
  }
  filter->entries = malloc(filter->length);
  if (filter->entries == NULL) arguments->error = ENOMEM;
  else memcpy(filter->entries, bytes, filter->length);
}

void free_filter(struct filter *filter) {
  free(filter->entries);
  filter->entries = NULL;
}

int filter_passes(const struct filter *filter, const struct nlmsghdr *message) {
  int passes = 0;
  for (size_t at = 0; at < filter->length;) {
    struct entry entry = read_entry(filter->entries + at);
    const uint8_t *needle = filter->entries + at + ENTRY_BYTES;
    if (entry.type == message->nlmsg_type &&
        memmem(NLMSG_DATA(message), NLMSG_PAYLOAD(message, 0), needle, entry.needle_length) != NULL) {
      if (entry.excludes) return 0;
      passes = 1;
    }
    at += ENTRY_BYTES + padded(entry.needle_length);
  }
  return passes;
}

int add_match(struct matches *matches, const struct nlmsghdr *message) {
  size_t aligned = NLMSG_ALIGN(message->nlmsg_len), needed = matches->length + aligned;
  if (needed > MATCHES_MAX_BYTES) return E2BIG;
  if (needed > matches->capacity) {
    size_t capacity = matches->capacity == 0 ? MATCHES_FIRST_BYTES : matches->capacity;
    while (capacity < needed) capacity *= 2;
    uint8_t *bytes = realloc(matches->bytes, capacity);
    if (bytes == NULL) return ENOMEM;
    matches->bytes = bytes;
    matches->capacity = capacity;
  }
  memset(matches->bytes + needed - aligned, 0, aligned);
  memcpy(matches->bytes + matches->length, message, message->nlmsg_len);
  matches->length = needed;
  matches->count++;
  return 0;
}

int open_netlink(int protocol, int flags) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, protocol);
  if (fd < 0) return -errno;
  struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  int error = errno;
  close(fd);
  return -error;
}

ssize_t receive_netlink(int fd, uint8_t *bytes, size_t size) {
  struct sockaddr_nl peer;
  struct iovec vector = {bytes, size};
  struct msghdr header = {
      .msg_name = &peer, .msg_namelen = sizeof peer, .msg_iov = &vector, .msg_iovlen = 1};
  ssize_t length;
  do {
    length = recvmsg(fd, &header, 0);
  } while (length < 0 && errno == EINTR);
  if (length < 0) return -errno;
  /* Any process may send to a netlink socket; the kernel has the address 0. */
  if (header.msg_namelen != sizeof peer || peer.nl_pid != 0) return 0;
  return (header.msg_flags & MSG_TRUNC) != 0 ? -EMSGSIZE : length;
}
