import Testing

@testable import CausewayCore

@Suite struct LogicalUnitLimitsTests {
    private let thin: LogicalUnitCapacity
    private var thick: LogicalUnitCapacity {
        var capacity = thin
        capacity.isThinlyProvisioned = false
        return capacity
    }
    private let blockLimits: BlockLimits
    private let provisioning: LogicalBlockProvisioning
    private let mode: ModeParameters
    private let cap: UInt32 = 1 << 20

    init() throws {
        thin = try parsed(LogicalUnitCapacityTests.bytes, by: LogicalUnitCapacity.init)
        blockLimits = try parsed(VitalProductDataTests.blockLimits, by: BlockLimits.init)
        provisioning = try parsed(VitalProductDataTests.provisioning, by: LogicalBlockProvisioning.init)
        mode = try parsed(ModeParametersTests.sense6, by: ModeParameters.init(modeSense6:))
    }

    @Test func everyPage() throws {
        let limits = LogicalUnitLimits(
            capacity: thin, blockLimits: blockLimits,
            characteristics: try parsed(
                VitalProductDataTests.characteristics, by: BlockDeviceCharacteristics.init),
            provisioning: provisioning, mode: mode, maxTransferBytes: 16 << 20)
        #expect(limits.logicalBlockLength == 512)
        #expect(limits.logicalBlockShift == 9)
        #expect(limits.blockCount == 0x20_0000)
        #expect(limits.byteCount == 1 << 30)
        #expect(limits.physicalBlockLength == 4096)
        #expect(limits.maxTransferBlocks == 16384)
        #expect(limits.optimalTransferBlocks == 4096)
        #expect(limits.unmap?.maxBlocks == 8192)
        #expect(limits.unmap?.maxDescriptors == 1)
        #expect(limits.unmap?.granularityBlocks == 32)
        #expect(limits.unmap?.alignmentBlocks == 5)
        #expect(limits.writeSame?.maxBlocks == 4096)
        #expect(limits.writeSame?.mayUnmap == true)
        #expect(limits.isRotational)
        #expect(limits.writeCacheEnabled)
        #expect(limits.supportsFUA)
        #expect(limits.isWriteProtected)
        #expect(limits.taskSetType == .perNexus)
        #expect(!limits.sharesTaskSet)
        #expect(limits.readsZerosAfterUnmap)
    }

    @Test func noPages() {
        let limits = LogicalUnitLimits(capacity: thin, maxTransferBytes: cap)
        #expect(limits.maxTransferBlocks == 2048)
        #expect(limits.optimalTransferBlocks == nil)
        #expect(limits.unmap == nil)
        #expect(limits.writeSame == nil)
        #expect(!limits.isRotational)
        #expect(limits.writeCacheEnabled)
        #expect(!limits.supportsFUA)
        #expect(!limits.isWriteProtected)
        #expect(limits.taskSetType == nil)
        #expect(limits.sharesTaskSet)
    }

