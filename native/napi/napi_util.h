/* What all functions that JavaScript calls need: reading arguments, returning results and throwing errors. */
#ifndef NODENS_NAPI_UTIL_H
#define NODENS_NAPI_UTIL_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#include <node_api.h>

enum { MAX_ARGUMENTS = 6 };

/*
 * The arguments of a call, read in order by the functions below. `error` is 0, or the errno of the first argument that
 * could not be read; the caller checks it once, after the last argument. An unreadable argument yields 0, NULL or "".
 */
struct arguments {
  napi_env env;
  napi_value values[MAX_ARGUMENTS];
  size_t next;
  int error;
};

/* A socket address, IPv4 or IPv6. */
struct endpoint {
  struct sockaddr_in6 address;
  socklen_t length;
};

void read_arguments(napi_env env, napi_callback_info info, struct arguments *arguments);

/* Any value, also undefined. */
napi_value next_value(struct arguments *arguments);

int32_t next_int32(struct arguments *arguments);

/* A string that fits into `size` bytes with its final zero. ENAMETOOLONG if it does not. */
void next_text(struct arguments *arguments, char *text, size_t size);

/* Two arguments: a numeric address (IPv6 also with a zone) and a port. */
void next_endpoint(struct arguments *arguments, struct endpoint *endpoint);

/* The bytes of a typed array; JavaScript owns them. */
void *next_bytes(struct arguments *arguments, size_t *length);

/* What an external value points to. */
void *next_external(struct arguments *arguments);

/* The bytes of a typed array and how many they are; NULL if `value` is none. */
void *bytes_of(napi_env env, napi_value value, size_t *length);

/* NULL, with an exception pending, if it cannot be made. */
napi_value create_int32(napi_env env, int32_t value);

/* An Error like Node's own: `code` is the name of `error`, an errno, and the message also names the system call. */
napi_value create_errno_error(napi_env env, const char *call, int error);

/* Throws that error. Returns NULL, so that a function can return what this returns. */
napi_value throw_errno(napi_env env, const char *call, int error);

/* Adds a function to the exports of the addon. */
void export_function(napi_env env, napi_value exports, const char *name, napi_callback function);

#endif
