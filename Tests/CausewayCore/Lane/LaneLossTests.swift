import CausewayCore
import Simulation
import Testing

@Suite("The lane loses LUNs, space and fences")
struct LaneLossTests {
    private func read(_ world: World, within limit: UInt64) -> UInt32? {
        var error: UInt32?
        world.client.submit(.read, lba: 3, blocks: 2) { error = $0 }
        world.run(limit: limit) { error != nil }
        return error
    }

    // MARK: Permanent device loss

    @Test("a LUN that is gone on every path is lost: I/O fails at once until the same LUN is back")
    func permanentLoss() {
        let world = ready(WorldOptions())
        world.client.mayFail = true
        world.client.load(count: 40)
        world.run(limit: 20 * .second) { world.client.isIdle }
        world.replaceUnit(by: .nothing)
        let begun = world.elapsed
        #expect(read(world, within: 20 * .second) == 5)
        #expect(world.elapsed - begun < 8 * .second, "long before all paths down would end it")
        #expect(world.snapshot()?.isLost == true)
        #expect(world.snapshot()?.notes.contains { $0.contains("permanent device loss") } == true)
        let again = world.elapsed
        #expect(read(world, within: 20 * .second) == 5)
        #expect(world.elapsed - again < 10 * .millisecond, "a lost device does not hold I/O")
        world.restoreUnit()
        world.run(limit: 10 * .second) { world.snapshot()?.isLost == false }
        #expect(read(world, within: 5 * .second) == 0)
        settle(world)
    }

    @Test("gone for a moment is not lost")
    func shortLoss() {
        let world = ready(WorldOptions())
        world.replaceUnit(by: .nothing)
        var error: UInt32?
        world.client.submit(.read, lba: 3, blocks: 2) { error = $0 }
        world.run(limit: 1 * .second)
        world.restoreUnit()
        world.run(limit: 10 * .second) { error != nil }
        #expect(error == 0)
        settle(world)
    }

    @Test("one path without a session, and it is all paths down, not lost")
    func silentPath() {
        var options = WorldOptions()
        options.settings.failure.allPathsDownTimeout = .milliseconds(30_000)
        let world = ready(options)
        world.client.mayFail = true
        world.loseCarrier(interface: 1)
        world.replaceUnit(by: .nothing)
        var error: UInt32?
        world.client.submit(.read, lba: 3, blocks: 2) { error = $0 }
        world.run(limit: 25 * .second)
        #expect(error == nil)
        #expect(world.snapshot()?.isLost == false)
        #expect(world.snapshot()?.isHeld == true)
        world.run(limit: 10 * .second)
        #expect(error == 5)
        world.findCarrier(interface: 1)
        world.restoreUnit()
        world.run(limit: 10 * .second) { world.pathsUp == 2 }
        settle(world)
    }

    @Test("one path's word makes all paths be asked before any I/O")
    func oneWord() {
        let world = ready(WorldOptions())
        world.client.load(count: 100)
        world.run(limit: 20 * .second) { world.client.isIdle }
        let before = world.snapshot()?.paths.map(\.counters.errors).reduce(0, +) ?? 0
        world.replaceUnit(by: .nothing, tellsAll: false)
        var error: UInt32?
        world.client.submit(.read, lba: 3, blocks: 2) { error = $0 }
        world.run(limit: 100 * .millisecond)
        #expect(world.snapshot()?.paths.allSatisfy { $0.standing == .unusable } == true)
        let after = world.snapshot()?.paths.map(\.counters.errors).reduce(0, +) ?? 0
        #expect(after == before + 1, "the other path was tried before it was asked")
        world.replaceUnit(by: .otherIdentity, tellsAll: false)
        world.run(limit: 5 * .second)
        #expect(world.failure == nil && error == nil)
        world.restoreUnit()
        world.run(limit: 5 * .second) { error != nil }
        #expect(error == 0)
        settle(world)
    }

