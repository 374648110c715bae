// Loaded into a target's process (LD_PRELOAD) to hold one write back, as a slow disk might.
//
// While the file $SLOW_PWRITE.armed exists, the first pwrite whose data begin with the mark below takes the
// file away, makes $SLOW_PWRITE.held, waits for $SLOW_PWRITE.release, writes, and makes $SLOW_PWRITE.ended.
// Every other write goes straight through, also the same data sent again.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MARK "GHOST WRITE "

static void path_of(char path[4096], const char *suffix)
{
    const char *prefix = getenv("SLOW_PWRITE");
    snprintf(path, 4096, "%s.%s", prefix ? prefix : "/nowhere", suffix);
}

static void make(const char *suffix)
{
    char path[4096];
    path_of(path, suffix);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static int holds(const void *data, size_t count)
{
    char path[4096];
    if (count < sizeof MARK - 1 || memcmp(data, MARK, sizeof MARK - 1) != 0)
        return 0;
    path_of(path, "armed");
    return unlink(path) == 0; // Of several writers only one succeeds.
}

ssize_t pwrite64(int fd, const void *data, size_t count, off64_t offset)
{
    static ssize_t (*next)(int, const void *, size_t, off64_t);
    char path[4096];
    ssize_t written;

    if (!next)
        next = dlsym(RTLD_NEXT, "pwrite64");
    if (!holds(data, count))
        return next(fd, data, count, offset);
    make("held");
    path_of(path, "release");
    while (access(path, F_OK) != 0)
        usleep(20000);
    written = next(fd, data, count, offset);
    make("ended");
    return written;
}

ssize_t pwrite(int fd, const void *data, size_t count, off_t offset)
{
    return pwrite64(fd, data, count, offset);
}
