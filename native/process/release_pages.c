/*
 * Lets go of pages of the program itself that were needed once.
 *
 * Of Node's 120 MB the start, the compilers and the collector touch 45, most of them once: parser, optimiser, tables. They
 * stay mapped and count as ours for as long as we run. They are the file's, unchanged: let go of, one that is used again
 * comes back from the kernel's page cache, 16 at a time, in about a microsecond.
 */
#include "../napi/addon.h"
#include "../napi/napi_util.h"

#include <link.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* The first object is the program. Only what is mapped without PF_W: a written page would be lost. */
static int release(struct dl_phdr_info *object, size_t size, void *unused) {
  (void)size;
  (void)unused;
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *part = &object->dlpi_phdr[i];
    if (part->p_type != PT_LOAD || (part->p_flags & PF_W) != 0) continue;
    uintptr_t start = object->dlpi_addr + part->p_vaddr;
    uintptr_t end = start + part->p_memsz;
    start = (start + page - 1) / page * page;
    end = end / page * page;
    /* Where it is refused the pages stay: nothing is wrong then. */
    if (start < end) (void)madvise((void *)start, end - start, MADV_DONTNEED);
  }
  return 1;
}

/* releasePages() */
static napi_value release_pages(napi_env env, napi_callback_info info) {
  (void)env;
  (void)info;
  dl_iterate_phdr(release, NULL);
  return NULL;
}

void define_pages(napi_env env, napi_value exports) {
  napi_property_descriptor function = {
      "releasePages", NULL, release_pages, NULL, NULL, NULL, napi_enumerable, NULL};
  napi_define_properties(env, exports, 1, &function);
}
