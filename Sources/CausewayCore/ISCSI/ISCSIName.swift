/// The name of a target or an initiator (RFC 7143 §4.2.7).
///
/// The text goes on the wire as it was given, because targets exist that compare it byte for byte; two names
/// are equal when they differ in nothing but the case of ASCII letters, as the stringprep profile of RFC 3722
/// asks.
public struct ISCSIName: Hashable, Sendable, CustomStringConvertible {
    public static let maximumByteCount = 223

    public enum NamingAuthority: String, Sendable {
        case qualified = "iqn."
        case eui = "eui."
        case naa = "naa."
    }

    public let text: String
    public let authority: NamingAuthority
    private let normalized: String

    public init(_ text: String) throws(ISCSINameError) {
        let bytes = text.utf8
        guard !text.isEmpty else { throw .empty }
        guard bytes.count <= Self.maximumByteCount else { throw .tooLong(bytes: bytes.count) }
        for scalar in text.unicodeScalars where !Self.isAllowed(scalar) {
            throw .illegalCharacter(scalar, in: text)
        }
        normalized = text.lowercased()
        guard let authority = NamingAuthority(rawValue: String(normalized.prefix(4))) else {
            throw .unknownType(text)
        }
        let rest = normalized.dropFirst(4)
        switch authority {
        case .qualified:
            guard !rest.isEmpty else { throw .nothingAfterType(text) }
        case .eui:
            guard rest.utf8.count == 16, rest.allSatisfy(\.isHexDigit) else { throw .notEUI64(text) }
        case .naa:
            let digits = rest.utf8.count
            guard digits == 16 || digits == 32, rest.allSatisfy(\.isHexDigit) else { throw .notNAA(text) }
        }
        self.text = text
        self.authority = authority
    }

    /// For `iqn.`: whether a date code `yyyy-mm.` and a naming authority follow. Names without them are in
    /// use, so this is something to warn about, not to refuse.
    public var hasDateCode: Bool {
        guard authority == .qualified else { return false }
        let rest = Array(normalized.utf8.dropFirst(4))
        guard rest.count > 8, rest[4] == UInt8(ascii: "-"), rest[7] == UInt8(ascii: ".") else { return false }
        let isDigit = { (byte: UInt8) in byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
        guard rest[0..<4].allSatisfy(isDigit), rest[5..<7].allSatisfy(isDigit) else { return false }
        let month = Int(rest[5] - UInt8(ascii: "0")) * 10 + Int(rest[6] - UInt8(ascii: "0"))
        return (1...12).contains(month)
    }

    public static func == (a: ISCSIName, b: ISCSIName) -> Bool { a.normalized == b.normalized }
    public func hash(into hasher: inout Hasher) { hasher.combine(normalized) }

    public var description: String { printable(text) }

    /// ASCII letters, digits, `-`, `.` and `:`, and what is visible beyond ASCII; `_` too, which RFC 3722
    /// prohibits and many targets use all the same.
    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "-", ".", ":", "_": true
        default: !scalar.isASCII && isVisible(scalar)
        }
    }
}

/// Why a text is not an iSCSI name (RFC 7143 §4.2.7).
public enum ISCSINameError: Error, Equatable, Sendable, CustomStringConvertible {
    case empty
    case tooLong(bytes: Int)
    case illegalCharacter(Unicode.Scalar, in: String)
    case unknownType(String)
    case nothingAfterType(String)
    case notEUI64(String)
    case notNAA(String)

    public var description: String {
        switch self {
        case .empty: "an iSCSI name is empty"
        case .tooLong(let bytes):
            "an iSCSI name has \(bytes) bytes; at most \(ISCSIName.maximumByteCount) are allowed"
        case .illegalCharacter(let scalar, let text):
            "\"\(printable(text))\" is no iSCSI name: \"\(printable(String(scalar)))\" is not allowed in one"
        case .unknownType(let text):
            "\"\(printable(text))\" is no iSCSI name: it must begin with iqn., eui. or naa."
        case .nothingAfterType(let text): "\"\(printable(text))\" is no iSCSI name: nothing follows the type"
        case .notEUI64(let text):
            "\"\(printable(text))\" is no iSCSI name: eui. is followed by 16 hexadecimal digits"
        case .notNAA(let text):
            "\"\(printable(text))\" is no iSCSI name: naa. is followed by 16 or 32 hexadecimal digits"
        }
    }
}
