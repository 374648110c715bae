public import CausewayCore

/// One seed, from attach to detach.
public struct Verdict: Sendable {
    public var seed: UInt64
    /// Nil when all went as it must.
    public var failure: String?
    public var hash: UInt64
    public var options: String
    public var trace: [String]
    public var answered: Int
    public var errors: Int
    public var virtualNanoseconds: UInt64
    public var events: UInt64
    public var logins: Int
    public var ghosts: Int
    /// Commands that went on over another connection (TASK REASSIGN).
    public var reassigned: Int
    public var longestWait: UInt64
    /// How often each `Swarm.Fault` struck.
    public var strikes: [Int]
}

/// What keeps a late write from the medium, one as needed as the other.
public enum Safeguard: String, CaseIterable, Sendable {
    /// The command before which an old session's writes end.
    case barrier
    /// That sent writes of a lost session wait.
    case fence
    /// What a successor knows of sessions before it.
    case records
}

/// The history of a seed: a safety phase with faults, then a liveness phase without, in which everything must
/// be answered, every path come back, and nothing be left over.
public final class History {
    private let swarm: Swarm
    let world: World
    private let random: RandomStream
    private let lives: RandomStream
    private let changes: RandomStream
    private let siblings: RandomStream
    private var isCalm = false
    /// Deaths and restarts of the daemon that are still to come.
    private var livesLeft = 0
    private let hasSuccessors: Bool
    private var strikes = Array(repeating: 0, count: Swarm.Fault.allCases.count)
    private var changeCount = 0

    /// Nanoseconds for which faults follow upon each other.
    private static let troubledPhase = 60 * second
    /// The longest that a request may wait, and a path be away, when all faults are healed. Where one command
    /// of twenty takes seconds, hundreds that have gathered take their time.
    private var recovery: UInt64 {
        let unit = swarm.options.unit
        let isSlow = unit.slowPermille >= 50 && unit.slowLatency.upperBound > Self.second
        return (isSlow ? 150 : 45) * Self.second
    }
    private var faultCount = 0

    private static let second: UInt64 = 1_000_000_000

    /// - Parameters:
    ///   - missing: what is left out on purpose: such histories must fail now and then.
    ///   - hasLives: in some histories the daemon dies or restarts.
    ///   - chap: in place of what the seed draws; targets of even seeds mistake algorithms then.
    ///   - multipathing: how the target's paths are used.
    public init(
        seed: UInt64, isTracing: Bool = false, without missing: Safeguard? = nil, hasLives: Bool = true,
        chap: SimulatedCHAP? = nil, multipathing: Multipathing = .sessions
    ) {
        var swarm = Swarm(seed: seed, isCanary: missing != nil, multipathing: multipathing)
        if let chap {
            swarm.options.target.chap = chap
            swarm.options.target.mistakesAlgorithms = seed.isMultiple(of: 2)
        }
        swarm.options.isTracing = isTracing
        swarm.options.lane.skipsBarrier = missing == .barrier
        swarm.options.lane.skipsFence = missing == .fence
        let forgets = missing == .records
        swarm.options.forgetsSessions = forgets
        lives = RandomStream(seed: seed, "lives")
        if hasLives && (forgets || lives.chance(400)) { livesLeft = lives.number(1...4) }
        if forgets { livesLeft = 12 }
        hasSuccessors = livesLeft > 0
        if hasSuccessors { swarm.options.clientsNegotiate = false }
        self.swarm = swarm
        world = World(swarm.options)
        random = RandomStream(seed: seed, "faults")
        changes = RandomStream(seed: seed, "what changes")
        siblings = RandomStream(seed: seed, "siblings")
    }

    public func run() -> Verdict {
        live()
        let chronicle = world.chronicle
        return Verdict(
            seed: swarm.options.seed, failure: chronicle.failure, hash: chronicle.hash,
            options: swarm.description,
            trace: chronicle.lines, answered: world.clients.reduce(0) { $0 + $1.answered },
            errors: world.clients.reduce(0) { $0 + $1.errors },
            virtualNanoseconds: world.elapsed, events: world.timeline.eventCount,
            logins: world.target.loginCount,
            ghosts: world.target.ghostCount, reassigned: world.target.reassignedCount,
            longestWait: world.clients.map(\.longestWait).max() ?? 0,
            strikes: strikes)
    }

