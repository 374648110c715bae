#pragma once
#include <pthread.h>
#include <stddef.h>

/// Starts a joinable thread with every signal blocked but those that a fault of its own raises. 0 or -errno.
int linux_start_thread(
    pthread_t *_Nonnull thread, size_t stack_size, void *_Nullable (*_Nonnull body)(void *_Nullable),
    void *_Nullable argument);

/// Names the calling thread (top, gdb, /proc/PID/task/TID/comm); the kernel keeps 15 bytes. 0 or -errno.
int linux_name_thread(const char *_Nonnull name);

/// gettid(2) of the calling thread.
int linux_thread_id(void);
