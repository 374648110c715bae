/// Fixed-width lower-case hexadecimal digits, without `0x`, as the standards print codes.
extension FixedWidthInteger where Self: UnsignedInteger {
    var hexadecimalDigits: String {
        let digits = String(self, radix: 16)
        return String(repeating: "0", count: Self.bitWidth / 4 - digits.count) + digits
    }
}

extension Sequence<UInt8> {
    /// Two digits a byte, without separators: the form in which identifiers such as a WWN are written.
    var hexadecimalDigits: String {
        reduce(into: "") { $0 += $1.hexadecimalDigits }
    }
}
