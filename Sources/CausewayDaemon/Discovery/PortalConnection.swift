import CausewayCore
import Glibc
import LinuxSystem

/// A TCP connection to a portal that sends and receives whole PDUs and waits for them, with a deadline each
/// time.
///
/// For control threads: a lane never waits. Digests are never in use on it.
struct PortalConnection: ~Copyable {
    let route: Route
    private let socket: OwnedDescriptor

    /// Connects. A deadline that passes is the portal's silence, whatever the kernel still tries.
    init(_ route: Route, deadline: Instant) throws(PortalError) {
        socket = try Self.connect(route, deadline)
        self.route = route
    }

    private static func connect(_ route: Route, _ deadline: Instant) throws(PortalError) -> OwnedDescriptor {
        let socket: OwnedDescriptor
        do throws(SystemError) {
            socket = try TCPConnection.connect(route)
        } catch {
            throw PortalError(route, .cannotConnect(error))
        }
        guard try wait(socket.rawValue, POLLOUT, deadline, route, .connect) else {
            throw PortalError(route, .silent(.connect))
        }
        if let errno = TCPConnection.takeError(of: socket.rawValue) {
            let error = SystemError(call: "connect", errno: errno, subject: "\(route)")
            throw PortalError(route, .cannotConnect(error))
        }
        return socket
    }

    /// Sends a PDU; `data` is padded to whole words.
    func send(
        _ header: BasicHeaderSegment, data: [UInt8] = [], deadline: Instant, during step: PortalError.Step
    ) throws(PortalError) {
        assert(header.dataSegmentLength == data.count)
        let padded = header.paddedDataSegmentLength
        var bytes = [UInt8](repeating: 0, count: BasicHeaderSegment.byteCount + padded)
        unsafe bytes.withUnsafeMutableBytes { buffer in
            if let start = buffer.baseAddress { unsafe header.copy(to: start) }
        }
        bytes.replaceSubrange(
            BasicHeaderSegment.byteCount..<BasicHeaderSegment.byteCount + data.count, with: data)
        var sent = 0
        while sent < bytes.count {
            let count = unsafe bytes[sent...].withUnsafeBytes {
                unsafe Glibc.send(socket.rawValue, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count >= 0 {
                sent += count
                continue
            }
            try waitAfter(Errno(rawValue: Glibc.errno), "send", POLLOUT, deadline, step)
        }
    }

    /// Receives a PDU. A data segment longer than `limit` bytes, and any additional header segment, is a
    /// breach of the protocol before a byte of it is awaited.
    func receive(
        limit: Int, deadline: Instant, during step: PortalError.Step
    ) throws(PortalError) -> (header: BasicHeaderSegment, data: [UInt8]) {
        let bytes = try receive(count: BasicHeaderSegment.byteCount, deadline, step)
        let header = unsafe bytes.withUnsafeBytes { buffer -> BasicHeaderSegment in
            guard let start = buffer.baseAddress else { return BasicHeaderSegment() }
            return unsafe BasicHeaderSegment(copyingFrom: start)
        }
        guard header.fits(maxRecvDataSegmentLength: limit) else {
            throw PortalError(
                route,
                .protocolError(
                    "it announced a PDU with \(header.dataSegmentLength) bytes of data "
                        + "and \(header.totalAHSLength) words of additional headers; "
                        + "it may send \(limit) and none",
                    during: step))
        }
        var data = try receive(count: header.paddedDataSegmentLength, deadline, step)
        data.removeLast(data.count - header.dataSegmentLength)
        return (header, data)
    }

    private func receive(
        count: Int, _ deadline: Instant, _ step: PortalError.Step
    ) throws(PortalError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var have = 0
        while have < count {
            let received = unsafe bytes[have...].withUnsafeMutableBytes {
                unsafe Glibc.recv(socket.rawValue, $0.baseAddress, $0.count, 0)
            }
            if received == 0 { throw PortalError(route, .closed(step)) }
            if received > 0 {
                have += received
                // A peer that sends one byte at a time does not stretch the deadline.
                if have < count, LinuxSystem.MonotonicClock.now() >= deadline {
                    throw PortalError(route, .silent(step))
                }
                continue
            }
            try waitAfter(Errno(rawValue: Glibc.errno), "receive", POLLIN, deadline, step)
        }
        return bytes
    }

    /// After a call that could not go on: waits until it can, or throws what ended the connection.
    private func waitAfter(
        _ errno: Errno, _ call: String, _ events: Int32, _ deadline: Instant, _ step: PortalError.Step
    ) throws(PortalError) {
        switch errno {
        case .interrupted: return
        case .again:
            guard try Self.wait(socket.rawValue, events, deadline, route, step) else {
                throw PortalError(route, .silent(step))
            }
        case .connectionReset, .brokenPipe: throw PortalError(route, .closed(step))
        default:
            throw PortalError(
                route, .broken(SystemError(call: call, errno: errno, subject: "\(route)"), step))
        }
    }

    /// False when the deadline has passed.
    private static func wait(
        _ socket: Int32, _ events: Int32, _ deadline: Instant, _ route: Route, _ step: PortalError.Step
    ) throws(PortalError) -> Bool {
        while true {
            let left = deadline.nanoseconds(since: LinuxSystem.MonotonicClock.now())
            if left == 0 { return false }
            var entry = pollfd(fd: socket, events: Int16(events), revents: 0)
            // Rounded up, so that it does not spin through the last millisecond.
            let result = unsafe poll(&entry, 1, Int32(clamping: left / 1_000_000 + 1))
            if result > 0 { return true }
            if result < 0, Glibc.errno != EINTR {
                let error = SystemError(
                    call: "poll", errno: Errno(rawValue: Glibc.errno), subject: "\(route)")
                throw PortalError(route, .broken(error, step))
            }
        }
    }
}
