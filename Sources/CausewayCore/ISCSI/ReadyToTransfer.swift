/// Ready To Transfer, R2T (RFC 7143 §11.8): the target asks for a part of a write's data.
public struct ReadyToTransfer: TargetPDU {
    @inline(__always) public static var opcode: Opcode { .readyToTransfer }
    public var header: BasicHeaderSegment

    @inline(__always)
    public init(_ header: BasicHeaderSegment) {
        assert(header.opcode == Self.opcode)
        self.header = header
    }

    @inline(__always) public var lun: UInt64 { header.lun }
    /// Copied into every Data-Out of the answer; `reservedTag` here breaks the protocol.
    @inline(__always) public var targetTransferTag: UInt32 { header[5] }
    /// Number of this R2T within the command, from 0.
    @inline(__always) public var r2tSN: UInt32 { header[9] }
    /// Bytes from the start of the whole transfer.
    @inline(__always) public var bufferOffset: UInt32 { header[10] }
    /// Bytes wanted: 1 to MaxBurstLength.
    @inline(__always) public var desiredDataTransferLength: UInt32 { header[11] }

    /// Whether what is asked for lies inside the transfer and the burst limit (both in bytes), and is named
    /// by a usable tag.
    @inline(__always)
    public func isAcceptable(expectedDataTransferLength: Int, maxBurstLength: Int) -> Bool {
        let length = Int(desiredDataTransferLength)
        return length != 0 && length <= maxBurstLength
            && Int(bufferOffset) + length <= expectedDataTransferLength && targetTransferTag != reservedTag
    }
}
