/// Text Response (RFC 7143 §11.11).
public struct TextResponse: TargetPDU {
    @inline(__always) public static var opcode: Opcode { .textResponse }
    public var header: BasicHeaderSegment

    @inline(__always)
    public init(_ header: BasicHeaderSegment) {
        assert(header.opcode == Self.opcode)
        self.header = header
    }

    /// F: the target has finished the whole operation.
    public var isFinal: Bool { header.isFinal }
    /// C: the text goes on in the next response; excludes F.
    public var isContinued: Bool { header[byte: 1] & 0x40 != 0 }
    public var lun: UInt64 { header.lun }
    /// To be copied into the request that asks for more; `reservedTag` exactly when F is set.
    public var targetTransferTag: UInt32 { header[5] }
}
