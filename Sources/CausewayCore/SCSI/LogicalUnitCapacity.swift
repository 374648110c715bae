/// The answer to READ CAPACITY(16) (SBC-3 §5.16.2).
public struct LogicalUnitCapacity: Equatable, BitwiseCopyable, Sendable {
    public var blockCount: UInt64
    /// LOGICAL BLOCK LENGTH IN BYTES: a power of two, at least 512.
    public var logicalBlockLength: UInt32
    /// LBPPBE: a physical block holds 2^this logical blocks.
    public var logicalBlocksPerPhysicalBlockExponent: UInt8
    /// LOWEST ALIGNED LOGICAL BLOCK ADDRESS: the first logical block at the start of a physical one.
    public var lowestAlignedLBA: UInt16
    /// LBPME: the unit is thinly provisioned, so that blocks can be unmapped.
    public var isThinlyProvisioned: Bool
    /// LBPRZ: unmapped blocks read as zeros.
    public var readsZerosAfterUnmap: Bool
    /// PROT_EN and P_TYPE: 1 to 3, nil without protection information.
    public var protectionType: UInt8?

    /// The capacity in bytes; never beyond what a signed 64-bit offset can address.
    public var byteCount: UInt64 { blockCount * UInt64(logicalBlockLength) }

    /// Throws `unusable` for block lengths and sizes that no Linux block device has; nothing that is computed
    /// from an accepted value overflows.
    public init(_ bytes: RawSpan) throws(SCSIDataError) {
        guard bytes.byteCount >= 12 else { throw .truncated(.readCapacity, need: 12, have: bytes.byteCount) }
        let lastLBA = bytes.uint64(orZeroAt: 0)
        let blockLength = bytes.uint32(orZeroAt: 8)
        guard (512...65536).contains(blockLength), blockLength.nonzeroBitCount == 1 else {
            throw .unusable(.readCapacity, field: "logical block length", value: UInt64(blockLength))
        }
        guard lastLBA < UInt64(Int64.max) / UInt64(blockLength) else {
            throw .unusable(.readCapacity, field: "last logical block address", value: lastLBA)
        }
        blockCount = lastLBA + 1
        logicalBlockLength = blockLength
        let protection = bytes.uint8(orZeroAt: 12)
        protectionType = protection & 0x01 != 0 ? (protection >> 1 & 0x07) + 1 : nil
        logicalBlocksPerPhysicalBlockExponent = bytes.uint8(orZeroAt: 13) & 0x0f
        let provisioning = bytes.uint16(orZeroAt: 14)
        isThinlyProvisioned = provisioning & 0x8000 != 0
        readsZerosAfterUnmap = provisioning & 0x4000 != 0
        lowestAlignedLBA = provisioning & 0x3fff
    }
}
