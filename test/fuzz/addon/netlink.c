/* The replies of the kernel to native/netfilter/socket_handoff.c, as libFuzzer makes them: any bytes in any number of datagrams. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

static const uint8_t *input;
static size_t left;

static ssize_t kernel_recv(int fd, void *into, size_t room, int flags) {
  (void)fd, (void)flags;
  if (left == 0) {
    errno = EAGAIN;
    return -1;
  }
  size_t length = (size_t)*input++ * 4;
  left--;
  if (length > left) length = left;
  if (length > room) length = room;
  memcpy(into, input, length);
  input += length;
  left -= length;
  return (ssize_t)length;
}

#define recv kernel_recv
#include "../../../native/netfilter/socket_handoff.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  input = data;
  left = size;
  read_replies(-1);
  return 0;
}
