import CausewayCore

/// What a seed makes of a world: who takes part, how large things are, and what goes wrong how often. Every
/// choice is drawn anew for each seed, and each kind of fault is left out in some: faults hide each other.
public struct Swarm: Sendable, CustomStringConvertible {
    public enum Fault: Int, CaseIterable, Sendable {
        case cut, cutWithGhost, cutAtByte, blackHole, portalBlackHole, carrier, pause, restart, window,
            halfClose
        case attention
    }

    public var options = WorldOptions()
    public var load = Load()
    public var requestCount = 200
    /// Weights by `Fault`.
    public var faults = Array(repeating: 0, count: Fault.allCases.count)
    /// Nanoseconds between faults, and for how long they last.
    public var interval: ClosedRange<UInt64> = 1_000_000...100_000_000
    public var longestFault: UInt64 = 1_000_000_000
    public var losesCache = false
    /// I/O may end with errors: all paths may be down for too long, or a cache be lost.
    public var mayFail = false

    /// - Parameter isCanary: leaves the barrier out and breeds ghosts: such histories must fail.
    public init(seed: UInt64, isCanary: Bool = false) {
        let random = RandomStream(seed: seed, "swarm")
        options.seed = seed
        drawPaths(random)
        drawTarget(random)
        drawUnit(random)
        drawLane(random)
        drawLoad(random)
        drawFaults(random)
        if isCanary { makeCanary(random) }
    }

    private mutating func drawPaths(_ random: RandomStream) {
        options.interfaceCount = random.number(1...3)
        let portals = random.number(1...3)
        options.target.portalGroups = (0..<portals).map { _ in 1 }
        if portals > 1 && random.chance(150) { options.target.portalGroups[portals - 1] = 2 }
        let isCross = random.chance(500)
        options.paths = []
        for interface in 0..<options.interfaceCount {
            for portal in 0..<portals where isCross || portal == interface % portals {
                options.paths.append((interface, portal))
            }
        }
        options.weather.latency = random.pick([1000...2000, 20_000...60_000, 100_000...5_000_000])
        options.weather.segmentBytes = random.pick([200, 1460, 9000, 65536])
        options.weather.capacity = random.pick([4096, 65536, 1 << 20])
        options.clientWeather.latency = 1000...random.pick([2000, 100_000])
        options.clientWeather.capacity = random.pick([3000, 65536, 1 << 20])
        if random.chance(100) { options.receiveBytes = random.number(1...200) }
        if random.chance(100) { options.sendBytes = random.number(1...2000) }
    }

    private mutating func drawTarget(_ random: RandomStream) {
        options.target.reinstatement = random.chance(500) ? .drains : .returnsAtOnce
        options.target.initialR2T = random.chance(400)
        options.target.immediateData = random.chance(700)
        options.target.maxRecvDataSegmentLength = random.pick([512, 1000, 4096, 8192, 65536])
        options.target.maxBurstLength = random.pick([2048, 16384, 262_144])
        options.target.firstBurstLength = random.pick([512, 8192, 65536])
        options.target.maxOutstandingR2T = random.pick([1, 1, 2, 4])
        options.target.dataInBytes = random.pick([700, 8192, 65536])
        options.target.collapsesPhases = random.chance(700)
        options.target.window = random.pick([1, 2, 8, 32, 128])
        options.target.loginLatency = 100_000...random.pick([500_000, 50_000_000])
        options.target.pingInterval = random.chance(300) ? random.nanoseconds(200_000_000...5_000_000_000) : 0
        options.target.asksTwice = random.chance(300)
    }

    private mutating func drawUnit(_ random: RandomStream) {
        options.unit.blockCount = 1024
        options.unit.blockLength = random.chance(800) ? 512 : 4096
        options.unit.maxTransferBlocks = random.chance(300) ? random.number(1...40) : 0
        options.unit.hasWriteCache = random.chance(600)
        options.unit.supportsFUA = random.chance(700)
        options.unit.isThin = random.chance(600)
        options.unit.maxUnmapBlocks = random.pick([1, 10, 64, 1024])
        options.unit.unmapGranularity = random.pick([1, 1, 4, 8])
        options.unit.maxWriteSameBlocks = random.pick([0, 5, 200, 2048])
        options.unit.writeSameMayUnmap = random.chance(500)
        options.unit.unmappedReadsZeros = random.chance(600)
        options.unit.latency = 10_000...random.pick([20_000, 300_000, 3_000_000])
        options.unit.slowPermille = random.pick([0, 5, 50])
        options.unit.slowLatency = 1_000_000...random.pick([50_000_000, 500_000_000, 4_000_000_000])
        options.unit.busyPermille = random.pick([0, 0, 20])
        options.unit.taskSetFullPermille = random.pick([0, 0, 20])
        options.unit.abortedPermille = random.pick([0, 0, 20])
        options.unit.attentionPermille = random.pick([0, 0, 5])
    }

