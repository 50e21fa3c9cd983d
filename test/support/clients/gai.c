/*
 * Looks a name up as a program in a container does: getaddrinfo of the libc it is linked with.
 * Prints one address a line; exit code 0 found, 1 not found (the reason on standard error), 2 wrong use.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static const void *address_of(const struct addrinfo *info) {
  if (info->ai_family == AF_INET) return &((const struct sockaddr_in *)info->ai_addr)->sin_addr;
  return &((const struct sockaddr_in6 *)info->ai_addr)->sin6_addr;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: gai NAME\n");
    return 2;
  }
  struct addrinfo hints;
  memset(&hints, 0, sizeof hints);
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;

  struct addrinfo *found = NULL;
  int error = getaddrinfo(argv[1], NULL, &hints, &found);
  if (error != 0) {
    fprintf(stderr, "%s\n", gai_strerror(error));
    return 1;
  }
  for (const struct addrinfo *info = found; info != NULL; info = info->ai_next) {
    char text[INET6_ADDRSTRLEN];
    if (inet_ntop(info->ai_family, address_of(info), text, sizeof text) != NULL) puts(text);
  }
  freeaddrinfo(found);
  return 0;
}
