/*
 * Looks names up as a program in a container does: getaddrinfo of the libc it is linked with.
 * `gai NAME` prints one address a line; exit code 0 found, 1 not found (the reason on standard error), 2 wrong use.
 * `gai -` reads names, one a line, and prints a line for each: the name, then its addresses or the reason.
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

/* Prints each address behind `before`; returns getaddrinfo's error. */
static int look_up(const char *name, const char *before, const char *after) {
  struct addrinfo hints;
  memset(&hints, 0, sizeof hints);
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;

  struct addrinfo *found = NULL;
  int error = getaddrinfo(name, NULL, &hints, &found);
  if (error != 0) return error;
  for (const struct addrinfo *info = found; info != NULL; info = info->ai_next) {
    char text[INET6_ADDRSTRLEN];
    if (inet_ntop(info->ai_family, address_of(info), text, sizeof text) != NULL)
      printf("%s%s%s", before, text, after);
  }
  freeaddrinfo(found);
  return 0;
}

static void look_up_all(void) {
  char name[1024];
  while (fgets(name, sizeof name, stdin) != NULL) {
    name[strcspn(name, "\n")] = '\0';
    fputs(name, stdout);
    int error = look_up(name, " ", "");
    if (error != 0) printf(" %s", gai_strerror(error));
    putchar('\n');
  }
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: gai NAME|-\n");
    return 2;
  }
  if (strcmp(argv[1], "-") == 0) {
    look_up_all();
    return 0;
  }
  int error = look_up(argv[1], "", "\n");
  if (error == 0) return 0;
  fprintf(stderr, "%s\n", gai_strerror(error));
  return 1;
}
