import CausewayCore
import Simulation
import Testing

@Suite("Paths come and go")
struct LanePathChangeTests {
    private func world(_ count: Int = 2, _ change: (inout WorldOptions) -> Void = { _ in }) -> World {
        var options = WorldOptions()
        options.interfaceCount = 8
        options.target.portalGroups = [1, 1]
        options.paths = (0..<count).map { ($0, $0 % 2) }
        change(&options)
        return ready(options)
    }

    private func standings(_ world: World) -> [PathStanding] {
        world.snapshot()?.paths.map(\.standing) ?? []
    }

    @Test("up to the eighth, under load")
    func eightPaths() {
        let world = world()
        world.client.load(count: 400)
        settle(world)
        let usual = world.client.longestWait
        world.client.load(count: 2000)
        for interface in 2..<8 {
            world.run(limit: 3 * .millisecond)
            #expect(world.addPath(interface: interface, portal: interface % 2) == nil)
        }
        settle(world)
        #expect(world.client.longestWait < 2 * usual, "a path that is added keeps others waiting")
        #expect(standings(world) == Array(repeating: .active, count: 8))
        #expect(world.client.errors == 0)
        #expect(world.snapshot()?.counters.sentAgain == 0, "adding a path disturbed what was under way")
        world.client.load(count: 400)
        settle(world)
        #expect(world.snapshot()?.paths.allSatisfy { $0.counters.commands > 20 } == true)
    }

    @Test("removed under load: what is under way ends, nothing is sent again")
    func removed() {
        let world = world(3)
        world.client.load(count: 1500)
        world.run(limit: 5 * .millisecond)
        #expect(world.retirePath(interface: 1, portal: 1, isRemoval: true) == nil)
        #expect(world.run(limit: 5 * .second) { world.removedCount == 1 })
        settle(world)
        #expect(standings(world) == [.active, .active])
        #expect(world.snapshot()?.counters.sentAgain == 0)
        #expect(world.client.errors == 0)
    }

    @Test("other login settings hold from a path's next login on, and disturb no session")
    func otherLogins() {
        let world = world()
        func burst(_ path: Int) -> String? {
            let row = SessionParameter.all.firstIndex { $0.key == .maxBurstLength }
            let shown = world.lane.parameters(of: world.disk)
            return row.flatMap { row in shown?[path].negotiated?[row] }
        }
        let before = burst(0)
        var wanted = WantedParameters()
        wanted.maxBurstLength = 8192
        world.client.load(count: 1500)
        world.changeLogins(wanted, depth: 3)
        world.run(limit: 20 * .millisecond)
        #expect(burst(0) == before && before != "8192")
        #expect(world.snapshot()?.paths.map(\.depth).contains(3) == false)
        let logins = world.target.loginCount
        #expect(world.retirePath(interface: 0, portal: 0, isRemoval: false) == nil)
        #expect(standings(world)[0] == .disabled && world.snapshot()?.paths[0].hasSession == true)
        #expect(world.run(limit: 5 * .second) { world.snapshot()?.paths[0].hasSession == false })
        #expect(world.enablePath(interface: 0, portal: 0) == nil)
        #expect(world.run(limit: 5 * .second) { standings(world)[0] == .active })
        settle(world)
        #expect(world.target.loginCount == logins + 1)
        #expect(burst(0) == "8192" && burst(1) == before)
        #expect(world.snapshot()?.paths[0].depth == 3)
        #expect(world.client.errors == 0)
    }

    @Test("disabled and enabled: no session meanwhile")
    func disabled() {
        let world = world()
        world.client.load(count: 1500)
        world.run(limit: 5 * .millisecond)
        #expect(world.retirePath(interface: 0, portal: 0, isRemoval: false) == nil)
        world.run(limit: 3 * .second)
        #expect(standings(world) == [.disabled, .active])
        #expect(world.bytesCarried(path: 0) == (0, 0))
        let logins = world.target.loginCount
        let before = world.snapshot()?.paths[0].counters.commands
        world.run(limit: 30 * .second)
        #expect(world.target.loginCount == logins)
        #expect(world.snapshot()?.paths[0].counters.commands == before)
        #expect(world.enablePath(interface: 0, portal: 0) == nil)
        #expect(world.run(limit: 2 * .second) { world.pathsUp == 2 })
        settle(world)
    }

