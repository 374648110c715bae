import CausewayCore
import Simulation
import Testing

@Suite("A session of several connections")
struct LaneSessionTests {
    private func options(_ loss: TargetOptions.ConnectionLoss = .sessionGoesOn, paths: Int = 2)
        -> WorldOptions
    {
        connectionOptions(loss, paths: paths)
    }

    private func load(_ world: World, count: Int) {
        var load = Load()
        load.depth = 16
        load.span = 64
        load.weights = [10, 10, 2, 0, 0, 0]
        world.client.load(load, count: count)
    }

    @Test("is one session for all paths")
    func oneSession() {
        let world = ready(options(paths: 3))
        #expect(world.target.loginCount == 1)
        load(world, count: 300)
        settle(world)
        let paths = world.snapshot()?.paths ?? []
        #expect(paths.allSatisfy { $0.counters.commands > 50 }, "each connection has its share")
        world.detach(force: false)
        #expect(world.run(limit: 5 * .second) { world.isDetached })
        #expect(world.failure == nil && !world.hasRecords)
    }

    /// Each path is given up in favour of the other, again and again, before one is waited for long enough.
    @Test("is made at a target that is slow to answer a login, without a word of failure")
    func slowLogin() {
        var options = options()
        options.target.loginLatency = 3 * .second...3 * .second
        let world = World(options)
        world.attach()
        #expect(
            world.run(limit: 60 * .second) { world.isReady && world.pathsUp == 2 || !world.problems.isEmpty })
        #expect(world.problems.isEmpty && world.isReady)
        world.detach(force: false)
        #expect(world.run(limit: 30 * .second) { world.isDetached })
    }

    @Test("is despaired of when a target that takes connections answers no login")
    func noLogin() {
        var options = options()
        options.target.loginLatency = 1000 * .second...1000 * .second
        let world = World(options)
        world.attach()
        #expect(world.run(limit: 60 * .second) { world.problems.count == 2 })
        #expect(!world.isReady)
    }

    @Test("goes on without a connection that is lost", arguments: TargetOptions.ConnectionLoss.allCases)
    func connectionLost(_ loss: TargetOptions.ConnectionLoss) {
        for paths in [2, 3] {
            let world = ready(options(loss, paths: paths))
            load(world, count: 2000)
            for round in 0..<6 {
                world.run(limit: 40 * .millisecond)
                world.cut(path: round % paths, ghost: round.isMultiple(of: 2))
                #expect(world.run(limit: 100 * .millisecond) { world.pathsUp < paths }, "it is noticed")
                #expect(world.run(limit: 5 * .second) { world.pathsUp == paths })
            }
            world.client.stopLoad()
            settle(world)
            if loss == .sessionGoesOn { #expect(world.target.loginCount == 1, "it was never made anew") }
            if loss == .sessionEnds { #expect(world.target.loginCount > 1) }
        }
    }

    @Test("does not wait for ever for what a silent connection has swallowed")
    func silentConnection() {
        let world = ready(options())
        load(world, count: 100_000)
        world.run(limit: 200 * .millisecond)
        world.blackHole(interface: 1, .both)
        world.run(limit: 2 * .second)
        let before = world.client.answered
        world.run(limit: 1 * .second)
        #expect(world.client.answered > before + 100, "the other connection carries all of it")
        #expect(world.client.longestWait < 1500 * .millisecond)
        world.heal(interface: 1)
        #expect(world.run(limit: 10 * .second) { world.pathsUp == 2 })
        world.client.stopLoad()
        settle(world)
    }

    @Test("leaves paths out that the target allows no connection", arguments: [1, 2])
    func tooManyPaths(_ most: Int) {
        var options = options(paths: 3)
        options.target.maxConnections = most
        let world = ready(options)
        #expect(world.pathsCarrying == most)
        let standingBy = world.snapshot()?.paths.filter { $0.standing == .standby } ?? []
        #expect(standingBy.count == 3 - most)
        #expect(standingBy.allSatisfy { $0.reason?.contains("MaxConnections") == true })
        load(world, count: 1000)
        world.run(limit: 20 * .millisecond)
        for round in 0..<4 {
            world.cut(path: round % 3)
            world.run(limit: 10 * .millisecond)
            #expect(world.run(limit: 5 * .second) { world.pathsCarrying == most })
        }
        world.client.stopLoad()
        settle(world)
    }

    @Test("is fenced by the login of a successor, whatever paths that has")
    func successor() {
        for paths in [[0], [1], [0, 1]] {
            let world = ready(options())
            world.holdFirstWrite(for: 3 * .second)
            world.client.submit(.write, lba: 8, blocks: 8) { _ in }
            world.run(limit: 50 * .millisecond)
            world.crash(paths: paths, successorAfter: 10 * .millisecond)
            #expect(world.run(limit: 20 * .second) { world.isReady && world.pathsUp == paths.count })
            settle(world)
        }
    }

    @Test("loses a path in order when it is removed or disabled, and takes it back")
    func pathChanges() {
        let world = ready(options(paths: 3))
        load(world, count: 3000)
        for round in 0..<4 {
            world.run(limit: 20 * .millisecond)
            let error = world.retirePath(
                interface: 1, portal: 1, isRemoval: round.isMultiple(of: 2), force: false)
            #expect(error == nil)
            #expect(world.run(limit: 5 * .second) { world.pathsUp == 2 })
            world.addPath(interface: 1, portal: 1)
            #expect(world.run(limit: 5 * .second) { world.pathsUp == 3 })
        }
        world.client.stopLoad()
        settle(world)
        #expect(world.target.loginCount == 1, "no session was lost for it")
    }

    @Test("is not divided while its disk is attached")
    func settingIsFixed() {
        let world = ready(options())
        let error = world.change { $0.multipathing = .sessions }
        guard case .wrongValue("multipathing", _, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(world.change { $0.commandTimeoutMilliseconds = 5000 } == nil)
    }

    @Test("survives histories of faults", arguments: 0..<8)
    func histories(_ part: UInt64) {
        for seed in part * 12 + 1...part * 12 + 12 {
            let verdict = History(seed: seed, multipathing: .connections).run()
            #expect(verdict.failure == nil, "seed \(seed): \(verdict.failure ?? "")")
        }
    }
}