    @Test(
        "another LUN in its place gets nothing", arguments: [World.Replacement.otherIdentity, .otherSerial])
    func otherLUN(_ replacement: World.Replacement) {
        let world = ready(WorldOptions())
        world.client.load(count: 100)
        world.run(limit: 20 * .second) { world.client.isIdle }
        // An impostor that is written to or read from ends the world.
        world.replaceUnit(by: replacement)
        var error: UInt32?
        world.client.submit(.write, lba: 3, blocks: 2) { error = $0 }
        world.run(limit: 30 * .second)
        #expect(world.failure == nil)
        #expect(error == nil)
        #expect(world.snapshot()?.isHeld == true)
        #expect(world.snapshot()?.paths.allSatisfy { $0.standing == .unusable } == true)
        // Nor after a login.
        world.cut(path: 0)
        world.cut(path: 1)
        world.run(limit: 10 * .second)
        #expect(world.failure == nil)
        world.restoreUnit()
        world.run(limit: 10 * .second) { error != nil }
        #expect(error == 0)
        settle(world)
    }

    @Test("forever is for ever")
    func forever() {
        var options = WorldOptions()
        options.settings.failure.allPathsDownTimeout = .forever
        let world = ready(options)
        world.loseCarrier(interface: 0)
        world.loseCarrier(interface: 1)
        var error: UInt32?
        world.client.submit(.write, lba: 3, blocks: 2) { error = $0 }
        world.run(limit: 3600 * .second)
        #expect(error == nil)
        world.findCarrier(interface: 0)
        world.findCarrier(interface: 1)
        world.run(limit: 10 * .second) { error != nil }
        #expect(error == 0)
        settle(world)
    }

    // MARK: Size, space, other LUNs

    @Test("I/O beyond the end of a shrunken LUN fails, and no path with it")
    func shrunk() {
        let world = ready(WorldOptions())
        world.client.mayFail = true
        world.resizeUnit(2000)
        #expect(read(world, within: 5 * .second) == 0)
        var error: UInt32?
        world.client.submit(.write, lba: 3000, blocks: 4) { error = $0 }
        world.run(limit: 5 * .second) { error != nil }
        #expect(error == 5)
        world.run(limit: 2 * .second)
        #expect(world.pathsUp == 2)
        #expect(world.snapshot()?.notes.contains { $0.contains("1024000 bytes now") } == true)
        #expect(world.snapshot()?.sizeBytes == UInt64(4096 * 512))
        world.resizeUnit(8192)
        #expect(read(world, within: 5 * .second) == 0)
        world.run(limit: 2 * .second)
        #expect(world.pathsUp == 2)
        settle(world)
    }

    @Test(
        "a full pool ends writes with ENOSPC, or holds them until there is space", arguments: [true, false])
    func poolFull(_ isHeld: Bool) {
        var options = WorldOptions()
        options.settings.failure.space = isHeld ? .hold : .error
        let world = ready(options)
        world.client.mayFail = !isHeld
        world.fillPool(true)
        var errors: [UInt32] = []
        for block in 0..<10 { world.client.submit(.write, lba: 8 * block, blocks: 1) { errors.append($0) } }
        world.run(limit: 30 * .second)
        #expect(errors.contains(28) == !isHeld)
        #expect(world.pathsUp == 2)
        if isHeld {
            #expect(world.snapshot()?.notes.contains { $0.contains("no space") } == (errors.count < 10))
        }
        world.fillPool(false)
        world.run(limit: 10 * .second) { errors.count == 10 }
        #expect(errors.count == 10)
        world.run(limit: 20 * .second)
        #expect(world.snapshot()?.notes == [])
        settle(world)
    }

    @Test("new LUNs of the target are reported")
    func newLUN() {
        let world = ready(WorldOptions())
        world.run(limit: 1 * .second)
        #expect(world.snapshot()?.notes == [])
        world.addUnit(number: 7)
        #expect(read(world, within: 5 * .second) == 0)
        world.run(limit: 3 * .second)
        #expect(world.snapshot()?.notes == ["new on the target: LUN 7"])
        settle(world)
    }

    @Test("LUNs that vanish are reported, attached or not, and what comes back under their number is new")
    func vanishedLUN() {
        let world = ready(WorldOptions())
        world.addUnit(number: 7)
        #expect(read(world, within: 5 * .second) == 0)
        world.run(limit: 3 * .second)
        world.removeUnit(number: 7)
        #expect(read(world, within: 5 * .second) == 0)
        world.run(limit: 3 * .second)
        #expect(world.snapshot()?.notes == [])
        #expect(world.said.contains { $0.contains("LUN 7 is gone") && !$0.contains("which is the disk") })
        world.addUnit(number: 7)
        #expect(read(world, within: 5 * .second) == 0)
        world.run(limit: 3 * .second)
        #expect(world.snapshot()?.notes == ["new on the target: LUN 7"])
        settle(world)
    }

