import CausewayCore
import Simulation
import Testing

@Suite("The lane follows asymmetric access")
struct LaneAccessTests {
    /// Two paths to two target port groups, 1 and 2.
    private func options(support: UInt8 = 1) -> WorldOptions {
        var options = WorldOptions()
        options.target.groupSupport = support
        options.target.accessGroups = [1, 2]
        return options
    }

    private func commands(_ world: World) -> [UInt64] {
        world.snapshot()?.paths.map(\.counters.commands) ?? []
    }

    private func states(_ world: World) -> [String?] {
        world.snapshot()?.paths.map(\.accessState) ?? []
    }

    /// So many requests, all of which must succeed.
    private func work(_ world: World, _ count: Int = 200) {
        world.client.load(count: count)
        world.run(limit: 20 * .second) { world.client.isIdle }
        #expect(world.failure == nil)
        #expect(world.client.isIdle)
    }

    private func expectWorkOnSecondGroup(_ world: World, sourceLocation: SourceLocation = #_sourceLocation) {
        let before = commands(world)
        work(world)
        let after = commands(world)
        #expect(after[1] - before[1] > 100, sourceLocation: sourceLocation)
        #expect(after[0] - before[0] < 10, "the other group had I/O", sourceLocation: sourceLocation)
    }

    @Test("a status shows group, state and preference of each path")
    func shown() {
        let world = ready(options())
        world.setPreferred(2)
        world.setAccess([1: 1, 2: 0])
        work(world)
        world.run(limit: 2 * .second)
        let paths = world.snapshot()?.paths ?? []
        #expect(paths.map(\.accessGroup) == [1, 2])
        #expect(paths.map(\.accessState) == ["active/non-optimized", "active/optimized"])
        #expect(paths.map(\.isPreferred) == [false, true])
        #expect(paths.map(\.standing) == [.standby, .active])
    }

    @Test("of two groups in one lesser state the preferred one is used", arguments: [1, 4] as [UInt8])
    func preferredGroup(_ state: UInt8) {
        let world = ready(options())
        world.setPreferred(2)
        world.setAccess([1: state, 2: state])
        work(world)
        world.run(limit: 2 * .second)
        expectWorkOnSecondGroup(world)
        settle(world)
    }

    @Test("a silent optimized path gives way to a living one of the next state")
    func silentGroup() {
        let world = ready(options())
        world.setAccess([1: 0, 2: 1])
        work(world)
        world.run(limit: 2 * .second)
        world.blackHole(interface: 0, .both)
        world.client.load(count: 100)
        #expect(world.run(limit: 2 * .second) { world.client.isIdle }, "\(world.client.inFlight) wait")
        world.heal(interface: 0)
        settle(world)
    }

    enum Header: CaseIterable { case extended, short, miscounted }

    @Test("I/O goes to the optimized group and comes back to both", arguments: Header.allCases)
    func bestGroup(_ header: Header) {
        var options = options()
        options.target.knowsExtendedHeader = header != .short
        options.target.miscountsExtendedHeader = header == .miscounted
        let world = ready(options)
        world.setAccess([1: 1, 2: 0])
        work(world)
        world.run(limit: 2 * .second)
        expectWorkOnSecondGroup(world)
        world.setAccess([1: 0, 2: 0])
        work(world)
        world.run(limit: 2 * .second)
        #expect(world.snapshot()?.paths.map(\.standing) == [.active, .active])
        settle(world)
    }

    @Test("each state without I/O moves it to the other group", arguments: [2, 3, 0xe, 0xf] as [UInt8])
    func inactive(_ state: UInt8) {
        let world = ready(options())
        world.client.load(count: 300)
        world.run(limit: 5 * .millisecond)
        world.setAccess([1: state, 2: 0])
        world.run(limit: 20 * .second) { world.client.isIdle }
        #expect(world.client.longestWait < 500 * .millisecond)
        world.setAccess([1: 0, 2: state])
        work(world)
        world.setAccess([1: 0, 2: 0])
        work(world)
        world.run(limit: 65 * .second) { states(world) == ["active/optimized", "active/optimized"] }
        #expect(world.pathsUp == 2)
        settle(world)
    }

