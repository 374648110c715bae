/// SCSI Data-In (RFC 7143 §11.7), the answer to a read; the last one may carry GOOD status itself.
public struct SCSIDataIn: TargetPDU {
    @inline(__always) public static var opcode: Opcode { .scsiDataIn }
    public var header: BasicHeaderSegment

    @inline(__always)
    public init(_ header: BasicHeaderSegment) {
        assert(header.opcode == Self.opcode)
        self.header = header
    }

    public struct Flags: OptionSet, BitwiseCopyable, Sendable {
        public let rawValue: UInt8
        @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// F: the last PDU of a sequence.
        @inline(__always) public static var final: Flags { Flags(rawValue: 0x80) }
        /// A: the target asks for a DataACK SNACK; ignored at ErrorRecoveryLevel 0.
        @inline(__always) public static var acknowledge: Flags { Flags(rawValue: 0x40) }
        /// O: valid only with S.
        @inline(__always) public static var residualOverflow: Flags { Flags(rawValue: 0x04) }
        /// U: valid only with S.
        @inline(__always) public static var residualUnderflow: Flags { Flags(rawValue: 0x02) }
        /// S: the PDU carries status, StatSN and residual.
        @inline(__always) public static var status: Flags { Flags(rawValue: 0x01) }

        /// False when S comes without F, or both residual bits are set with S.
        @inline(__always)
        public var isConsistent: Bool {
            rawValue & 0x01 == 0 || (rawValue & 0x80 != 0 && rawValue & 0x06 != 0x06)
        }
    }

    @inline(__always) public var flags: Flags { Flags(rawValue: header[byte: 1] & 0xc7) }
    @inline(__always) public var hasStatus: Bool { header[0] & 0x0001_0000 != 0 }
    /// The SCSI status; valid only with S.
    @inline(__always) public var status: UInt8 { header[byte: 3] }
    /// Valid only with A.
    @inline(__always) public var lun: UInt64 { header.lun }
    /// Valid only with A; otherwise `reservedTag`.
    @inline(__always) public var targetTransferTag: UInt32 { header[5] }
    /// Number of this PDU within the command, from 0.
    @inline(__always) public var dataSN: UInt32 { header[9] }
    /// Where this data stands within the whole transfer, in bytes.
    @inline(__always) public var bufferOffset: UInt32 { header[10] }
    /// In bytes; valid only with S and one of O and U.
    @inline(__always) public var residualCount: UInt32 { header[11] }
}
