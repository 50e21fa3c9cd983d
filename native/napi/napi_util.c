#include "napi_util.h"

#include <stdio.h>
#include <string.h>

#include <uv.h>

napi_value throw_errno(napi_env env, const char *call, int error) {
  char message[128];
  const char *name = uv_err_name(-error);
  snprintf(message, sizeof message, "%s %s: %s", call, name, strerror(error));
  napi_throw_error(env, name, message);
  return NULL;
}

int parse_address(const char *text, int port, struct sockaddr_in6 *address, socklen_t *length) {
  memset(address, 0, sizeof *address);
  struct sockaddr_in *v4 = (struct sockaddr_in *)address;
  if (uv_ip4_addr(text, port, v4) == 0) {
    *length = sizeof *v4;
    return 0;
  }
  *length = sizeof *address;
  return uv_ip6_addr(text, port, address);
}
