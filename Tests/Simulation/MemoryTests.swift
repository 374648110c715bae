import CausewayCore
import Testing

@testable import Simulation

/// A search through many worlds keeps none of them in memory.
@Suite struct MemoryTests {
    private static let second: UInt64 = 1_000_000_000

    /// Whatever is left of a world holds its time.
    private func timeline(of options: WorldOptions, after faults: (World) -> Void) -> Timeline? {
        weak var timeline: Timeline?
        do {
            let world = World(options)
            timeline = world.timeline
            world.attach()
            world.run(limit: 10 * Self.second) { world.pathsUp == options.paths.count }
            var load = Load()
            load.depth = 8
            world.client.load(load, count: 1_000_000)
            world.run(limit: Self.second)
            faults(world)
            world.run(limit: Self.second)
            #expect(world.failure == nil)
        }
        return timeline
    }

    @Test("a world that ends in the middle of its work leaves nothing")
    func atWork() {
        #expect(timeline(of: WorldOptions()) { _ in } == nil)
    }

    @Test("a world that ends while nothing gets through leaves nothing")
    func inSilence() {
        #expect(
            timeline(of: WorldOptions()) { world in
                for index in 0..<world.options.interfaceCount { world.blackHole(interface: index, .both) }
            } == nil)
    }

    @Test("a world that ends with lost sessions at a target that drains them leaves nothing")
    func draining() {
        var options = WorldOptions()
        options.target.reinstatement = .drains
        #expect(
            timeline(of: options) { world in
                world.pauseTarget(30 * Self.second)
                world.cut(path: 0, ghost: true)
            } == nil)
    }

    @Test("a history leaves nothing behind", arguments: [Multipathing.sessions, .connections])
    func histories(_ multipathing: Multipathing) {
        for seed in UInt64(1)...100 {
            weak var timeline: Timeline?
            weak var chronicle: Chronicle?
            do {
                let history = History(seed: seed, multipathing: multipathing)
                timeline = history.world.timeline
                chronicle = history.world.chronicle
                _ = history.run()
            }
            #expect(timeline == nil && chronicle == nil, "seed \(seed)")
        }
    }
}
