public import CausewayCore

/// What a seed makes of a world: who takes part, how large things are, and what goes wrong how often. Every
/// choice is drawn anew for each seed, and each kind of fault is left out in some: faults hide each other.
public struct Swarm: Sendable, CustomStringConvertible {
    public enum Fault: Int, CaseIterable, Sendable {
        case cut, cutWithGhost, cutAtByte, blackHole, portalBlackHole, carrier, pause, restart, window,
            halfClose
        case attention, hiddenUnit
        /// A path that only carries small segments, one that is slow, one that fails again and again.
        case largeSegments, slowPath, flapping
        /// The process behind a portal hangs.
        case stall
        case damage
        case access, lunGone, otherLUN, resize, poolFull
        case asynchronous, reject
    }

    public var options = WorldOptions()
    public var load = Load()
    public var requestCount = 200
    /// Weights by `Fault`.
    public var faults = Array(repeating: 0, count: Fault.allCases.count)
    /// Nanoseconds between faults, and for how long they last.
    public var interval: ClosedRange<UInt64> = 1_000_000...100_000_000
    public var longestFault: UInt64 = 1_000_000_000
    /// The policy changes now and then.
    public var changesPolicy = false
    /// Paths are added, removed, disabled and enabled now and then.
    public var changesPaths = false
    /// Nanoseconds between such changes.
    public var changeInterval: ClosedRange<UInt64> = 1_000_000...100_000_000
    public var losesCache = false
    /// I/O may end with errors: all paths may be down for too long, or a cache be lost.
    public var mayFail = false
    /// Commands that are slow, and no more than that, may fail.
    public var mayAbort = false

