/// NOP-In (RFC 7143 §11.19): the echo of a ping, the target's own ping, or a bare change of the command
/// window.
public struct NOPIn: TargetPDU {
    @inline(__always) public static var opcode: Opcode { .nopIn }
    public var header: BasicHeaderSegment

    @inline(__always)
    public init(_ header: BasicHeaderSegment) {
        assert(header.opcode == Self.opcode)
        self.header = header
    }

    @inline(__always) public var lun: UInt64 { header.lun }
    @inline(__always) public var targetTransferTag: UInt32 { header[5] }
    /// The answer to a NOP-Out of ours. Only then does the StatSN count on.
    @inline(__always) public var isEcho: Bool { initiatorTaskTag != reservedTag }
    /// The target waits for a NOP-Out with its tag.
    /// An echo never wants one, whatever its tag: answering it would start an endless exchange.
    @inline(__always) public var wantsAnswer: Bool { !isEcho && targetTransferTag != reservedTag }
}