    @Test("the last path that works stays, unless by force")
    func lastPath() {
        let world = world()
        #expect(world.retirePath(interface: 0, portal: 0, isRemoval: false) == nil)
        #expect(
            world.retirePath(interface: 1, portal: 1, isRemoval: false) == .lastPath(disk: "disk"))
        #expect(world.retirePath(interface: 1, portal: 1, isRemoval: true) == .lastPath(disk: "disk"))
        #expect(world.retirePath(interface: 1, portal: 1, isRemoval: false, force: true) == nil)
        var error: UInt32?
        world.client.submit(.write, lba: 1, blocks: 1) { error = $0 }
        world.run(limit: 10 * .second)
        #expect(error == nil, "a disk without paths holds its I/O")
        #expect(world.enablePath(interface: 0, portal: 0) == nil)
        #expect(world.run(limit: 5 * .second) { error == 0 })
        #expect(world.enablePath(interface: 1, portal: 1) == nil)
        #expect(world.run(limit: 5 * .second) { world.pathsUp == 2 })
        settle(world)
        #expect(
            world.retirePath(interface: 5, portal: 0, isRemoval: true)
                == .noSuchPath(
                    "eth5/198.51.100.0",
                    existing: [
                        "eth0/198.51.100.0:3260", "eth1/198.51.100.1:3260",
                    ]))
    }

    @Test("a path that owes a fence stays until it is had", arguments: [true, false])
    func owesFence(_ isRemoval: Bool) {
        let world = world { $0.target.reinstatement = .returnsAtOnce }
        world.set(policy: .fixed(preferred: PathName("eth0")))
        world.holdFirstWrite(for: 3 * .second)
        var answers = 0
        world.client.submit(.write, lba: 5, blocks: 1) { _ in answers += 1 }
        world.run(limit: 10 * .millisecond)
        #expect(world.retirePath(interface: 0, portal: 0, isRemoval: isRemoval) == nil)
        world.run(limit: 10 * .millisecond)
        world.cut(path: 0, ghost: true)
        world.run(limit: .second)
        #expect(answers == 0)
        #expect(standings(world)[0] == (isRemoval ? .removing : .disabled))
        world.run(limit: 20 * .second) { answers == 1 }
        #expect(answers == 1)
        world.client.submit(.write, lba: 5, blocks: 1) { _ in answers += 1 }
        world.run(limit: 20 * .second) { answers == 2 }
        #expect(world.run(limit: 20 * .second) { world.removedCount == (isRemoval ? 1 : 0) })
        settle(world)
        #expect(standings(world) == (isRemoval ? [.active] : [.disabled, .active]))
    }

    @Test("a path that is added while it goes stays")
    func revived() {
        let world = world()
        world.client.load(count: 1000)
        world.run(limit: 2 * .millisecond)
        #expect(world.retirePath(interface: 0, portal: 0, isRemoval: true) == nil)
        #expect(world.addPath(interface: 0, portal: 0) == nil)
        settle(world)
        #expect(world.run(limit: 5 * .second) { world.pathsUp == 2 })
        #expect(world.removedCount == 0)
    }

    @Test("a fixed path that is removed hands over, and one that is added takes over")
    func policyFollows() {
        let world = world()
        #expect(world.set(policy: .fixed(preferred: PathName("eth1"))) == nil)
        #expect(standings(world) == [.standby, .active])
        #expect(world.retirePath(interface: 1, portal: 1, isRemoval: true) == nil)
        #expect(world.run(limit: 5 * .second) { standings(world) == [.active] })
        #expect(world.addPath(interface: 1, portal: 1) == nil)
        #expect(world.run(limit: 5 * .second) { standings(world) == [.standby, .active] })
        settle(world)
    }
}
