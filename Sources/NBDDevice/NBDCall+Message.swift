// How a call and its answer travel between the daemon and the process that makes it: one SOCK_SEQPACKET
// message each way, big-endian, so that a message is whole or absent. Both ends are the same program file.
//
//   call:    "NBDC" · version u8 · operation u8 · body
//   answer:  "NBDA" · version u8 · kind u8 · body
//   string:  length u16 · UTF-8 bytes;   optional: present u8 (0, 1) · value if present
//
// Sockets travel as their number only: they are inherited at `NBDCallRunner.firstSocket` and up.

/// The message is not one of this version.
struct MalformedMessage: Error, Equatable {}

enum NBDMessage {
    static let version: UInt8 = 1
    static let callMagic: UInt32 = 0x4e42_4443
    static let answerMagic: UInt32 = 0x4e42_4441
    /// Both ends allot this much. It also bounds the device list of an answer.
    static let byteCountMax = 64 * 1024
    static let deviceCountMax = 8192
}

extension NBDCall {
    func encoded() -> [UInt8] {
        var out = MessageWriter()
        out.put(NBDMessage.callMagic)
        out.put(NBDMessage.version)
        out.put(operation.rawValue)
        switch self {
        case .connect(let request):
            out.put(request.index) { $0.put($1) }
            out.put(request.sizeBytes)
            out.put(request.blockSizeBytes)
            out.put(request.timeoutSeconds)
            out.put(request.deadConnectionTimeoutSeconds)
            out.put(request.serverFlags.rawValue)
            out.put(request.clientFlags.rawValue)
            out.put(request.backendIdentifier)
            out.put(UInt8(truncatingIfNeeded: request.sockets.count))
        case .reconnect(let request):
            out.put(request.index)
            out.put(request.backendIdentifier)
            out.put(UInt8(truncatingIfNeeded: request.sockets.count))
        case .resize(let request):
            out.put(request.index)
            out.put(request.backendIdentifier)
            out.put(request.sizeBytes)
        case .disconnect(let index), .detach(let index):
            out.put(index)
        case .status:
            break
        case .tune(let index, let settings):
            out.put(index)
            out.put(settings)
        }
        return out.bytes
    }

    /// - Parameter firstSocket: the number of the first inherited socket; the others follow it.
    init(decoding bytes: [UInt8], firstSocket: Int32) throws(MalformedMessage) {
        var input = MessageReader(bytes)
        try input.expect(NBDMessage.callMagic)
        try input.expect(NBDMessage.version)
        guard let operation = NBDOperation(rawValue: try input.get()) else { throw MalformedMessage() }
        switch operation {
        case .connect:
            let index: UInt32? = try input.optional { input throws(MalformedMessage) in try input.get() }
            self = .connect(
                ConnectRequest(
                    index: index, sizeBytes: try input.get(), blockSizeBytes: try input.get(),
                    timeoutSeconds: try input.get(), deadConnectionTimeoutSeconds: try input.get(),
                    serverFlags: NBDServerFlags(rawValue: try input.get()),
                    clientFlags: NBDClientFlags(rawValue: try input.get()),
                    backendIdentifier: try input.string(), sockets: try input.sockets(from: firstSocket)))
        case .reconnect:
            self = .reconnect(
                ReconnectRequest(
                    index: try input.get(), backendIdentifier: try input.string(),
                    sockets: try input.sockets(from: firstSocket)))
        case .resize:
            self = .resize(
                ResizeRequest(
                    index: try input.get(), backendIdentifier: try input.string(), sizeBytes: try input.get())
            )
        case .disconnect: self = .disconnect(index: try input.get())
        case .status: self = .status
        case .tune: self = .tune(index: try input.get(), try input.queueSettings())
        case .detach: self = .detach(index: try input.get())
        }
        try input.expectEnd()
    }
}

/// What comes back: a result or the error as it was thrown there.
struct NBDAnswer: Equatable {
    var result: Result<NBDCallResult, NBDDeviceError>

