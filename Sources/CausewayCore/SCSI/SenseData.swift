/// What a target says about a CHECK CONDITION (SPC-4 §4.5), from the fixed format (response codes 70h and
/// 71h) or the descriptor format (72h and 73h).
public struct SenseData: Equatable, BitwiseCopyable, Sendable {
    public var key: SenseKey
    public var additional: AdditionalSense
    /// The error belongs to an earlier command; the one that carried it was not carried out.
    public var isDeferred: Bool
    /// The INFORMATION field where it is valid: for block commands the address of the block in error (SBC-3
    /// §4.18.1).
    public var information: UInt64?

    public init(
        _ key: SenseKey, _ additional: AdditionalSense, isDeferred: Bool = false, information: UInt64? = nil
    ) {
        self.key = key
        self.additional = additional
        self.isDeferred = isDeferred
        self.information = information
    }

    /// Reads sense data, without the length that precedes them in a SCSI Response PDU. Nil where there are
    /// none: no bytes, too few to hold a sense key, or a format that is not one of the four.
    public init?(_ bytes: RawSpan) {
        let responseCode = bytes.uint8(orZeroAt: 0) & 0x7f
        switch responseCode {
        case 0x70, 0x71:
            guard bytes.byteCount > 2 else { return nil }
            self.init(fixedFormat: bytes, isDeferred: responseCode == 0x71)
        case 0x72, 0x73:
            guard bytes.byteCount > 1 else { return nil }
            self.init(descriptorFormat: bytes, isDeferred: responseCode == 0x73)
        default:
            return nil
        }
    }

    private init(fixedFormat bytes: RawSpan, isDeferred: Bool) {
        // ADDITIONAL SENSE LENGTH counts from byte 8; what lies beyond it is not sense data.
        let end = bytes.byteCount > 7 ? min(bytes.byteCount, 8 + Int(bytes.uint8(orZeroAt: 7))) : 7
        let sense = bytes.extracting(first: end)
        self.init(
            SenseKey(rawValue: bytes.uint8(orZeroAt: 2)),
            AdditionalSense(sense.uint8(orZeroAt: 12), sense.uint8(orZeroAt: 13)), isDeferred: isDeferred)
        if bytes.uint8(orZeroAt: 0) & 0x80 != 0, bytes.byteCount >= 7 {
            information = UInt64(bytes.uint32(orZeroAt: 3))
        }
    }

    private init(descriptorFormat bytes: RawSpan, isDeferred: Bool) {
        self.init(
            SenseKey(rawValue: bytes.uint8(orZeroAt: 1)),
            AdditionalSense(bytes.uint8(orZeroAt: 2), bytes.uint8(orZeroAt: 3)), isDeferred: isDeferred)
        let end = min(bytes.byteCount, 8 + Int(bytes.uint8(orZeroAt: 7)))
        var offset = 8
        while offset + 2 <= end {
            let length = Int(bytes.uint8(orZeroAt: offset + 1))
            // Descriptor 00h, Information: VALID in bit 7 of byte 2, the value in bytes 4 to 11.
            if bytes.uint8(orZeroAt: offset) == 0, length >= 10, offset + 12 <= end,
                bytes.uint8(orZeroAt: offset + 2) & 0x80 != 0
            {
                information = bytes.uint64(orZeroAt: offset + 4)
                return
            }
            offset += 2 + length
        }
    }
}

extension SenseData: CustomStringConvertible {
    /// For example `NOT READY 2/04/0a: Logical unit not ready, asymmetric access state transition`.
    public var description: String {
        let codes = [
            String(key.rawValue, radix: 16), additional.code.hexadecimalDigits,
            additional.qualifier.hexadecimalDigits,
        ].joined(separator: "/")
        var text = isDeferred ? "deferred error, " : ""
        text += "\(key) \(codes)"
        if let words = additional.words { text += ": \(words)" }
        if let information { text += " (information \(information))" }
        return text
    }
}
