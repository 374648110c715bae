#pragma once
#include <errno.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

/// The descriptor, close-on-exec, or -errno.
static inline int linux_epoll_create(void) {
    int descriptor = epoll_create1(EPOLL_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

/// epoll_ctl(2) with the 64-bit form of the user data. 0 or -errno.
static inline int linux_epoll_control(
    int epoll, int operation, int descriptor, uint32_t events, uint64_t token) {
    struct epoll_event event = {.events = events, .data.u64 = token};
    return epoll_ctl(epoll, operation, descriptor, &event) < 0 ? -errno : 0;
}

/// The event's user data, without Swift having to spell the union of a packed structure.
__attribute__((swift_attr("@_noLocks"))) static inline uint64_t linux_epoll_token(
    const struct epoll_event *_Nonnull event) {
    return event->data.u64;
}

/// A timer on CLOCK_MONOTONIC, close-on-exec and non-blocking, or -errno.
static inline int linux_timer_create(void) {
    int descriptor = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    return descriptor < 0 ? -errno : descriptor;
}

/// The descriptor, close-on-exec and non-blocking, or -errno.
static inline int linux_eventfd_create(void) {
    int descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return descriptor < 0 ? -errno : descriptor;
}