    private enum Kind: UInt8 {
        case connected = 1
        case done = 2
        case devices = 3
        case tuned = 4
        case moduleAbsent = 129
        case familyHidden = 130
        case refused = 131
        case system = 132
        case invalid = 133
        case inUse = 134
        case noDevice = 135
        case unexpected = 136
        case replyWithoutIndex = 137
    }

    init(_ result: Result<NBDCallResult, NBDDeviceError>) { self.result = result }

    func encoded() -> [UInt8] {
        var out = MessageWriter()
        out.put(NBDMessage.answerMagic)
        out.put(NBDMessage.version)
        switch result {
        case .success(let value): Self.encode(value, to: &out)
        case .failure(let error): Self.encode(error, to: &out)
        }
        return out.bytes
    }

    private static func encode(_ value: NBDCallResult, to out: inout MessageWriter) {
        switch value {
        case .connected(let index):
            out.put(Kind.connected.rawValue)
            out.put(index)
        case .done:
            out.put(Kind.done.rawValue)
        case .devices(let devices):
            out.put(Kind.devices.rawValue)
            let devices = devices.prefix(NBDMessage.deviceCountMax)
            out.put(UInt16(truncatingIfNeeded: devices.count))
            for device in devices {
                out.put(device.index)
                out.put(device.connected ? 1 : 0 as UInt8)
            }
        case .tuned(let settings):
            out.put(Kind.tuned.rawValue)
            out.put(settings)
        }
    }

    private static func encode(_ error: NBDDeviceError, to out: inout MessageWriter) {
        switch error {
        case .moduleAbsent(let detail):
            out.put(Kind.moduleAbsent.rawValue)
            out.put(detail)
        case .familyHidden:
            out.put(Kind.familyHidden.rawValue)
        case .refused(let operation, let index, let errno):
            out.put(Kind.refused.rawValue)
            out.put(operation.rawValue)
            out.put(index) { $0.put($1) }
            out.put(UInt32(bitPattern: errno))
        case .system(let call, let subject, let errno):
            out.put(Kind.system.rawValue)
            out.put(call)
            out.put(subject)
            out.put(UInt32(bitPattern: errno))
        case .invalid(let operation, let reason):
            out.put(Kind.invalid.rawValue)
            out.put(operation.rawValue)
            out.put(reason)
        case .inUse(let index):
            out.put(Kind.inUse.rawValue)
            out.put(index)
        case .noDevice(let index):
            out.put(Kind.noDevice.rawValue)
            out.put(index)
        case .unexpected(let path, let content):
            out.put(Kind.unexpected.rawValue)
            out.put(path)
            out.put(content)
        // The second cannot come from the process that makes the call: it has no helper of its own.
        case .replyWithoutIndex, .helperFailed:
            out.put(Kind.replyWithoutIndex.rawValue)
        }
    }

    init(decoding bytes: [UInt8]) throws(MalformedMessage) {
        var input = MessageReader(bytes)
        try input.expect(NBDMessage.answerMagic)
        try input.expect(NBDMessage.version)
        guard let kind = Kind(rawValue: try input.get()) else { throw MalformedMessage() }
        switch kind {
        case .connected: result = .success(.connected(index: try input.get()))
        case .done: result = .success(.done)
        case .devices:
            let count: UInt16 = try input.get()
            var devices: [DeviceStatus] = []
            for _ in 0..<count {
                devices.append(DeviceStatus(index: try input.get(), connected: try input.bool()))
            }
            result = .success(.devices(devices))
        case .tuned: result = .success(.tuned(try input.queueSettings()))
        case .moduleAbsent: result = .failure(.moduleAbsent(detail: try input.string()))
        case .familyHidden: result = .failure(.familyHidden)
        case .refused:
            let operation = try input.operation()
            let index: UInt32? = try input.optional { input throws(MalformedMessage) in try input.get() }
            result = .failure(.refused(operation, index: index, errno: Int32(bitPattern: try input.get())))
        case .system:
            result = .failure(
                .system(
                    call: try input.string(), subject: try input.string(),
                    errno: Int32(bitPattern: try input.get())))
        case .invalid: result = .failure(.invalid(try input.operation(), reason: try input.string()))
        case .inUse: result = .failure(.inUse(index: try input.get()))
        case .noDevice: result = .failure(.noDevice(index: try input.get()))
        case .unexpected:
            result = .failure(.unexpected(path: try input.string(), content: try input.string()))
        case .replyWithoutIndex: result = .failure(.replyWithoutIndex)
        }
        try input.expectEnd()
    }
}

