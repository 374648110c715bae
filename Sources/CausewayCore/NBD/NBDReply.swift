/// The 16-byte simple reply, followed by the data of a READ that succeeded. The only kind that the kernel
/// driver takes; after structured replies were negotiated, a READ is never answered with it.
public enum SimpleReply {
    public static let byteCount = 16
    /// NBD_SIMPLE_REPLY_MAGIC
    public static let magic: UInt32 = 0x6744_6698

    /// Writes 16 bytes.
    @inline(__always)
    public static func write(error: NBDError = .none, cookie: UInt64, to bytes: UnsafeMutableRawPointer) {
        bytes.storeBigEndian(magic, 0)
        bytes.storeBigEndian(error.rawValue, 4)
        unsafe bytes.storeBytes(of: cookie, toByteOffset: 8, as: UInt64.self)
    }
}

/// A chunk of a structured reply: a 20-byte header and its payload (NBD protocol, "Structured reply chunk
/// message").
public enum ReplyChunk {
    public static let headerByteCount = 20
    /// What precedes the data of an OFFSET_DATA chunk: the header and the 8-byte offset.
    public static let offsetDataByteCount = headerByteCount + 8
    public static let offsetHoleByteCount = headerByteCount + 12
    /// A longer text is cut: room for an error chunk is `errorByteCountMax`, whatever its text.
    public static let messageByteCountMax = 256
    public static let errorByteCountMax = headerByteCount + 6 + messageByteCountMax
    /// NBD_STRUCTURED_REPLY_MAGIC
    public static let magic: UInt32 = 0x668e_33ef

    /// NBD_REPLY_TYPE_*; bit 15 marks the errors.
    public struct Kind: RawRepresentable, Equatable, BitwiseCopyable, Sendable {
        public var rawValue: UInt16
        @inline(__always) public init(rawValue: UInt16) { self.rawValue = rawValue }

        public static let none = Kind(rawValue: 0)
        public static let offsetData = Kind(rawValue: 1)
        public static let offsetHole = Kind(rawValue: 2)
        public static let blockStatus = Kind(rawValue: 5)
        public static let error = Kind(rawValue: 0x8001)
        public static let errorOffset = Kind(rawValue: 0x8002)
    }

    /// Writes 20 bytes. `isLast` is NBD_REPLY_FLAG_DONE: no further chunk answers this request.
    @inline(__always)
    public static func writeHeader(
        _ kind: Kind, isLast: Bool, cookie: UInt64, payloadByteCount: UInt32,
        to bytes: UnsafeMutableRawPointer
    ) {
        bytes.storeBigEndian(magic, 0)
        bytes.storeBigEndian(isLast ? 1 : 0 as UInt16, 4)
        bytes.storeBigEndian(kind.rawValue, 6)
        unsafe bytes.storeBytes(of: cookie, toByteOffset: 8, as: UInt64.self)
        bytes.storeBigEndian(payloadByteCount, 16)
    }

    /// Writes the 28 bytes that precede `dataByteCount` (1 to 2^32 - 9) bytes of a READ at `offset`. Only a
    /// chunk whose data is already in hand may be the last.
    @inline(__always)
    public static func writeOffsetData(
        offset: UInt64, dataByteCount: UInt32, isLast: Bool = true, cookie: UInt64,
        to bytes: UnsafeMutableRawPointer
    ) {
        unsafe writeHeader(
            .offsetData, isLast: isLast, cookie: cookie, payloadByteCount: dataByteCount &+ 8, to: bytes)
        bytes.storeBigEndian(offset, headerByteCount)
    }

    /// Writes 32 bytes: `holeByteCount` (not zero) bytes at `offset` read as zeroes.
    @inline(__always)
    public static func writeOffsetHole(
        offset: UInt64, holeByteCount: UInt32, isLast: Bool = true, cookie: UInt64,
        to bytes: UnsafeMutableRawPointer
    ) {
        unsafe writeHeader(.offsetHole, isLast: isLast, cookie: cookie, payloadByteCount: 12, to: bytes)
        bytes.storeBigEndian(offset, headerByteCount)
        bytes.storeBigEndian(holeByteCount, headerByteCount + 8)
    }

    /// Writes 20 bytes: the request is done, and succeeded if no error chunk went before.
    @inline(__always)
    public static func writeNone(cookie: UInt64, to bytes: UnsafeMutableRawPointer) {
        unsafe writeHeader(.none, isLast: true, cookie: cookie, payloadByteCount: 0, to: bytes)
    }

    /// Writes at most `errorByteCountMax` bytes and returns how many. `message` is UTF-8 for people.
    public static func writeError(
        _ error: NBDError, message: UnsafeRawBufferPointer, cookie: UInt64, to bytes: UnsafeMutableRawPointer
    ) -> Int {
        let messageByteCount = unsafe wholeCharacters(of: message)
        unsafe writeHeader(
            .error, isLast: true, cookie: cookie, payloadByteCount: UInt32(6 + messageByteCount), to: bytes)
        bytes.storeBigEndian(error.rawValue, headerByteCount)
        bytes.storeBigEndian(UInt16(messageByteCount), headerByteCount + 4)
        if let source = message.baseAddress, messageByteCount > 0 {
            unsafe (bytes + headerByteCount + 6).copyMemory(from: source, byteCount: messageByteCount)
        }
        return headerByteCount + 6 + messageByteCount
    }

    /// The same with a text of the program, which costs no allocation.
    public static func writeError(
        _ error: NBDError, message: StaticString, cookie: UInt64, to bytes: UnsafeMutableRawPointer
    ) -> Int {
        unsafe writeError(
            error,
            message: UnsafeRawBufferPointer(start: message.utf8Start, count: message.utf8CodeUnitCount),
            cookie: cookie, to: bytes)
    }

    /// How much of a text fits, without half a character at the end.
    private static func wholeCharacters(of message: UnsafeRawBufferPointer) -> Int {
        guard message.count > messageByteCountMax else { return message.count }
        var end = messageByteCountMax
        while end > 0, unsafe message[end] & 0xc0 == 0x80 { end -= 1 }
        return end
    }
}
