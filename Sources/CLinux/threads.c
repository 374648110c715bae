#define _GNU_SOURCE
#include "threads.h"
#include <signal.h>
#include <unistd.h>

int linux_start_thread(pthread_t *thread, size_t stack_size, void *(*body)(void *), void *argument) {
    sigset_t signals, before;
    sigfillset(&signals);
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) sigdelset(&signals, faults[i]);

    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error) return -error;
    error = pthread_attr_setstacksize(&attributes, stack_size);
    // Inherited, and not by pthread_attr_setsigmask_np: the sanitizers put the creator's signals in the place of these.
    if (!error) error = pthread_sigmask(SIG_SETMASK, &signals, &before);
    if (!error) {
        error = pthread_create(thread, &attributes, body, argument);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attributes);
    return -error;
}

int linux_name_thread(const char *name) { return -pthread_setname_np(pthread_self(), name); }

int linux_thread_id(void) { return gettid(); }
