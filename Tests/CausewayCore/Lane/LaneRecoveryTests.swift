import CausewayCore
import Simulation
import Testing

@Suite("A session at ErrorRecoveryLevel 2")
struct LaneRecoveryTests {
    private func options(_ recovery: TargetOptions.Recovery = .works, isLIO: Bool = false, paths: Int = 2)
        -> WorldOptions
    {
        var options = connectionOptions(isLIO ? .sessionEnds : .sessionGoesOn, paths: paths)
        options.target.errorRecoveryLevel = 2
        options.target.recovery = recovery
        options.parameters.errorRecoveryLevel = 2
        options.parameters.defaultTime2Wait = 0
        // Some go on while their connection is lost.
        options.unit.slowPermille = 100
        return options
    }

    private func load(_ world: World, count: Int, reads: Bool = true) {
        var load = Load()
        load.depth = 16
        load.span = 256
        load.maxBlocks = 32
        load.longBlocks = 200
        load.longPermille = 100
        load.weights = [reads ? 10 : 0, 10, 2, 2, 2, 2]
        if !reads { load.weights[3] = 0 }
        world.client.load(load, count: count)
    }

    private func cutAll(_ world: World, rounds: Int = 6) {
        let paths = world.pathsUp
        for round in 0..<rounds {
            world.run(limit: 40 * .millisecond)
            world.cut(path: round % paths, ghost: round.isMultiple(of: 2))
            #expect(world.run(limit: 100 * .millisecond) { world.pathsUp < paths }, "it is noticed")
            #expect(world.run(limit: 10 * .second) { world.pathsUp == paths })
        }
        world.client.stopLoad()
    }

    private func reassigned(_ world: World) -> UInt64 {
        world.snapshot()?.paths.reduce(0) { $0 + $1.counters.reassigned } ?? 0
    }

    @Test("goes on with the commands of a connection that is lost", arguments: [false, true], [2, 3])
    func connectionLost(isLIO: Bool, paths: Int) {
        let world = ready(options(isLIO: isLIO, paths: paths))
        // LIO forgets reads that go elsewhere with the session alone: with many it is made anew instead.
        load(world, count: 2000, reads: !isLIO)
        cutAll(world)
        #expect(world.target.reassignedCount > 0)
        #expect(reassigned(world) == UInt64(world.target.reassignedCount))
        settle(world)
        #expect(world.target.loginCount == 1, "it was never made anew")
        let held = world.snapshot()?.paths.reduce(0) { $0 + $1.counters.heldWrites } ?? 0
        #expect(held == 0, "no write had to wait for a fence")
        world.detach(force: false)
        #expect(world.run(limit: 5 * .second) { world.isDetached })
        #expect(world.failure == nil && !world.hasRecords)
    }

    @Test("comes to an end with a target that does not do what it agreed to", arguments: [false, true])
    func targetFails(isLIO: Bool) {
        for recovery in TargetOptions.Recovery.allCases where recovery != .works {
            let world = ready(options(recovery, isLIO: isLIO))
            load(world, count: 2000)
            // A path that is lost more often is kept from I/O for a while.
            cutAll(world, rounds: 4)
            settle(world)
            switch recovery {
            case .refusesReassignment:
                #expect(world.target.reassignedCount == 0)
                #expect(world.target.managementCounts[8, default: 0] <= ConnectionRecoveryLimit.askedAtOnce)
            case .refusesLogout: #expect(world.target.managementCounts[8] == nil)
            case .hesitates:
                #expect(world.target.managementCounts[8, default: 0] > world.target.reassignedCount)
                #expect(isLIO || world.target.loginCount == 1)
            case .forgets: #expect(world.target.reassignedCount > 0)
            case .works: break
            }
        }
    }

    private enum ConnectionRecoveryLimit { static let askedAtOnce = 16 }

    @Test("is not asked for unless the setting says so, nor where each path has its own session")
    func isOptional() {
        var options = options()
        options.parameters.errorRecoveryLevel = 0
        var world = ready(options)
        load(world, count: 1000)
        cutAll(world, rounds: 2)
        settle(world)
        #expect(world.target.managementCounts[8] == nil)
        options.parameters.errorRecoveryLevel = 2
        options.settings.multipathing = .sessions
        world = ready(options)
        load(world, count: 1000)
        cutAll(world, rounds: 2)
        settle(world)
        #expect(world.target.managementCounts[8] == nil)
    }

