/* The functions with which each part adds what it offers to the `exports` of an addon. */
#ifndef NODENS_ADDON_H
#define NODENS_ADDON_H

#include <node_api.h>

/* Of the agent's addon. */
void define_batch(napi_env env, napi_value exports);
void define_steer(napi_env env, napi_value exports);
void define_companions(napi_env env, napi_value exports);

/* Of init's addon. */
void define_lend(napi_env env, napi_value exports);
void define_child_reaping(napi_env env, napi_value exports);

/* Of both. */
void define_pages(napi_env env, napi_value exports);

#endif
