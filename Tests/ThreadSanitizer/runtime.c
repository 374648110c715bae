/* What the thread sanitizer has to be told of Swift 6.3 on Linux. `make sanitize` links the tests with this file, and
 * with --wrap for each of the three functions. */
#include <stdint.h>

void __tsan_acquire(void *);
void __tsan_release(void *);

/* A Mutex that others wait for is taken and given back inside a library that the sanitizer does not see into: all that
 * its last owner has done happens before what the next one does. */
#define METHOD __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *handle
#define HANDLE(name) "$s15Synchronization12_MutexHandleV" name

METHOD void real_lock_slow(uint32_t, SELF) __asm__("__real_" HANDLE("9_lockSlowyys6UInt32VF"));
METHOD void wrapped_lock_slow(uint32_t, SELF) __asm__("__wrap_" HANDLE("9_lockSlowyys6UInt32VF"));
METHOD void real_unlock_slow(SELF) __asm__("__real_" HANDLE("11_unlockSlowyyF"));
METHOD void wrapped_unlock_slow(SELF) __asm__("__wrap_" HANDLE("11_unlockSlowyyF"));

METHOD void wrapped_lock_slow(uint32_t thread, SELF)
{
    real_lock_slow(thread, handle);
    __tsan_acquire(handle);
}

METHOD void wrapped_unlock_slow(SELF)
{
    __tsan_release(handle);
    real_unlock_slow(handle);
}

/* Whatever is passed inout counts as written. Of a value that cannot be copied and is only lent, the compiler names its
 * first word in place of its address. Reads and writes themselves are seen without it. */
void __wrap___tsan_external_write(void *address, void *caller, void *tag)
{
    (void)address, (void)caller, (void)tag;
}
