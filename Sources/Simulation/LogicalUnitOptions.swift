/// What a simulated LUN is and how it behaves. Times in nanoseconds, probabilities in thousandths a command.
public struct LogicalUnitOptions: Sendable {
    public var blockLength = 512
    public var blockCount = 4096
    /// Portals that show fewer blocks than there are.
    public var shownBlocks: [Int: Int] = [:]
    /// The NAA designator of VPD page 83h.
    public var identity: UInt64 = 0x5001_0000_0000_0001
    /// Beside the identity: a LUN made anew.
    public var serial = "SIM1"
    public var maxTransferBlocks = 0
    /// WCE: acknowledged writes lie in a volatile cache.
    public var hasWriteCache = true
    /// DPOFUA.
    public var supportsFUA = true
    /// LBPME with UNMAP, and GET LBA STATUS.
    public var isThin = true
    public var maxUnmapBlocks = 1024
    public var unmapGranularity = 8
    public var maxWriteSameBlocks = 2048
    public var writeSameMayUnmap = true
    /// LBPRZ: unmapped blocks read as zeros; without it they may also keep what they held.
    public var unmappedReadsZeros = true

    public var latency: ClosedRange<UInt64> = 50_000...200_000
    /// Now and then a command takes so long instead.
    public var slowLatency: ClosedRange<UInt64> = 10_000_000...200_000_000
    public var slowPermille = 0
    public var busyPermille = 0
    public var taskSetFullPermille = 0
    /// ABORTED COMMAND; half of these were carried out.
    public var abortedPermille = 0
    public var attentionPermille = 0
    /// What it announces and refuses all the same.
    public var refusals: Refusals = []

    public struct Refusals: OptionSet, Sendable {
        public var rawValue: Int
        public init(rawValue: Int) { self.rawValue = rawValue }

        public static let unmap = Refusals(rawValue: 1)
        public static let writeSame = Refusals(rawValue: 2)
        /// The UNMAP bit of WRITE SAME.
        public static let unmapInWriteSame = Refusals(rawValue: 4)
        public static let forceUnitAccess = Refusals(rawValue: 8)
        /// GET LBA STATUS, but for the first two.
        public static let allocation = Refusals(rawValue: 16)
    }

    /// CHECK CONDITION without sense data.
    public var speechlessPermille = 0

    public init() {}
}

struct Sense: Equatable {
    var key: UInt8
    var code: UInt8
    var qualifier: UInt8

    static let powerOn = Sense(key: 6, code: 0x29, qualifier: 0x01)
    static let reset = Sense(key: 6, code: 0x29, qualifier: 0x00)
    static let deviceReset = Sense(key: 6, code: 0x29, qualifier: 0x03)
    static let nexusLoss = Sense(key: 6, code: 0x29, qualifier: 0x07)
    static let modeParametersChanged = Sense(key: 6, code: 0x2a, qualifier: 0x01)
    static let accessStateChanged = Sense(key: 6, code: 0x2a, qualifier: 0x06)
    static let reservationsPreempted = Sense(key: 6, code: 0x2a, qualifier: 0x03)
    static let registrationsPreempted = Sense(key: 6, code: 0x2a, qualifier: 0x05)
    static let capacityChanged = Sense(key: 6, code: 0x2a, qualifier: 0x09)
    static let lunsChanged = Sense(key: 6, code: 0x3f, qualifier: 0x0e)
    static let inquiryChanged = Sense(key: 6, code: 0x3f, qualifier: 0x03)
    static let transition = Sense(key: 2, code: 0x04, qualifier: 0x0a)
    static let standby = Sense(key: 2, code: 0x04, qualifier: 0x0b)
    static let unavailable = Sense(key: 2, code: 0x04, qualifier: 0x0c)
    static let offline = Sense(key: 2, code: 0x04, qualifier: 0x12)
    static let noSpace = Sense(key: 7, code: 0x27, qualifier: 0x07)
    static let invalidField = Sense(key: 5, code: 0x24, qualifier: 0x00)
    static let invalidOperation = Sense(key: 5, code: 0x20, qualifier: 0x00)
    static let outOfRange = Sense(key: 5, code: 0x21, qualifier: 0x00)
    static let noSuchUnit = Sense(key: 5, code: 0x25, qualifier: 0x00)
    static let mediumErrorWriting = Sense(key: 3, code: 0x0c, qualifier: 0x00)
    static let mediumErrorReading = Sense(key: 3, code: 0x11, qualifier: 0x00)
    static let aborted = Sense(key: 0x0b, code: 0x00, qualifier: 0x00)
    static let protocolServiceCRCError = Sense(key: 0x0b, code: 0x47, qualifier: 0x05)

