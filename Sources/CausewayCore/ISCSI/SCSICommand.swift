/// SCSI Command (RFC 7143 §11.3; the priority is RFC 7144 §5.1.1).
public struct SCSICommand: InitiatorPDU {
    @inline(__always) public static var opcode: Opcode { .scsiCommand }
    public var header: BasicHeaderSegment

    @inline(__always)
    public init(_ header: BasicHeaderSegment) {
        assert(header.opcode == Self.opcode)
        self.header = header
    }

    public struct Flags: OptionSet, BitwiseCopyable, Sendable {
        public let rawValue: UInt8
        @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// No unsolicited Data-Out follows this PDU. One of `final` and `write` must be set.
        @inline(__always) public static var final: Flags { Flags(rawValue: 0x80) }
        @inline(__always) public static var read: Flags { Flags(rawValue: 0x40) }
        @inline(__always) public static var write: Flags { Flags(rawValue: 0x20) }
    }

    /// Task attributes of SAM-5 8.6.
    public enum TaskAttribute: UInt8, BitwiseCopyable, Sendable {
        case untagged = 0
        case simple = 1
        case ordered = 2
        case headOfQueue = 3
        case aca = 4
    }

    /// - Parameters:
    ///   - expectedDataTransferLength: bytes that the whole command moves.
    ///   - cdb: the sixteen bytes of the CDB as four words, byte 0 in the top bits of the first.
    ///   - immediateDataLength: bytes of data that follow this header.
    @inline(__always)
    public init(
        flags: Flags, attribute: TaskAttribute = .simple, priority: UInt8 = 0, immediate: Bool = false,
        lun: UInt64, initiatorTaskTag: UInt32, expectedDataTransferLength: UInt32,
        cmdSN: CmdSN, expStatSN: StatSN, cdb: (UInt32, UInt32, UInt32, UInt32), immediateDataLength: Int = 0
    ) {
        assert(flags.contains(.final) || flags.contains(.write), "RFC 7143 §11.3.1: W or F")
        header = BasicHeaderSegment(
            .scsiCommand, immediate: immediate, byte1: flags.rawValue | attribute.rawValue,
            byte2: (priority & 0x0f) << 4)
        header.dataSegmentLength = immediateDataLength
        header.lun = lun
        header[4] = initiatorTaskTag
        header[5] = expectedDataTransferLength
        header[6] = cmdSN.value
        header[7] = expStatSN.value
        header[8] = cdb.0
        header[9] = cdb.1
        header[10] = cdb.2
        header[11] = cdb.3
    }

    @inline(__always) public var lun: UInt64 { header.lun }
    @inline(__always) public var flags: Flags { Flags(rawValue: header[byte: 1] & 0xe0) }
    @inline(__always) public var expectedDataTransferLength: UInt32 { header[5] }
    @inline(__always) public var cmdSN: CmdSN { CmdSN(header[6]) }
    @inline(__always)
    public var cdb: (UInt32, UInt32, UInt32, UInt32) { (header[8], header[9], header[10], header[11]) }
}