    @Test("a transition of all groups is waited for, and no caller sees an error")
    func transition() {
        let world = ready(options())
        world.client.load(count: 5000)
        world.run(limit: 5 * .millisecond)
        world.setAccess([1: 0xf, 2: 0xf])
        world.run(limit: 1 * .second)
        let answered = world.client.answered
        world.run(limit: 29 * .second)
        #expect(world.client.answered == answered && !world.client.isIdle)
        #expect(world.snapshot()?.isHeld == false, "a transition is not all paths down")
        world.setAccess([1: 0, 2: 2])
        world.run(limit: 1 * .second)
        #expect(world.client.longestWait < 32 * .second)
        #expect(world.client.answered > answered + 100, "I/O goes on")
        world.client.stopLoad()
        settle(world)
    }

    @Test("a transition that takes longer than the target's transition time is all paths down")
    func endlessTransition() {
        let world = ready(options())
        world.client.mayFail = true
        world.client.load(count: 10)
        world.setAccess([1: 0xf, 2: 0xf])
        world.run(limit: 59 * .second)
        #expect(world.snapshot()?.isHeld == false)
        world.run(limit: 3 * .second)
        #expect(world.snapshot()?.isHeld == true)
        world.run(limit: 139 * .second) { world.client.isIdle }
        #expect(world.client.isIdle && world.client.errors > 0, "held I/O fails after both times")
    }

    @Test("a standby group is activated only where the target allows it", arguments: [1, 2, 3] as [UInt8])
    func activation(_ support: UInt8) {
        let world = ready(options(support: support))
        world.client.load(count: 20)
        world.setAccess([1: 2, 2: 2])
        world.run(limit: 1 * .second)
        #expect(world.snapshot()?.counters.activations == 0, "not at once")
        world.run(limit: 10 * .second)
        #expect(world.snapshot()?.counters.activations == (support == 1 ? 0 : 1))
        #expect(world.client.isIdle == (support != 1))
        world.setAccess([1: 0, 2: 0])
        world.run(limit: 10 * .second) { world.client.isIdle }
        settle(world)
    }

    @Test("alua = implicit never activates")
    func implicitOnly() {
        var options = options(support: 3)
        options.settings.failure.access = .implicit
        let world = ready(options)
        world.setAccess([1: 2, 2: 2])
        world.client.load(count: 5)
        world.run(limit: 60 * .second)
        #expect(world.snapshot()?.counters.activations == 0)
        world.setAccess([1: 0, 2: 0])
        settle(world)
    }

    /// Another initiator takes the LUN away each time.
    @Test("two initiators do not take a LUN from each other again and again")
    func noPingPong() {
        var options = options(support: 2)
        options.settings.failure.allPathsDownTimeout = .forever
        let world = ready(options)
        var taken = 0
        for _ in 0..<600 {
            if world.accessStates.values.contains(0) { taken += 1 }
            world.setAccess([1: 2, 2: 2])
            world.client.load(count: 1)
            world.run(limit: 1 * .second)
        }
        let activations = world.snapshot()?.counters.activations ?? 0
        // After 10, 20, 40 … 600 s.
        #expect((1...8).contains(activations), "\(activations) activations in ten minutes")
        #expect(taken > 0)
        world.setAccess([1: 0, 2: 0])
        settle(world)
    }

    /// The barrier of a lost session whose port is on standby is refused: another session's stands for it.
    @Test("a fence of a session whose group went to standby", arguments: [true, false])
    func fenceOnStandby(_ comesBack: Bool) {
        var options = options()
        options.target.reinstatement = .returnsAtOnce
        options.settings.policy = .roundRobin(.init(commands: 1))
        let world = ready(options)
        world.holdFirstWrite(for: 2 * .second)
        var answers = 0
        world.client.submit(.write, lba: 5, blocks: 1) { _ in answers += 1 }
        world.run(limit: 10 * .millisecond)
        world.setAccess(comesBack ? [1: 2, 2: 0] : [1: 0, 2: 2])
        world.cut(path: 0, ghost: true)
        world.cut(path: 1, ghost: true)
        world.run(limit: 10 * .second) { answers == 1 }
        #expect(answers == 1, "the write waits for a barrier that never comes")
        world.client.submit(.write, lba: 5, blocks: 1) { _ in answers += 1 }
        world.run(limit: 20 * .second) { answers == 2 }
        settle(world)
    }

    @Test("a LUN all of whose ports are unavailable at first is identified, and attached when they are not")
    func unavailableAtFirst() {
        let world = World(options())
        world.setAccess([1: 3, 2: 3])
        world.attach()
        world.run(limit: 3 * .second)
        #expect(!world.isReady)
        #expect(world.problems.count == 2)
        world.setAccess([1: 0, 2: 3])
        #expect(world.run(limit: 5 * .second) { world.isReady })
        #expect(world.failure == nil)
    }
}
