#include "MallocCounter.h"
#include <errno.h>
#include <stddef.h>

// In the executable itself, so that reading them never allocates: a counter in a shared library may be
// reached through __tls_get_addr, which calls malloc on a thread's first use.
static _Thread_local uint64_t mallocs __attribute__((tls_model("initial-exec")));
static _Thread_local uint64_t frees __attribute__((tls_model("initial-exec")));

uint64_t mc_mallocs(void) { return mallocs; }
uint64_t mc_frees(void) { return frees; }

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define MC_SANITIZER 1
#endif
#endif

#if defined(__GLIBC__) && !defined(MC_SANITIZER)

// glibc's own names for its allocator (malloc/malloc.c); they stay reachable when the public names are taken.
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

bool mc_is_counting(void) { return true; }

void *malloc(size_t size) {
    mallocs++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    mallocs++;
    return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size) {
    mallocs++;
    if (block)
        frees++;
    return __libc_realloc(block, size);
}

void *reallocarray(void *block, size_t count, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(block, total);
}

void *memalign(size_t alignment, size_t size) {
    mallocs++;
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **block, size_t alignment, size_t size) {
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)))
        return EINVAL;
    void *got = memalign(alignment, size);
    if (!got)
        return ENOMEM;
    *block = got;
    return 0;
}

void free(void *block) {
    if (block)
        frees++;
    __libc_free(block);
}

#else

bool mc_is_counting(void) { return false; }

#endif
