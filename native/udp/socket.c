/* Makes UDP sockets: bound, for clients that ask, or connected to a server that is asked. */
#include "transport.h"

#include <errno.h>
#include <unistd.h>

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78 /* linux/in6.h, Linux 4.15 */
#endif

/* Makes the kernel report the destination address of each datagram. */
static int request_destination(int fd, int family) {
  int one = 1;
  if (family == AF_INET) return setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof one);
  /* An IPv6 address can be local by a route alone and on no interface. A reply from it needs FREEBIND. */
  setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &one, sizeof one);
  return setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof one);
}

/* 0, or -1 with errno. */
static int bind_or_connect(int fd, const struct socket_options *options) {
  const struct sockaddr *address = (const struct sockaddr *)&options->endpoint.address;
  int one = 1;
  if (options->is_connected) return connect(fd, address, options->endpoint.length);
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0) return -1;
  if (address->sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) != 0) return -1;
  if (options->is_wildcard && request_destination(fd, address->sa_family) != 0) return -1;
  return bind(fd, address, options->endpoint.length);
}

/* The FORCE variant needs CAP_NET_ADMIN, which only an agent that runs as root may have. */
static void set_buffer_bytes(int fd, int forced, int limited, int bytes) {
  if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof bytes) != 0)
    setsockopt(fd, SOL_SOCKET, limited, &bytes, sizeof bytes);
}

int open_socket(const struct socket_options *options) {
  int family = options->endpoint.address.sin6_family, one = 1;
  int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  if (bind_or_connect(fd, options) != 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  /* A socket without these options works, with less room for bursts and without a count of drops: ignore errors. */
  set_buffer_bytes(fd, SO_RCVBUFFORCE, SO_RCVBUF, options->receive_buffer_bytes);
  /*
   * The kernel keeps a reply to an address that no host has until neighbour discovery fails. One such address fills a
   * send buffer of the default size, and replies to all other clients would wait for it.
   */
  set_buffer_bytes(fd, SO_SNDBUFFORCE, SO_SNDBUF, options->receive_buffer_bytes);
  setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &one, sizeof one);
  return fd;
}
