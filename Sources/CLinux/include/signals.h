#pragma once
#include <stdint.h>

/// Blocks the signals of the mask (bit n-1 for signal n) in the calling thread and those that it starts, and
/// makes a descriptor on which they are read, close-on-exec and non-blocking. The descriptor or -errno.
int linux_signal_descriptor(uint64_t signals);
/// The next signal's number, or -errno (-EAGAIN when none came).
int linux_read_signal(int descriptor);
/// Ignores a signal in the whole process. 0 or -errno.
int linux_ignore_signal(int signal);
