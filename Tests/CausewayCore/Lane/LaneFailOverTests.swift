import CausewayCore
import Simulation
import Testing

@Suite("The lane fails over")
struct LaneFailOverTests {
    /// How many bytes one operation moves on the path that carries it, from a world where nothing goes wrong.
    private func carried(_ options: WorldOptions, _ operation: ClientOperation) -> (
        toTarget: Int, toInitiator: Int
    ) {
        let world = ready(options)
        let before = world.bytesCarried(path: 0)
        var isDone = false
        world.client.submit(operation, lba: 8, blocks: 8) { _ in isDone = true }
        world.run(limit: 5 * .second) { isDone }
        let after = world.bytesCarried(path: 0)
        return (after.toTarget - before.toTarget, after.toInitiator - before.toInitiator)
    }

    private func cut(_ world: World, after bytes: Int, isToTarget: Bool) {
        if isToTarget {
            world.cut(path: 0, afterBytesToTarget: bytes)
        } else {
            world.cut(path: 0, afterBytesToInitiator: bytes)
        }
    }

    private func options(paths: Int) -> WorldOptions {
        var options = WorldOptions()
        options.paths = Array([(0, 0), (1, 1)].prefix(paths))
        options.target.maxRecvDataSegmentLength = 1024
        options.target.firstBurstLength = 2048
        options.target.maxBurstLength = 2048
        options.target.dataInBytes = 1024
        // The first command goes to path 0.
        options.settings.policy = .roundRobin(.init(commands: 1))
        return options
    }

