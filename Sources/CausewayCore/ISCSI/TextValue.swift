/// The value formats of RFC 7143 §6.1. Each reader returns nil for what is not of its format.
public enum TextValue {
    /// Answers that are no values (RFC 7143 §6.2).
    public static let reject = "Reject"
    public static let irrelevant = "Irrelevant"
    public static let notUnderstood = "NotUnderstood"
    public static let none = "None"

    public static func isReservedAnswer(_ text: String) -> Bool {
        text == reject || text == irrelevant || text == notUnderstood
    }

    public static func boolean(_ text: String) -> Bool? {
        switch text {
        case "Yes": true
        case "No": false
        default: nil
        }
    }

    public static func text(_ value: Bool) -> String { value ? "Yes" : "No" }

    /// A numerical-value: decimal, or hexadecimal behind `0x`; less than 2^64.
    public static func number(_ text: String) -> UInt64? {
        let bytes = Array(text.utf8)
        if let digits = digits(of: bytes, behind: "x") { return number(digits, radix: 16) }
        return number(bytes[...], radix: 10)
    }

    /// A numerical-range `low~high`.
    public static func range(_ text: String) -> ClosedRange<UInt64>? {
        let parts = text.split(separator: "~", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let low = number(String(parts[0])), let high = number(String(parts[1])),
            low <= high
        else { return nil }
        return low...high
    }

    /// A list-of-values; nil when an element is empty.
    public static func list(_ text: String) -> [String]? {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        return parts.contains("") ? nil : parts
    }

    /// A binary-value in hexadecimal (`0x`) or Base64 (`0b`), at most `maximumByteCount` bytes.
    public static func binary(_ text: String, maximumByteCount: Int) -> [UInt8]? {
        let bytes = Array(text.utf8)
        let decoded: [UInt8]?
        if let digits = digits(of: bytes, behind: "x") {
            decoded = hexadecimal(digits)
        } else if let digits = digits(of: bytes, behind: "b") {
            decoded = base64(digits)
        } else {
            decoded = nil
        }
        guard let decoded, !decoded.isEmpty, decoded.count <= maximumByteCount else { return nil }
        return decoded
    }

    /// `0x` and two digits a byte.
    public static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text = Array("0x".utf8)
        text.reserveCapacity(2 + 2 * bytes.count)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// What follows `0x` or `0b` (either case), or nil when the text does not begin so.
    private static func digits(of bytes: [UInt8], behind letter: Unicode.Scalar) -> ArraySlice<UInt8>? {
        guard bytes.count > 2, bytes[0] == UInt8(ascii: "0"), bytes[1] | 0x20 == UInt8(ascii: letter) else {
            return nil
        }
        return bytes[2...]
    }

    private static func number(_ digits: ArraySlice<UInt8>, radix: UInt64) -> UInt64? {
        guard !digits.isEmpty else { return nil }
        var value: UInt64 = 0
        for digit in digits {
            guard let digit = hexDigit(digit), UInt64(digit) < radix else { return nil }
            let (scaled, overflow) = value.multipliedReportingOverflow(by: radix)
            let (sum, carry) = scaled.addingReportingOverflow(UInt64(digit))
            guard !overflow, !carry else { return nil }
            value = sum
        }
        return value
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// An odd number of digits has its leading half byte left out: (n + 1) / 2 bytes.
    private static func hexadecimal(_ digits: ArraySlice<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        var high: UInt8? = digits.count.isMultiple(of: 2) ? nil : 0
        for digit in digits {
            guard let digit = hexDigit(digit) else { return nil }
            if let top = high {
                bytes.append(top << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        return bytes
    }

    /// RFC 4648 §4, with padding.
    private static func base64(_ digits: ArraySlice<UInt8>) -> [UInt8]? {
        guard digits.count.isMultiple(of: 4) else { return nil }
        let padding = digits.suffix(2).count { $0 == UInt8(ascii: "=") }
        var bytes: [UInt8] = []
        var group: UInt32 = 0
        var bits = 0
        for digit in digits.dropLast(padding) {
            guard let six = base64Digit(digit) else { return nil }
            group = group << 6 | UInt32(six)
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: group >> UInt32(bits)))
            }
        }
        return bytes
    }

    private static func base64Digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