/// Appends big-endian values.
struct MessageWriter {
    private(set) var bytes: [UInt8] = []

    mutating func put<T: FixedWidthInteger & UnsignedInteger>(_ value: T) {
        for shift in stride(from: T.bitWidth - 8, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> T(shift)))
        }
    }

    mutating func put(_ text: String) {
        let utf8 = Array(text.utf8.prefix(Int(UInt16.max)))
        put(UInt16(utf8.count))
        bytes += utf8
    }

    mutating func put<T>(_ value: T?, _ put: (inout MessageWriter, T) -> Void) {
        self.put(value == nil ? 0 : 1 as UInt8)
        if let value { put(&self, value) }
    }

    mutating func put(_ settings: QueueSettings) {
        put(settings.ioTimeoutMilliseconds) { $0.put($1) }
        put(settings.maxSectorsKilobytes) { $0.put($1) }
        put(settings.readAheadKilobytes) { $0.put($1) }
        put(settings.rotational) { $0.put($1 ? 1 : 0 as UInt8) }
        put(settings.scheduler) { $0.put($1) }
    }
}

/// Takes big-endian values from the front, each checked against what is left.
struct MessageReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    mutating func get<T: FixedWidthInteger & UnsignedInteger>() throws(MalformedMessage) -> T {
        let count = T.bitWidth / 8
        guard rest.count >= count else { throw MalformedMessage() }
        var value: T = 0
        for byte in rest.prefix(count) { value = value << 8 | T(byte) }
        rest = rest.dropFirst(count)
        return value
    }

    mutating func expect<T: FixedWidthInteger & UnsignedInteger>(_ wanted: T) throws(MalformedMessage) {
        let seen: T = try get()
        guard seen == wanted else { throw MalformedMessage() }
    }

    mutating func bool() throws(MalformedMessage) -> Bool {
        switch try get() as UInt8 {
        case 0: false
        case 1: true
        default: throw MalformedMessage()
        }
    }

    mutating func string() throws(MalformedMessage) -> String {
        let count = Int(try get() as UInt16)
        guard rest.count >= count, let text = String(validating: rest.prefix(count), as: UTF8.self) else {
            throw MalformedMessage()
        }
        rest = rest.dropFirst(count)
        return text
    }

    mutating func optional<T>(
        _ take: (inout MessageReader) throws(MalformedMessage) -> T
    ) throws(MalformedMessage) -> T? {
        try bool() ? try take(&self) : nil
    }

    mutating func operation() throws(MalformedMessage) -> NBDOperation {
        guard let operation = NBDOperation(rawValue: try get()) else { throw MalformedMessage() }
        return operation
    }

    mutating func sockets(from first: Int32) throws(MalformedMessage) -> [Int32] {
        let count = Int32(try get() as UInt8)
        guard count <= socketCountMax else { throw MalformedMessage() }
        return (0..<count).map { first + $0 }
    }

    mutating func queueSettings() throws(MalformedMessage) -> QueueSettings {
        QueueSettings(
            ioTimeoutMilliseconds: try optional { input throws(MalformedMessage) in try input.get() },
            maxSectorsKilobytes: try optional { input throws(MalformedMessage) in try input.get() },
            readAheadKilobytes: try optional { input throws(MalformedMessage) in try input.get() },
            rotational: try optional { input throws(MalformedMessage) in try input.bool() },
            scheduler: try optional { input throws(MalformedMessage) in try input.string() })
    }

    func expectEnd() throws(MalformedMessage) {
        guard rest.isEmpty else { throw MalformedMessage() }
    }
}