    // MARK: The fence setting

    /// A write is stuck in the target, its path and its portal group are gone for good; its block is written
    /// again meanwhile.
    private func lastFence(
        _ fence: FailureSettings.Fence, _ kind: TargetOptions.Reinstatement
    ) -> (world: World, answers: Int) {
        var options = WorldOptions()
        options.target.reinstatement = kind
        options.target.portalGroups = [1, 2]
        options.settings.failure.fence = fence
        options.settings.policy = .roundRobin(.init(commands: 1))
        let world = ready(options)
        var answers = 0
        // Both paths carry one write each; that on path 0 is the one that stays.
        world.holdFirstWrite(for: 20 * .second)
        world.client.submit(.write, lba: 5, blocks: 1) { _ in answers += 1 }
        world.run(limit: 10 * .millisecond)
        let isOnFirst = (world.snapshot()?.paths[0].inFlight ?? 0) > 0
        let lost = isOnFirst ? 0 : 1
        world.blackHole(interface: lost, .both)
        world.blackHole(portal: lost, .both)
        world.cut(path: lost, ghost: true)
        world.run(limit: 60 * .second) { answers == 1 }
        if answers == 1 {
            world.client.submit(.write, lba: 5, blocks: 1) { _ in answers += 1 }
            world.run(limit: 60 * .second) { answers == 2 }
        }
        world.run(limit: 30 * .second)
        world.checkAtRest(within: 10 * .second)
        return (world, answers)
    }

    @Test("hold: the write waits", arguments: [TargetOptions.Reinstatement.drains, .returnsAtOnce])
    func hold(_ kind: TargetOptions.Reinstatement) {
        let (world, answers) = lastFence(.hold, kind)
        #expect(answers == 0)
        #expect(world.snapshot()?.paths.map(\.held).reduce(0, +) == 1)
    }

    @Test(
        "lun-reset: the ghost is waited for", arguments: [TargetOptions.Reinstatement.drains, .returnsAtOnce])
    func logicalUnitReset(_ kind: TargetOptions.Reinstatement) {
        let (world, answers) = lastFence(.logicalUnitReset, kind)
        #expect(world.failure == nil)
        #expect(answers == 2)
        #expect(world.snapshot()?.counters.resets == 1)
        #expect(world.snapshot()?.counters.unfenced == 0)
    }

    @Test("none: the ghost comes, and the oracle sees it")
    func none() {
        let (world, answers) = lastFence(.none, .returnsAtOnce)
        #expect(answers == 2)
        #expect(world.snapshot()?.counters.unfenced == 1)
        #expect(world.failure?.contains("write") == true)
    }

    @Test(
        "our own commands on other sessions survive our reset of the LUN",
        arguments: [.standard, .serviceTime] as [PathPolicy])
    func resetUnderLoad(_ policy: PathPolicy) {
        var options = WorldOptions()
        options.settings.policy = policy
        options.interfaceCount = 3
        options.paths = [(0, 0), (1, 1), (2, 2)]
        options.target.portalGroups = [1, 2, 3]
        options.target.reinstatement = .returnsAtOnce
        options.settings.failure.fence = .logicalUnitReset
        options.unit.slowPermille = 300
        options.unit.slowLatency = 100 * .millisecond...3 * .second
        let world = ready(options)
        world.client.load(Load(), count: 100_000)
        world.run(limit: 50 * .millisecond)
        world.loseCarrier(interface: 0)
        world.run(limit: 20 * .second)
        #expect((world.snapshot()?.counters.resets ?? 0) >= 1)
        world.client.stopLoad()
        world.run(limit: 30 * .second) { world.client.isIdle }
        #expect(world.client.isIdle)
        world.findCarrier(interface: 0)
        world.run(limit: 10 * .second) { world.pathsUp == 3 }
        settle(world)
        // What the reset ended is not under way any more.
        #expect(world.lane.usage.miscountedLoad == 0)
    }
}