    private func live() {
        setUnitsSlow(!swarm.mayAbort)
        world.attach()
        let count = swarm.options.paths.count
        demand(60 * Self.second, "the paths do not come up") { world.isReady && world.pathsUp == count }
        setUnitsSlow(true)
        for client in world.clients {
            client.mayFail = swarm.mayFail
            client.bound = Self.troubledPhase + recovery
            client.load(swarm.load, count: swarm.requestCount)
        }
        planFault()
        planLife()
        planChange()
        world.run(limit: Self.troubledPhase) { world.isIdle }
        // Liveness.
        isCalm = true
        checkAttempts()
        healAll()
        enableAll()
        demand(100 * Self.second, "no daemon serves") { world.isReady && !world.isHandingOver }
        enableAll()
        for client in world.clients { client.stopLoad() }
        demand(recovery, "requests are not answered") { world.isIdle }
        demand(recovery, "the paths do not come back") { world.pathsUp == pathCount }
        demand(100 * Self.second, "a removed path does not go") {
            world.snapshot()?.paths.count == pathCount
        }
        // One whose attention was lost is found by the poll.
        demand(700 * Self.second, "the disk does not grow") { world.hasUnitSize }
        // After a reset as the fence, a session that goes stays on record: that is no harm.
        demand(100 * Self.second, "a predecessor's session is not fenced") {
            !world.hasForeignRecords || swarm.options.settings.failure.fence != .hold
        }
        // One that every portal hid is lost too.
        let isLunLost = [Swarm.Fault.lunGone, .otherLUN, .hiddenUnit].contains {
            swarm.faults[$0.rawValue] > 0
        }
        for client in world.clients {
            client.bound = 100 * Self.second
            // What was lost with a cache is told once more by each path.
            client.mayFail = swarm.losesCache || isLunLost || swarm.mayAbort
            client.load(swarm.load, count: 20)
        }
        demand(100 * Self.second, "a healthy disk does not answer") { world.isIdle }
        demand(100 * Self.second, "the target does not come to rest") { world.isQuiet }
        world.run(limit: Self.second / 10)
        world.checkAtRest()
        if random.chance(500) { leave() }
        world.detach(force: false)
        demand(60 * Self.second, "the disk is not detached") { world.isDetached }
        if world.failure == nil, !(world.lane.usage.isEmpty && world.lane.usage.streams == 0) {
            world.chronicle.fail("after detach the lane's tables hold \(world.lane.usage)")
        }
    }

    /// No storm: of each path at most four attempts a second, and some more for each fault and each change.
    private func checkAttempts() {
        let seconds = Int(world.elapsed / Self.second)
        let paths = max(world.routes.count, 1)
        let most =
            paths * (20 + 4 * seconds) + 20 * (strikes.reduce(0, +) + paths * world.daemons) + 4 * changeCount
        guard world.connectCount > most else { return }
        world.chronicle.fail("\(world.connectCount) connections in \(seconds) s, more than \(most)")
    }

    /// The client goes in the middle of its work: what it has asked for is answered first.
    private func leave() {
        guard world.failure == nil else { return }
        for client in world.clients { client.load(swarm.load, count: 40) }
        world.run(limit: random.nanoseconds(1000...50_000_000)) { world.isIdle }
        for client in world.clients { client.disconnect() }
        demand(100 * Self.second, "a client that goes is not answered") { world.isIdle }
        demand(10 * Self.second, "the connection of a client that went is not closed") {
            world.clients.allSatisfy(\.isClosed)
        }
    }

    private func demand(_ limit: UInt64, _ complaint: String, _ isDone: () -> Bool) {
        guard world.failure == nil else { return }
        if !world.run(limit: limit, until: isDone) {
            world.chronicle.fail("\(complaint) within \(limit / Self.second) s: \(standing)")
        }
    }

    private var standing: String {
        guard let snapshot = world.snapshot() else { return "no disk" }
        let paths = snapshot.paths.map {
            "\($0.interface)->\($0.portal) \($0.standing) \($0.inFlight)/\($0.held)"
        }
        return "\(snapshot.requests) requests, \(snapshot.pending) pending; \(paths.joined(separator: ", "))"
    }

    // MARK: Faults

    private func planFault() {
        guard swarm.faults.contains(where: { $0 > 0 }) else { return }
        world.timeline.after(random.nanoseconds(swarm.interval)) { [unowned self] in
            guard !isCalm else { return }
            if !world.isIdle { strike() }
            planFault()
        }
    }

