import CausewayCore

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
    public var longestWait: UInt64
}

/// The history of a seed: a safety phase with faults, then a liveness phase without, in which everything must
/// be answered, every path come back, and nothing be left over.
public final class History {
    private let swarm: Swarm
    private let world: World
    private let random: RandomStream
    private var isCalm = false
    private var faultCount = 0

    private static let second: UInt64 = 1_000_000_000

    public init(seed: UInt64, isTracing: Bool = false, isCanary: Bool = false) {
        var swarm = Swarm(seed: seed, isCanary: isCanary)
        swarm.options.isTracing = isTracing
        self.swarm = swarm
        world = World(swarm.options)
        random = RandomStream(seed: seed, "faults")
    }

    public func run() -> Verdict {
        live()
        let chronicle = world.chronicle
        return Verdict(
            seed: swarm.options.seed, failure: chronicle.failure, hash: chronicle.hash,
            options: swarm.description,
            trace: chronicle.lines, answered: world.client.answered, errors: world.client.errors,
            virtualNanoseconds: world.elapsed, events: world.timeline.eventCount,
            logins: world.target.loginCount,
            ghosts: world.target.ghostCount, longestWait: world.client.longestWait)
    }

    private func live() {
        world.attach()
        let pathCount = swarm.options.paths.count
        demand(60 * Self.second, "the paths do not come up") { world.isReady && world.pathsUp == pathCount }
        world.client.mayFail = swarm.mayFail
        world.client.bound = 400 * Self.second
        world.client.load(swarm.load, count: swarm.requestCount)
        planFault()
        world.run(limit: 60 * Self.second) { world.client.isIdle }
        // Liveness.
        isCalm = true
        healAll()
        world.client.stopLoad()
        demand(200 * Self.second, "requests are not answered") { world.client.isIdle }
        demand(100 * Self.second, "the paths do not come back") { world.pathsUp == pathCount }
        world.client.mayFail = false
        world.client.bound = 100 * Self.second
        // What was lost with a cache is told once more by each path.
        world.client.mayFail = swarm.losesCache
        world.client.load(swarm.load, count: 20)
        demand(100 * Self.second, "a healthy disk does not answer") { world.client.isIdle }
        demand(100 * Self.second, "the target does not come to rest") { world.isQuiet }
        world.run(limit: Self.second / 10)
        world.checkAtRest()
        world.detach(force: false)
        demand(60 * Self.second, "the disk is not detached") { world.isDetached }
        if world.failure == nil, !(world.lane.usage.isEmpty && world.lane.usage.streams == 0) {
            world.chronicle.fail("after detach the lane's tables hold \(world.lane.usage)")
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
            if !world.client.isIdle { strike() }
            planFault()
        }
    }

    private func healAll() {
        guard world.failure == nil else { return }
        world.endFaults()
        for interface in 0..<swarm.options.interfaceCount { world.findCarrier(interface: interface) }
        for portal in swarm.options.target.portalGroups.indices { world.heal(portal: portal) }
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
            if at < 0 { return strike(fault) }
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
        case .attention:
            guard random.chance(100) else { return }
            world.raiseAttention()
        }
    }

    private func later(_ nanoseconds: UInt64, _ heal: @escaping (World) -> Void) {
        world.timeline.after(nanoseconds) { [unowned self] in heal(world) }
    }
}
