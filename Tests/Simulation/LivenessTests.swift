import CausewayCore
import Simulation
import Testing

/// The longest time that an application waits, with default settings, and how soon a path is used again.
/// Times are virtual: what the lane decides, without what a machine takes for it.
@Suite("Bounds on stalls")
struct LivenessTests {
    private static let second: UInt64 = 1_000_000_000

    private func loaded(_ options: WorldOptions = WorldOptions()) -> World {
        let world = World(options)
        world.attach()
        let isUp = world.run(limit: 10 * Self.second) { world.pathsUp == options.paths.count }
        #expect(isUp)
        var load = Load()
        load.depth = 4
        load.pause = 30_000_000...60_000_000
        world.client.load(load, count: 10_000_000)
        world.run(limit: 3 * Self.second)
        return world
    }

    private func end(_ world: World) {
        world.client.stopLoad()
        let isIdle = world.run(limit: 60 * Self.second) { world.isIdle }
        #expect(isIdle)
        world.run(limit: 5 * Self.second)
        world.run(limit: 60 * Self.second) { world.isQuiet }
        world.checkAtRest()
        #expect(world.failure == nil)
    }

    @Test("carrier lost: 100 ms", arguments: [TargetOptions.Reinstatement.drains, .returnsAtOnce])
    func carrier(_ kind: TargetOptions.Reinstatement) {
        var options = WorldOptions()
        options.target.reinstatement = kind
        let world = loaded(options)
        for round in 0..<3 {
            world.loseCarrier(interface: round % 2)
            world.run(limit: 8 * Self.second)
            world.findCarrier(interface: round % 2)
            world.run(limit: 8 * Self.second)
        }
        end(world)
        #expect(world.client.longestWait < Self.second / 10)
    }

    @Test(
        "a silent black hole: one second", arguments: [World.Direction.toTarget, .toInitiator, .both],
        [TargetOptions.Reinstatement.drains, .returnsAtOnce])
    func blackHole(_ direction: World.Direction, _ kind: TargetOptions.Reinstatement) {
        var options = WorldOptions()
        options.target.reinstatement = kind
        let world = loaded(options)
        for round in 0..<3 {
            world.blackHole(interface: round % 2, direction)
            world.run(limit: 8 * Self.second)
            world.heal(interface: round % 2)
            world.run(limit: 8 * Self.second)
        }
        end(world)
        #expect(world.client.longestWait < Self.second)
    }

    @Test("a path that swallows large segments, in the middle of its life: one second to the target")
    func largeSegments() {
        var options = WorldOptions()
        options.weather.segmentBytes = 8948
        options.target.maxRecvDataSegmentLength = 65536
        let world = loaded(options)
        world.limitSegments(interface: 0, bytes: 1448, .toTarget)
        world.run(limit: 30 * Self.second)
        world.heal(interface: 0)
        end(world)
        #expect(world.client.longestWait < Self.second)
    }

    @Test(
        "a target restarts: one second more than it is down", arguments: [0, 500, 3000, 20_000] as [UInt64])
    func restart(_ milliseconds: UInt64) {
        let world = loaded()
        world.restartTarget(downFor: milliseconds * 1_000_000, losesCache: false)
        world.run(limit: 40 * Self.second)
        end(world)
        #expect(world.client.longestWait < milliseconds * 1_000_000 + Self.second)
    }

    @Test(
        "a path that came back is used within two seconds", arguments: [1, 7, 33] as [UInt64],
        [false, true])
    func comeBack(_ seconds: UInt64, _ isSilent: Bool) {
        let world = loaded()
        if isSilent { world.blackHole(interface: 0, .both) } else { world.loseCarrier(interface: 0) }
        world.run(limit: seconds * Self.second)
        if isSilent { world.heal(interface: 0) } else { world.findCarrier(interface: 0) }
        let isBack = world.run(limit: 2 * Self.second) { world.pathsCarrying == 2 }
        #expect(isBack)
        end(world)
    }

    @Test("so do all of them when all were silent", arguments: [5, 20, 60] as [UInt64])
    func comeBackTogether(_ seconds: UInt64) {
        let world = loaded()
        let attempts = world.connectCount
        world.blackHole(interface: 0, .both)
        world.blackHole(interface: 1, .both)
        world.run(limit: seconds * Self.second)
        #expect(world.connectCount - attempts < 4 * Int(seconds))
        world.heal(interface: 0)
        world.heal(interface: 1)
        let answered = world.client.answered
        let isBack = world.run(limit: 2 * Self.second) {
            world.pathsCarrying == 2 && world.client.answered > answered + 10
        }
        #expect(isBack)
        end(world)
    }
}
