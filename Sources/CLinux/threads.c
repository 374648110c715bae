#define _GNU_SOURCE
#include "threads.h"
#include <signal.h>
#include <unistd.h>

int linux_start_thread(pthread_t *thread, size_t stack_size, void *(*body)(void *), void *argument) {
    sigset_t signals;
    sigfillset(&signals);
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) sigdelset(&signals, faults[i]);

    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error) return -error;
    error = pthread_attr_setstacksize(&attributes, stack_size);
    if (!error) error = pthread_attr_setsigmask_np(&attributes, &signals);
    if (!error) error = pthread_create(thread, &attributes, body, argument);
    pthread_attr_destroy(&attributes);
    return -error;
}

int linux_name_thread(const char *name) { return -pthread_setname_np(pthread_self(), name); }

int linux_thread_id(void) { return gettid(); }
