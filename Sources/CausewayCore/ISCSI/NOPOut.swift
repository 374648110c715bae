/// NOP-Out (RFC 7143 §11.18): a ping, the answer to the target's ping, or a bare acknowledgement of status.
public struct NOPOut: InitiatorPDU {
    @inline(__always) public static var opcode: Opcode { .nopOut }
    public var header: BasicHeaderSegment

    @inline(__always)
    public init(_ header: BasicHeaderSegment) {
        assert(header.opcode == Self.opcode)
        self.header = header
    }

    /// - Parameters:
    ///   - initiatorTaskTag: a task's tag asks for an answer; `reservedTag` for none, and must be immediate.
    ///   - lun, targetTransferTag: copied from the NOP-In that is answered, else 0 and `reservedTag`.
    @inline(__always)
    public init(
        immediate: Bool = true, lun: UInt64 = 0, initiatorTaskTag: UInt32,
        targetTransferTag: UInt32 = reservedTag, cmdSN: CmdSN, expStatSN: StatSN, dataSegmentLength: Int = 0
    ) {
        assert(immediate || initiatorTaskTag != reservedTag, "RFC 7143 §11.18.1")
        header = BasicHeaderSegment(.nopOut, immediate: immediate)
        header.dataSegmentLength = dataSegmentLength
        header.lun = lun
        header[4] = initiatorTaskTag
        header[5] = targetTransferTag
        header[6] = cmdSN.value
        header[7] = expStatSN.value
    }

    /// The answer to a NOP-In that wants one; nil when it wants none.
    @inline(__always)
    public init?(answering ping: NOPIn, cmdSN: CmdSN, expStatSN: StatSN) {
        guard ping.wantsAnswer else { return nil }
        self.init(
            lun: ping.lun, initiatorTaskTag: reservedTag, targetTransferTag: ping.targetTransferTag,
            cmdSN: cmdSN, expStatSN: expStatSN)
    }

    @inline(__always) public var lun: UInt64 { header.lun }
    @inline(__always) public var targetTransferTag: UInt32 { header[5] }
    @inline(__always) public var cmdSN: CmdSN { CmdSN(header[6]) }
}
