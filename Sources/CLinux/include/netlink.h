#pragma once
/// rtnetlink (rtnetlink(7)): the kernel's own headers, and the socket call whose address Swift would have to
/// cast.

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdint.h>
#include <sys/socket.h>

/// A NETLINK_ROUTE socket, close-on-exec and non-blocking, bound to the multicast groups of the mask
/// (RTMGRP_LINK and the like; 0 for requests only). The descriptor or -errno.
int linux_route_socket(uint32_t groups);

/// Asks for a dump (`RTM_GETLINK`, `RTM_GETADDR`) of every family. 0 or -errno.
int linux_route_request_dump(int socket, uint16_t type, uint32_t sequence);

/// One datagram: its length, or -errno. `truncated` says that it was longer than the buffer; `from_kernel`
/// that no other process sent it.
ssize_t linux_route_receive(
    int socket, void *_Nonnull bytes, size_t count, _Bool *_Nonnull truncated, _Bool *_Nonnull from_kernel);

/// As `linux_route_receive`, waiting at most `timeout` milliseconds for the datagram (-ETIMEDOUT).
ssize_t linux_route_receive_wait(
    int socket, void *_Nonnull bytes, size_t count, _Bool *_Nonnull truncated, _Bool *_Nonnull from_kernel,
    int timeout);
