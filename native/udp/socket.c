/* Sockets for datagrams: bound for clients that ask, or connected to a server that is asked. */
#include "batch.h"

#include <errno.h>
#include <unistd.h>

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78 /* linux/in6.h, Linux 4.15 */
#endif

/*
 * Has the kernel say which address a datagram was for. An IPv6 address that is local by route only is on no interface: to
 * answer from it takes FREEBIND.
 */
static int ask_for_destination(int fd, int family) {
  int one = 1;
  if (family == AF_INET) return setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof one);
  setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &one, sizeof one);
  return setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof one);
}

static int settle(int fd, const struct place *place) {
  const struct sockaddr *address = (const struct sockaddr *)&place->address;
  int one = 1;
  if (place->is_connected) return connect(fd, address, place->length);
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0) return -1;
  if (address->sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) != 0) return -1;
  if (place->is_wildcard && ask_for_destination(fd, address->sa_family) != 0) return -1;
  return bind(fd, address, place->length);
}


int open_socket(const struct place *place) {
  int fd = socket(((const struct sockaddr *)&place->address)->sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  if (settle(fd, place) != 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  /* Both only help: without them there is less room for bursts, and no count of what was lost. FORCE needs a
   * capability that the agent does not have; it is tried for those who run as root. */
  int bytes = place->receive_bytes, one = 1;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0) {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  }
  /* The kernel keeps answers to an address that no host has until it gives the address up, and one such address fills a
   * buffer of the default size: answers to others must not wait for that. */
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0) {
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  }
  setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &one, sizeof one);
  return fd;
}