    @Test("when the connection is cut at any byte", arguments: [1, 2], [ClientOperation.read, .write])
    func cutAtEveryByte(_ paths: Int, _ operation: ClientOperation) {
        var options = options(paths: paths)
        for target in [TargetOptions.Reinstatement.drains, .returnsAtOnce] {
            options.target.reinstatement = target
            let bytes = carried(options, operation)
            let bound = paths == 1 ? 3 * UInt64.second : 2 * .second
            for isToTarget in [true, false] {
                let count = isToTarget ? bytes.toTarget : bytes.toInitiator
                // Every byte near headers; in the middle of data one is like the other.
                for at in 0...count where at < 120 || at % 13 == 0 || count - at < 60 {
                    let world = ready(options)
                    cut(world, after: max(at, 1), isToTarget: isToTarget)
                    var error: UInt32?
                    world.client.submit(operation, lba: 8, blocks: 8) { error = $0 }
                    world.run(limit: bound) { error != nil }
                    #expect(error == 0, "cut after byte \(at) \(isToTarget ? "to target" : "to initiator")")
                    var isRead = false
                    world.client.submit(.read, lba: 0, blocks: 32) { _ in isRead = true }
                    world.run(limit: bound) { isRead }
                    world.run(limit: 2 * .second)
                    world.checkAtRest()
                    #expect(
                        world.failure == nil,
                        "cut after byte \(at) \(isToTarget ? "to target" : "to initiator")")
                    if world.failure != nil || error != 0 { return }
                }
            }
        }
    }

    struct Shape: CustomTestStringConvertible {
        var operation: ClientOperation
        var initialR2T = true
        var immediateData = false
        /// Requests become several commands.
        var isSplit = false
        var testDescription: String {
            "\(operation) InitialR2T=\(initialR2T) ImmediateData=\(immediateData)\(isSplit ? " split" : "")"
        }
    }

    static let shapes: [Shape] =
        [.writeAndForce, .flush, .trim, .writeZeroes, .writeZeroesAndForce].map { Shape(operation: $0) }
        + [ClientOperation.read, .write, .trim, .writeZeroes].map { Shape(operation: $0, isSplit: true) }
        + [(true, true), (false, false), (false, true)].flatMap { pair in
            [false, true].map {
                Shape(operation: .write, initialR2T: pair.0, immediateData: pair.1, isSplit: $0)
            }
        }

    @Test("when the connection is cut at any point of any request", arguments: shapes)
    func cutAnyRequest(_ shape: Shape) {
        var options = options(paths: 2)
        options.target.initialR2T = shape.initialR2T
        options.target.immediateData = shape.immediateData
        options.target.reinstatement = .returnsAtOnce
        if shape.isSplit {
            options.unit.maxTransferBlocks = 3
            options.unit.maxUnmapBlocks = 3
            options.unit.maxWriteSameBlocks = 3
        }
        let bytes = carried(options, shape.operation)
        for (isToTarget, count) in [(true, bytes.toTarget), (false, bytes.toInitiator)] {
            for at in stride(from: 1, through: count, by: 7) {
                let world = ready(options)
                cut(world, after: at, isToTarget: isToTarget)
                var answers: [UInt32] = []
                world.client.submit(.write, lba: 100, blocks: 2) { answers.append($0) }
                world.client.submit(shape.operation, lba: 8, blocks: 8) { answers.append($0) }
                world.run(limit: 2 * .second) { answers.count == 2 }
                world.client.submit(.read, lba: 0, blocks: 32) { answers.append($0) }
                world.run(limit: 2 * .second) { answers.count == 3 }
                world.run(limit: 2 * .second)
                world.checkAtRest()
                guard world.failure == nil, answers == [0, 0, 0] else {
                    Issue.record(
                        "cut after byte \(at), to target \(isToTarget): \(world.failure ?? "") \(answers)")
                    return
                }
            }
        }
    }

    @Test(
        "again and again, with requests under way",
        arguments: [TargetOptions.Reinstatement.drains, .returnsAtOnce])
    func cutUnderLoad(_ kind: TargetOptions.Reinstatement) {
        var options = WorldOptions()
        options.target.reinstatement = kind
        options.unit.slowPermille = 100
        let world = ready(options)
        world.client.load(count: 800)
        for round in 0..<12 {
            world.run(limit: UInt64(5 + round) * .millisecond)
            world.cut(path: round % 2, ghost: round % 3 == 0)
        }
        settle(world)
        #expect(world.pathsUp == 2)
    }

    /// One write is held inside the target, its path is lost, the block is written again over the other path.
    private func ghost(_ kind: TargetOptions.Reinstatement, skipsBarrier: Bool) -> World {
        var options = WorldOptions()
        options.target.reinstatement = kind
        options.lane.skipsBarrier = skipsBarrier
        options.settings.policy = .roundRobin(.init(commands: 1))
        let world = ready(options)
        world.holdFirstWrite(for: 2 * .second)
        var answers = 0
        world.client.submit(.write, lba: 5, blocks: 1) { _ in answers += 1 }
        world.run(limit: 10 * .millisecond)
        world.cut(path: 0, ghost: true)
        world.cut(path: 1, ghost: true)
        world.run(limit: 20 * .second) { answers == 1 }
        world.client.submit(.write, lba: 5, blocks: 1) { _ in answers += 1 }
        world.run(limit: 20 * .second) { answers == 2 }
        world.run(limit: 5 * .second)
        world.checkAtRest()
        return world
    }

    @Test(
        "and no ghost of an earlier write comes later",
        arguments: [TargetOptions.Reinstatement.drains, .returnsAtOnce])
    func fence(_ kind: TargetOptions.Reinstatement) {
        let world = ghost(kind, skipsBarrier: false)
        #expect(world.failure == nil)
        #expect(world.client.answered == 2)
    }

    @Test("but without the barrier the ghost comes, and the oracle sees it")
    func withoutBarrier() {
        let world = ghost(.returnsAtOnce, skipsBarrier: true)
        #expect(world.failure?.contains("the medium of LBA 5 returned write 1") == true)
    }

    @Test("a target that drains needs no barrier")
    func drainsWithoutBarrier() {
        let world = ghost(.drains, skipsBarrier: true)
        #expect(world.failure == nil)
    }

    @Test("and goes on when all paths were down")
    func allPathsDown() {
        let world = ready(WorldOptions())
        world.client.load(count: 400)
        world.run(limit: 5 * .millisecond)
        world.loseCarrier(interface: 0)
        world.loseCarrier(interface: 1)
        world.run(limit: 20 * .second)
        #expect(world.client.inFlight > 0)
        world.findCarrier(interface: 1)
        world.run(limit: 5 * .second)
        world.findCarrier(interface: 0)
        settle(world)
        #expect(world.pathsUp == 2)
    }

    @Test("and fails what it holds when all paths are down for too long")
    func allPathsDownForTooLong() {
        var options = WorldOptions()
        options.settings.failure.allPathsDownTimeout = .milliseconds(5000)
        let world = ready(options)
        world.client.mayFail = true
        world.client.load(count: 400)
        world.run(limit: 5 * .millisecond)
        world.loseCarrier(interface: 0)
        world.loseCarrier(interface: 1)
        world.run(limit: 7 * .second) { world.client.isIdle }
        #expect(world.client.isIdle)
        #expect(world.client.errors > 0)
        world.findCarrier(interface: 0)
        world.findCarrier(interface: 1)
        world.run(limit: 5 * .second)
        world.client.mayFail = false
        world.client.load(count: 100)
        settle(world)
    }

    @Test("when a path swallows packets", arguments: [World.Direction.toTarget, .toInitiator, .both])
    func blackHole(_ direction: World.Direction) {
        let world = ready(WorldOptions())
        world.client.load(count: 2000)
        world.run(limit: 5 * .millisecond)
        world.blackHole(interface: 0, direction)
        let isServed = world.run(limit: 4 * .second) { world.client.answered > 1500 }
        #expect(isServed)
        world.heal(interface: 0)
        settle(world)
        #expect(world.pathsUp == 2)
    }

    @Test("with patience when one controller pauses beside another that lives")
    func pauseOfOneController() {
        var options = WorldOptions()
        options.target.portalGroups = [1, 2]
        let world = ready(options)
        world.client.load(count: 600)
        world.run(limit: 5 * .millisecond)
        world.blackHole(portal: 1, .both)
        world.run(limit: 20 * .second)
        #expect(world.snapshot()?.paths.map(\.counters.losses) == [0, 0], "it was given up")
        world.heal(portal: 1)
        settle(world)
        #expect(world.pathsUp == 2)
    }

    @Test("through a portal of the same group only")
    func fenceInTheGroup() {
        var options = WorldOptions()
        options.target.portalGroups = [1, 2, 2]
        options.paths = [(0, 0), (1, 1), (1, 2)]
        options.target.reinstatement = .returnsAtOnce
        let world = ready(options)
        world.client.load(count: 600)
        world.run(limit: 5 * .millisecond)
        let attempts = world.connectCount
        world.blackHole(portal: 1, .both)
        world.run(limit: 3 * .second)
        let lost = world.snapshot()?.paths.first { $0.portal.hasPrefix("198.51.100.1:") }
        #expect(lost?.lastFence?.contains("through another path") == true)
        // One over its sibling, and then its own route, again and again.
        #expect(lost?.counters.losses == 1 && world.connectCount > attempts)
        world.heal(portal: 1)
        settle(world)
        #expect(world.pathsUp == 3)
    }

    @Test("with patience when the target pauses for 30 s on all paths")
    func pause() {
        let world = ready(WorldOptions())
        world.client.load(count: 600)
        world.run(limit: 5 * .millisecond)
        let attempts = world.connectCount
        world.pauseTarget(30 * .second)
        world.run(limit: 31 * .second)
        #expect(world.connectCount - attempts <= 4, "a storm of logins")
        settle(world)
        #expect(world.pathsUp == 2)
    }

    @Test("when the target restarts", arguments: [false, true])
    func restart(_ losesCache: Bool) {
        let world = ready(WorldOptions())
        world.client.mayFail = losesCache
        world.client.load(count: 600)
        world.run(limit: 8 * .millisecond)
        world.restartTarget(downFor: 3 * .second, losesCache: losesCache)
        settle(world)
        #expect(world.pathsUp == 2)
    }

    @Test("when the target closes its half")
    func halfClose() {
        let world = ready(WorldOptions())
        world.client.load(count: 600)
        world.run(limit: 5 * .millisecond)
        world.halfClose(path: 0)
        settle(world)
        #expect(world.pathsUp == 2)
    }

    @Test("and never uses a path that shows another LUN")
    func impostor() {
        var options = WorldOptions()
        options.impostorPortals = [1]
        let world = World(options)
        world.blackHole(portal: 1, .both)
        world.attach()
        world.run(limit: 2 * .second) { world.pathsUp == 1 }
        // The disk is what the first path showed.
        world.heal(portal: 1)
        world.run(limit: 10 * .second)
        #expect(world.pathsUp == 1)
        world.client.load(count: 200)
        world.run(limit: 5 * .millisecond)
        world.cut(path: 0)
        settle(world)
    }

    @Test("and detaches", arguments: [false, true])
    func detach(_ isForced: Bool) {
        let world = ready(WorldOptions())
        world.client.mayFail = isForced
        world.client.load(count: 100)
        world.run(limit: 4 * .millisecond)
        world.client.stopLoad()
        // A detach takes no more requests; those on their way to it would be lost with the connection.
        world.run(limit: .millisecond / 5)
        world.detach(force: isForced)
        let isGone = world.run(limit: 5 * .second) { world.isDetached }
        #expect(isGone)
        #expect(world.failure == nil)
        world.run(limit: .second)
        #expect(world.client.inFlight == 0)
        #expect(world.lane.usage.isEmpty && world.lane.usage.streams == 0)
    }

    @Test("and detaches by force while no path is left")
    func detachWithoutPaths() {
        let world = ready(WorldOptions())
        world.client.mayFail = true
        world.client.load(count: 100)
        world.run(limit: 4 * .millisecond)
        world.blackHole(interface: 0, .both)
        world.blackHole(interface: 1, .both)
        world.run(limit: 4 * .second)
        world.client.stopLoad()
        world.detach(force: true)
        let isGone = world.run(limit: 5 * .second) { world.isDetached }
        #expect(isGone)
        #expect(world.failure == nil)
    }
}