    /// - Parameters:
    ///   - isCanary: breeds ghosts.
    ///   - multipathing: not drawn, so that a seed stays the history it was.
    public init(seed: UInt64, isCanary: Bool = false, multipathing: Multipathing = .sessions) {
        let random = RandomStream(seed: seed, "swarm")
        options.seed = seed
        drawPaths(random)
        drawTarget(random)
        drawUnit(random)
        drawLane(random)
        drawLoad(random)
        drawFaults(random)
        drawCompany(random)
        // From a stream of its own: histories of before stay what they were.
        drawChanges(RandomStream(seed: seed, "changes"))
        drawDigests(RandomStream(seed: seed, "digests"))
        drawUnusual(RandomStream(seed: seed, "unusual"))
        drawMoreFaults(RandomStream(seed: seed, "more faults"))
        if RandomStream(seed: seed, "LIO").chance(250) { makeLIO() }
        drawRefusals(RandomStream(seed: seed, "refusals"))
        if isCanary { makeCanary(random) }
        if multipathing == .connections {
            drawConnections(RandomStream(seed: seed, "connections"))
            drawRecovery(RandomStream(seed: seed, "recovery"))
        }
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
        let chap = RandomStream(seed: options.seed, "chap")
        options.target.chap = chap.pick([.none, .none, .oneWay, .mutual])
        options.target.mistakesAlgorithms = chap.chance(300)
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

    /// More than one disk, and more than one client, now and then.
    private mutating func drawCompany(_ random: RandomStream) {
        options.diskCount = random.pick([1, 1, 1, 2, 4])
        options.clientsPerDisk = random.pick([1, 1, 1, 2])
        let clients = options.diskCount * options.clientsPerDisk
        options.lane.reservedTasks *= options.diskCount
        options.lane.taskCapacity +=
            options.lane.reservedTasks - options.lane.reservedTasks / options.diskCount
        requestCount = max(20, requestCount / clients)
        options.target.echoesPings = random.chance(800)
        options.target.rejectsPingData = random.chance(50)
    }

    private mutating func drawLane(_ random: RandomStream) {
        options.lane.reservedTasks = 2 * options.paths.count
        options.lane.taskCapacity = options.lane.reservedTasks + random.pick([8, 48, 400])
        options.lane.requestCapacity = random.pick([8, 64])
        options.lane.reservedChunks = 2 * options.paths.count + 2
        options.lane.chunkCount = options.lane.reservedChunks + random.pick([3, 40])
        options.lane.pieceBytes = random.pick([8192, 65536])
        options.lane.depthPerPath = Int32(random.pick([2, 16, 128]))
        let commands = Int32(random.pick([1, 8]))
        options.settings.policy = .roundRobin(.init(commands: commands))
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
        // Later kinds of faults are drawn from streams of their own, so that a seed stays the history it was.
        for index in 0...Fault.attention.rawValue where random.chance(500) {
            faults[index] = random.number(1...20)
        }
        if random.chance(50) { faults = faults.map { _ in 0 } }
        let mean = random.pick([3_000_000 as UInt64, 30_000_000, 300_000_000, 3_000_000_000])
        interval = mean / 10...mean * 2
        longestFault = random.pick([50_000_000, 2_000_000_000, 35_000_000_000])
        losesCache = options.unit.hasWriteCache && random.chance(500)
        if losesCache && faults[Fault.restart.rawValue] > 0 { mayFail = true }
        if random.chance(200) {
            options.settings.failure.allPathsDownTimeout = .milliseconds(random.pick([200, 3000, 20_000]))
            mayFail = true
        }
        drawUnitFaults(random)
    }

    /// One session, a connection a path.
    private mutating func drawConnections(_ random: RandomStream) {
        options.settings.multipathing = .connections
        // A successor may have a session for each path, and one for the fence of each before.
        let more = options.paths.count
        options.lane.pathCapacity += more
        options.lane.streamCapacity += more
        options.lane.reservedTasks += more
        options.lane.taskCapacity += more
        options.lane.reservedChunks += more
        options.lane.chunkCount += more
        options.target.portalGroups = options.target.portalGroups.map { _ in 1 }
        // The portals of a portal group are one target port.
        options.target.accessGroups = options.target.accessGroups.map { _ in 5 }
        options.target.maxConnections = random.chance(700) ? 32 : random.number(1...4)
        options.target.connectionLoss =
            options.target.isLIO
            ? .sessionEnds
            : random.pick([.sessionGoesOn, .sessionGoesOnAndLogoutMistakes, .sessionEnds])
        let endsAtOnce = RandomStream(seed: options.seed, "session ends at once").chance(100)
        if endsAtOnce && !options.target.isLIO { options.target.connectionLoss = .sessionEndsAtOnce }
    }

    /// Whether the commands of a lost connection go on over others, and what the target makes of that.
    private mutating func drawRecovery(_ random: RandomStream) {
        guard random.chance(600) else { return }
        options.parameters.errorRecoveryLevel = random.pick([1, 2, 2, 2, 2])
        options.target.errorRecoveryLevel = random.pick([0, 1, 2, 2, 2, 2, 2])
        options.parameters.defaultTime2Wait = random.pick([0, 0, 0, 1, 2])
        options.parameters.defaultTime2Retain = random.pick([1, 3, 20])
        options.target.recovery = random.chance(600) ? .works : random.pick(TargetOptions.Recovery.allCases)
        if random.chance(400) { loseOneByOne(random) }
    }

    /// A connection at a time is lost, while writes are under way: with more going on, few sessions outlive
    /// it.
    private mutating func loseOneByOne(_ random: RandomStream) {
        options.parameters.errorRecoveryLevel = 2
        options.target.errorRecoveryLevel = 2
        options.target.maxConnections = 32
        options.target.window = random.pick([8, 32, 128])
        options.unit.slowPermille = 200
        options.unit.slowLatency = 5_000_000...random.pick([20_000_000, 500_000_000])
        load.depth = random.number(4...32)
        load.weights[1] = 60
        faults = faults.map { _ in 0 }
        for fault in [Fault.cut, .cutWithGhost, .halfClose] { faults[fault.rawValue] = random.number(1...5) }
        interval = 100_000_000...1_000_000_000
        longestFault = 50_000_000
        requestCount = 1000
    }

    private mutating func makeLIO() {
        options.target.isLIO = true
        options.target.reinstatement = .drains
        options.target.abortion = .waits
    }

    /// What a LUN announces and refuses, clients that come through the handshake, and reads of what is being
    /// written.
    private mutating func drawRefusals(_ random: RandomStream) {
        options.clientsNegotiate = random.chance(300)
        load.overlaps = random.chance(400)
        guard random.chance(200) else { return }
        for bit in 0..<5 where random.chance(400) { options.unit.refusals.insert(.init(rawValue: 1 << bit)) }
    }

    /// Paths that work, and badly, and LUNs that are not what they were.
    private mutating func drawMoreFaults(_ random: RandomStream) {
        guard random.chance(500) else { return }
        let kinds = [
            Fault.hiddenUnit, .largeSegments, .slowPath, .flapping, .stall, .lunGone, .otherLUN, .resize,
            .poolFull,
        ]
        for fault in kinds where random.chance(300) { faults[fault.rawValue] = random.number(1...20) }
        let isSpaceLost = faults[Fault.poolFull.rawValue] > 0 && options.settings.failure.space == .error
        // Beyond the end of a LUN that has shrunk there is nothing, and one that every portal hides is lost.
        let isUnitLost = [Fault.hiddenUnit, .lunGone, .otherLUN, .resize].contains { faults[$0.rawValue] > 0 }
        if isSpaceLost || isUnitLost { mayFail = true }
    }

    private mutating func drawUnitFaults(_ random: RandomStream) {
        // What these five numbers were once for; without them every seed would be another history.
        for _ in 0..<5 { _ = random.chance(700) }
        if random.chance(300) {
            options.target.groupSupport = UInt8(random.number(1...3))
            options.target.knowsExtendedHeader = random.chance(700)
            options.target.miscountsExtendedHeader = random.chance(300)
            let isOne = random.chance(200)
            options.target.accessGroups = options.target.portalGroups.indices.map {
                isOne ? 5 : UInt16($0 + 1)
            }
            options.settings.failure.access = random.pick([.automatic, .automatic, .implicit, .off])
            faults[Fault.access.rawValue] = random.number(1...20)
        }
        if random.chance(200) {
            options.settings.failure.fence = .logicalUnitReset
            options.lane.lastFenceMilliseconds = random.pick([500, 2000, 5000])
            if random.chance(700) {
                options.target.portalGroups = options.target.portalGroups.indices.map { UInt16($0 + 1) }
            }
        }
        options.settings.failure.space = random.chance(500) ? .hold : .error
    }

    /// What the administrator does meanwhile.
    private mutating func drawChanges(_ random: RandomStream) {
        if random.chance(600) { options.settings.policy = policy(random) }
        changesPolicy = random.chance(400)
        if random.chance(400) {
            changesPaths = true
            // Each path may need its own commands at the same time as the others.
            let more = 2 * (options.interfaceCount * options.target.portalGroups.count - options.paths.count)
            options.lane.reservedTasks += more
            options.lane.taskCapacity += more
            options.lane.reservedChunks += more
            options.lane.chunkCount += more
        }
        let mean = random.pick([2_000_000 as UInt64, 50_000_000, 1_000_000_000])
        changeInterval = mean / 10...mean * 2
    }

    /// Any policy, for some path of this world.
    func policy(_ random: RandomStream) -> PathPolicy {
        let path = options.paths[random.below(options.paths.count)]
        let names = [
            "eth\(path.interface)", "198.51.100.\(path.portal)",
            "eth\(path.interface)/198.51.100.\(path.portal)",
        ]
        return random.pick([
            .standard, .roundRobin(.init(commands: 1)), .roundRobin(.init(bytes: 4096)), .leastQueueDepth,
            .serviceTime, .fixed(preferred: nil), .fixed(preferred: PathName(random.pick(names))),
            .mostRecentlyUsed,
        ])
    }

    private mutating func drawDigests(_ random: RandomStream) {
        guard random.chance(350) else { return }
        options.settings.headerDigest = random.pick([.prohibited, .discouraged, .preferred, .preferred])
        options.settings.dataDigest = random.pick([.prohibited, .discouraged, .preferred, .preferred])
        options.target.headerDigest = random.chance(800)
        options.target.dataDigest = random.chance(800)
        options.target.closesOnDamage = random.chance(500)
        if random.chance(700) { faults[Fault.damage.rawValue] = random.number(1...20) }
    }

    private mutating func drawUnusual(_ random: RandomStream) {
        if random.chance(300) { faults[Fault.asynchronous.rawValue] = random.number(1...10) }
        if random.chance(200) {
            faults[Fault.reject.rawValue] = random.number(1...10)
            // A command that is rejected time after time fails.
            mayFail = true
        }
        if random.chance(200) { options.target.textBytes = random.number(30...120) }
        if random.chance(100) { options.unit.speechlessPermille = 20 }
        options.target.abortion = random.pick(TargetOptions.Abortion.allCases)
        options.target.resetsUnits = random.chance(700)
        options.settings.resetOnTimeout = random.pick(TimeoutReset.allCases)
        if random.chance(300) {
            options.settings.commandTimeoutMilliseconds = random.pick([20, 300, 3000])
            options.lane.taskManagementTimeoutMilliseconds = random.pick([50, 1000])
            // What is given up after its last abort.
            mayFail = true
            mayAbort = true
        }
        let groups = options.target.portalGroups
        if groups.count > 1, random.chance(150) {
            let from = random.below(groups.count)
            let to = (from + 1) % groups.count
            if groups[from] == groups[to] {
                options.target.redirections[from] = TargetOptions.Redirection(
                    to: to, isPermanent: random.chance(500))
            }
        }
    }

    private mutating func makeCanary(_ random: RandomStream) {
        options.settings.failure = FailureSettings()
        options.target.groupSupport = 0
        options.target.reinstatement = .returnsAtOnce
        options.target.isLIO = false
        options.unit.refusals = []
        options.clientsNegotiate = false
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
        let failure = options.settings.failure
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
            R2T \(target.maxOutstandingR2T), window \(target.window), CHAP \(target.chap)
              paths as \(options.settings.multipathing), up to \(target.maxConnections) a session, \
            \(target.connectionLoss), level \(options.parameters.errorRecoveryLevel)/\
            \(target.errorRecoveryLevel), \(target.recovery)
              unit     \(unit.blockLength) bytes, cache \(unit.hasWriteCache), FUA \(unit.supportsFUA), \
            thin \(unit.isThin), \
            slow \(unit.slowPermille) of 1000 up to \(unit.slowLatency.upperBound / 1_000_000) ms
              digests  header \(options.settings.headerDigest)/\(target.headerDigest), \
            data \(options.settings.dataDigest)/\(target.dataDigest)
              lane     tasks \(options.lane.taskCapacity), requests \(options.lane.requestCapacity), \
            chunks \(options.lane.chunkCount), piece \(options.lane.pieceBytes), \
            depth \(options.lane.depthPerPath), \
            policy \(options.settings.policy)\(changesPolicy ? " and others" : "")\
            \(changesPaths ? ", paths change" : ""), APD \(failure.allPathsDownTimeout)
              failure  TPGS \(target.groupSupport) \(target.accessGroups), alua \(failure.access), \
            fence \(failure.fence), space \(failure.space)
              load     \(requestCount) requests, depth \(load.depth), \
            up to \(load.maxBlocks) blocks of \(load.span), \
            weights \(load.weights)
              company  \(options.diskCount) disks, \(options.clientsPerDisk) clients each
              faults   \(named.joined(separator: " ")), every \(interval.upperBound / 1_000_000) ms, up to \
            \(longestFault / 1_000_000) ms, cache lost \(losesCache), may fail \(mayFail)
            """
    }
}
