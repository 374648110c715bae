import CausewayCore
import Simulation
import Testing

@Suite("Policies")
struct LanePolicyTests {
    private func world(_ policy: PathPolicy, paths: [(interface: Int, portal: Int)] = [(0, 0), (1, 1)])
        -> World
    {
        var options = WorldOptions()
        options.interfaceCount = 3
        options.target.portalGroups = [1, 1, 1]
        options.paths = paths
        options.settings.policy = policy
        return ready(options)
    }

    /// Commands that each path answered, since `before`.
    private func commands(_ world: World, since before: [UInt64]? = nil) -> [UInt64] {
        let counts = world.snapshot()?.paths.map(\.counters.commands) ?? []
        return before.map { zip(counts, $0).map { $0 - $1 } } ?? counts
    }

    private func load(_ world: World, _ count: Int, depth: Int = 8) -> [UInt64] {
        let before = commands(world)
        var load = Load()
        load.depth = depth
        load.maxBlocks = 8
        world.client.load(load, count: count)
        world.run(limit: 60 * .second) { world.client.isIdle }
        #expect(world.client.isIdle)
        return commands(world, since: before)
    }

    @Test(
        "that spread",
        arguments: [
            .standard, .roundRobin(.init(commands: 1)), .roundRobin(.init(bytes: 4096)), .leastQueueDepth,
            .serviceTime,
        ] as [PathPolicy])
    func spreading(_ policy: PathPolicy) {
        let world = world(policy)
        let counts = load(world, 400)
        #expect(counts.allSatisfy { $0 > 60 }, "\(policy): \(counts)")
        settle(world)
    }

    @Test(
        "with one path at a time",
        arguments: [
            (.fixed(preferred: nil), 0), (.fixed(preferred: PathName("eth1")), 1),
            (.fixed(preferred: PathName("198.51.100.1")), 1), (.mostRecentlyUsed, 0),
        ] as [(PathPolicy, Int)])
    func single(_ policy: PathPolicy, _ chosen: Int) {
        let world = world(policy)
        let counts = load(world, 100)
        // Which path of most-recently-used came up first is the network's choice.
        let first = policy == .mostRecentlyUsed ? counts[0] > counts[1] ? 0 : 1 : chosen
        #expect(counts[first] >= 90 && counts[1 - first] == 0, "\(policy): \(counts)")
        #expect(
            world.snapshot()?.paths.map(\.standing)
                == (first == 0 ? [.active, .standby] : [.standby, .active]))
        settle(world)
    }

    @Test("fixed returns to the preferred path, later each time that it is lost")
    func failsBack() {
        let world = world(.fixed(preferred: PathName("eth0")))
        var waits: [UInt64] = []
        for _ in 0..<3 {
            world.loseCarrier(interface: 0)
            world.run(limit: 100 * .millisecond)
            #expect(load(world, 40)[1] >= 30)
            world.findCarrier(interface: 0)
            #expect(world.run(limit: 5 * .second) { world.pathsUp == 2 })
            let from = world.elapsed
            #expect(load(world, 40)[0] == 0, "it returned before the path had proved itself")
            let isBack = world.run(limit: 20 * .second) { world.snapshot()?.paths[0].standing == .active }
            #expect(isBack)
            waits.append((world.elapsed - from) / (500 * .millisecond))
            #expect(load(world, 40)[1] == 0)
        }
        #expect(waits == [2, 4, 8] || waits == [1, 3, 7], "half seconds: \(waits)")
        settle(world)
    }

    @Test("most-recently-used stays where it is")
    func staysAway() {
        let world = world(.mostRecentlyUsed)
        let first = load(world, 20)[0] > 0 ? 0 : 1
        world.loseCarrier(interface: first)
        world.run(limit: 100 * .millisecond)
        #expect(load(world, 40)[1 - first] >= 30)
        world.findCarrier(interface: first)
        world.run(limit: 30 * .second)
        #expect(world.pathsUp == 2)
        #expect(load(world, 40)[first] == 0)
        settle(world)
    }

    @Test("change on a disk under load")
    func changes() {
        let world = world(.standard)
        world.client.load(count: 1000)
        for policy in [
            .fixed(preferred: PathName("eth1")), .serviceTime, .leastQueueDepth, .mostRecentlyUsed,
            .serviceTime,
            .roundRobin(.init(commands: 3)), .fixed(preferred: nil), .standard,
        ] as [PathPolicy] {
            world.run(limit: 3 * .millisecond)
            world.set(policy: policy)
            #expect(world.lane.settings(of: world.disk)?.policy == policy)
        }
        settle(world)
    }

    @Test("a preferred path must be one, at attach and later")
    func unknownPreference() throws {
        var world = world(.standard)
        var settings = DiskSettings()
        settings.policy = .fixed(preferred: PathName("eth7"))
        #expect(
            world.set(policy: settings.policy)
                == .wrongValue(
                    key: "policy", reason: "no path is \"eth7\"",
                    allowed: "preferred may be one of eth0/198.51.100.0:3260, eth1/198.51.100.1:3260"))
        #expect(world.lane.settings(of: world.disk)?.policy == .standard)
        var options = WorldOptions()
        options.settings = settings
        world = World(options)
        world.attach()
        #expect(world.failure?.contains("no path is") == true)
        // Its interface may appear later, or may have gone since a predecessor had it.
        options.waitsForPaths = true
        world = ready(options)
        world.client.load(count: 20)
        settle(world)
    }
}
