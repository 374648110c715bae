import Simulation
import Testing

@testable import CausewayCore

/// What becomes of a session of several connections where something goes wrong with its logins, with the
/// end of one connection, and with what carries it.
@Suite("Connections of one session come and go")
struct LaneConnectionTests {
    private func options(
        _ loss: TargetOptions.ConnectionLoss = .sessionGoesOn, _ paths: [(interface: Int, portal: Int)]
    ) -> WorldOptions {
        var options = WorldOptions()
        options.settings.multipathing = .connections
        options.settings.policy = .roundRobin(.init(commands: 1))
        options.interfaceCount = 3
        options.paths = paths
        options.target.maxConnections = 8
        options.target.connectionLoss = loss
        options.target.isLIO = loss == .sessionEnds
        options.target.reinstatement = loss == .sessionEnds ? .drains : .returnsAtOnce
        return options
    }

    private static let two = [(interface: 0, portal: 0), (interface: 1, portal: 1)]
    private static let three = two + [(interface: 2, portal: 0)]

    private func cleanUp(_ world: World) -> ConnectionCleanUp? {
        world.lane.targets.first?.session?.cleanUp
    }

    /// A world in which path 0 carries a write that the target holds.
    private func heldWrite(_ options: WorldOptions, for time: UInt64) -> World {
        var options = options
        options.settings.policy = .fixed(preferred: PathName("eth0/198.51.100.0"))
        let world = ready(options)
        world.run(limit: 100 * .millisecond)
        world.holdFirstWrite(for: time)
        world.client.submit(.write, lba: 5, blocks: 1)
        world.run(limit: 10 * .millisecond)
        #expect(world.snapshot()?.paths[0].inFlight == 1)
        return world
    }

    private func isAnswered(_ world: World, _ operation: ClientOperation, within limit: UInt64) -> Bool {
        var isAnswered = false
        world.client.submit(operation, lba: 40, blocks: 1) { _ in isAnswered = true }
        return world.run(limit: limit) { isAnswered }
    }

    // MARK: Who leads

    @Test("a leader whose login is not answered is not waited for while another path can lead")
    func silentLeader() {
        let world = heldWrite(options(.sessionGoesOn, Self.two), for: 100 * .millisecond)
        world.loseCarrier(interface: 1)
        world.stall(portal: 0, 300 * .second)
        world.cut(path: 0, ghost: true)
        world.run(limit: 300 * .millisecond)
        #expect(world.snapshot()?.paths[0].standing == .fencing)
        world.findCarrier(interface: 1)
        #expect(world.run(limit: .second) { world.pathsCarrying == 1 }, "path 1 waits for path 0")
        #expect(world.run(limit: 100 * .millisecond) { world.client.isIdle })
        settle(world)
    }

    @Test("of many paths each leads in its turn", arguments: 1...6 as ClosedRange<UInt64>)
    func eachInItsTurn(_ seed: UInt64) {
        var options = options(.sessionGoesOn, [(0, 0), (1, 0), (2, 0), (2, 1)])
        options.seed = seed
        let world = ready(options)
        world.stall(portal: 0, 300 * .second)
        world.cutAll()
        let connects = world.connectCount
        #expect(world.run(limit: 5 * .second) { world.pathsCarrying == 1 }, "the one that could is kept out")
        #expect(world.connectCount - connects < 60)
        #expect(isAnswered(world, .write, within: .second))
        settle(world)
    }

    @Test("a target that lets a login wait for earlier commands is not asked by one path after the other")
    func patience() {
        let world = heldWrite(options(.sessionEnds, Self.three), for: 8 * .second)
        world.cutAll()
        let connects = world.connectCount
        world.run(limit: 7 * .second)
        #expect(world.connectCount - connects <= 6)
        #expect(world.run(limit: 5 * .second) { world.pathsUp == 3 })
        settle(world)
    }

    @Test("a target that pauses is met with patience, whoever leads")
    func pause() {
        let world = ready(options(.sessionGoesOn, Self.three))
        world.cutAll()
        world.pauseTarget(30 * .second)
        let connects = world.connectCount
        world.run(limit: 30 * .second)
        #expect(world.connectCount - connects < 60)
        #expect(world.run(limit: 20 * .second) { world.pathsUp == 3 })
        settle(world)
    }

