/* Stands in for node: prints its arguments and environment as JSON and whether it may bind UDP port 53. */
#include <errno.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static unsigned ambient(void) {
  unsigned set = 0;
  for (int cap = 0; cap < 32; cap++)
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1) set |= 1u << cap;
  return set;
}

static int bind_errno(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(53)};
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  return bind(fd, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
}

int main(int argc, char **argv) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  struct __user_cap_data_struct sets[2] = {{0}};
  syscall(SYS_capget, &header, sets);
  printf("{\"ambient\":%u,\"effective\":%u,\"bindErrno\":%d,\"argv\":[", ambient(),
         sets[0].effective, bind_errno());
  for (int i = 0; i < argc; i++) printf("%s\"%s\"", i == 0 ? "" : ",", argv[i]);
  puts("]}");
  return 0;
}
