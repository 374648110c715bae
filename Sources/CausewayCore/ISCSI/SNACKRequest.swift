/// SNACK Request (RFC 7143 §11.16), only at ErrorRecoveryLevel 1 and above.
public struct SNACKRequest: InitiatorPDU {
    @inline(__always) public static var opcode: Opcode { .snackRequest }
    public var header: BasicHeaderSegment

    @inline(__always)
    public init(_ header: BasicHeaderSegment) {
        assert(header.opcode == Self.opcode)
        self.header = header
    }

    public enum Kind: UInt8, BitwiseCopyable, Sendable {
        /// Send Data-In or R2T PDUs again.
        case dataOrR2T = 0
        /// Send responses again.
        case status = 1
        /// Data-In up to `begRun` has arrived.
        case dataAck = 2
        /// Send all data again, perhaps in other pieces.
        case rData = 3
    }

    /// - Parameters:
    ///   - initiatorTaskTag: the command; `reservedTag` for `status` and `dataAck`.
    ///   - targetTransferTag: of the Data-In for `dataAck`, the SNACK tag for `rData`, else `reservedTag`.
    ///   - begRun: first DataSN, R2TSN or StatSN wanted; for `dataAck` the next one expected.
    ///   - runLength: how many; 0 means all from `begRun` on.
    public init(
        kind: Kind, lun: UInt64 = 0, initiatorTaskTag: UInt32, targetTransferTag: UInt32 = reservedTag,
        expStatSN: StatSN, begRun: UInt32, runLength: UInt32
    ) {
        header = BasicHeaderSegment(.snackRequest, byte1: 0x80 | kind.rawValue)
        header.lun = lun
        header[4] = initiatorTaskTag
        header[5] = targetTransferTag
        header[7] = expStatSN.value
        header[10] = begRun
        header[11] = runLength
    }
}