    // MARK: Who joins, and when

    @Test("a connection that is dropped as soon as it has joined is made again with a growing pause")
    func joinStorm() {
        let world = ready(options(.sessionGoesOn, Self.two))
        let connects = world.connectCount
        var drops = 0
        let end = world.elapsed + 10 * .second
        while world.elapsed < end && world.failure == nil {
            let hasJoined = world.run(limit: 10 * .millisecond) {
                world.snapshot()?.paths[1].hasSession == true
            }
            guard hasJoined else { continue }
            drops += 1
            world.cut(path: 1)
            #expect(
                world.run(limit: 10 * .millisecond) { world.snapshot()?.paths[1].hasSession == false })
        }
        #expect(drops > 8)
        #expect(world.connectCount - connects < 40, "\(drops) times within 10 s")
        #expect(world.run(limit: 5 * .second) { world.pathsUp == 2 })
        settle(world)
        #expect(world.target.loginCount == 1)
    }

    @Test("a session that the target drops is made again by no path before Time2Wait")
    func sessionDrop() {
        // Of more, all could end before the word of it is read.
        let world = ready(options(.sessionGoesOn, Self.two))
        let connects = world.connectCount
        world.tell(path: 1, .sessionDrop, seconds: (3, 0))
        world.run(limit: 2900 * .millisecond)
        #expect(world.connectCount == connects)
        #expect(world.run(limit: 2 * .second) { world.pathsUp == 2 })
        settle(world)
        #expect(world.target.loginCount == 2)
    }

    @Test("that a connection is dropped may be said on another one")
    func siblingDrop() {
        let world = ready(options(.sessionGoesOn, Self.two))
        let connects = world.connectCount
        world.tell(path: 0, .connectionDrop, seconds: (3, 0), about: 1)
        world.run(limit: 2900 * .millisecond)
        #expect(world.connectCount == connects, "Time2Wait is not kept")
        #expect(world.snapshot()?.paths.map(\.standing) == [.active, .down])
        #expect(world.run(limit: 2 * .second) { world.pathsUp == 2 })
        settle(world)
        #expect(world.target.loginCount == 1)
    }

    // MARK: The end of one connection

    @Test("what carries the end of a connection is not waited for once it is silent")
    func silentCarrier() {
        let world = heldWrite(options(.sessionGoesOn, Self.two), for: 4 * .second)
        world.cut(path: 0, ghost: true)
        world.run(limit: 50 * .millisecond)
        guard case .fencing = cleanUp(world)?.phase else {
            Issue.record("no clean-up is under way")
            return
        }
        world.blackHole(interface: 1, .both)
        #expect(isAnswered(world, .read, within: 6 * .second), "path 0 waits for path 1")
        world.heal(interface: 1)
        #expect(world.run(limit: 10 * .second) { world.pathsUp == 2 })
        settle(world)
    }

    @Test("a connection on another interface carries it, where there is one")
    func otherInterface() {
        let world = heldWrite(options(.sessionGoesOn, [(0, 0), (0, 1), (1, 1)]), for: 2 * .second)
        world.cut(path: 0, ghost: true)
        #expect(world.run(limit: 50 * .millisecond) { cleanUp(world) != nil })
        let via = cleanUp(world).map { world.lane.paths[Int($0.via)].specification.interface }
        #expect(via == "eth1")
        settle(world)
        #expect(world.target.loginCount == 1)
    }

    @Test("that the carrier was lost by itself says nothing of the target")
    func ownEnding() {
        let world = heldWrite(options(.sessionGoesOn, Self.two), for: 500 * .millisecond)
        world.cut(path: 0, ghost: true)
        world.run(limit: 50 * .millisecond)
        #expect(cleanUp(world)?.via == 1)
        world.loseCarrier(interface: 1)
        world.run(limit: .second)
        world.findCarrier(interface: 1)
        #expect(world.run(limit: 5 * .second) { world.pathsUp == 2 })
        settle(world)
        let logins = world.target.loginCount
        for _ in 0..<3 {
            world.cut(path: 0)
            world.run(limit: 3 * .second)
        }
        #expect(world.pathsUp == 2)
        #expect(world.target.loginCount == logins, "the session was made anew for one connection")
    }

    @Test(
        "where one connection's end takes the session away, that is made anew once and at once",
        arguments: [TargetOptions.ConnectionLoss.sessionGoesOnAndLogoutMistakes, .sessionEndsAtOnce],
        [2, 3])
    func idleEnd(_ loss: TargetOptions.ConnectionLoss, _ count: Int) {
        let world = ready(options(loss, Array(Self.three.prefix(count))))
        world.run(limit: 3 * .second)
        for round in 1...6 {
            let connects = world.connectCount
            world.cut(path: round % count)
            #expect(world.run(limit: 20 * .millisecond) { world.pathsUp < count })
            #expect(world.run(limit: 200 * .millisecond) { world.pathsUp == count }, "round \(round)")
            #expect(world.target.loginCount == 1 + round)
            #expect(world.connectCount - connects <= 2 * count)
            world.run(limit: 3 * .second)
        }
        #expect(world.snapshot()?.paths.allSatisfy { $0.standing == .active } == true)
        settle(world)
    }

    @Test("a disk that goes by force takes its barrier along, and the lost connection joins again")
    func diskGoes() {
        var options = options(.sessionGoesOn, Self.two)
        options.diskCount = 2
        let world = heldWrite(options, for: 5 * .second)
        world.client.mayFail = true
        world.cut(path: 0, ghost: true)
        world.run(limit: 50 * .millisecond)
        #expect(world.lane.paths[0].barriers.count == 1 && cleanUp(world)?.lost == 0)
        world.detach(world.disks[0], force: true)
        let isBack = world.run(limit: .second) {
            world.snapshot(1)?.paths.allSatisfy { $0.standing != .down && $0.hasSession } == true
        }
        #expect(isBack, "the clean-up waits for a disk that is gone")
        #expect(cleanUp(world) == nil)
        #expect(world.target.loginCount == 1)
        world.run(limit: 6 * .second)
        #expect(world.failure == nil)
    }

    @Test("what a removed path owed the LUN of a disk its session's other paths owe on")
    func heir() {
        let world = ready(options(.sessionGoesOn, Self.two))
        world.run(limit: .second)
        // As it is after the write of a client that went was lost with the connection.
        world.lane.paths[0].unfenced.insert(World.firstLUN)
        #expect(world.retirePath(interface: 0, portal: 0, isRemoval: true) == nil)
        #expect(world.run(limit: 5 * .second) { world.removedCount == 1 })
        #expect(isAnswered(world, .write, within: .second))
        let heir = world.snapshot()?.paths.first
        #expect(heir?.interface == "eth1" && heir?.counters.fences == 1, "nobody took the fence")
        #expect(world.lane.paths[1].unfenced.isEmpty)
        settle(world)
    }

    // MARK: Commands that wait for their turn

    @Test(
        "ABORT TASK of a command that waits for one on a slower connection does no harm",
        arguments: [TargetOptions.ConnectionLoss.sessionGoesOn, .sessionGoesOnAndLogoutMistakes])
    func abortBeforeTurn(_ loss: TargetOptions.ConnectionLoss) {
        var options = options(loss, Self.two)
        options.settings.commandTimeoutMilliseconds = 100
        let world = ready(options)
        world.run(limit: .second)
        world.slow(interface: 0, by: 150 * .millisecond)
        var errors: [UInt32] = []
        for lba in 0..<4 { world.client.submit(.write, lba: 10 + lba, blocks: 1) { errors.append($0) } }
        world.run(limit: 50 * .millisecond)
        #expect(world.snapshot()?.paths[1].inFlight ?? 0 > 0, "no command waits for its turn")
        #expect(world.run(limit: 3 * .second) { errors.count == 4 })
        #expect(errors == [0, 0, 0, 0])
        #expect(world.target.managementCounts[1] ?? 0 > 0)
        world.heal(interface: 0)
        settle(world)
        #expect(world.snapshot()?.paths.allSatisfy { $0.counters.losses == 0 } == true)
        #expect(world.target.loginCount == 1)
    }
}
