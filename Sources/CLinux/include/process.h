#pragma once
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/// prctl(2) with one argument: its result, or -errno.
int linux_prctl(int option, unsigned long argument);

/// mlockall(2) of everything mapped now and later; `on_fault` locks pages only as they are touched. 0 or
/// -errno.
int linux_lock_memory(_Bool on_fault);
/// mlockall(2) of what is mapped now, nothing later. 0 or -errno.
int linux_lock_present_memory(void);

/// Whether the calling thread holds capability `number` in its effective set (capabilities(7)).
_Bool linux_has_capability(unsigned number);

enum { linux_limit_open_files = RLIMIT_NOFILE, linux_limit_locked_memory = RLIMIT_MEMLOCK };

/// getrlimit(2) and setrlimit(2); UINT64_MAX stands for "no limit". 0 or -errno.
int linux_get_limit(int limit, uint64_t *_Nonnull soft, uint64_t *_Nonnull hard);
int linux_set_limit(int limit, uint64_t soft, uint64_t hard);

/// renameat2(2) that fails with -EEXIST instead of replacing anything. 0 or -errno.
int linux_rename_no_replace(const char *_Nonnull from, const char *_Nonnull to);

/// Moves the calling thread into a new, empty network namespace, which ends with its last user. 0 or -errno.
int linux_unshare_network(void);

/// open(2) of an existing path, close-on-exec. The descriptor or -errno.
int linux_open(const char *_Nonnull path, int flags);
