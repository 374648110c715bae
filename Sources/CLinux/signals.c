#define _GNU_SOURCE
#include "signals.h"
#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/types.h>
#include <unistd.h>

int linux_signal_descriptor(uint64_t signals) {
    sigset_t set;
    sigemptyset(&set);
    for (int signal = 1; signal <= 64; signal++)
        if (signals >> (signal - 1) & 1) sigaddset(&set, signal);
    int error = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (error) return -error;
    int descriptor = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return descriptor < 0 ? -errno : descriptor;
}

int linux_read_signal(int descriptor) {
    struct signalfd_siginfo info;
    ssize_t n;
    do n = read(descriptor, &info, sizeof info);
    while (n < 0 && errno == EINTR);
    if (n < 0) return -errno;
    return n == (ssize_t)sizeof info ? (int)info.ssi_signo : -EIO;
}

int linux_ignore_signal(int number) {
    struct sigaction action = {.sa_handler = SIG_IGN};
    return sigaction(number, &action, NULL) < 0 ? -errno : 0;
}
