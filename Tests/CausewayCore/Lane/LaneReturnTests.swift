import CausewayCore
import Simulation
import Testing

@Suite("What came back")
struct LaneReturnTests {
    /// Somewhere between two attempts.
    static let moments: [UInt64] = [0, 300, 600, 900, 1200, 1500, 1800, 2100, 2400, 2700]

    @Test("a path that swallowed packets is used again within 2 s", arguments: moments)
    func path(_ milliseconds: UInt64) {
        let world = ready(WorldOptions())
        world.client.load(count: 600)
        world.run(limit: 5 * .millisecond)
        world.blackHole(interface: 0, .both)
        world.run(limit: 6 * .second + milliseconds * .millisecond)
        #expect(world.pathsUp == 1)
        world.heal(interface: 0)
        let isBack = world.run(limit: 2 * .second) { world.pathsUp == 2 }
        #expect(isBack)
        settle(world)
    }

    @Test("a path whose carrier is back is used again at once", arguments: moments)
    func carrier(_ milliseconds: UInt64) {
        let world = ready(WorldOptions())
        world.client.load(count: 600)
        world.run(limit: 5 * .millisecond)
        world.loseCarrier(interface: 0)
        world.run(limit: 6 * .second + milliseconds * .millisecond)
        #expect(world.pathsUp == 1)
        world.findCarrier(interface: 0)
        let isBack = world.run(limit: 200 * .millisecond) { world.pathsUp == 2 }
        #expect(isBack)
        settle(world)
    }

    @Test("a target that was restarted serves I/O again within 1 s", arguments: moments)
    func target(_ milliseconds: UInt64) {
        let world = ready(WorldOptions())
        world.client.load(count: 2000)
        world.run(limit: 8 * .millisecond)
        let down = 2 * .second + milliseconds * .millisecond
        world.restartTarget(downFor: down, losesCache: false)
        world.run(limit: down)
        let answered = world.client.answered
        #expect(world.client.inFlight > 0)
        let isBack = world.run(limit: 1 * .second) { world.client.answered > answered }
        #expect(isBack)
        settle(world)
        #expect(world.pathsUp == 2)
    }
}
