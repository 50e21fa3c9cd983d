/* Each part of an addon has one function, which adds what the part offers to the `exports` that JavaScript sees. */
#ifndef NODENS_ADDON_H
#define NODENS_ADDON_H

#include <node_api.h>

/* The agent's addon. */
void export_udp(napi_env env, napi_value exports);
void export_tcp(napi_env env, napi_value exports);
void export_memory_holder(napi_env env, napi_value exports);
void export_clear_bytes(napi_env env, napi_value exports);
void export_shrink_heap(napi_env env, napi_value exports);

/* init's addon. */
void export_child_reaping(napi_env env, napi_value exports);
void export_netlink_owner(napi_env env, napi_value exports);
void export_netlink_query(napi_env env, napi_value exports);
void export_netlink_watch(napi_env env, napi_value exports);

/* Both. */
void export_release_pages(napi_env env, napi_value exports);

#endif
