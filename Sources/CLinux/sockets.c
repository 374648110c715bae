#define _GNU_SOURCE
#include "sockets.h"
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
// linux/tcp.h and netinet/tcp.h cannot be read together; only the kernel's has the whole of struct tcp_info.
#include <linux/tcp.h>

static int result(int value) { return value < 0 ? -errno : value; }

int linux_socket(int family, int type, int protocol) {
    return result(socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
}

int linux_socket_pair(int descriptors[2]) {
    return result(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, descriptors));
}

int linux_accept(int listener) {
    int fd;
    do fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    while (fd < 0 && errno == EINTR);
    return result(fd);
}

int linux_bind(int socket, const struct sockaddr_storage *address, socklen_t length) {
    return result(bind(socket, (const struct sockaddr *)address, length));
}

int linux_connect(int socket, const struct sockaddr_storage *address, socklen_t length) {
    return result(connect(socket, (const struct sockaddr *)address, length));
}

int linux_local_address(int socket, struct sockaddr_storage *address, socklen_t *length) {
    return result(getsockname(socket, (struct sockaddr *)address, length));
}

int linux_peer_address(int socket, struct sockaddr_storage *address, socklen_t *length) {
    return result(getpeername(socket, (struct sockaddr *)address, length));
}

int linux_set_option(int socket, enum linux_socket_option option, int value) {
    int level = SOL_SOCKET, name = 0, forced = 0;
    switch (option) {
    case linux_option_no_delay: level = IPPROTO_TCP, name = TCP_NODELAY; break;
    case linux_option_user_timeout: level = IPPROTO_TCP, name = TCP_USER_TIMEOUT; break;
    case linux_option_quick_ack: level = IPPROTO_TCP, name = TCP_QUICKACK; break;
    case linux_option_bind_without_port: level = IPPROTO_IP, name = IP_BIND_ADDRESS_NO_PORT; break;
    case linux_option_send_buffer: name = SO_SNDBUF, forced = SO_SNDBUFFORCE; break;
    case linux_option_receive_buffer: name = SO_RCVBUF, forced = SO_RCVBUFFORCE; break;
    case linux_option_reuse_address: name = SO_REUSEADDR; break;
    default: return -EINVAL;
    }
    if (forced && setsockopt(socket, level, forced, &value, sizeof value) == 0) return 0;
    return result(setsockopt(socket, level, name, &value, sizeof value));
}

int linux_get_option(int socket, enum linux_socket_option option) {
    int level = SOL_SOCKET, name = 0, value = 0;
    socklen_t length = sizeof value;
    switch (option) {
    case linux_option_no_delay: level = IPPROTO_TCP, name = TCP_NODELAY; break;
    case linux_option_user_timeout: level = IPPROTO_TCP, name = TCP_USER_TIMEOUT; break;
    case linux_option_quick_ack: level = IPPROTO_TCP, name = TCP_QUICKACK; break;
    case linux_option_bind_without_port: level = IPPROTO_IP, name = IP_BIND_ADDRESS_NO_PORT; break;
    case linux_option_send_buffer: name = SO_SNDBUF; break;
    case linux_option_receive_buffer: name = SO_RCVBUF; break;
    case linux_option_reuse_address: name = SO_REUSEADDR; break;
    default: return -EINVAL;
    }
    return getsockopt(socket, level, name, &value, &length) < 0 ? -errno : value;
}

int linux_bind_to_device(int socket, const char *interface) {
    return result(setsockopt(socket, SOL_SOCKET, SO_BINDTODEVICE, interface, strlen(interface) + 1));
}

int linux_take_socket_error(int socket) {
    int error = 0;
    socklen_t length = sizeof error;
    return getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length) < 0 ? errno : error;
}

int linux_peer_credentials(int socket, struct linux_peer *peer) {
    struct ucred credentials;
    socklen_t length = sizeof credentials;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0) return -errno;
    *peer = (struct linux_peer){.pid = credentials.pid, .uid = credentials.uid, .gid = credentials.gid};
    return 0;
}

int linux_read_tcp_info(int socket, struct linux_tcp_info *info) {
    struct tcp_info kernel = {0};  // an older kernel fills in less and the rest stays zero
    socklen_t length = sizeof kernel;
    if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &kernel, &length) < 0) return -errno;
    *info = (struct linux_tcp_info){
        .state = kernel.tcpi_state,
        .retransmits = kernel.tcpi_retransmits,
        .backoff = kernel.tcpi_backoff,
        .rtt_us = kernel.tcpi_rtt,
        .rtt_variance_us = kernel.tcpi_rttvar,
        .minimum_rtt_us = kernel.tcpi_min_rtt,
        .retransmission_timeout_us = kernel.tcpi_rto,
        .unacknowledged_segments = kernel.tcpi_unacked,
        .lost_segments = kernel.tcpi_lost,
        .total_retransmits = kernel.tcpi_total_retrans,
        .path_mtu = kernel.tcpi_pmtu,
        .send_segment_bytes = kernel.tcpi_snd_mss,
        .congestion_window_segments = kernel.tcpi_snd_cwnd,
        .last_data_sent_ms = kernel.tcpi_last_data_sent,
        .last_data_received_ms = kernel.tcpi_last_data_recv,
        .last_acknowledgement_received_ms = kernel.tcpi_last_ack_recv,
        .unsent_bytes = kernel.tcpi_notsent_bytes,
    };
    return 0;
}

int linux_unix_address(const char *path, size_t length, struct sockaddr_storage *address) {
    struct sockaddr_un *name = (struct sockaddr_un *)address;
    bool abstract = length > 0 && path[0] == '@';
    // The last byte stays zero: other programs read the path as a C string.
    if (length == 0 || length > sizeof name->sun_path - 1) return -ENAMETOOLONG;
    memset(name, 0, sizeof *name);
    name->sun_family = AF_UNIX;
    memcpy(name->sun_path, path, length);
    if (abstract) name->sun_path[0] = 0;
    return (int)(offsetof(struct sockaddr_un, sun_path) + length + (abstract ? 0 : 1));
}

int linux_send_datagram(
    int socket, const struct sockaddr_storage *address, socklen_t address_length, const void *bytes,
    size_t count, int descriptor) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec piece = {.iov_base = (void *)bytes, .iov_len = count};
    struct msghdr message = {
        .msg_name = (void *)address, .msg_namelen = address_length, .msg_iov = &piece, .msg_iovlen = 1};
    if (descriptor >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    }
    ssize_t n;
    do n = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

ssize_t linux_receive_with_descriptor(int socket, void *bytes, size_t count, int *descriptor) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec piece = {.iov_base = bytes, .iov_len = count};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.bytes};
    *descriptor = -1;
    ssize_t n;
    do n = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0) return -(ssize_t)errno;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header))
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS
            && header->cmsg_len == CMSG_LEN(sizeof(int)))
            memcpy(descriptor, CMSG_DATA(header), sizeof *descriptor);
    return n;
}

int linux_pipe(int *ends, int byte_count) {
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) return -errno;
    fcntl(ends[1], F_SETPIPE_SZ, byte_count);
    return 0;
}
