/// One `key=value` of a Login or Text PDU (RFC 7143 §6.1).
public struct TextPair: Equatable, Sendable {
    public var key: String
    /// Bytes that are not UTF-8 have become U+FFFD.
    public var value: String

    public init(_ key: String, _ value: String) {
        self.key = key
        self.value = value
    }

    public init(_ key: TextKey, _ value: String) { self.init(key.name, value) }
}

/// Reads the pairs of a complete text (all data segments up to the one without the C bit), one at a time, so
/// that a reader with limits of its own can stop early.
public struct TextPairReader: Sendable {
    public static let maximumKeyLength = 63
    public static let maximumValueLength = 8192

    private let bytes: [UInt8]
    private var position = 0

    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The next pair, or nil at the end. Empty pairs (a run of NULs) are skipped: some targets pad with them.
    public mutating func next() throws(TextError) -> TextPair? {
        while position < bytes.count, bytes[position] == 0 { position += 1 }
        guard position < bytes.count else { return nil }
        let start = position
        guard let end = bytes[start...].firstIndex(of: 0) else { throw .unterminated(offset: start) }
        guard let equals = bytes[start..<end].firstIndex(of: UInt8(ascii: "=")) else {
            throw .noEquals(offset: start)
        }
        let keyLength = equals - start
        guard keyLength > 0, keyLength <= Self.maximumKeyLength else {
            throw .keyLength(keyLength, offset: start)
        }
        guard bytes[start..<equals].allSatisfy(Self.isKeyByte) else { throw .illegalKey(offset: start) }
        let key = String(decoding: bytes[start..<equals], as: UTF8.self)
        let valueLength = end - equals - 1
        guard valueLength <= Self.maximumValueLength else {
            throw .valueTooLong(key: key, bytes: valueLength)
        }
        position = end + 1
        return TextPair(key, String(decoding: bytes[(equals + 1)..<end], as: UTF8.self))
    }

    /// The bytes of a standard-label; `#` for the X# keys of RFC 3720.
    private static func isKeyByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        case UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "@"), UInt8(ascii: "_"),
            UInt8(ascii: "#"):
            true
        default: false
        }
    }
}

/// The data segment of login and text PDUs: `key=value` pairs, each ended by a NUL (RFC 7143 §6.1).
public enum TextSegment {
    /// Pairs that one login or negotiation may hold; RFC 7143 defines some thirty keys.
    public static let maximumPairCount = 256

    public static func parse(_ bytes: [UInt8]) throws(TextError) -> [TextPair] {
        var reader = TextPairReader(bytes)
        var pairs: [TextPair] = []
        while let pair = try reader.next() {
            guard pairs.count < maximumPairCount else { throw .tooManyPairs(maximumPairCount) }
            pairs.append(pair)
        }
        return pairs
    }

    /// Each pair with its NUL. The keys and values are our own: they hold no NUL.
    public static func build(_ pairs: [TextPair]) -> [UInt8] {
        var bytes: [UInt8] = []
        for pair in pairs {
            assert(!pair.key.utf8.contains(0) && !pair.value.utf8.contains(0))
            bytes.append(contentsOf: pair.key.utf8)
            bytes.append(UInt8(ascii: "="))
            bytes.append(contentsOf: pair.value.utf8)
            bytes.append(0)
        }
        return bytes
    }
}

/// Why a text of the target cannot be read. Always the target's fault.
public enum TextError: Error, Equatable, Sendable, CustomStringConvertible {
    case unterminated(offset: Int)
    case noEquals(offset: Int)
    case keyLength(Int, offset: Int)
    case illegalKey(offset: Int)
    case valueTooLong(key: String, bytes: Int)
    case tooManyPairs(Int)
    case tooLong(limit: Int)

    public var description: String {
        switch self {
        case .unterminated(let offset):
            "the target sent malformed text: no NUL ends the pair at byte \(offset)"
        case .noEquals(let offset): "the target sent malformed text: no \"=\" in the pair at byte \(offset)"
        case .keyLength(let length, let offset):
            "the target sent malformed text: a key of \(length) bytes at byte \(offset), 1 to 63 are allowed"
        case .illegalKey(let offset):
            "the target sent malformed text: illegal characters in the key at byte \(offset)"
        case .valueTooLong(let key, let bytes):
            "the target sent a value of \(bytes) bytes for \(printable(key)), at most 8192 are allowed"
        case .tooManyPairs(let limit): "the target sent more than \(limit) key=value pairs"
        case .tooLong(let limit): "the target sent more than \(limit) bytes of text"
        }
    }
}
