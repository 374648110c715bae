#define _GNU_SOURCE
#include "netlink.h"
#include <poll.h>
#include <unistd.h>

int linux_route_socket(uint32_t groups) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd < 0) return -errno;
    // A burst of events (a switch that restarts) should fit; what does not is reported as ENOBUFS.
    int size = 1 << 20;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int linux_route_request_dump(int socket, uint16_t type, uint32_t sequence) {
    struct {
        struct nlmsghdr header;
        struct ifinfomsg body;  // the longest of the bodies; AF_UNSPEC in its first byte serves them all
    } request = {
        .header = {
            .nlmsg_len = sizeof request,
            .nlmsg_type = type,
            .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
            .nlmsg_seq = sequence,
        },
        .body = {.ifi_family = AF_UNSPEC},
    };
    if (type == RTM_GETADDR) request.header.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg));
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t n = sendto(
        socket, &request, request.header.nlmsg_len, MSG_NOSIGNAL, (struct sockaddr *)&kernel, sizeof kernel);
    return n < 0 ? -errno : 0;
}

ssize_t linux_route_receive(int socket, void *bytes, size_t count, _Bool *truncated, _Bool *from_kernel) {
    struct sockaddr_nl sender = {0};
    struct iovec piece = {.iov_base = bytes, .iov_len = count};
    struct msghdr message = {
        .msg_name = &sender, .msg_namelen = sizeof sender, .msg_iov = &piece, .msg_iovlen = 1};
    ssize_t n;
    do n = recvmsg(socket, &message, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    *truncated = n >= 0 && (message.msg_flags & MSG_TRUNC) != 0;
    *from_kernel = n >= 0 && message.msg_namelen == sizeof sender && sender.nl_pid == 0;
    return n < 0 ? -(ssize_t)errno : n;
}

ssize_t linux_route_receive_wait(
    int socket, void *bytes, size_t count, _Bool *truncated, _Bool *from_kernel, int timeout) {
    for (;;) {
        ssize_t n = linux_route_receive(socket, bytes, count, truncated, from_kernel);
        if (n != -EAGAIN) return n;
        struct pollfd wait = {.fd = socket, .events = POLLIN};
        int ready = poll(&wait, 1, timeout);
        if (ready == 0) return -ETIMEDOUT;
        if (ready < 0 && errno != EINTR) return -errno;
    }
}
