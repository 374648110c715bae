import CLinux

/// The buffer into which a netlink socket is read, one datagram at a time.
struct NetlinkDatagram {
    enum Received {
        case messages([NetlinkMessage])
        /// The kernel could not keep them all, or one did not fit.
        case lost
        case failed(Errno)
    }

    /// The kernel builds dumps of at most 32 KiB, and one link with many virtual functions may be longer.
    private var bytes = [UInt8](repeating: 0, count: 1 << 16)

    /// Does not wait unless told to; then EAGAIN says that nothing is there.
    mutating func receive(from socket: Int32, waitMilliseconds: Int32? = nil) -> Received {
        var truncated = false
        var fromKernel = false
        let count = unsafe bytes.withUnsafeMutableBytes { buffer -> Int in
            guard let start = buffer.baseAddress else { return 0 }
            return if let waitMilliseconds {
                unsafe linux_route_receive_wait(
                    socket, start, buffer.count, &truncated, &fromKernel, waitMilliseconds)
            } else {
                unsafe linux_route_receive(socket, start, buffer.count, &truncated, &fromKernel)
            }
        }
        guard count >= 0 else {
            let errno = Errno(rawValue: Int32(-count))
            return errno == .noBufferSpace ? .lost : .failed(errno)
        }
        // Any process may write to a netlink socket; only the kernel is believed.
        guard fromKernel else { return .messages([]) }
        guard !truncated else { return .lost }
        return .messages(unsafe NetlinkMessage.parse(bytes.span.bytes.extracting(0..<count)))
    }
}
