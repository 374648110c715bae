/// One descriptor of GET LBA STATUS data (SBC-3 §5.5.2): a run of blocks of one provisioning status.
public struct LBAStatusDescriptor: Equatable, BitwiseCopyable, Sendable {
    /// PROVISIONING STATUS, an open set.
    public struct ProvisioningStatus: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
        public var rawValue: UInt8
        @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue & 0x0f }
        /// Mapped, or the target does not know.
        public static let mapped = Self(rawValue: 0)
        public static let deallocated = Self(rawValue: 1)
        public static let anchored = Self(rawValue: 2)
    }

    public var lba: UInt64
    public var blocks: UInt32
    public var status: ProvisioningStatus

    public init(lba: UInt64, blocks: UInt32, status: ProvisioningStatus) {
        self.lba = lba
        self.blocks = blocks
        self.status = status
    }
}

/// The answer to GET LBA STATUS. The target may describe less than what was asked for: the caller asks on
/// from the end of the last descriptor. Every descriptor covers at least one block, so that this ends.
public struct LBAStatusData: Equatable, Sendable {
    public var descriptors: [LBAStatusDescriptor]

    /// Descriptors that did not come whole are left out.
    public init(_ bytes: RawSpan) throws(SCSIDataError) {
        guard bytes.byteCount >= 8 else { throw .truncated(.lbaStatus, need: 8, have: bytes.byteCount) }
        // PARAMETER DATA LENGTH counts from byte 4.
        let end = min(bytes.byteCount, 4 + Int(bytes.uint32(orZeroAt: 0)))
        descriptors = []
        var offset = 8
        while offset + 16 <= end {
            let lba = bytes.uint64(orZeroAt: offset)
            let blocks = bytes.uint32(orZeroAt: offset + 8)
            guard blocks > 0, !lba.addingReportingOverflow(UInt64(blocks)).overflow else {
                throw .malformed(.lbaStatus, offset: offset)
            }
            descriptors.append(
                LBAStatusDescriptor(
                    lba: lba, blocks: blocks, status: .init(rawValue: bytes.uint8(orZeroAt: offset + 12))))
            offset += 16
        }
    }
}
