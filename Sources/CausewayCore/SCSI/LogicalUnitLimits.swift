/// What a LUN is and what it can do, gathered from its pages into one value that the data path reads. Lengths
/// and addresses are in logical blocks unless the name says bytes.
public struct LogicalUnitLimits: Equatable, BitwiseCopyable, Sendable {
    /// In bytes, a power of two of at least 512.
    public var logicalBlockLength: UInt32
    public var blockCount: UInt64
    /// In bytes. Without LBPPBE the logical block length.
    public var physicalBlockLength: UInt32
    /// The most that one READ or WRITE moves: the LUN's MAXIMUM TRANSFER LENGTH and the caller's cap,
    /// whichever is smaller; the cap alone where the LUN names none, for then it must take any length. At
    /// least one block.
    public var maxTransferBlocks: UInt32
    /// OPTIMAL TRANSFER LENGTH, where the LUN names one that fits into `maxTransferBlocks`.
    public var optimalTransferBlocks: UInt32?
    /// Nil where the LUN does not promise UNMAP. It does with LBPME set, a MAXIMUM UNMAP LBA COUNT above zero
    /// and, where it has page B2h, LBPU: what Linux asks of a disk too. Without all of these a TRIM is left
    /// undone.
    public var unmap: UnmapLimits?
    /// Nil where the LUN does not promise WRITE SAME(16). It does with a MAXIMUM WRITE SAME LENGTH, or on a
    /// thin LUN with LBPWS. Targets exist that have it and say nothing; zeros sent with WRITE are right
    /// everywhere.
    public var writeSame: WriteSameLimits?
    /// False unless page B1h gives a speed in turns a minute: behind a network target elevator sorting gains
    /// little, and most LUNs that stay silent are not one spindle.
    public var isRotational: Bool
    /// True unless the caching page says that WCE is off: a needless SYNCHRONIZE CACHE costs little, a
    /// missing one data.
    public var writeCacheEnabled: Bool
    /// False unless MODE SENSE says DPOFUA: without it a forced write is a WRITE and a SYNCHRONIZE CACHE.
    public var supportsFUA: Bool
    /// WP, or SWP of the control page. False where MODE SENSE failed: a protected LUN then answers 7/27/xx to
    /// a write.
    public var isWriteProtected: Bool
    /// TST; nil where the LUN has no control page.
    public var taskSetType: TaskSetType?
    /// LBPRZ: unmapped blocks read as zeros. False unless the LUN is thin and READ CAPACITY(16) says so, and
    /// page B2h does not speak of a pattern.
    public var readsZerosAfterUnmap: Bool

    /// Joins what was read. Nil for a page that the LUN does not have or sent in a form that could not be
    /// read. `maxTransferBytes` is the caller's cap on one command.
    public init(
        capacity: LogicalUnitCapacity, blockLimits: BlockLimits? = nil,
        characteristics: BlockDeviceCharacteristics? = nil, provisioning: LogicalBlockProvisioning? = nil,
        mode: ModeParameters? = nil, maxTransferBytes: UInt32
    ) {
        logicalBlockLength = capacity.logicalBlockLength
        blockCount = capacity.blockCount
        let (physical, overflow) = capacity.logicalBlockLength.multipliedReportingOverflow(
            by: 1 << UInt32(capacity.logicalBlocksPerPhysicalBlockExponent))
        physicalBlockLength = overflow ? capacity.logicalBlockLength : physical
        let cap = max(1, maxTransferBytes / capacity.logicalBlockLength)
        let maximum = blockLimits?.maximumTransferLength ?? 0
        maxTransferBlocks = maximum == 0 ? cap : min(maximum, cap)
        let optimal = blockLimits?.optimalTransferLength ?? 0
        optimalTransferBlocks = optimal == 0 || optimal > maxTransferBlocks ? nil : optimal
        unmap = UnmapLimits(capacity: capacity, blockLimits: blockLimits, provisioning: provisioning)
        writeSame = WriteSameLimits(capacity: capacity, blockLimits: blockLimits, provisioning: provisioning)
        isRotational = characteristics?.rotationRate.rpm != nil
        writeCacheEnabled = mode?.writeCacheEnabled ?? true
        supportsFUA = mode?.supportsFUA ?? false
        isWriteProtected = mode.map { $0.isWriteProtected || $0.softwareWriteProtect == true } ?? false
        taskSetType = mode?.taskSetType
        readsZerosAfterUnmap =
            capacity.isThinlyProvisioned && capacity.readsZerosAfterUnmap && provisioning?.lbprz != 2
    }

