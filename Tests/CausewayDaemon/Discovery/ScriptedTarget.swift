import CausewayCore
import Glibc
import LinuxSystem
import Synchronization
import Testing

/// A target on loopback that plays a script on every connection, one connection at a time.
final class ScriptedTarget: Sendable {
    let address: SocketAddress
    private let isStopped = Mutex(false)
    /// Set once, before anyone else can see the target.
    nonisolated(unsafe) private var thread: Background?

    init(_ play: @escaping @Sendable (ScriptedPeer) throws -> Void) throws {
        let listener = try TCPConnection.listen(on: SocketAddress(IPAddress(v4: 0x7f00_0001), port: 0))
        address = try #require(TCPConnection.localAddress(of: listener.rawValue))
        let descriptor = listener.release()
        thread = try Background { [self] in
            while !isStopped.withLock({ $0 }) {
                var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                guard poll(&entry, 1, 20) > 0, let socket = try? TCPConnection.accept(descriptor) else {
                    continue
                }
                // The script ends where the initiator hangs up.
                try? play(ScriptedPeer(socket: socket.rawValue))
            }
            close(descriptor)
        }
    }

    func stop() {
        isStopped.withLock { $0 = true }
        thread?.join()
    }
}

/// The target's end of a connection.
struct ScriptedPeer {
    struct HungUp: Error {}
    /// What came was not what the script waits for.
    struct Unexpected: Error {}

    let socket: Int32
    /// Bytes of a write; small pieces arrive as pieces.
    var pieceLength = Int.max
    var statSN: UInt32 = 100

    init(socket: Int32) { self.socket = socket }

    func send(bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = Array(rest.prefix(pieceLength))
            let count = Glibc.send(socket, piece, piece.count, Int32(MSG_NOSIGNAL))
            if count < 0 {
                guard errno == EAGAIN else { throw HungUp() }
                try wait(POLLOUT)
                continue
            }
            rest = rest.dropFirst(count)
        }
    }

    /// The data are padded, the length is set.
    func send(_ header: BasicHeaderSegment, data: [UInt8] = []) throws {
        var header = header
        header.dataSegmentLength = data.count
        var bytes = [UInt8](repeating: 0, count: 48)
        bytes.withUnsafeMutableBytes { buffer in
            if let start = buffer.baseAddress { header.copy(to: start) }
        }
        try send(bytes: bytes + data + [UInt8](repeating: 0, count: -data.count & 3))
    }

    func receive() throws -> (header: BasicHeaderSegment, data: [UInt8]) {
        let bytes = try receive(count: 48)
        let header = bytes.withUnsafeBytes { buffer in
            buffer.baseAddress.map { BasicHeaderSegment(copyingFrom: $0) } ?? BasicHeaderSegment()
        }
        let data = try receive(count: header.paddedDataSegmentLength)
        return (header, Array(data.prefix(header.dataSegmentLength)))
    }

    /// Listens and says nothing until the initiator hangs up.
    func stayMute() throws {
        while true { _ = try receive(count: 1) }
    }

    private func receive(count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var have = 0
        while have < count {
            let received = bytes[have...].withUnsafeMutableBytes { recv(socket, $0.baseAddress, $0.count, 0) }
            if received == 0 { throw HungUp() }
            if received < 0 {
                guard errno == EAGAIN else { throw HungUp() }
                try wait(POLLIN)
                continue
            }
            have += received
        }
        return bytes
    }

    private func wait(_ events: Int32) throws {
        var entry = pollfd(fd: socket, events: Int16(events), revents: 0)
        // Long enough for any machine; a test never waits for it.
        guard poll(&entry, 1, 30_000) > 0 else { throw HungUp() }
    }

    /// A PDU of the target with StatSN and a window of `window` commands from `expCmdSN` on.
    mutating func answer(
        _ opcode: Opcode, to request: BasicHeaderSegment, byte1: UInt8 = 0x80, expCmdSN: UInt32 = 1,
        window: UInt32 = 64, hasStatus: Bool = true
    ) -> BasicHeaderSegment {
        var header = BasicHeaderSegment(opcode: opcode)
        header[byte: 1] = byte1
        header.initiatorTaskTag = request.initiatorTaskTag
        header[6] = statSN
        header[7] = expCmdSN
        header[8] = expCmdSN &+ window &- 1
        if hasStatus { statSN &+= 1 }
        return header
    }

    /// Answers a login of two stages without a question. Returns what the initiator sent, one pair a line.
    mutating func logIn(window: UInt32 = 64, tsih: UInt32 = 7) throws -> [String] {
        var lines: [String] = []
        while true {
            let (request, data) = try receive()
            guard request.opcode == .loginRequest else { throw Unexpected() }
            lines += data.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            let isLast = request[byte: 1] & 3 == 3
            var response = answer(.loginResponse, to: request, byte1: request[byte: 1], window: window)
            response[2] = request[2]
            response[3] = request[3] & 0xffff_0000 | tsih
            let text =
                isLast ? "MaxRecvDataSegmentLength=8192\0" : "AuthMethod=None\0TargetPortalGroupTag=1\0"
            try send(response, data: Array(text.utf8))
            if isLast { return lines }
        }
    }

    /// Refuses the login that comes, with `status` and with `text` as its data.
    mutating func refuseLogin(_ status: UInt16, _ text: String = "") throws {
        let (request, _) = try receive()
        var response = answer(.loginResponse, to: request, byte1: 0)
        response[2] = request[2]
        response[3] = request[3]
        response[9] = UInt32(status) << 16
        try send(response, data: Array(text.utf8))
    }

    /// A whole discovery session that lists `text` in parts, with a ping between them.
    mutating func discover(_ parts: [String]) throws {
        _ = try logIn(tsih: 0)
        for (index, part) in parts.enumerated() {
            let (request, _) = try receive()
            guard request.opcode == .textRequest else { throw Unexpected() }
            if index > 0 { try ping() }
            let isLast = index == parts.count - 1
            // F, or C with a Target Transfer Tag.
            var response = answer(.textResponse, to: request, byte1: isLast ? 0x80 : 0x40)
            response[5] = isLast ? reservedTag : 9
            try send(response, data: Array(part.utf8))
        }
        try logOut()
    }

    mutating func logOut() throws {
        let (request, _) = try receive()
        guard request.opcode == .logoutRequest else { throw Unexpected() }
        try send(answer(.logoutResponse, to: request))
    }

    /// A ping of the target, answered.
    mutating func ping() throws {
        var ping = BasicHeaderSegment(opcode: .nopIn)
        ping[byte: 1] = 0x80
        ping.initiatorTaskTag = reservedTag
        ping[5] = 0x55
        ping[6] = statSN
        ping[7] = 1
        ping[8] = 64
        try send(ping)
        let (answer, _) = try receive()
        guard answer.opcode == .nopOut, answer[5] == 0x55 else { throw Unexpected() }
    }
}
