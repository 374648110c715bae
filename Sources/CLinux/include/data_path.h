#pragma once
/// The system calls of the data path. They never block and never touch the caller's errno: a negative result
/// is -errno. The mark tells Swift that they neither lock nor allocate, so that `@_noLocks` functions may
/// call them.

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define LINUX_DATA_PATH __attribute__((swift_attr("@_noLocks"))) static inline

/// Bytes received, 0 at the end of the stream, or -errno (-EAGAIN when nothing is there).
LINUX_DATA_PATH ssize_t linux_receive(int socket, void *_Nonnull bytes, size_t count) {
    ssize_t n;
    do n = recv(socket, bytes, count, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -(ssize_t)errno : n;
}

/// As `linux_receive`, into up to 1024 pieces (IOV_MAX).
LINUX_DATA_PATH ssize_t linux_receive_pieces(int socket, struct iovec *_Nonnull pieces, size_t piece_count) {
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = piece_count};
    ssize_t n;
    do n = recvmsg(socket, &message, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -(ssize_t)errno : n;
}

/// Bytes given to the kernel, or -errno (-EAGAIN when the socket's buffer is full). A peer that is gone is
/// -EPIPE, never a signal.
LINUX_DATA_PATH ssize_t linux_send(int socket, const void *_Nonnull bytes, size_t count) {
    ssize_t n;
    do n = send(socket, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -(ssize_t)errno : n;
}

/// As `linux_send`, from up to 1024 pieces (IOV_MAX). `more` says that further bytes follow at once, so that
/// TCP need not close the segment.
LINUX_DATA_PATH ssize_t linux_send_pieces(
    int socket, const struct iovec *_Nonnull pieces, size_t piece_count, _Bool more) {
    struct msghdr message = {.msg_iov = (struct iovec *)pieces, .msg_iovlen = piece_count};
    int flags = MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0);
    ssize_t n;
    do n = sendmsg(socket, &message, flags);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -(ssize_t)errno : n;
}

/// Has a timer go off at an absolute time of CLOCK_MONOTONIC.
LINUX_DATA_PATH void linux_timer_set(int timer, uint64_t nanoseconds) {
    struct itimerspec when = {
        .it_value = {.tv_sec = nanoseconds / 1000000000u, .tv_nsec = nanoseconds % 1000000000u}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/// Nanoseconds of CLOCK_MONOTONIC.
LINUX_DATA_PATH uint64_t linux_monotonic_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/// epoll_pwait2(2) without a signal mask; a negative timeout waits for ever. Events filled in, or -errno
/// (-ENOSYS before Linux 5.11).
LINUX_DATA_PATH int linux_epoll_wait_nanoseconds(
    int epoll, struct epoll_event *_Nonnull events, int capacity, int64_t timeout) {
#ifdef SYS_epoll_pwait2
    struct timespec limit = {.tv_sec = timeout / 1000000000, .tv_nsec = timeout % 1000000000};
    long n = syscall(SYS_epoll_pwait2, epoll, events, capacity, timeout < 0 ? NULL : &limit, NULL, 0);
    return n < 0 ? -errno : (int)n;
#else
    return -ENOSYS;
#endif
}

/// epoll_wait(2); a negative timeout waits for ever. Events filled in, or -errno.
LINUX_DATA_PATH int linux_epoll_wait_milliseconds(
    int epoll, struct epoll_event *_Nonnull events, int capacity, int timeout) {
    int n = epoll_wait(epoll, events, capacity, timeout);
    return n < 0 ? -errno : n;
}

/// Adds one to an eventfd's counter. A full counter (-EAGAIN) has woken its reader already and counts as
/// success.
LINUX_DATA_PATH int linux_eventfd_signal(int descriptor) {
    uint64_t one = 1;
    ssize_t n;
    do n = write(descriptor, &one, sizeof one);
    while (n < 0 && errno == EINTR);
    return n < 0 && errno != EAGAIN ? -errno : 0;
}

/// Takes an eventfd's counter back to zero and returns what it held.
LINUX_DATA_PATH uint64_t linux_eventfd_drain(int descriptor) {
    uint64_t count = 0;
    ssize_t n;
    do n = read(descriptor, &count, sizeof count);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof count ? count : 0;
}
