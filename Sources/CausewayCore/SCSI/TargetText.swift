/// Text that a target sent, such as its vendor or serial number. It may hold anything, so it reaches a log, a
/// terminal or udev only as `description`: without surrounding blanks, printable ASCII as it is, every other
/// byte and the backslash as `\xNN`, so that two different texts never look the same.
public struct TargetText: Hashable, Sendable, CustomStringConvertible {
    /// Without the spaces and NULs that pad a field at both ends.
    public let bytes: [UInt8]

    public init(_ bytes: some Collection<UInt8>) {
        func isPadding(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0 }
        let leading = bytes.drop(while: isPadding)
        self.bytes = leading.reversed().drop(while: isPadding).reversed()
    }

    public var isEmpty: Bool { bytes.isEmpty }

    public var description: String {
        bytes.reduce(into: "") { text, byte in
            if (0x20...0x7e).contains(byte), byte != UInt8(ascii: "\\") {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                text += "\\x" + byte.hexadecimalDigits.uppercased()
            }
        }
    }
}
