/// The initiator's part of a session's name, ISID: 48 bits (RFC 7143 §11.12.5).
public struct InitiatorSessionID: Hashable, BitwiseCopyable, Sendable, CustomStringConvertible {
    /// Byte 8 of a Login Request in bits 47-40, byte 13 in bits 7-0.
    public let value: UInt64

    public init(value: UInt64) { self.value = value & 0xffff_ffff_ffff }

    /// The "random" format: T = 10b, A = 0, 24 bits in B and C and the 16-bit qualifier D taken from the hash
    /// of what the session stands for. The same hash gives the same ISID, so a new login reinstates the old
    /// session.
    public init(hash: UInt64) {
        // Folded, so that all 64 bits of the hash count.
        let folded = (hash ^ hash >> 40) & 0xff_ffff_ffff
        value = 0x8000_0000_0000 | folded
    }

    /// `80:1a:2b:3c:4d:5e`.
    public var description: String {
        stride(from: 40, through: 0, by: -8)
            .map { hexByte(UInt8(truncatingIfNeeded: value >> UInt64($0))) }
            .joined(separator: ":")
    }
}

/// Two lower-case hexadecimal digits.
func hexByte(_ byte: UInt8) -> String {
    let digits = String(byte, radix: 16)
    return digits.count == 1 ? "0" + digits : digits
}
