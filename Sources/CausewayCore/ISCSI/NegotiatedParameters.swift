/// Check codes over headers and data (RFC 7143 §13.1).
public enum Digest: UInt8, BitwiseCopyable, Sendable, CustomStringConvertible {
    case none, crc32c
    public var description: String { self == .none ? "None" : "CRC32C" }
}

/// What a login has settled. Lengths are in bytes, times in seconds.
public struct NegotiatedParameters: Equatable, BitwiseCopyable, Sendable {
    public var headerDigest = Digest.none
    public var dataDigest = Digest.none
    /// Yes: no unsolicited Data-Out PDUs.
    public var initialR2T = true
    public var immediateData = true
    /// The longest data segment that the target takes: the limit of what we send.
    public var targetMaxRecvDataSegmentLength = 8192
    /// The longest data segment that we declared: the limit of what the target sends.
    public var initiatorMaxRecvDataSegmentLength = 8192
    public var maxBurstLength = 262_144
    public var firstBurstLength = 65536
    public var maxOutstandingR2T = 1
    public var dataPDUInOrder = true
    public var dataSequenceInOrder = true
    public var errorRecoveryLevel = 0
    public var defaultTime2Wait = 2
    public var defaultTime2Retain = 20
    public var maxConnections = 1
    /// RFC 7144 §7.1.1; what comes with level 2 is not used.
    public var iscsiProtocolLevel = 1
    /// The hash function of CHAP (RFC 7143 §12.1.3); nil where neither side had to prove who it is.
    public var chap: CHAPAlgorithm?
    /// The target has proved who it is, too.
    public var chapIsMutual = false
    /// The portal group that answered; nil when the target did not say (RFC 7143 §13.9 obliges it to).
    public var targetPortalGroupTag: UInt16?
    public var tsih: UInt16 = 0
    /// Acknowledges the final Login Response: what the first request of the Full Feature Phase carries.
    public var expStatSN = StatSN(0)
    public var expCmdSN = CmdSN(0)
    /// The window as the final Login Response opened it; it may hold no more than one command.
    public var maxCmdSN = CmdSN(0)

    /// The defaults of RFC 7143.
    public init() {}

    /// How the sides have proved who they are, for people.
    public var authentication: String {
        chap.map { "CHAP \($0), \(chapIsMutual ? "mutual" : "one-way")" } ?? TextValue.none
    }

    /// How much data may travel in a SCSI Command PDU.
    public var maxImmediateDataLength: Int {
        immediateData ? min(firstBurstLength, targetMaxRecvDataSegmentLength) : 0
    }
}
