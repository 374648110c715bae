/// SCSI Data-Out (RFC 7143 §11.7), unsolicited after the command or the answer to an R2T.
public struct SCSIDataOut: InitiatorPDU {
    @inline(__always) public static var opcode: Opcode { .scsiDataOut }
    public var header: BasicHeaderSegment

    @inline(__always)
    public init(_ header: BasicHeaderSegment) {
        assert(header.opcode == Self.opcode)
        self.header = header
    }

    /// - Parameters:
    ///   - isFinal: the last PDU of this sequence.
    ///   - lun: of the R2T (needed when `targetTransferTag` is given).
    ///   - targetTransferTag: of the R2T, or `reservedTag` for unsolicited data.
    ///   - dataSN: number of this PDU within the sequence, from 0.
    ///   - bufferOffset: bytes from the start of the whole transfer.
    @inline(__always)
    public init(
        isFinal: Bool, lun: UInt64, initiatorTaskTag: UInt32, targetTransferTag: UInt32,
        expStatSN: StatSN, dataSN: UInt32, bufferOffset: UInt32, dataSegmentLength: Int
    ) {
        header = BasicHeaderSegment(.scsiDataOut, byte1: isFinal ? 0x80 : 0)
        header.dataSegmentLength = dataSegmentLength
        header.lun = lun
        header[4] = initiatorTaskTag
        header[5] = targetTransferTag
        header[7] = expStatSN.value
        header[9] = dataSN
        header[10] = bufferOffset
    }

    @inline(__always) public var lun: UInt64 { header.lun }
    @inline(__always) public var targetTransferTag: UInt32 { header[5] }
    @inline(__always) public var dataSN: UInt32 { header[9] }
    @inline(__always) public var bufferOffset: UInt32 { header[10] }
}
