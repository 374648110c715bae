#pragma once
#include <linux/nbd-netlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

// Visible only with _GNU_SOURCE, which a module's header can no longer define (glibc 2.34 or newer has it).
int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);

// The environment as C sees it: Swift refuses the global because anyone may write to it.
static inline char *const *causeway_environment(void) {
    extern char **environ;
    return environ;
}

// POLLRDHUP is GNU-only; the value is part of the kernel's interface.
static inline short causeway_pollrdhup(void) { return 0x2000; }

// Major and minor number of a device number: macros that Swift does not import.
static inline unsigned causeway_major(dev_t device) { return gnu_dev_major(device); }
static inline unsigned causeway_minor(dev_t device) { return gnu_dev_minor(device); }
