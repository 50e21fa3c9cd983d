#include "napi_util.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include <uv.h>

static void fail(struct arguments *arguments, int error) {
  if (arguments->error == 0) arguments->error = error;
}

void read_arguments(napi_env env, napi_callback_info info, struct arguments *arguments) {
  size_t count = MAX_ARGUMENTS;
  *arguments = (struct arguments){.env = env};
  /* Node-API fills what the caller left out with undefined. */
  if (napi_get_cb_info(env, info, &count, arguments->values, NULL, NULL) != napi_ok) fail(arguments, EINVAL);
}

napi_value next_value(struct arguments *arguments) { return arguments->values[arguments->next++]; }

int32_t next_int32(struct arguments *arguments) {
  int32_t value = 0;
  if (napi_get_value_int32(arguments->env, next_value(arguments), &value) != napi_ok) fail(arguments, EINVAL);
  return value;
}

void next_text(struct arguments *arguments, char *text, size_t size) {
  napi_env env = arguments->env;
  napi_value value = next_value(arguments);
  size_t length;
  text[0] = '\0';
  /* Node-API cuts a string that does not fit, and does not say so: ask for the length first. */
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) {
    fail(arguments, EINVAL);
  } else if (length >= size) {
    fail(arguments, ENAMETOOLONG);
  } else if (napi_get_value_string_utf8(env, value, text, size, &length) != napi_ok) {
    fail(arguments, EINVAL);
  }
}

void next_endpoint(struct arguments *arguments, struct endpoint *endpoint) {
  char text[INET6_ADDRSTRLEN + IF_NAMESIZE];
  next_text(arguments, text, sizeof text);
  int port = next_int32(arguments);
  *endpoint = (struct endpoint){.length = sizeof(struct sockaddr_in)};
  if (uv_ip4_addr(text, port, (struct sockaddr_in *)&endpoint->address) == 0) return;
  endpoint->length = sizeof endpoint->address;
  if (uv_ip6_addr(text, port, &endpoint->address) != 0) fail(arguments, EINVAL);
}

void *bytes_of(napi_env env, napi_value value, size_t *length) {
  napi_typedarray_type type;
  napi_value buffer;
  size_t count, offset;
  void *data;
  if (napi_get_typedarray_info(env, value, &type, &count, &data, &buffer, &offset) != napi_ok) return NULL;
  *length = count * (type == napi_int32_array || type == napi_uint32_array ? 4 : 1);
  return data;
}

void *next_bytes(struct arguments *arguments, size_t *length) {
  *length = 0;
  void *data = bytes_of(arguments->env, next_value(arguments), length);
  if (data == NULL) fail(arguments, EINVAL);
  return data;
}

void *next_external(struct arguments *arguments) {
  void *data = NULL;
  if (napi_get_value_external(arguments->env, next_value(arguments), &data) != napi_ok) fail(arguments, EINVAL);
  return data;
}

napi_value create_int32(napi_env env, int32_t value) {
  napi_value result;
  if (napi_create_int32(env, value, &result) != napi_ok) return throw_errno(env, "napi_create_int32", ENOMEM);
  return result;
}

napi_value create_errno_error(napi_env env, const char *call, int error) {
  char name[64], text[192];
  napi_value code, message, result;
  uv_err_name_r(-error, name, sizeof name);
  snprintf(text, sizeof text, "%s %s: %s", call, name, strerror(error));
  if (napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &code) != napi_ok ||
      napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message) != napi_ok ||
      napi_create_error(env, code, message, &result) != napi_ok)
    return NULL;
  return result;
}

napi_value throw_errno(napi_env env, const char *call, int error) {
  napi_value thrown = create_errno_error(env, call, error);
  if (thrown != NULL) napi_throw(env, thrown);
  return NULL;
}

void export_function(napi_env env, napi_value exports, const char *name, napi_callback function) {
  napi_property_descriptor property = {name, NULL, function, NULL, NULL, NULL, napi_enumerable, NULL};
  napi_define_properties(env, exports, 1, &property);
}