    /// Fixed format (SPC-4 4.5.3).
    var bytes: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 18)
        bytes[0] = 0x70
        bytes[2] = key
        bytes[7] = 10
        bytes[12] = code
        bytes[13] = qualifier
        return bytes
    }
}

/// How a command ends.
enum Outcome {
    case good([UInt8])
    case check(Sense)
    case status(UInt8)

    static let busy = Outcome.status(0x08)
    static let taskSetFull = Outcome.status(0x28)
    static let speechless = Outcome.status(0x02)
}

/// A LUN: its blocks, as stamps, and its commands.
final class SimulatedUnit {
    var options: LogicalUnitOptions
    let lun: UInt64
    private(set) var blocks: [UInt64]
    /// What the medium holds of blocks whose newest content lies in the cache.
    private(set) var cached: [Int: UInt64] = [:]
    private(set) var unmapped: Set<Int> = []
    private var allocationQuestions = 0
    var badBlocks: Set<Int> = []
    /// SYNCHRONIZE CACHE ends with a medium error.
    var failsSynchronization = false
    /// The task set, in the order of arrival, of all sessions (TST 000b).
    var tasks: [TargetTask] = []
    let reservations = SimulatedReservations()
    /// Nil without asymmetric access.
    var access: SimulatedAccess?
    /// Not the LUN that was attached: no I/O may ever come here.
    var isImpostor = false
    /// The pool behind it has no space left.
    var isFull = false
    let random: RandomStream
    let chronicle: Chronicle

    init(options: LogicalUnitOptions, lun: UInt64, random: RandomStream, chronicle: Chronicle) {
        self.options = options
        self.lun = lun
        self.random = random
        self.chronicle = chronicle
        blocks = Array(repeating: 0, count: options.blockCount)
    }

    /// Power fails: what was not synchronised is gone, or not.
    func loseCache() {
        for (lba, stamp) in cached.sorted(by: { $0.key < $1.key }) where random.chance(700) {
            blocks[lba] = stamp
            unmapped.remove(lba)
        }
        cached = [:]
    }

    private func store(_ stamp: UInt64, _ lba: Int, isForced: Bool) {
        if options.hasWriteCache && !isForced {
            if cached[lba] == nil { cached[lba] = blocks[lba] }
        } else {
            cached[lba] = nil
        }
        blocks[lba] = stamp
        badBlocks.remove(lba)
        unmapped.remove(lba)
    }

    // MARK: Commands

    /// Bytes that the command moves out (true: to the target) or in, nil if it is not known here.
    func transferLength(_ cdb: [UInt8]) -> (isWrite: Bool, count: Int)? {
        switch cdb[0] {
        case 0x00, 0x91: (false, 0)
        case 0x12: (false, Int(cdb.field(3, bytes: 2)))
        case 0x1a: (false, Int(cdb[4]))
        case 0x42: (true, Int(cdb.field(7, bytes: 2)))
        case 0x5e: (false, Int(cdb.field(7, bytes: 2)))
        case 0x5f: (true, Int(cdb.field(5, bytes: 4)))
        case 0x88: (false, Int(cdb.field(10, bytes: 4)) * options.blockLength)
        case 0x8a: (true, Int(cdb.field(10, bytes: 4)) * options.blockLength)
        case 0x93: (true, cdb[1] & 1 == 1 ? 0 : options.blockLength)
        case 0xa3 where cdb[1] & 0x1f == 0x0a: (false, Int(cdb.field(6, bytes: 4)))
        case 0xa4 where cdb[1] & 0x1f == 0x0a: (true, Int(cdb.field(6, bytes: 4)))
        case 0x9e, 0xa0: (false, Int(cdb.field(cdb[0] == 0xa0 ? 6 : 10, bytes: 4)))
        default: nil
        }
    }

