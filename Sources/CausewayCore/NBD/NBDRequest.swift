/// The 28-byte header that starts every NBD request (NBD protocol, "Request message"); a WRITE is followed by
/// `length` bytes of payload. The compiler drops the loads of fields that a caller does not use.
public struct NBDRequest: Equatable, BitwiseCopyable, Sendable {
    public static let byteCount = 28
    /// NBD_REQUEST_MAGIC
    public static let magic: UInt32 = 0x2560_9513

    public var magic: UInt32
    public var flags: CommandFlags
    public var command: NBDCommand
    /// Eight opaque bytes, kept in the order of the wire and echoed in every reply: kernels differ in the
    /// byte order that they write them in.
    public var cookie: UInt64
    /// In bytes from the start of the export.
    public var offset: UInt64
    /// In bytes.
    public var length: UInt32

    /// Reads a header out of a receive buffer at any alignment; the caller has checked that 28 bytes are
    /// there.
    @inline(__always)
    public init(copyingFrom bytes: UnsafeRawPointer) {
        magic = bytes.loadBigEndian(0, as: UInt32.self)
        flags = CommandFlags(rawValue: bytes.loadBigEndian(4, as: UInt16.self))
        command = NBDCommand(rawValue: bytes.loadBigEndian(6, as: UInt16.self))
        cookie = unsafe bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
        offset = bytes.loadBigEndian(16, as: UInt64.self)
        length = bytes.loadBigEndian(24, as: UInt32.self)
    }

    public init(
        _ command: NBDCommand, flags: CommandFlags = [], cookie: UInt64 = 0, offset: UInt64 = 0,
        length: UInt32 = 0
    ) {
        magic = Self.magic
        self.flags = flags
        self.command = command
        self.cookie = cookie
        self.offset = offset
        self.length = length
    }

    /// Writes the header as a client sends it; the caller has room for 28 bytes.
    public func copy(to bytes: UnsafeMutableRawPointer) {
        bytes.storeBigEndian(magic, 0)
        bytes.storeBigEndian(flags.rawValue, 4)
        bytes.storeBigEndian(command.rawValue, 6)
        unsafe bytes.storeBytes(of: cookie, toByteOffset: 8, as: UInt64.self)
        bytes.storeBigEndian(offset, 16)
        bytes.storeBigEndian(length, 24)
    }
}

/// Request types as an open set: an unknown one is answered with EINVAL, by its number.
public struct NBDCommand: RawRepresentable, Equatable, Hashable, BitwiseCopyable, Sendable {
    public var rawValue: UInt16
    @inline(__always) public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let read = NBDCommand(rawValue: 0)
    public static let write = NBDCommand(rawValue: 1)
    /// NBD_CMD_DISC: the client ends the transmission; there is no reply.
    public static let disconnect = NBDCommand(rawValue: 2)
    public static let flush = NBDCommand(rawValue: 3)
    public static let trim = NBDCommand(rawValue: 4)
    public static let cache = NBDCommand(rawValue: 5)
    public static let writeZeroes = NBDCommand(rawValue: 6)
    public static let blockStatus = NBDCommand(rawValue: 7)
}

extension NBDCommand: CustomStringConvertible {
    public var description: String {
        switch self {
        case .read: "READ"
        case .write: "WRITE"
        case .disconnect: "DISC"
        case .flush: "FLUSH"
        case .trim: "TRIM"
        case .cache: "CACHE"
        case .writeZeroes: "WRITE_ZEROES"
        case .blockStatus: "BLOCK_STATUS"
        default: "NBD command \(rawValue)"
        }
    }
}

/// NBD_CMD_FLAG_*: what a client may add to one request.
public struct CommandFlags: OptionSet, Hashable, BitwiseCopyable, Sendable {
    public var rawValue: UInt16
    @inline(__always) public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Reply only once the data is on stable storage. A server accepts it on every command.
    public static let forceUnitAccess = CommandFlags(rawValue: 1 << 0)
    /// WRITE_ZEROES: do not deallocate.
    public static let noHole = CommandFlags(rawValue: 1 << 1)
    /// READ with structured replies: one content chunk.
    public static let doNotFragment = CommandFlags(rawValue: 1 << 2)
    /// BLOCK_STATUS: one extent is enough.
    public static let requestOne = CommandFlags(rawValue: 1 << 3)
    /// WRITE_ZEROES: fail with ENOTSUP rather than be as slow as a WRITE.
    public static let fastZero = CommandFlags(rawValue: 1 << 4)
    /// WRITE with extended headers, which this server does not offer.
    public static let payloadLength = CommandFlags(rawValue: 1 << 5)
}
