/// VPD page B2h, Logical Block Provisioning (SBC-3 §6.5.4): how blocks of a thin LUN can be given back.
public struct LogicalBlockProvisioning: Equatable, BitwiseCopyable, Sendable {
    /// PROVISIONING TYPE, an open set.
    public struct ProvisioningType: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
        public var rawValue: UInt8
        @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue & 0x07 }
        public static let full = Self(rawValue: 0)
        public static let resource = Self(rawValue: 1)
        public static let thin = Self(rawValue: 2)
    }

    /// LBPU: UNMAP is there.
    public var supportsUnmap: Bool
    /// LBPWS: WRITE SAME(16) takes the UNMAP bit.
    public var supportsWriteSame16Unmap: Bool
    /// LBPWS10: WRITE SAME(10) takes the UNMAP bit.
    public var supportsWriteSame10Unmap: Bool
    /// LBPRZ, three bits in SBC-4, whose lowest is the single bit of SBC-3: 0 says nothing of what unmapped
    /// blocks read as, odd values zeros, 2 a pattern of the vendor's.
    public var lbprz: UInt8
    /// ANC_SUP: blocks can be anchored.
    public var supportsAnchor: Bool
    public var type: ProvisioningType

    public init(_ bytes: RawSpan) throws(SCSIDataError) {
        let end = try VitalProductDataPage.logicalBlockProvisioning.end(in: bytes)
        let page = bytes.extracting(first: min(end, bytes.byteCount))
        let flags = page.uint8(orZeroAt: 5)
        supportsUnmap = flags & 0x80 != 0
        supportsWriteSame16Unmap = flags & 0x40 != 0
        supportsWriteSame10Unmap = flags & 0x20 != 0
        lbprz = flags >> 2 & 0x07
        supportsAnchor = flags & 0x02 != 0
        type = ProvisioningType(rawValue: page.uint8(orZeroAt: 6))
    }
}