    /// Carries a command out, at once and as a whole.
    func execute(_ cdb: [UInt8], _ data: [UInt8], portal: Int, _ target: SimulatedTarget) -> Outcome {
        if isImpostor && [0x42, 0x88, 0x8a, 0x93].contains(cdb[0]) {
            chronicle.fail("I/O of the disk comes to a LUN that is not its own: \(cdb[0])")
            return .check(.aborted)
        }
        if isFull && [0x8a, 0x93].contains(cdb[0]) && random.chance(700) { return .check(.noSpace) }
        if let refusal = refusal(cdb) { return .check(refusal) }
        switch cdb[0] {
        case 0x12 where cdb[1] & 1 == 1 && cdb[2] == 0x83: return identification(portal, target)
        case 0xa3:
            return access?.report(cdb, portsOf: target.portalsByGroup) ?? .check(.invalidOperation)
        case 0xa4:
            guard target.options.groupSupport & 2 != 0 else { return .check(.invalidOperation) }
            let transition: UInt64 = random.pick([0, 20_000_000, 800_000_000])
            return access?.set(data, target.timeline, transition: transition) ?? .check(.invalidOperation)
        case 0xa0: return .good(target.reportLUNs(portal: portal))
        case 0x9e where cdb[1] & 0x1f == 0x10: return .good(capacity(portal))
        default: return execute(cdb, data, groupSupport: target.options.groupSupport)
        }
    }

    private func refusal(_ cdb: [UInt8]) -> Sense? {
        let refusals = options.refusals
        switch cdb[0] {
        case 0x42 where refusals.contains(.unmap): return .invalidOperation
        case 0x93 where refusals.contains(.writeSame): return .invalidOperation
        case 0x93 where refusals.contains(.unmapInWriteSame) && cdb[1] & 0x08 != 0: return .invalidField
        case 0x8a where refusals.contains(.forceUnitAccess) && cdb[1] & 0x08 != 0: return .invalidField
        case 0x9e where refusals.contains(.allocation) && cdb[1] & 0x1f == 0x12:
            allocationQuestions += 1
            return allocationQuestions > 2 ? .invalidOperation : nil
        default: return nil
        }
    }

    private func execute(_ cdb: [UInt8], _ data: [UInt8], groupSupport: UInt8) -> Outcome {
        switch cdb[0] {
        case 0x00: .good([])
        case 0x12: cdb[1] & 1 == 0 ? .good(standardInquiry(groupSupport)) : page(cdb[2])
        case 0x1a: modeSense(cdb[2] & 0x3f)
        case 0x42: unmap(data)
        case 0x88: read(cdb)
        case 0x8a: write(cdb, data)
        case 0x91: synchronize(cdb)
        case 0x93: writeSame(cdb, data)
        case 0x9e where cdb[1] & 0x1f == 0x12 && options.isThin: allocation(cdb)
        default: .check(.invalidOperation)
        }
    }

    private func range(_ cdb: [UInt8]) -> Range<Int>? {
        let lba = cdb.field(2, bytes: 8)
        let count = cdb.field(10, bytes: 4)
        guard lba + count <= UInt64(options.blockCount) else { return nil }
        return Int(lba)..<Int(lba + count)
    }

