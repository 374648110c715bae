import CausewayCore
import Simulation
import Testing

/// A daemon follows another: what it owes to the sessions and to the client of the one before.
@Suite("The lane takes over")
struct LaneSuccessorTests {
    private func options() -> WorldOptions {
        var options = WorldOptions()
        options.paths = [(0, 0), (1, 1)]
        options.target.reinstatement = .returnsAtOnce
        options.settings.policy = .roundRobin(.init(commands: 1))
        return options
    }

    @Test("no write goes out before the old sessions are fenced", arguments: [[0, 1], [1], [0]])
    func ghost(_ paths: [Int]) {
        let world = ready(options())
        world.holdFirstWrite(for: 3 * .second)
        var first: UInt32?
        world.client.submit(.write, lba: 8, blocks: 8) { first = $0 }
        world.run(limit: 100 * .millisecond)
        world.crash(paths: paths, successorAfter: .millisecond)
        // The path that carried the write may be gone, its session is not.
        let isFenced = world.run(limit: 10 * .second) { first != nil && !world.hasForeignRecords }
        #expect(isFenced && first == 0)
        var isWritten = false
        world.client.submit(.write, lba: 8, blocks: 8) { _ in isWritten = true }
        world.run(limit: 10 * .second) { isWritten }
        settle(world)
        #expect(world.pathsUp == paths.count)
    }

    @Test("all disks of a target are fenced, and in the end nothing is left on record")
    func twoDisks() {
        var options = options()
        options.diskCount = 2
        let world = ready(options)
        world.holdFirstWrite(for: 3 * .second)
        world.client.submit(.write, lba: 8, blocks: 8)
        world.run(limit: 100 * .millisecond)
        world.crash(paths: [0], successorAfter: .millisecond)
        let other = world.disks[1].clients[0]
        other.submit(.write, lba: 8, blocks: 8)
        world.run(limit: .second)
        #expect(!world.client.isIdle, "the write was sent again before its fence")
        world.run(limit: 20 * .second) { world.isIdle && !world.hasForeignRecords }
        #expect(world.isIdle && !world.hasForeignRecords)
        settle(world)
        world.detach(force: false)
        world.run(limit: 10 * .second) { world.isDetached }
        #expect(world.isDetached && !world.hasRecords)
    }

    @Test("nothing is written before the path's session is on record as one that stood")
    func recordFirst() {
        // The record comes late, and the daemon dies once before and once after it: what the target then does
        // late is a ghost if the successor fences nothing.
        for seed in UInt64(1)...20 {
            var options = options()
            options.seed = seed
            let world = World(options)
            world.attach()
            world.holdFirstWrite(for: 3 * .second)
            world.run(limit: 10 * .second) { world.isReady }
            world.client.submit(.write, lba: 8, blocks: 8)
            world.run(limit: seed * 200_000)
            world.crash(paths: [0], successorAfter: .millisecond)
            world.run(limit: 10 * .second) { world.isIdle }
            world.client.submit(.write, lba: 8, blocks: 8)
            settle(world)
        }
    }

    @Test("a path to a portal that never answered is not waited for by the next daemon")
    func deadPortal() {
        var options = options()
        options.target.portalGroups = [1, 2]
        let world = World(options)
        world.blackHole(portal: 1, .both)
        world.attach()
        world.run(limit: 10 * .second) { world.isReady }
        world.crash(paths: [0, 1], successorAfter: .millisecond)
        world.run(limit: 10 * .second) { world.isReady }
        var isWritten = false
        world.client.submit(.write, lba: 8, blocks: 8) { _ in isWritten = true }
        world.run(limit: 2 * .second) { isWritten }
        #expect(isWritten, "the write waits for a session that never was")
        world.heal(portal: 1)
        settle(world)
    }

    @Test("a client that is gone leaves no write that comes over its successor's")
    func vanishedClient() {
        for seed in UInt64(1)...10 {
            var options = options()
            options.seed = seed
            let world = ready(options)
            world.holdFirstWrite(for: 3 * .second)
            world.client.submit(.write, lba: 8, blocks: 8)
            world.run(limit: 100 * .millisecond)
            world.loseClient(of: world.disks[0], connectsAfter: .millisecond)
            let isAnswered = world.run(limit: 20 * .second) { world.client.isIdle }
            #expect(isAnswered)
            world.client.submit(.write, lba: 8, blocks: 8)
            settle(world)
            #expect(world.client.errors == 0)
        }
    }

    @Test("that the target lost writes is told by the next daemon, if no FLUSH has told it")
    func lostWrites() {
        var options = options()
        options.unit.hasWriteCache = true
        let world = ready(options)
        world.client.mayFail = true
        world.client.submit(.write, lba: 8, blocks: 8)
        world.run(limit: 10 * .second) { world.isIdle }
        world.restartTarget(downFor: 100 * .millisecond, losesCache: true)
        world.run(limit: 20 * .second) { world.pathsUp == 2 }
        world.run(limit: 2 * .second)
        world.handOver(paths: [0, 1], successorAfter: 10 * .millisecond)
        world.run(limit: 20 * .second) { world.daemons == 2 && world.isReady && world.pathsUp == 2 }
        var errors: [UInt32] = []
        for _ in 0..<2 {
            world.client.submit(.flush, lba: 0, blocks: 1) { errors.append($0) }
            world.run(limit: 10 * .second) { world.isIdle }
        }
        #expect(errors == [NBDError.inputOutput.rawValue, 0])
        settle(world)
    }

    @Test("a client handed over in the middle of a request loses nothing")
    func handOver() {
        var options = options()
        // Requests arrive in pieces, so that the boundary is never where the bytes end.
        options.clientWeather.segmentBytes = 100
        options.receiveBytes = 333
        for number in 0..<20 {
            options.seed = UInt64(number)
            let world = ready(options)
            world.client.load(count: 200)
            world.run(limit: UInt64(number) * 3 * .millisecond)
            world.handOver(paths: [0, 1], successorAfter: 10 * .millisecond)
            world.run(limit: 10 * .second) { world.isReady && !world.isHandingOver && world.client.isIdle }
            settle(world)
            #expect(world.client.errors == 0)
            #expect(world.daemons == 2, "it was not handed over")
        }
    }

    @Test("a LUN that is not the disk's does not take its place")
    func impostor() {
        var options = options()
        options.impostorPortals = [1]
        let world = World(options)
        // The path that shows another LUN must not come first.
        world.loseCarrier(interface: 1)
        world.attach()
        world.run(limit: 10 * .second) { world.isReady }
        world.findCarrier(interface: 1)
        world.run(limit: 10 * .second)
        #expect(world.pathsUp == 1)
        world.crash(paths: [1], successorAfter: .millisecond)
        world.run(limit: 20 * .second)
        #expect(!world.isReady)
        #expect(world.problems.contains { $0.kind == .otherLUN })
        world.crash(paths: [0], successorAfter: .millisecond)
        world.run(limit: 20 * .second) { world.isReady }
        #expect(world.isReady)
        settle(world)
    }

    @Test("a LUN that grows makes the disk grow, also behind the back of a dead daemon")
    func growth() {
        let world = ready(options())
        world.growUnit(by: 8)
        // Whatever is asked next hears of it.
        world.client.submit(.read, lba: 0, blocks: 1)
        world.run(limit: 10 * .second) { world.hasUnitSize }
        #expect(world.hasUnitSize)
        world.crash(paths: [0, 1], successorAfter: .millisecond)
        world.growUnit(by: 8)
        world.run(limit: 10 * .second) { world.isReady && world.hasUnitSize }
        #expect(world.hasUnitSize)
        settle(world)
    }
}
