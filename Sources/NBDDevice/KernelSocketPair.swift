import CNetlink
import Glibc

/// Whether the kernel took a socket that was offered to it.
public enum SocketAdoption: Equatable, Sendable {
    /// Requests have arrived on it.
    case inUse
    /// Nothing arrived, and nobody hung up.
    case quiet
    /// The kernel dropped it: no slot of the device was dead. Make the old sockets die and offer another.
    case dropped
}

/// The two ends of a socket between the daemon and the kernel's NBD driver, close-on-exec both.
public struct KernelSocketPair: ~Copyable {
    /// Where requests arrive and replies are written.
    public let daemonEnd: Int32
    /// What goes into a `ConnectRequest` or `ReconnectRequest`; -1 once closed.
    public private(set) var kernelEnd: Int32

    /// - Parameter bufferBytes: room in each direction; nil leaves the system's default. More than
    ///   `net.core.wmem_max` needs CAP_NET_ADMIN and is cut to it otherwise.
    public init(bufferBytes: Int32? = nil) throws(NBDDeviceError) {
        var pair = [Int32](repeating: -1, count: 2)
        // The driver takes TCP and AF_UNIX SOCK_STREAM only.
        guard unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &pair) == 0
        else {
            throw .system(call: "socketpair", subject: "an NBD device", errno: errno)
        }
        daemonEnd = pair[0]
        kernelEnd = pair[1]
        if var bytes = bufferBytes {
            let byteCount = socklen_t(MemoryLayout<Int32>.size)
            for end in pair where unsafe setsockopt(end, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, byteCount) != 0 {
                _ = unsafe setsockopt(end, SOL_SOCKET, SO_SNDBUF, &bytes, byteCount)
            }
        }
    }

    deinit {
        close(daemonEnd)
        if kernelEnd >= 0 { close(kernelEnd) }
    }

    /// As soon as the call has ended: a copy that stays open here hides the kernel's hanging up.
    public mutating func closeKernelEnd() {
        if kernelEnd >= 0 { close(kernelEnd) }
        kernelEnd = -1
    }

    /// Hands over the daemon's end; the kernel's end is closed.
    public consuming func takeDaemonEnd() -> Int32 {
        closeKernelEnd()
        let end = daemonEnd
        discard self
        return end
    }

    /// Hands over both ends.
    public consuming func takeEnds() -> (daemon: Int32, kernel: Int32) {
        let ends = (daemonEnd, kernelEnd)
        discard self
        return ends
    }

    /// Watches the daemon's end after a reconnect, without reading from it. All copies of the kernel's end in
    /// this and other processes must be closed before.
    /// - Parameter quietMilliseconds: how long no hang-up must come. The kernel drops a socket before it
    ///   answers the call, so a few are enough.
    public static func verifyAdopted(daemonEnd: Int32, quietMilliseconds: Int = 20) -> SocketAdoption {
        let deadline = monotonicMilliseconds() + quietMilliseconds
        while true {
            var waiting = pollfd(fd: daemonEnd, events: Int16(POLLIN) | causeway_pollrdhup(), revents: 0)
            let left = max(0, deadline - monotonicMilliseconds())
            let ready = unsafe poll(&waiting, 1, Int32(clamping: left))
            if ready == 0 { return .quiet }
            if ready < 0 { continue }
            var byte: UInt8 = 0
            let flags = Int32(MSG_PEEK | MSG_DONTWAIT)
            switch unsafe recv(daemonEnd, &byte, 1, flags) {
            case 1...: return waiting.revents & Int16(POLLHUP) == 0 ? .inUse : .dropped
            case 0: return .dropped
            default: if errno != EINTR, errno != EAGAIN { return .dropped }
            }
        }
    }
}
