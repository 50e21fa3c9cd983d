/*
 * The upstream of every subject: answers at once, over UDP and over pipelined TCP, so that a miss costs only what the subject
 * spends on it. A and AAAA get one record of an hour; a name whose first label begins with `nx` gets NXDOMAIN with a
 * SOA. `upstream PORT`
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 64, SLOT = 2048, HEADER = 12, TYPE_A = 1, TYPE_SOA = 6, TYPE_AAAA = 28, READ = 65536 };

struct connection {
  int fd;
  size_t have;
  uint8_t in[READ];
};

static uint8_t slots[BATCH][SLOT], outs[BATCH][SLOT];
static struct sockaddr_in from[BATCH];
static struct iovec in_vectors[BATCH], out_vectors[BATCH];
static struct mmsghdr in_messages[BATCH], out_messages[BATCH];
static uint8_t reply[READ * 8];

static uint8_t *put(uint8_t *at, const void *bytes, size_t count) {
  memcpy(at, bytes, count);
  return at + count;
}

/* Owner (a pointer to the question), type, class IN, a TTL of an hour, RDLENGTH, RDATA. */
static uint8_t *put_record(uint8_t *at, int type, const void *rdata, size_t length) {
  const uint8_t fixed[] = {0xc0, HEADER, 0, (uint8_t)type, 0, 1, 0, 0, 0x0e, 0x10, 0, (uint8_t)length};
  return put(put(at, fixed, sizeof fixed), rdata, length);
}

/* Writes the answer to `query` into `out` (SLOT bytes) and returns its length; 0 where it is no query. */
static size_t answer(const uint8_t *query, size_t length, uint8_t *out) {
  static const uint8_t address[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
  static const uint8_t soa[] = {0, 0, 0, 0, 0, 1, 0, 0, 0x0e, 0x10, 0, 0, 3, 0x84, 0, 9, 0x3a, 0x80, 0, 0, 0x0e, 0x10};
  static const uint8_t opt[] = {0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0};
  size_t end = HEADER;
  while (end < length && query[end] != 0) end += query[end] + 1u;
  if (end + 5 > length || end + 128 > SLOT) return 0;
  int type = query[end + 1] << 8 | query[end + 2];
  int is_denial = query[HEADER] >= 2 && query[HEADER + 1] == 'n' && query[HEADER + 2] == 'x';
  int has_answer = !is_denial && (type == TYPE_A || type == TYPE_AAAA);
  uint8_t *at = put(out, query, end + 5);
  out[2] = 0x81 | (query[2] & 0x01);
  out[3] = is_denial ? 0x83 : 0x80;
  memset(out + 6, 0, 6);
  if (has_answer) {
    out[7] = 1;
    at = put_record(at, type, address, type == TYPE_A ? 4 : 16);
  } else {
    out[9] = 1;
    at = put_record(at, TYPE_SOA, soa, sizeof soa);
  }
  if (query[11] != 0) {
    out[11] = 1;
    at = put(at, opt, sizeof opt);
  }
  return (size_t)(at - out);
}

static void serve_udp(int fd) {
  for (int i = 0; i < BATCH; i++) {
    in_vectors[i] = (struct iovec){.iov_base = slots[i], .iov_len = SLOT};
    in_messages[i].msg_hdr = (struct msghdr){
        .msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &in_vectors[i], .msg_iovlen = 1};
  }
  int received = recvmmsg(fd, in_messages, BATCH, MSG_DONTWAIT, NULL), count = 0;
  for (int i = 0; i < received; i++) {
    size_t length = answer(slots[i], in_messages[i].msg_len, outs[count]);
    if (length == 0) continue;
    out_vectors[count] = (struct iovec){.iov_base = outs[count], .iov_len = length};
    out_messages[count].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                                 .msg_namelen = in_messages[i].msg_hdr.msg_namelen,
                                                 .msg_iov = &out_vectors[count],
                                                 .msg_iovlen = 1};
    count++;
  }
  if (count > 0) sendmmsg(fd, out_messages, (unsigned)count, 0);
}

/* Answers every complete frame that has arrived (RFC 1035 §4.2.2), all in one write; -1 when the connection is over. */
static int serve_tcp(struct connection *self) {
  ssize_t got = recv(self->fd, self->in + self->have, READ - self->have, MSG_DONTWAIT);
  if (got <= 0) return -1;
  self->have += (size_t)got;
  size_t used = 0, total = 0;
  while (self->have - used >= 2) {
    size_t length = (size_t)self->in[used] << 8 | self->in[used + 1];
    if (self->have - used - 2 < length || total + SLOT + 2 > sizeof reply) break;
    size_t written = answer(self->in + used + 2, length, reply + total + 2);
    reply[total] = (uint8_t)(written >> 8);
    reply[total + 1] = (uint8_t)written;
    if (written > 0) total += written + 2;
    used += length + 2;
  }
  memmove(self->in, self->in + used, self->have - used);
  self->have -= used;
  for (size_t sent = 0; sent < total;) {
    ssize_t done = send(self->fd, reply + sent, total - sent, MSG_NOSIGNAL);
    if (done <= 0) return -1;
    sent += (size_t)done;
  }
  return 0;
}

static int bound(int type, int port) {
  int fd = socket(AF_INET, type, 0), one = 1, bytes = 8 << 20;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || (type == SOCK_STREAM && listen(fd, 512) != 0)) {
    perror("upstream");
    exit(1);
  }
  return fd;
}

static void watch(int epoll, int fd, void *what) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};
  epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static void take(int epoll, int listener) {
  int one = 1, fd = accept(listener, NULL, NULL);
  struct connection *made = fd < 0 ? NULL : calloc(1, sizeof *made);
  if (made == NULL) return;
  made->fd = fd;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  watch(epoll, fd, made);
}

int main(int argc, char **argv) {
  int port = argc > 1 ? atoi(argv[1]) : 5301;
  int udp = bound(SOCK_DGRAM, port), listener = bound(SOCK_STREAM, port), epoll = epoll_create1(0);
  struct epoll_event events[BATCH];
  watch(epoll, udp, &udp);
  watch(epoll, listener, &listener);
  for (;;) {
    int count = epoll_wait(epoll, events, BATCH, -1);
    for (int i = 0; i < count; i++) {
      void *what = events[i].data.ptr;
      if (what == &udp) {
        serve_udp(udp);
      } else if (what == &listener) {
        take(epoll, listener);
      } else if (serve_tcp(what) != 0) {
        close(((struct connection *)what)->fd);
        free(what);
      }
    }
  }
}
