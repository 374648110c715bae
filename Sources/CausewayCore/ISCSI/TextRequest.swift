/// Text Request (RFC 7143 §11.10).
public struct TextRequest: InitiatorPDU {
    @inline(__always) public static var opcode: Opcode { .textRequest }
    public var header: BasicHeaderSegment

    @inline(__always)
    public init(_ header: BasicHeaderSegment) {
        assert(header.opcode == Self.opcode)
        self.header = header
    }

    /// - Parameters:
    ///   - isFinal: F: nothing more to say in this negotiation.
    ///   - isContinued: C: the text goes on in the next request; excludes F.
    ///   - lun, targetTransferTag: copied from the Text Response that is continued, else 0 and `reservedTag`.
    public init(
        isFinal: Bool, isContinued: Bool = false, immediate: Bool = false, lun: UInt64 = 0,
        initiatorTaskTag: UInt32, targetTransferTag: UInt32 = reservedTag, cmdSN: CmdSN, expStatSN: StatSN,
        dataSegmentLength: Int
    ) {
        assert(!(isFinal && isContinued), "RFC 7143 §11.10.2: C excludes F")
        header = BasicHeaderSegment(
            .textRequest, immediate: immediate, byte1: (isFinal ? 0x80 : 0) | (isContinued ? 0x40 : 0))
        header.dataSegmentLength = dataSegmentLength
        header.lun = lun
        header[4] = initiatorTaskTag
        header[5] = targetTransferTag
        header[6] = cmdSN.value
        header[7] = expStatSN.value
    }

    public var isFinal: Bool { header.isFinal }
    public var isContinued: Bool { header[byte: 1] & 0x40 != 0 }
    public var lun: UInt64 { header.lun }
    public var targetTransferTag: UInt32 { header[5] }
    public var cmdSN: CmdSN { CmdSN(header[6]) }
}