    private func read(_ cdb: [UInt8]) -> Outcome {
        guard let range = range(cdb) else { return .check(.outOfRange) }
        if !badBlocks.isEmpty, range.contains(where: { badBlocks.contains($0) }) {
            return .check(.mediumErrorReading)
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(range.count * options.blockLength)
        for lba in range { BlockPattern.append(blocks[lba], blockLength: options.blockLength, to: &bytes) }
        return .good(bytes)
    }

    private func write(_ cdb: [UInt8], _ data: [UInt8]) -> Outcome {
        guard let range = range(cdb) else { return .check(.outOfRange) }
        guard options.supportsFUA || cdb[1] & 0x08 == 0 else { return .check(.invalidField) }
        for (index, lba) in range.enumerated() {
            guard
                let stamp = BlockPattern.read(
                    data, at: index * options.blockLength, blockLength: options.blockLength)
            else {
                chronicle.fail("WRITE(16) at LBA \(range.lowerBound): the data of LBA \(lba) is torn")
                return .check(.aborted)
            }
            if stamp != 0 && BlockPattern.lba(stamp) != lba {
                chronicle.fail(
                    "WRITE(16): LBA \(lba) is given data that belongs to LBA \(BlockPattern.lba(stamp))")
            }
            store(stamp, lba, isForced: cdb[1] & 0x08 != 0)
        }
        return .good([])
    }

    private func writeSame(_ cdb: [UInt8], _ data: [UInt8]) -> Outcome {
        guard let range = range(cdb), !range.isEmpty else { return .check(.outOfRange) }
        guard options.maxWriteSameBlocks > 0, range.count <= options.maxWriteSameBlocks,
            cdb[1] & 0x08 == 0 || options.writeSameMayUnmap && options.isThin
        else { return .check(.invalidField) }
        guard data.allSatisfy({ $0 == 0 }) else {
            chronicle.fail("WRITE SAME(16) at LBA \(range.lowerBound) with data that is not zeros")
            return .check(.aborted)
        }
        for lba in range {
            store(0, lba, isForced: false)
            if cdb[1] & 0x08 != 0 { unmapped.insert(lba) }
        }
        return .good([])
    }

    private func synchronize(_ cdb: [UInt8]) -> Outcome {
        guard let range = range(cdb) else { return .check(.outOfRange) }
        if failsSynchronization { return .check(.mediumErrorWriting) }
        if range.isEmpty {
            let rest = cached.filter { $0.key < range.lowerBound }
            cached = rest
        } else {
            for lba in range { cached[lba] = nil }
        }
        return .good([])
    }

    private func unmap(_ data: [UInt8]) -> Outcome {
        guard options.isThin, options.maxUnmapBlocks > 0 else { return .check(.invalidOperation) }
        let end = min(data.count, 8 + Int(data.field(2, bytes: 2)))
        guard data.count >= 8, Int(data.field(0, bytes: 2)) == data.count - 2 else {
            return .check(.invalidField)
        }
        var total = 0
        for at in stride(from: 8, to: end, by: 16) {
            let lba = data.field(at, bytes: 8)
            let count = data.field(at + 8, bytes: 4)
            guard lba + count <= UInt64(options.blockCount) else { return .check(.outOfRange) }
            total += Int(count)
            guard total <= options.maxUnmapBlocks else {
                chronicle.fail("UNMAP of \(total) blocks, more than the LUN allows")
                return .check(.invalidField)
            }
            for block in Int(lba)..<Int(lba + count) where options.unmappedReadsZeros || random.chance(500) {
                store(0, block, isForced: false)
                unmapped.insert(block)
            }
        }
        return .good([])
    }

    private func allocation(_ cdb: [UInt8]) -> Outcome {
        let lba = cdb.field(2, bytes: 8)
        guard lba < UInt64(options.blockCount) else { return .check(.outOfRange) }
        var bytes = [UInt8](repeating: 0, count: 8)
        let most = (Int(cdb.field(10, bytes: 4)) - 8) / 16
        var at = Int(lba)
        while at < options.blockCount && (bytes.count - 8) / 16 < most {
            let isUnmapped = unmapped.contains(at)
            var end = at + 1
            while end < options.blockCount && unmapped.contains(end) == isUnmapped { end += 1 }
            bytes.append(UInt64(at), bytes: 8)
            bytes.append(UInt64(end - at), bytes: 4)
            bytes += [isUnmapped ? 1 : 0, 0, 0, 0]
            at = end
        }
        bytes.put(UInt64(bytes.count - 4), 0, bytes: 4)
        return .good(bytes)
    }

    // MARK: Who it is

    private func standardInquiry(_ groupSupport: UInt8) -> [UInt8] {
        var bytes: [UInt8] = [0x00, 0x00, 0x06, 0x12, 91, groupSupport << 4, 0x00, 0x02]
        bytes += "CAUSEWAYSIMULATED LUN   0001".utf8
        bytes += Array(repeating: 0, count: 96 - bytes.count)
        return bytes
    }

    /// It grows or shrinks; what it held stays.
    func resize(_ count: Int) {
        options.blockCount = count
        while blocks.count < count { blocks.append(0) }
    }

    private func identification(_ portal: Int, _ target: SimulatedTarget) -> Outcome {
        // Binary NAA of the logical unit.
        var bytes: [UInt8] = [0, 0x83, 0, 0, 0x01, 0x03, 0, 8]
        bytes.append(options.identity, bytes: 8)
        if target.options.groupSupport != 0 {
            bytes += [0x51, 0x94, 0, 4, 0, 0, 0, UInt8(portal + 1)]
            bytes += [0x51, 0x95, 0, 4, 0, 0]
            bytes.append(UInt64(target.accessGroup(of: portal)), bytes: 2)
        }
        bytes.put(UInt64(bytes.count - 4), 2, bytes: 2)
        return .good(bytes)
    }

    private func page(_ code: UInt8) -> Outcome {
        var bytes: [UInt8] = [0, code, 0, 0]
        switch code {
        case 0x00: bytes += [0x00, 0x80, 0x83, 0xb0, 0xb1] + (options.isThin ? [0xb2] : [])
        case 0x80: bytes += options.serial.utf8
        case 0xb0:
            bytes += Array(repeating: 0, count: 60)
            bytes.put(UInt64(options.maxTransferBlocks), 8, bytes: 4)
            bytes.put(UInt64(options.isThin ? options.maxUnmapBlocks : 0), 20, bytes: 4)
            bytes.put(options.isThin ? 1 : 0, 24, bytes: 4)
            bytes.put(UInt64(options.unmapGranularity), 28, bytes: 4)
            bytes.put(UInt64(options.maxWriteSameBlocks), 36, bytes: 8)
        case 0xb1:
            bytes += Array(repeating: 0, count: 60)
            bytes[5] = 1
        case 0xb2 where options.isThin:
            let same: UInt8 = options.writeSameMayUnmap ? 0x40 : 0
            bytes += [0, 0x80 | same | (options.unmappedReadsZeros ? 0x04 : 0), 0x02, 0]
        default: return .check(.invalidField)
        }
        bytes.put(UInt64(bytes.count - 4), 2, bytes: 2)
        return .good(bytes)
    }

    private func modeSense(_ code: UInt8) -> Outcome {
        var bytes: [UInt8] = [0, 0, options.supportsFUA ? 0x10 : 0, 0]
        switch code {
        case 0x08: bytes += [0x08, 0x12, options.hasWriteCache ? 0x04 : 0] + Array(repeating: 0, count: 17)
        case 0x0a: bytes += [0x0a, 0x0a] + Array(repeating: 0, count: 10)
        default: return .check(.invalidField)
        }
        bytes[0] = UInt8(bytes.count - 1)
        return .good(bytes)
    }

    private func capacity(_ portal: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 32)
        bytes.put(UInt64((options.shownBlocks[portal] ?? options.blockCount) - 1), 0, bytes: 8)
        bytes.put(UInt64(options.blockLength), 8, bytes: 4)
        if options.isThin { bytes[14] = 0x80 | (options.unmappedReadsZeros ? 0x40 : 0) }
        return bytes
    }
}