    @Test("acknowledges Data-In where the target asks for it", arguments: [1, 2])
    func dataAcknowledgement(_ level: Int) {
        var options = options()
        options.target.errorRecoveryLevel = level
        options.target.maxBurstLength = 8192
        options.target.firstBurstLength = 4096
        options.target.dataInBytes = 2048
        let world = ready(options)
        load(world, count: 1000)
        cutAll(world)
        settle(world)
        #expect(world.target.dataAckCount > 100)
        #expect((world.target.reassignedCount > 0) == (level == 2))
    }

    @Test("waits for Time2Wait before it logs a connection out")
    func time2Wait() {
        var options = options()
        options.target.time2Wait = 3
        let world = ready(options)
        load(world, count: 100_000)
        world.run(limit: 100 * .millisecond)
        world.cut(path: 0)
        world.run(limit: 2900 * .millisecond)
        #expect(world.target.logoutCount == 0)
        #expect(world.run(limit: 10 * .second) { world.pathsUp == 2 })
        #expect(world.target.logoutCount == 1)
        world.client.stopLoad()
        settle(world)
        #expect(world.target.loginCount == 1)
    }

    @Test("begins anew when the connection that takes over is lost as well")
    func bothLost() {
        let world = ready(options(.hesitates))
        load(world, count: 2000)
        for _ in 0..<5 {
            world.run(limit: 30 * .millisecond)
            world.cut(path: 0, ghost: true)
            world.run(limit: 2 * .millisecond)
            world.cut(path: 1, ghost: true)
            #expect(world.run(limit: 10 * .second) { world.pathsUp == 2 })
        }
        world.client.stopLoad()
        settle(world)
    }

    @Test("answers what is under way when its disk is detached by force")
    func detachByForce() {
        for (wait, paths) in [(0, 2), (3, 2), (0, 3), (3, 3)] {
            var options = options(.hesitates, paths: paths)
            options.target.time2Wait = wait
            let world = ready(options)
            load(world, count: 100_000)
            world.run(limit: 100 * .millisecond)
            world.cut(path: 0)
            world.run(limit: 20 * .millisecond)
            world.client.stopLoad()
            world.client.mayFail = true
            world.detach(force: true)
            #expect(world.run(limit: 10 * .second) { world.isDetached })
            #expect(world.failure == nil)
        }
    }

    @Test("ends in order while a connection of it is being recovered", arguments: [2, 3])
    func detach(paths: Int) {
        var options = options(paths: paths)
        options.target.time2Wait = 3
        let world = ready(options)
        world.run(limit: 100 * .millisecond)
        world.cut(path: 0)
        world.run(limit: 20 * .millisecond)
        world.detach(force: false)
        #expect(world.run(limit: 10 * .second) { world.isDetached })
        world.run(limit: 5 * .second)
        #expect(world.failure == nil)
        #expect(world.target.loginCount == 1)
        #expect(world.target.logoutCount == 1, "the session was logged out")
        #expect(!world.hasRecords)
    }

    @Test(
        "goes on when the path of a lost connection is removed before that is cleaned up", arguments: [0, 2])
    func pathRemoved(level: Int) {
        for delay in [0, 20, 100, 500] as [UInt64] {
            var options = options(paths: 3)
            options.target.errorRecoveryLevel = level
            options.target.time2Wait = level == 2 ? 1 : 0
            options.weather.latency = 2_000_000...5_000_000
            let world = ready(options)
            // Reads alone: nothing is owed.
            var load = Load()
            load.depth = 16
            load.weights = [10, 0, 0, 0, 0, 0]
            world.client.load(load, count: 100_000)
            world.run(limit: 100 * .millisecond)
            world.cut(path: 0)
            world.run(limit: 5 * .millisecond) { world.pathsUp < 3 }
            world.run(limit: delay * 100_000)
            #expect(world.retirePath(interface: 0, portal: 0, isRemoval: true) == nil)
            #expect(world.run(limit: 10 * .second) { world.snapshot()?.paths.count == 2 })
            world.run(limit: 5 * .second)
            #expect(world.pathsUp == 2)
            world.client.stopLoad()
            settle(world)
            #expect(world.target.loginCount == 1, "the session is the same")
        }
    }

    @Test("begins anew where LIO would remember more than its window bears")
    func leftBehind() {
        let world = ready(options(isLIO: true))
        load(world, count: 2000)
        cutAll(world)
        settle(world)
        #expect(world.target.loginCount > 1)
    }
}
