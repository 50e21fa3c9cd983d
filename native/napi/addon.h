/* What the parts of the addon share: one shared object, one list of functions for JavaScript. */
#ifndef NODENS_ADDON_H
#define NODENS_ADDON_H

#include <netinet/in.h>
#include <sys/socket.h>

#include <node_api.h>

/* Throws an Error whose `code` is the system's name of `error`, as Node's own do. Returns NULL. */
napi_value throw_errno(napi_env env, const char *call, int error);

/* The socket address of a numeric address, v4 or v6 (with zone): 0 or not. */
int parse_address(const char *text, int port, struct sockaddr_in6 *address, socklen_t *length);

/* Each adds its functions to `exports`. */
void define_batch(napi_env env, napi_value exports);
void define_steer(napi_env env, napi_value exports);
void define_companions(napi_env env, napi_value exports);
void define_pages(napi_env env, napi_value exports);
void define_lend(napi_env env, napi_value exports);

#endif