    private func planLife() {
        guard livesLeft > 0 else { return }
        livesLeft -= 1
        let mean = swarm.options.forgetsSessions ? 0 : swarm.interval.upperBound * 4
        world.timeline.after(lives.nanoseconds(1_000_000...max(mean, 200_000_000))) { [unowned self] in
            guard !isCalm else { return }
            if lives.chance(300) { world.growUnit(by: lives.number(1...64)) }
            var paths = Array(swarm.options.paths.indices)
            if paths.count > 1 && lives.chance(400) { paths.remove(at: lives.below(paths.count)) }
            let longest: UInt64 =
                swarm.options.forgetsSessions ? 5_000_000 : lives.pick([20_000_000, 2_000_000_000])
            let delay = lives.nanoseconds(1_000_000...longest)
            if lives.chance(600) {
                let isShared = swarm.options.settings.multipathing == .connections
                let next: Multipathing? =
                    isShared ? lives.pick([.connections, .connections, .sessions]) : nil
                world.crash(paths: paths, successorAfter: delay, multipathing: next)
            } else {
                world.handOver(paths: paths, successorAfter: delay)
            }
            planLife()
        }
    }

    private func planChange() {
        guard swarm.changesPolicy || swarm.changesPaths else { return }
        world.timeline.after(changes.nanoseconds(swarm.changeInterval)) { [unowned self] in
            guard !isCalm else { return }
            if !world.client.isIdle {
                changeCount += 1
                change()
            }
            planChange()
        }
    }

    private func change() {
        if swarm.changesPolicy && (!swarm.changesPaths || changes.chance(500)) {
            // A path that the policy prefers may be gone.
            let error = world.set(policy: swarm.policy(changes))
            let isWhole = !swarm.changesPaths && world.daemons == 1 && !world.isHandingOver
            if let error, isWhole { world.chronicle.fail("a policy is not taken: \(error)") }
            return
        }
        let interface = changes.below(swarm.options.interfaceCount)
        let portal = changes.below(swarm.options.target.portalGroups.count)
        switch changes.below(4) {
        case 0: world.addPath(interface: interface, portal: portal)
        case 1: world.enablePath(interface: interface, portal: portal)
        case 2:
            world.retirePath(
                interface: interface, portal: portal, isRemoval: false, force: changes.chance(200))
        default:
            world.retirePath(
                interface: interface, portal: portal, isRemoval: true, force: changes.chance(200))
        }
    }

    /// Every path that is still configured is in use at the end.
    private func enableAll() {
        for path in world.routes { world.enablePath(interface: path.interface, portal: path.portal) }
    }

    /// Paths that are there to stay.
    private var pathCount: Int { world.snapshot()?.paths.count { $0.standing != .removing } ?? 0 }

    private func healAll() {
        guard world.failure == nil else { return }
        world.endFaults()
        for interface in 0..<swarm.options.interfaceCount { world.findCarrier(interface: interface) }
        for portal in swarm.options.target.portalGroups.indices {
            world.heal(portal: portal)
            world.showUnit(portal: portal)
        }
        world.restoreUnit()
        world.fillPool(false)
        setUnitsSlow(!swarm.mayAbort)
        world.setAccess(world.accessStates.mapValues { _ in 0 })
    }

    /// Where commands have less time than a slow one takes, no path comes up or stays for as long as there
    /// are slow ones: only the part with the faults has them then.
    private func setUnitsSlow(_ areSlow: Bool) {
        for disk in world.disks {
            disk.unit.options.slowPermille = areSlow ? swarm.options.unit.slowPermille : 0
        }
    }

    /// Short more often than long.
    private func duration() -> UInt64 {
        var longest = swarm.longestFault
        while longest > 2_000_000 && random.chance(600) { longest /= 4 }
        return random.nanoseconds(1_000_000...max(longest, 1_000_001))
    }

    private func strike() {
        var at = random.below(swarm.faults.reduce(0, +))
        for fault in Swarm.Fault.allCases {
            at -= swarm.faults[fault.rawValue]
            guard at < 0 else { continue }
            strikes[fault.rawValue] += 1
            return strike(fault)
        }
    }