    /// The capacity in bytes.
    public var byteCount: UInt64 { blockCount * UInt64(logicalBlockLength) }

    /// A byte offset shifted right by this is a block address.
    public var logicalBlockShift: Int { logicalBlockLength.trailingZeroBitCount }

    /// Whether an ORDERED task of one session waits for the older tasks of all: what the barrier of a fence
    /// needs. A LUN without a control page counts as one that does, TST 000b being what a unit without choice
    /// has (SPC-4 §7.5.8).
    public var sharesTaskSet: Bool { taskSetType == nil || taskSetType == .shared }
}

/// What one UNMAP may hold (SBC-3 §6.5.3).
public struct UnmapLimits: Equatable, BitwiseCopyable, Sendable {
    /// In all descriptors together; FFFFFFFFh for no limit. At least one.
    public var maxBlocks: UInt32
    /// At least one, at most what a parameter list can count. One where the target names none.
    public var maxDescriptors: UInt32
    /// Only whole granules are given back. One where the target names none.
    public var granularityBlocks: UInt32
    /// The first block of a granule, under `granularityBlocks`. Zero where the target names none.
    public var alignmentBlocks: UInt32

    init?(
        capacity: LogicalUnitCapacity, blockLimits: BlockLimits?, provisioning: LogicalBlockProvisioning?
    ) {
        guard capacity.isThinlyProvisioned, let blockLimits, blockLimits.maximumUnmapLBACount > 0,
            provisioning?.supportsUnmap ?? true
        else { return nil }
        maxBlocks = blockLimits.maximumUnmapLBACount
        maxDescriptors = min(
            max(1, blockLimits.maximumUnmapDescriptorCount), UInt32(UnmapParameterList.descriptorCountMax))
        granularityBlocks = max(1, blockLimits.optimalUnmapGranularity)
        alignmentBlocks = (blockLimits.unmapGranularityAlignment ?? 0) % granularityBlocks
    }

    /// The whole granules inside `range`; nil where there is none.
    public func wholeGranules(in range: Range<UInt64>) -> Range<UInt64>? {
        let granularity = UInt64(granularityBlocks)
        let alignment = UInt64(alignmentBlocks)
        // How far a block lies into its granule; written so that a block before the first granule does not
        // underflow.
        func position(_ block: UInt64) -> UInt64 {
            (block % granularity + granularity - alignment) % granularity
        }
        let into = position(range.lowerBound)
        let (lower, overflow) = range.lowerBound.addingReportingOverflow(into == 0 ? 0 : granularity - into)
        let past = position(range.upperBound)
        guard !overflow, past <= range.upperBound, lower < range.upperBound - past else { return nil }
        return lower..<range.upperBound - past
    }
}

/// What one WRITE SAME(16) may do.
public struct WriteSameLimits: Equatable, BitwiseCopyable, Sendable {
    /// MAXIMUM WRITE SAME LENGTH. 65535 where the target names none: what WRITE SAME(10) can ask of any
    /// target.
    public var maxBlocks: UInt32
    /// LBPWS on a thin LUN: the UNMAP bit is taken.
    public var mayUnmap: Bool

    init?(
        capacity: LogicalUnitCapacity, blockLimits: BlockLimits?, provisioning: LogicalBlockProvisioning?
    ) {
        let maximum = blockLimits?.maximumWriteSameLength ?? 0
        mayUnmap = capacity.isThinlyProvisioned && provisioning?.supportsWriteSame16Unmap == true
        guard maximum > 0 || mayUnmap else { return nil }
        maxBlocks = maximum == 0 ? 65535 : UInt32(clamping: maximum)
    }
}
