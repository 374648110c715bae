/// VPD page B0h, Block Limits (SBC-3 §6.5.3). Lengths in logical blocks; zero where the target gives no limit
/// or sends an older and shorter page.
public struct BlockLimits: Equatable, BitwiseCopyable, Sendable {
    /// WSNZ: WRITE SAME with a length of zero ("to the end") is refused.
    public var writeSameNonZero: Bool
    public var maximumCompareAndWriteLength: UInt8
    public var optimalTransferLengthGranularity: UInt16
    public var maximumTransferLength: UInt32
    public var optimalTransferLength: UInt32
    /// In one UNMAP; zero where UNMAP is not there, FFFFFFFFh for no limit.
    public var maximumUnmapLBACount: UInt32
    public var maximumUnmapDescriptorCount: UInt32
    public var optimalUnmapGranularity: UInt32
    /// The first block of a granule; nil where UGAVALID is clear.
    public var unmapGranularityAlignment: UInt32?
    public var maximumWriteSameLength: UInt64

    public init(_ bytes: RawSpan) throws(SCSIDataError) {
        let end = try VitalProductDataPage.blockLimits.end(in: bytes)
        let page = bytes.extracting(first: min(end, bytes.byteCount))
        writeSameNonZero = page.uint8(orZeroAt: 4) & 0x01 != 0
        maximumCompareAndWriteLength = page.uint8(orZeroAt: 5)
        optimalTransferLengthGranularity = page.uint16(orZeroAt: 6)
        maximumTransferLength = page.uint32(orZeroAt: 8)
        optimalTransferLength = page.uint32(orZeroAt: 12)
        maximumUnmapLBACount = page.uint32(orZeroAt: 20)
        maximumUnmapDescriptorCount = page.uint32(orZeroAt: 24)
        optimalUnmapGranularity = page.uint32(orZeroAt: 28)
        let alignment = page.uint32(orZeroAt: 32)
        unmapGranularityAlignment = alignment & 0x8000_0000 != 0 ? alignment & 0x7fff_ffff : nil
        maximumWriteSameLength = page.uint64(orZeroAt: 36)
    }
}
