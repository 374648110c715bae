#pragma once
#include <stdbool.h>
#include <stdint.h>

/// Counts what the calling thread takes from and gives back to the heap, so that a test can show that a
/// piece of code allocates nothing. Linked into a test, it stands in for glibc's malloc in the whole process.
///
/// The first use of a Swift type makes metadata on the heap: run the code once before counting.

/// Blocks that this thread has asked for since it began: malloc, calloc, realloc and their aligned relatives.
uint64_t mc_mallocs(void);

/// Blocks that this thread has given back since it began.
uint64_t mc_frees(void);

/// False where another allocator is in the way (a sanitizer's): the counts then stay at zero and prove
/// nothing.
bool mc_is_counting(void);
