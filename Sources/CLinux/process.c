#define _GNU_SOURCE
#include "process.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int result(int value) { return value < 0 ? -errno : value; }

int linux_prctl(int option, unsigned long argument) { return result(prctl(option, argument, 0ul, 0ul, 0ul)); }

int linux_lock_memory(_Bool on_fault) {
    return result(mlockall(MCL_CURRENT | MCL_FUTURE | (on_fault ? MCL_ONFAULT : 0)));
}

int linux_lock_present_memory(void) { return result(mlockall(MCL_CURRENT)); }

_Bool linux_has_capability(unsigned number) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
    if (number >= 32 * _LINUX_CAPABILITY_U32S_3 || syscall(SYS_capget, &header, data) < 0) return 0;
    return (data[number / 32].effective >> (number % 32)) & 1;
}

int linux_get_limit(int limit, uint64_t *soft, uint64_t *hard) {
    struct rlimit value;
    if (getrlimit(limit, &value) < 0) return -errno;
    *soft = value.rlim_cur == RLIM_INFINITY ? UINT64_MAX : value.rlim_cur;
    *hard = value.rlim_max == RLIM_INFINITY ? UINT64_MAX : value.rlim_max;
    return 0;
}

int linux_set_limit(int limit, uint64_t soft, uint64_t hard) {
    struct rlimit value = {
        .rlim_cur = soft == UINT64_MAX ? RLIM_INFINITY : soft,
        .rlim_max = hard == UINT64_MAX ? RLIM_INFINITY : hard,
    };
    return result(setrlimit(limit, &value));
}

int linux_rename_no_replace(const char *from, const char *to) {
    return result(renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE));
}

int linux_unshare_network(void) { return result(unshare(CLONE_NEWNET)); }

int linux_open(const char *path, int flags) { return result(open(path, flags | O_CLOEXEC)); }
