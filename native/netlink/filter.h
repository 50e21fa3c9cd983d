/*
 * Netlink sockets of init: what the files of this folder share. `query.c` asks the kernel once, `watch.c` gets what it
 * reports by itself. Both drop in C what init does not look for: a large cluster's rules never become JavaScript's memory.
 */
#ifndef NODENS_NETLINK_FILTER_H
#define NODENS_NETLINK_FILTER_H

#include "../napi/napi_util.h"

#include <stddef.h>
#include <stdint.h>

#include <linux/netlink.h>

/* A longer datagram counts as lost. The kernel fills dumps up to 32 KiB, whatever the socket's buffer. */
enum { DATAGRAM_MAX_BYTES = 64 * 1024, FILTER_EXCLUDES = 0x8000 };

/*
 * Which messages pass: entries of a type (uint16), the length of a needle (uint16) and the needle, padded to a multiple of
 * four, as init/netlink/message.ts writes them. A message passes if it has the type and contains the needle of any entry,
 * and of no entry with FILTER_EXCLUDES in its length.
 */
struct filter {
  uint8_t *entries;
  size_t length;
};

/* Bytes of messages that passed, one after the other, each aligned as netlink aligns them. */
struct matches {
  uint8_t *bytes;
  size_t length, capacity;
  int count;
};

/*
 * A socket that stays open, because the kernel drops the tables that it owns when it is closed (`owner.c`). One query at a
 * time uses it, on a thread; it is closed when it is not in use. References: JavaScript's value, a query, the close.
 */
struct owner {
  int fd, is_busy, references;
};

/* A query begins or ends to use the socket. */
void use_owner(struct owner *owner);
void release_owner(struct owner *owner);

/* The next argument, a typed array, as a filter with a copy of its bytes. EINVAL if it is not one. */
void next_filter(struct arguments *arguments, struct filter *filter);

void free_filter(struct filter *filter);

int filter_passes(const struct filter *filter, const struct nlmsghdr *message);

/* Adds a message. Returns 0, or the errno: ENOMEM, or E2BIG where there would be more than `MATCHES_MAX_BYTES`. */
int add_match(struct matches *matches, const struct nlmsghdr *message);

/* A bound socket of this netlink protocol with these flags (SOCK_NONBLOCK), or -errno. */
int open_netlink(int protocol, int flags);

/* Reads one datagram of the kernel. Returns its length, 0 where another process sent it, or -errno. */
ssize_t receive_netlink(int fd, uint8_t *bytes, size_t size);

#endif
