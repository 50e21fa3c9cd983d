/*
 * What native/udp calls of Node and libuv, as stubs that do nothing, for programs without Node: the fuzzer and the script that
 * counts instructions. Each program has its own napi_make_callback, which stands for JavaScript.
 */
#ifndef NODE_STUBS_H
#define NODE_STUBS_H

int uv_poll_start(uv_poll_t *poll, int events, uv_poll_cb call) {
  (void)poll, (void)events, (void)call;
  return 0;
}

/* The program says how long batches take. */
uint64_t uv_hrtime(void) {
  static uint64_t now;
  return now += NANOSECONDS_BETWEEN_LOOKS;
}

napi_status napi_create_int32(napi_env env, int32_t value, napi_value *result) {
  (void)env, (void)value;
  *result = NULL;
  return napi_ok;
}

napi_status napi_open_handle_scope(napi_env env, napi_handle_scope *result) {
  (void)env;
  *result = NULL;
  return napi_ok;
}

napi_status napi_close_handle_scope(napi_env env, napi_handle_scope scope) {
  (void)env, (void)scope;
  return napi_ok;
}

napi_status napi_get_reference_value(napi_env env, napi_ref ref, napi_value *result) {
  (void)env, (void)ref;
  *result = NULL;
  return napi_ok;
}

napi_status napi_is_exception_pending(napi_env env, bool *result) {
  (void)env;
  *result = false;
  return napi_ok;
}

#endif
