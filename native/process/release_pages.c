/*
 * Unmaps pages of the node program that were needed once, and gives free memory of malloc back.
 *
 * Node's program has 120 MB. Its start, compilers and garbage collector touch 45 MB of it, most of them only once: parser,
 * optimiser, tables. These pages stay mapped and count against the memory of the process. They are unmodified pages of
 * a file: after they are released, one that is used again comes back from the page cache, 16 at a time, in a microsecond.
 */
#include "../napi/addon.h"
#include "../napi/napi_util.h"

#include <link.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <sys/mman.h>
#include <unistd.h>

/* Called for each loaded object; the first is the program, and the result 1 ends the iteration with it. */
static int release_object(struct dl_phdr_info *object, size_t size, void *unused) {
  (void)size, (void)unused;
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
    /* Changes to a writable page would be lost. */
    if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W) != 0) continue;
    uintptr_t start = object->dlpi_addr + segment->p_vaddr;
    uintptr_t end = start + segment->p_memsz;
    start = (start + page - 1) / page * page;
    end = end / page * page;
    /* If the kernel refuses, the pages stay: the process is larger, and works. */
    if (start < end) (void)madvise((void *)start, end - start, MADV_DONTNEED);
  }
  return 1;
}

/* releasePages() */
static napi_value release_pages(napi_env env, napi_callback_info info) {
  (void)env, (void)info;
  dl_iterate_phdr(release_object, NULL);
#ifdef __GLIBC__
  /* What is free between blocks in use stays mapped otherwise: half a megabyte, and more after a flood. */
  malloc_trim(0);
#endif
  return NULL;
}

void export_release_pages(napi_env env, napi_value exports) {
  export_function(env, exports, "releasePages", release_pages);
}
