/* What the functions that JavaScript calls have in common. */
#ifndef NODENS_NAPI_UTIL_H
#define NODENS_NAPI_UTIL_H

#include <netinet/in.h>
#include <sys/socket.h>

#include <node_api.h>

/* Throws an Error whose `code` is the system's name of `error`, as Node's own do. Returns NULL. */
napi_value throw_errno(napi_env env, const char *call, int error);

/* The socket address of a numeric address, v4 or v6 (with zone): 0 or not. */
int parse_address(const char *text, int port, struct sockaddr_in6 *address, socklen_t *length);

#endif