    private func strike(_ fault: Swarm.Fault) {
        let path = random.below(swarm.options.paths.count)
        let interface = random.below(swarm.options.interfaceCount)
        let portal = random.below(swarm.options.target.portalGroups.count)
        let time = duration()
        let direction = random.pick([World.Direction.toTarget, .toInitiator, .both])
        world.chronicle.trace("fault", "\(fault) \(time / 1_000_000) ms")
        switch fault {
        case .cut: world.cut(path: path)
        case .cutWithGhost: world.cut(path: path, ghost: true)
        case .cutAtByte:
            let count = random.number(1...random.pick([60, 600, 20_000]))
            if random.chance(500) {
                world.cut(path: path, afterBytesToTarget: count)
            } else {
                world.cut(path: path, afterBytesToInitiator: count)
            }
        case .blackHole:
            world.blackHole(interface: interface, direction)
            later(time) { $0.heal(interface: interface) }
        case .portalBlackHole:
            world.blackHole(portal: portal, direction)
            later(time) { $0.heal(portal: portal) }
        case .carrier:
            world.loseCarrier(interface: interface)
            later(time) { $0.findCarrier(interface: interface) }
        case .pause: world.pauseTarget(time)
        case .restart:
            guard random.chance(300) else { return }
            world.restartTarget(downFor: time / 4, losesCache: swarm.losesCache)
        case .window: world.shutWindow(time / 4)
        case .halfClose: world.halfClose(path: path)
        case .largeSegments, .slowPath, .stall, .flapping: strikeGrey(fault, path, interface, portal, time)
        case .damage:
            let count = random.number(0...random.pick([60, 600, 20_000]))
            world.damage(path: path, toTarget: random.chance(500), after: count)
        case .asynchronous:
            let events: [AsynchronousMessage.Event] = [
                .scsiEvent, .logoutRequest, .connectionDrop, .sessionDrop, .negotiationRequest,
                AsynchronousMessage.Event(rawValue: 250), AsynchronousMessage.Event(rawValue: 77),
            ]
            // A connection of several may bring what concerns another.
            let other = siblings.chance(300) ? siblings.below(swarm.options.paths.count) : nil
            world.tell(
                path: path, random.pick(events), seconds: (random.below(3), random.number(1...3)),
                about: other)
        case .reject:
            let reasons: [UInt8] = [2, 4, 5, 6, 7, 9, 0x0a, 0x0c, 0x55]
            world.rejectNext(path: path, reason: random.pick(reasons))
        case .attention:
            guard random.chance(100) else { return }
            world.raiseAttention()
        case .hiddenUnit:
            world.hideUnit(portal: portal)
            later(time) { $0.showUnit(portal: portal) }
        case .access: strikeAccess(time)
        case .lunGone:
            guard random.chance(200) else { return }
            world.replaceUnit(by: .nothing)
            later(time) { $0.restoreUnit() }
        case .otherLUN: strikeOtherLUN(time)
        case .resize: world.resizeUnit(random.number(600...2000))
        case .poolFull:
            world.fillPool(true)
            later(time / 4) { $0.fillPool(false) }
        }
    }

    private func strikeOtherLUN(_ time: UInt64) {
        guard random.chance(200) else { return }
        // With the same names, only a path that has shown its serial number tells the difference.
        let isLimited = swarm.options.target.maxConnections < swarm.options.paths.count
        let isShared = swarm.options.settings.multipathing == .connections
        let knowsSerials = !hasSuccessors && !swarm.changesPaths && !(isShared && isLimited)
        world.replaceUnit(by: random.chance(500) && knowsSerials ? .otherSerial : .otherIdentity)
        later(time) { $0.restoreUnit() }
    }

    /// A path works, and badly.
    private func strikeGrey(
        _ fault: Swarm.Fault, _ path: Int, _ interface: Int, _ portal: Int, _ time: UInt64
    ) {
        let direction = random.pick([World.Direction.toTarget, .toInitiator, .both])
        switch fault {
        case .largeSegments:
            let limit = max(100, min(swarm.options.weather.segmentBytes, 16_000) / 2)
            world.limitSegments(interface: interface, bytes: limit, direction)
            later(time) { $0.heal(interface: interface) }
        case .slowPath:
            world.slow(interface: interface, by: random.nanoseconds(5_000_000...300_000_000))
            later(time) { $0.heal(interface: interface) }
        case .stall: world.stall(portal: portal, time)
        case .flapping: flap(path, times: random.number(2...12))
        default: break
        }
    }

    private func strikeAccess(_ time: UInt64) {
        // A LUN that changes its states faster than commands are answered gets no work done.
        guard swarm.interval.upperBound > 100_000_000 || random.chance(4) else { return }
        world.setPreferred(random.chance(500) ? nil : world.accessStates.keys.sorted().first)
        var states: [UInt16: UInt8] = [:]
        for group in world.accessStates.keys.sorted() {
            states[group] = random.pick([0, 0, 1, 2, 2, 3, 4, 0xe])
        }
        world.setAccess(states, after: random.chance(500) ? 0 : time / 4)
        let isLong = random.chance(300)
        later(isLong ? time : time / 8) { world in
            world.setAccess(world.accessStates.mapValues { _ in 0 })
        }
    }

    /// A path is cut again and again.
    private func flap(_ path: Int, times: Int) {
        guard times > 0, !isCalm else { return }
        world.cut(path: path, ghost: random.chance(500))
        world.timeline.after(random.nanoseconds(50_000_000...3_000_000_000)) { [unowned self] in
            flap(path, times: times - 1)
        }
    }

    private func later(_ nanoseconds: UInt64, _ heal: @escaping (World) -> Void) {
        world.timeline.after(nanoseconds) { [unowned self] in heal(world) }
    }
}
