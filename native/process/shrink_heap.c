/*
 * Asks V8 for a full garbage collection that gives memory back: in small steps, and with a smaller young generation afterwards.
 *
 * V8 has a timer for that, for programs that are idle. In Node it waits for a heap that Node does not use, so it never
 * starts (docs/decisions/041-heap-after-a-burst.md).
 */
#include "../napi/addon.h"
#include "../napi/napi_util.h"

#include <stddef.h>

/*
 * Functions of V8's C++ interface, which Node-API does not offer, by the names that they have in the program. Weak: where
 * a Node does not have them, they are NULL and the heap stays as large as it is.
 */
#define OF_NODE __attribute__((weak, visibility("default")))
extern void *current_isolate(void) __asm__("_ZN2v87Isolate10GetCurrentEv") OF_NODE;
extern void notify_pressure(void *isolate, int level)
    __asm__("_ZN2v87Isolate26MemoryPressureNotificationENS_19MemoryPressureLevelE") OF_NODE;

/* v8::MemoryPressureLevel::kModerate: in steps. The next level would stop the program for it. */
enum { MODERATE = 1 };

/* shrinkHeap() */
static napi_value shrink_heap(napi_env env, napi_callback_info info) {
  (void)env, (void)info;
  if (current_isolate != NULL && notify_pressure != NULL)
    notify_pressure(current_isolate(), MODERATE);
  return NULL;
}

void export_shrink_heap(napi_env env, napi_value exports) {
  export_function(env, exports, "shrinkHeap", shrink_heap);
}
