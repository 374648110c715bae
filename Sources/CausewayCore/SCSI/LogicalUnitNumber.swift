/// The eight bytes that address a logical unit (SAM-5 §4.7), as they stand in the LUN field of a PDU and in
/// REPORT LUNS data. A target may report unit 1 in either addressing method, so a unit is found by its
/// `number` and then addressed by exactly the bytes that the target reported.
public struct LogicalUnitNumber: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
    /// The eight bytes as a number in host order: the most significant byte is byte 0.
    public var rawValue: UInt64
    @inline(__always) public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Numbers that the one-level addressing methods can carry.
    public static let numbers = 0...16383

    /// Peripheral device addressing for 0 to 255, flat space addressing for 256 to 16383; nil outside of
    /// that.
    public init?(_ number: Int) {
        guard Self.numbers.contains(number) else { return nil }
        let level: UInt64 = number < 256 ? UInt64(number) : 0x4000 | UInt64(number)
        rawValue = level << 48
    }

    /// The number that people write, 0 to 16383; nil where the address has several levels, a bus number or
    /// another method (a well known logical unit, for example).
    public var number: Int? {
        guard rawValue & 0x0000_ffff_ffff_ffff == 0 else { return nil }
        let level = UInt16(truncatingIfNeeded: rawValue >> 48)
        switch level >> 14 {
        case 0b00 where level < 256: return Int(level)
        case 0b01: return Int(level & 0x3fff)
        default: return nil
        }
    }
}

extension LogicalUnitNumber: CustomStringConvertible {
    public var description: String {
        if let number { String(number) } else { "0x\(rawValue.hexadecimalDigits)" }
    }
}

/// The answer to REPORT LUNS (SPC-4 §6.33.3): the logical units that the target shows to this initiator.
public struct ReportLUNsData: Equatable, Sendable {
    public var logicalUnits: [LogicalUnitNumber]

    /// Throws `truncated` when the list is longer than what came, with the length to ask for.
    public init(_ bytes: RawSpan) throws(SCSIDataError) {
        guard bytes.byteCount >= 8 else { throw .truncated(.reportLUNs, need: 8, have: bytes.byteCount) }
        let count = Int(bytes.uint32(orZeroAt: 0)) / 8
        let end = 8 + 8 * count
        guard bytes.byteCount >= end else {
            throw .truncated(.reportLUNs, need: end, have: bytes.byteCount)
        }
        logicalUnits = (0..<count).map { LogicalUnitNumber(rawValue: bytes.uint64(orZeroAt: 8 + 8 * $0)) }
    }
}
