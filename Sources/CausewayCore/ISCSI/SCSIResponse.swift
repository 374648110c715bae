/// SCSI Response (RFC 7143 §11.4; the status qualifier is RFC 7144 §5.2.1).
public struct SCSIResponse: TargetPDU {
    @inline(__always) public static var opcode: Opcode { .scsiResponse }
    public var header: BasicHeaderSegment

    @inline(__always)
    public init(_ header: BasicHeaderSegment) {
        assert(header.opcode == Self.opcode)
        self.header = header
    }

    /// Byte 1. A target that sets both bits of a pair breaks the protocol.
    public struct Flags: OptionSet, BitwiseCopyable, Sendable {
        public let rawValue: UInt8
        @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// o: the bidirectional read had more bytes than the initiator had room for.
        @inline(__always) public static var bidirectionalReadOverflow: Flags { Flags(rawValue: 0x10) }
        /// u: the bidirectional read moved fewer bytes than expected.
        @inline(__always) public static var bidirectionalReadUnderflow: Flags { Flags(rawValue: 0x08) }
        /// O: the command had more bytes than the Expected Data Transfer Length.
        @inline(__always) public static var residualOverflow: Flags { Flags(rawValue: 0x04) }
        /// U: the command moved fewer bytes than the Expected Data Transfer Length.
        @inline(__always) public static var residualUnderflow: Flags { Flags(rawValue: 0x02) }

        /// False when both bits of a pair are set.
        @inline(__always)
        public var isConsistent: Bool { rawValue & 0x18 != 0x18 && rawValue & 0x06 != 0x06 }
    }

    /// The iSCSI service response. Everything but 0 maps to SERVICE DELIVERY OR TARGET FAILURE.
    public struct Response: RawRepresentable, Equatable, BitwiseCopyable, Sendable, CustomStringConvertible {
        public let rawValue: UInt8
        @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue }
        @inline(__always) public static var commandCompletedAtTarget: Response { Response(rawValue: 0) }
        @inline(__always) public static var targetFailure: Response { Response(rawValue: 1) }

        public var description: String {
            switch rawValue {
            case 0: "command completed at target"
            case 1: "target failure"
            case 0x80...: "vendor-specific response \(rawValue)"
            default: "reserved response \(rawValue)"
            }
        }
    }

    @inline(__always) public var flags: Flags { Flags(rawValue: header[byte: 1] & 0x1e) }
    @inline(__always) public var response: Response { Response(rawValue: header[byte: 2]) }
    /// The SCSI status; means something only when `response` is `commandCompletedAtTarget`.
    @inline(__always) public var status: UInt8 { header[byte: 3] }
    /// Valid only where iSCSIProtocolLevel 2 was negotiated.
    @inline(__always) public var statusQualifier: UInt16 { UInt16(truncatingIfNeeded: header[2] >> 16) }
    @inline(__always) public var snackTag: UInt32 { header[5] }
    /// How many Data-In PDUs (and, for bidirectional commands, R2Ts) the target sent for the command.
    @inline(__always) public var expDataSN: UInt32 { header[9] }
    @inline(__always) public var bidirectionalReadResidualCount: UInt32 { header[10] }
    /// In bytes; valid only with the O or U flag.
    @inline(__always) public var residualCount: UInt32 { header[11] }
}