    private mutating func drawLane(_ random: RandomStream) {
        options.lane.reservedTasks = 2 * options.paths.count
        options.lane.taskCapacity = options.lane.reservedTasks + random.pick([8, 48, 400])
        options.lane.requestCapacity = random.pick([8, 64])
        options.lane.reservedChunks = 2 * options.paths.count + 2
        options.lane.chunkCount = options.lane.reservedChunks + random.pick([3, 40])
        options.lane.pieceBytes = random.pick([8192, 65536])
        options.lane.depthPerPath = Int32(random.pick([2, 16, 128]))
        options.lane.commandsPerTurn = Int32(random.pick([1, 8]))
        options.lane.requestsPerClient = Int32(random.pick([4, 64]))
        options.lane.maxRecvDataSegmentLength = random.pick([512, 8192, 65536])
    }

    private mutating func drawLoad(_ random: RandomStream) {
        load.depth = random.pick([1, 4, 16, 64])
        load.maxBlocks = random.pick([1, 8, 32])
        load.span = random.pick([8, 64, 512])
        load.maxBlocks = min(load.maxBlocks, load.span)
        load.longBlocks = min(load.span, 200)
        load.longPermille = random.pick([0, 20])
        load.weights = (0..<6).map { _ in random.chance(200) ? 0 : random.number(1...30) }
        load.weights[0] += 10
        load.weights[1] += 10
        load.pause = 0...random.pick([1000, 1_000_000, 30_000_000])
        requestCount = random.number(50...400)
    }

    private mutating func drawFaults(_ random: RandomStream) {
        for index in faults.indices where random.chance(500) { faults[index] = random.number(1...20) }
        if random.chance(50) { faults = faults.map { _ in 0 } }
        let mean = random.pick([3_000_000 as UInt64, 30_000_000, 300_000_000, 3_000_000_000])
        interval = mean / 10...mean * 2
        longestFault = random.pick([50_000_000, 2_000_000_000, 35_000_000_000])
        losesCache = options.unit.hasWriteCache && random.chance(500)
        if losesCache && faults[Fault.restart.rawValue] > 0 { mayFail = true }
        if random.chance(200) {
            options.lane.allPathsDownTimeoutMilliseconds = random.pick([200, 3000, 20_000])
            mayFail = true
        }
    }

    private mutating func makeCanary(_ random: RandomStream) {
        options.lane.skipsBarrier = true
        options.target.reinstatement = .returnsAtOnce
        options.unit.slowPermille = 200
        options.unit.slowLatency = 20_000_000...500_000_000
        load.span = 8
        load.maxBlocks = 4
        load.weights = [10, 30, 5, 2, 0, 5]
        faults = faults.map { _ in 0 }
        faults[Fault.cut.rawValue] = 1
        faults[Fault.cutWithGhost.rawValue] = 2
        interval = 5_000_000...50_000_000
        requestCount = 400
    }

    public var description: String {
        let target = options.target
        let unit = options.unit
        let paths = options.paths.map { "\($0.interface)-\($0.portal)" }.joined(separator: " ")
        let named = Fault.allCases.filter { faults[$0.rawValue] > 0 }.map { "\($0)=\(faults[$0.rawValue])" }
        return """
            seed \(options.seed)
              paths    \(paths), groups \(target.portalGroups), latency \(options.weather.latency) ns, \
            segments \(options.weather.segmentBytes), socket \(options.weather.capacity)
              target   \(target.reinstatement), InitialR2T \(target.initialR2T), \
            ImmediateData \(target.immediateData), \
            MRDSL \(target.maxRecvDataSegmentLength), \
            bursts \(target.firstBurstLength)/\(target.maxBurstLength), \
            R2T \(target.maxOutstandingR2T), window \(target.window)
              unit     \(unit.blockLength) bytes, cache \(unit.hasWriteCache), FUA \(unit.supportsFUA), \
            thin \(unit.isThin), \
            slow \(unit.slowPermille) of 1000 up to \(unit.slowLatency.upperBound / 1_000_000) ms
              lane     tasks \(options.lane.taskCapacity), requests \(options.lane.requestCapacity), \
            chunks \(options.lane.chunkCount), piece \(options.lane.pieceBytes), \
            depth \(options.lane.depthPerPath), \
            APD \(options.lane.allPathsDownTimeoutMilliseconds) ms
              load     \(requestCount) requests, depth \(load.depth), \
            up to \(load.maxBlocks) blocks of \(load.span), \
            weights \(load.weights)
              faults   \(named.joined(separator: " ")), every \(interval.upperBound / 1_000_000) ms, up to \
            \(longestFault / 1_000_000) ms, cache lost \(losesCache), may fail \(mayFail)
            """
    }
}
