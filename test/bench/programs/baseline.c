/*
 * The baseline: the cost of a UDP answer without a lookup. Reads up to 64 datagrams a call, turns each query into
 * a response by two bits of its header, and sends them back in one call. `baseline PORT`
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { BATCH = 64, SLOT = 4096, HEADER = 12 };

static uint8_t slots[BATCH][SLOT];
static struct sockaddr_in from[BATCH];
static struct iovec vectors[BATCH];
static struct mmsghdr messages[BATCH];

static int open_socket(int port) {
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  int bytes = 4 << 20;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) {
    perror("baseline: bind");
    exit(1);
  }
  return fd;
}

int main(int argc, char **argv) {
  int fd = open_socket(argc > 1 ? atoi(argv[1]) : 5300);
  for (;;) {
    for (int i = 0; i < BATCH; i++) {
      vectors[i] = (struct iovec){.iov_base = slots[i], .iov_len = SLOT};
      messages[i].msg_hdr = (struct msghdr){
          .msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &vectors[i], .msg_iovlen = 1};
    }
    int count = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
    if (count < 0) continue;
    for (int i = 0; i < count; i++) {
      vectors[i].iov_len = messages[i].msg_len;
      if (messages[i].msg_len < HEADER) continue;
      slots[i][2] |= 0x80; /* QR */
      slots[i][3] |= 0x80; /* RA */
    }
    for (int sent = 0; sent < count;) {
      int done = sendmmsg(fd, messages + sent, (unsigned)(count - sent), 0);
      sent += done > 0 ? done : 1;
    }
  }
}
