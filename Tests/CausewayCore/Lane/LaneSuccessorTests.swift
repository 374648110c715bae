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
