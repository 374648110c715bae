/// NBD_OPT_*: what a client may ask for while haggling, as an open set.
struct NegotiationOption: RawRepresentable, Equatable, BitwiseCopyable, Sendable {
    var rawValue: UInt32

    static let exportName = NegotiationOption(rawValue: 1)
    static let abort = NegotiationOption(rawValue: 2)
    static let list = NegotiationOption(rawValue: 3)
    static let startTLS = NegotiationOption(rawValue: 5)
    static let info = NegotiationOption(rawValue: 6)
    static let go = NegotiationOption(rawValue: 7)
    static let structuredReply = NegotiationOption(rawValue: 8)
    static let listMetaContext = NegotiationOption(rawValue: 9)
    static let setMetaContext = NegotiationOption(rawValue: 10)
}

/// NBD_REP_*; bit 31 marks the errors.
struct OptionReplyType: RawRepresentable, Equatable, BitwiseCopyable, Sendable {
    var rawValue: UInt32

    static let acknowledge = OptionReplyType(rawValue: 1)
    static let server = OptionReplyType(rawValue: 2)
    static let info = OptionReplyType(rawValue: 3)
    static let metaContext = OptionReplyType(rawValue: 4)
    static let unsupported = OptionReplyType(rawValue: 0x8000_0001)
    static let invalid = OptionReplyType(rawValue: 0x8000_0003)
    static let unknown = OptionReplyType(rawValue: 0x8000_0006)
    static let tooBig = OptionReplyType(rawValue: 0x8000_0009)
}

/// NBD_INFO_*: what INFO and GO tell of an export.
struct ExportInfo: RawRepresentable, Equatable, BitwiseCopyable, Sendable {
    var rawValue: UInt16

    static let export = ExportInfo(rawValue: 0)
    static let name = ExportInfo(rawValue: 1)
    static let description = ExportInfo(rawValue: 2)
    static let blockSize = ExportInfo(rawValue: 3)
}

/// An option that cannot be granted: the error to answer with and a sentence for the person at the client.
struct OptionRefusal: Error {
    let type: OptionReplyType
    let message: String

    static func invalid(_ message: String) -> OptionRefusal {
        OptionRefusal(type: .invalid, message: message)
    }
}

/// Reads an option's data from its start to its end, never past it.
struct OptionReader {
    private var rest: ArraySlice<UInt8>

    init(_ data: [UInt8]) { rest = data[...] }

    mutating func number<T: FixedWidthInteger & UnsignedInteger>(_: T.Type) throws(OptionRefusal) -> T {
        var value: T = 0
        for byte in try bytes(T.bitWidth / 8) { value = value << 8 | T(byte) }
        return value
    }

    /// A string behind its 32-bit length: an export's name or a query.
    mutating func string() throws(OptionRefusal) -> ArraySlice<UInt8> {
        let count = Int(try number(UInt32.self))
        let string = try bytes(count)
        guard count <= ExportDescription.stringByteCountMax else {
            throw OptionRefusal(type: .tooBig, message: "strings are at most 4096 bytes long")
        }
        return string
    }

    func finish() throws(OptionRefusal) {
        guard rest.isEmpty else { throw .invalid("the option's data is longer than what it holds") }
    }

    private mutating func bytes(_ count: Int) throws(OptionRefusal) -> ArraySlice<UInt8> {
        guard rest.count >= count else { throw .invalid("the option's data is shorter than what it holds") }
        let bytes = rest.prefix(count)
        rest = rest.dropFirst(count)
        return bytes
    }
}

extension [UInt8] {
    mutating func appendBigEndian<T: FixedWidthInteger & UnsignedInteger>(_ value: T) {
        for shift in stride(from: T.bitWidth - 8, through: 0, by: -8) {
            append(UInt8(truncatingIfNeeded: value >> T(shift)))
        }
    }

    /// A 20-byte option reply header and its data.
    mutating func appendReply(_ type: OptionReplyType, to option: NegotiationOption, _ data: [UInt8] = []) {
        appendBigEndian(0x0003_e889_0455_65a9 as UInt64)
        appendBigEndian(option.rawValue)
        appendBigEndian(type.rawValue)
        appendBigEndian(UInt32(data.count))
        append(contentsOf: data)
    }
}
