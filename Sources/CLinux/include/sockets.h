#pragma once
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

/// socket(2), close-on-exec and non-blocking. The descriptor or -errno.
int linux_socket(int family, int type, int protocol);
/// A pair of connected AF_UNIX stream sockets, close-on-exec and non-blocking. 0 or -errno.
int linux_socket_pair(int descriptors[_Nonnull 2]);
/// accept4(2), close-on-exec and non-blocking. The descriptor or -errno.
int linux_accept(int listener);
/// bind(2) and connect(2). 0 or -errno (-EINPROGRESS while a TCP connection is being made).
int linux_bind(int socket, const struct sockaddr_storage *_Nonnull address, socklen_t length);
int linux_connect(int socket, const struct sockaddr_storage *_Nonnull address, socklen_t length);
/// getsockname(2) and getpeername(2). 0 or -errno.
int linux_local_address(int socket, struct sockaddr_storage *_Nonnull address, socklen_t *_Nonnull length);
int linux_peer_address(int socket, struct sockaddr_storage *_Nonnull address, socklen_t *_Nonnull length);

/// Socket options that Causeway sets, so that Swift need not know which level each belongs to.
enum linux_socket_option {
    linux_option_no_delay,           // TCP_NODELAY
    linux_option_user_timeout,       // TCP_USER_TIMEOUT, milliseconds
    linux_option_quick_ack,          // TCP_QUICKACK
    linux_option_bind_without_port,  // IP_BIND_ADDRESS_NO_PORT
    linux_option_send_buffer,        // SO_SNDBUF, or SO_SNDBUFFORCE where allowed; bytes
    linux_option_receive_buffer,     // SO_RCVBUF, or SO_RCVBUFFORCE where allowed; bytes
    linux_option_reuse_address,      // SO_REUSEADDR
};
int linux_set_option(int socket, enum linux_socket_option option, int value);
/// The option's present value (buffers: what the kernel made of the wish, twice the bytes), or -errno.
int linux_get_option(int socket, enum linux_socket_option option);

/// SO_BINDTODEVICE. 0 or -errno.
int linux_bind_to_device(int socket, const char *_Nonnull interface);
/// SO_ERROR, which reading clears: 0, or the positive errno that ended the socket or its connect.
int linux_take_socket_error(int socket);

struct linux_peer {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};
/// SO_PEERCRED of an AF_UNIX socket, as they were when the peer connected. 0 or -errno.
int linux_peer_credentials(int socket, struct linux_peer *_Nonnull peer);

/// What Causeway reads of TCP_INFO (linux/tcp.h); times in microseconds and milliseconds as named.
struct linux_tcp_info {
    uint8_t state;
    uint8_t retransmits;  // consecutive time-outs of the segment now being sent again
    uint8_t backoff;
    uint32_t rtt_us;
    uint32_t rtt_variance_us;
    uint32_t minimum_rtt_us;
    uint32_t retransmission_timeout_us;
    uint32_t unacknowledged_segments;
    uint32_t lost_segments;
    uint32_t total_retransmits;
    uint32_t path_mtu;
    uint32_t send_segment_bytes;
    uint32_t congestion_window_segments;
    uint32_t last_data_sent_ms;
    uint32_t last_data_received_ms;
    uint32_t last_acknowledgement_received_ms;
    uint32_t unsent_bytes;
};
/// 0 or -errno.
int linux_read_tcp_info(int socket, struct linux_tcp_info *_Nonnull info);

/// Fills in the address of a file-system path, or of an abstract name when it starts with "@". Its length, or
/// -ENAMETOOLONG.
int linux_unix_address(
    const char *_Nonnull path, size_t length, struct sockaddr_storage *_Nonnull address);

/// Sends one datagram, with a descriptor beside it (SCM_RIGHTS) unless that is -1. 0 or -errno.
int linux_send_datagram(
    int socket, const struct sockaddr_storage *_Nonnull address, socklen_t address_length,
    const void *_Nonnull bytes, size_t count, int descriptor);
/// Receives up to `count` bytes and at most one descriptor sent beside them (-1 if none). Bytes, or -errno.
ssize_t linux_receive_with_descriptor(
    int socket, void *_Nonnull bytes, size_t count, int *_Nonnull descriptor);

/// A pipe, close-on-exec and non-blocking, of `byte_count` capacity where the kernel allows it: ends[0] is
/// read from. 0 or -errno.
int linux_pipe(int *_Nonnull ends, int byte_count);