    @Test func transferLimits() {
        var page = blockLimits
        // The cap counts where it is smaller than the LUN's own limit; an optimum beyond it is none.
        let capped = LogicalUnitLimits(capacity: thin, blockLimits: page, maxTransferBytes: cap)
        #expect(capped.maxTransferBlocks == 2048)
        #expect(capped.optimalTransferBlocks == nil)
        page.maximumTransferLength = 1
        #expect(
            LogicalUnitLimits(capacity: thin, blockLimits: page, maxTransferBytes: cap).maxTransferBlocks == 1
        )
        // A cap below one block does not stop the disk.
        #expect(LogicalUnitLimits(capacity: thin, maxTransferBytes: 0).maxTransferBlocks == 1)
    }

    @Test func unmapNeedsEveryPromise() {
        func unmap(
            _ capacity: LogicalUnitCapacity, _ page: BlockLimits?, _ provisioning: LogicalBlockProvisioning?
        )
            -> UnmapLimits?
        {
            LogicalUnitLimits(
                capacity: capacity, blockLimits: page, provisioning: provisioning, maxTransferBytes: cap
            ).unmap
        }
        var without = provisioning
        without.supportsUnmap = false
        var none = blockLimits
        none.maximumUnmapLBACount = 0
        #expect(unmap(thin, blockLimits, provisioning) != nil)
        // Targets older than page B2h.
        #expect(unmap(thin, blockLimits, nil) != nil)
        #expect(unmap(thick, blockLimits, provisioning) == nil)
        #expect(unmap(thin, blockLimits, without) == nil)
        #expect(unmap(thin, none, provisioning) == nil)
        #expect(unmap(thin, nil, provisioning) == nil)
        // Zero where the target names no limit.
        var vague = blockLimits
        vague.maximumUnmapDescriptorCount = 0
        vague.optimalUnmapGranularity = 0
        #expect(unmap(thin, vague, provisioning)?.maxDescriptors == 1)
        #expect(unmap(thin, vague, provisioning)?.granularityBlocks == 1)
        #expect(unmap(thin, vague, provisioning)?.alignmentBlocks == 0)
        vague.maximumUnmapDescriptorCount = .max
        #expect(unmap(thin, vague, provisioning)?.maxDescriptors == 4095)
        // An alignment beyond the granularity means its remainder.
        vague.optimalUnmapGranularity = 8
        vague.unmapGranularityAlignment = 13
        #expect(unmap(thin, vague, provisioning)?.alignmentBlocks == 5)
    }

    @Test func writeSameIsUsedWhereItIsPromised() {
        var silent = blockLimits
        silent.maximumWriteSameLength = 0
        var huge = blockLimits
        huge.maximumWriteSameLength = .max
        func writeSame(_ capacity: LogicalUnitCapacity, _ page: BlockLimits?) -> WriteSameLimits? {
            LogicalUnitLimits(
                capacity: capacity, blockLimits: page, provisioning: provisioning, maxTransferBytes: cap
            ).writeSame
        }
        #expect(writeSame(thick, silent) == nil)
        #expect(writeSame(thick, blockLimits)?.mayUnmap == false)
        #expect(writeSame(thick, blockLimits)?.maxBlocks == 4096)
        #expect(writeSame(thin, silent)?.maxBlocks == 65535)
        #expect(writeSame(thin, huge)?.maxBlocks == .max)
    }

    @Test func zerosAfterUnmap() {
        var pattern = provisioning
        pattern.lbprz = 2
        func zeros(_ capacity: LogicalUnitCapacity, _ provisioning: LogicalBlockProvisioning?) -> Bool {
            LogicalUnitLimits(capacity: capacity, provisioning: provisioning, maxTransferBytes: cap)
                .readsZerosAfterUnmap
        }
        #expect(zeros(thin, nil))
        #expect(zeros(thin, provisioning))
        #expect(!zeros(thin, pattern))
        #expect(!zeros(thick, provisioning))
    }

    @Test func softwareWriteProtectCounts() {
        var soft = mode
        soft.isWriteProtected = false
        #expect(LogicalUnitLimits(capacity: thin, mode: soft, maxTransferBytes: cap).isWriteProtected)
        soft.softwareWriteProtect = false
        #expect(!LogicalUnitLimits(capacity: thin, mode: soft, maxTransferBytes: cap).isWriteProtected)
    }

    @Test func physicalBlockLengthNeverOverflows() {
        var capacity = thin
        capacity.logicalBlockLength = 1 << 31
        capacity.logicalBlocksPerPhysicalBlockExponent = 15
        #expect(LogicalUnitLimits(capacity: capacity, maxTransferBytes: cap).physicalBlockLength == 1 << 31)
    }

    @Test func wholeGranules() throws {
        let unmap = try #require(
            LogicalUnitLimits(
                capacity: thin, blockLimits: blockLimits, provisioning: provisioning, maxTransferBytes: cap
            ).unmap)
        // Granules of 32 blocks start at 5, 37, 69, …
        #expect(unmap.wholeGranules(in: 5..<37) == 5..<37)
        #expect(unmap.wholeGranules(in: 0..<37) == 5..<37)
        #expect(unmap.wholeGranules(in: 4..<100) == 5..<69)
        #expect(unmap.wholeGranules(in: 6..<101) == 37..<101)
        #expect(unmap.wholeGranules(in: 6..<68) == nil)
        #expect(unmap.wholeGranules(in: 0..<4) == nil)
        #expect(unmap.wholeGranules(in: 0..<5) == nil)
        #expect(unmap.wholeGranules(in: 7..<7) == nil)
        #expect(unmap.wholeGranules(in: UInt64.max - 3..<UInt64.max) == nil)
    }
}
