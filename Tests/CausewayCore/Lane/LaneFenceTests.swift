import CausewayCore
import Simulation
import Testing

@Suite("The lane's fence")
struct LaneFenceTests {
    /// A world in which one write is held inside the target, and the number of the path that carries it.
    private func heldWrite(
        _ options: WorldOptions = Self.options, for time: UInt64 = 3 * .second
    ) -> (world: World, carrier: Int) {
        let world = ready(options)
        world.keepsLog = true
        world.run(limit: 100 * .millisecond)
        world.holdFirstWrite(for: time)
        world.client.submit(.write, lba: 5, blocks: 1)
        world.run(limit: 10 * .millisecond)
        let carrier = world.snapshot()?.paths.firstIndex { $0.inFlight == 1 }
        #expect(carrier != nil, "no path carries the write")
        return (world, carrier ?? 0)
    }

    private static var options: WorldOptions {
        var options = WorldOptions()
        options.target.reinstatement = .returnsAtOnce
        return options
    }

    private static var twoDisks: WorldOptions {
        var options = options
        options.diskCount = 2
        return options
    }

    private func warnings(_ world: World) -> [String] {
        world.log.filter { $0.severity != .information }.map(\.text)
    }

    private func path(_ world: World, _ portal: Int, of disk: DiskID? = nil) -> PathSnapshot? {
        world.lane.snapshot(disk ?? world.disk)?.paths.first {
            $0.portal.hasPrefix("198.51.100.\(portal):")
        }
    }

    /// Nothing but the writes that were sent waits for a fence, however long that takes. (On a target that
    /// returns at once what comes later waits in the target, behind the ORDERED barrier.)
    @Test(
        "takes as long as the oldest write, and only sent writes wait for it",
        arguments: [TargetOptions.Reinstatement.drains, .returnsAtOnce])
    func slowFence(_ kind: TargetOptions.Reinstatement) {
        var options = Self.options
        options.target.reinstatement = kind
        options.lane.depthPerPath = 4
        options.settings.policy = .roundRobin(.init(commands: 1))
        let (world, carrier) = heldWrite(options, for: 20 * .second)
        var reads = 0
        for lba in 10..<40 { world.client.submit(.read, lba: lba, blocks: 1) { _ in reads += 1 } }
        world.loseCarrier(interface: carrier)
        world.run(limit: 100 * .millisecond) { reads == 30 }
        #expect(reads == 30, "reads wait for the fence of a write")
        if kind == .drains {
            var writes = 0
            for lba in 40..<70 { world.client.submit(.write, lba: lba, blocks: 1) { _ in writes += 1 } }
            world.run(limit: 100 * .millisecond) { writes == 30 }
            #expect(writes == 30, "writes that were never sent wait for the fence of another")
        }
        #expect(world.client.inFlight == 1)
        #expect(path(world, carrier)?.held == 1)
        world.run(limit: 15 * .second)
        #expect(world.client.inFlight == 1, "the write was answered without a fence")
        #expect(world.run(limit: 10 * .second) { world.client.inFlight == 0 })
        settle(world)
    }

    @Test(
        "is not hurried by ABORT TASK: where the barrier takes too long the session is made anew",
        arguments: Multipathing.allCases)
    func lateBarrier(_ multipathing: Multipathing) {
        var options = Self.options
        options.settings.multipathing = multipathing
        options.settings.commandTimeoutMilliseconds = 1000
        options.target.maxConnections = 4
        let (world, carrier) = heldWrite(options, for: 25 * .second)
        world.cut(path: carrier, ghost: true)
        world.run(limit: 9 * .second)
        let logins = world.target.loginCount
        #expect(world.client.inFlight == 1, "the write was answered without a fence")
        world.run(limit: 10 * .second)
        #expect(world.target.loginCount == logins + 1, "no new session, or one after the other")
        #expect(world.run(limit: 10 * .second) { world.client.inFlight == 0 })
        settle(world)
        #expect(world.target.managementCounts.isEmpty)
        #expect(world.run(limit: 10 * .second) { world.pathsUp == 2 })
    }

    @Test(
        "a barrier that another LUN has answered is none",
        arguments: [World.Replacement.otherIdentity, .otherSerial])
    func strangersBarrier(_ stranger: World.Replacement) {
        var options = WorldOptions()
        options.settings.failure.allPathsDownTimeout = .milliseconds(200)
        let world = ready(options)
        world.client.mayFail = true
        world.holdFirstWrite(for: 3 * .second)
        world.client.submit(.write, lba: 8, blocks: 8)
        world.run(limit: 10 * .millisecond)
        world.replaceUnit(by: stranger, tellsAll: false)
        for path in 0..<2 { world.cut(path: path) }
        world.run(limit: 1 * .second)
        #expect(world.client.errors == 1)
        world.restoreUnit()
        var writtenAt: UInt64?
        while writtenAt == nil, world.elapsed < 20 * .second {
            world.client.submit(.write, lba: 8, blocks: 8) { error in
                if error == 0 { writtenAt = world.elapsed }
            }
            world.run(limit: 500 * .millisecond)
        }
        #expect(writtenAt.map { $0 > 3 * .second } == true, "the first copy was still inside the LUN")
        settle(world)
    }

    @Test("is asked for with patience while the path does not show the LUN, and not by the other disks")
    func hiddenUnit() {
        var options = Self.twoDisks
        // Through no other portal: where every path says so, the LUN is gone and not waited for.
        options.target.portalGroups = [1, 2]
        let (world, carrier) = heldWrite(options)
        world.hideUnit(portal: carrier)
        world.cut(path: carrier, ghost: true)
        let commands = world.target.commandCount
        world.run(limit: 60 * .second)
        #expect(world.client.inFlight == 1, "the write was answered without a fence")
        // Probes of two disks every two seconds, and the barrier every five.
        #expect(world.target.commandCount - commands < 60 * 30, "the LUN is asked without a pause")
        #expect(path(world, carrier)?.standing == .fencing)
        #expect(path(world, carrier)?.reason?.contains("the fence waits for the LUN, which answers") == true)
        #expect(path(world, carrier, of: world.disks[1].id)?.standing == .active)
        #expect(path(world, 1 - carrier, of: world.disks[1].id)?.standing == .active)
        world.showUnit(portal: carrier)
        settle(world)
        #expect(world.pathsUp == 2)
        #expect(path(world, carrier)?.counters.fences == 1)
    }

    @Test("that is not had fails its writes after the APD time-out, and is owed on")
    func hiddenForTooLong() {
        var options = Self.options
        options.settings.failure.allPathsDownTimeout = .milliseconds(10_000)
        // Through no other portal.
        options.target.portalGroups = [1, 2]
        let (world, carrier) = heldWrite(options)
        world.client.mayFail = true
        world.hideUnit(portal: carrier)
        world.cut(path: carrier, ghost: true)
        world.run(limit: 15 * .second) { world.client.isIdle }
        #expect(world.client.errors == 1)
        // The other path shows the LUN: reads go on, writes wait for the fence.
        world.client.mayFail = false
        world.client.submit(.read, lba: 9, blocks: 1)
        world.run(limit: .second) { world.client.isIdle }
        #expect(world.client.isIdle)
        world.client.submit(.write, lba: 5, blocks: 1)
        world.run(limit: 5 * .second)
        #expect(!world.client.isIdle, "a new write may be overtaken by the old one")
        world.showUnit(portal: carrier)
        world.run(limit: 10 * .second) { world.client.isIdle }
        settle(world)
    }

    @Test("is owed to a LUN whose disk went by force while other disks kept the path")
    func owedAfterDetach() {
        var options = Self.twoDisks
        options.settings.failure.allPathsDownTimeout = .milliseconds(600_000)
        let (world, carrier) = heldWrite(options)
        world.client.mayFail = true
        world.hideUnit(portal: 0)
        world.hideUnit(portal: 1)
        world.cut(path: carrier, ghost: true)
        world.run(limit: 2 * .second)
        world.detach(world.disks[0], force: true)
        world.run(limit: 2 * .second) { world.disks[0].isDetached }
        #expect(world.disks[0].isDetached)
        #expect(path(world, carrier, of: world.disks[1].id)?.standing == .active)
        // The session has been up all the time since; the new disk's first write waits for the barrier.
        let fences = path(world, carrier, of: world.disks[1].id)?.counters.fences
        world.showUnit(portal: 0)
        world.showUnit(portal: 1)
        world.attachAgain(world.disks[0])
        world.run(limit: 10 * .second) { world.pathsUp == 2 }
        #expect(world.pathsUp == 2)
        #expect(path(world, carrier)?.counters.fences == (fences ?? 0) + 1)
    }

    @Test("is owed to a LUN whose disk went by force with a write under way on a session that goes on")
    func owedForRunningWrites() {
        let (world, carrier) = heldWrite(Self.twoDisks)
        world.client.mayFail = true
        world.detach(world.disks[0], force: true)
        world.run(limit: .second) { world.disks[0].isDetached }
        #expect(world.disks[0].isDetached)
        world.attachAgain(world.disks[0])
        world.run(limit: .second)
        // What comes after the barrier waits with it, on the other path too.
        #expect(world.pathsUp < 2)
        #expect(path(world, carrier)?.standing == .fencing)
        world.run(limit: 3 * .second) { world.pathsUp == 2 }
        #expect(world.pathsUp == 2)
        #expect(path(world, carrier)?.counters.fences == 1)
        #expect(path(world, carrier)?.counters.losses == 0)
    }

    @Test("says when it takes long, more and more seldom")
    func warnings() {
        let (world, _) = heldWrite()
        world.blackHole(interface: 0, .both)
        world.blackHole(interface: 1, .both)
        world.run(limit: 130 * .second)
        let warnings = warnings(world).filter { $0.contains("the fence waits for a login") }
        // Both paths are given up after 45 s; the one with the write warns at about 55, 75 and 115 s.
        #expect(warnings.count == 3)
        #expect(warnings.first?.contains("for 10 s now; 1 writes are held") == true)
        world.heal(interface: 0)
        world.heal(interface: 1)
        settle(world)
    }

    @Test("waits for the login's answer, and says so")
    func waitsForLogin() {
        var options = Self.options
        options.target.reinstatement = .drains
        let (world, carrier) = heldWrite(options, for: 20 * .second)
        world.cut(path: carrier, ghost: true)
        world.run(limit: 12 * .second)
        #expect(path(world, carrier)?.reason?.contains("waits for the target to answer the login") == true)
        #expect(warnings(world).contains { $0.contains("waits for the target to answer the login") })
        settle(world)
    }

    @Test("A StatSN out of its order ends the connection", arguments: [false, true])
    func statSN(_ isMessage: Bool) {
        let world = ready(WorldOptions())
        world.keepsLog = true
        world.confuseStatSN()
        if isMessage {
            world.sendAsynchronousMessages()
            world.run(limit: 100 * .millisecond)
        } else {
            // Nothing but the ping of an idle path.
            world.run(limit: 6 * .second)
        }
        #expect(warnings(world).contains { $0.contains("StatSN") })
        #expect(world.snapshot()?.paths.reduce(0) { $0 + $1.counters.losses } == 1)
    }
}

@Suite("A client or a disk that goes")
struct LaneDepartureTests {
    @Test("is answered first: DISC loses no reply")
    func disconnect() {
        var options = WorldOptions()
        options.unit.latency = 1_000_000...5_000_000
        // Its socket takes little at once, so that replies wait in the lane.
        options.clientWeather.capacity = 3000
        let world = ready(options)
        var load = Load()
        load.depth = 32
        load.maxBlocks = 32
        load.span = 2048
        world.client.load(load, count: 200)
        world.run(limit: 20 * .millisecond)
        #expect(world.client.inFlight > 20)
        world.client.disconnect()
        world.run(limit: 5 * .second) { world.client.isClosed }
        #expect(world.client.isClosed && world.client.inFlight == 0)
        #expect(world.failure == nil)
        world.checkAtRest()
    }

    @Test("flushes, and says how that went", arguments: [false, true])
    func flush(_ isFailing: Bool) {
        let world = ready(WorldOptions())
        world.client.load(count: 50)
        world.run(limit: 5 * .second) { world.client.isIdle }
        world.failFlushes(isFailing)
        world.flush()
        world.run(limit: .second) { !world.flushes.isEmpty }
        #expect(world.flushes == [isFailing ? .inputOutput : .none])
        world.detach(force: false)
        world.run(limit: 5 * .second) { world.isDetached }
        #expect(world.isDetached)
        #expect(world.disks[0].wasFlushed == !isFailing)
    }

    @Test("waits for a path with its flush, and does not call it clean without one")
    func flushWithoutPath() {
        let world = ready(WorldOptions())
        var isWritten = false
        world.client.submit(.write, lba: 1, blocks: 1) { _ in isWritten = true }
        world.run(limit: .second) { isWritten }
        world.loseCarrier(interface: 0)
        world.loseCarrier(interface: 1)
        world.flush()
        world.run(limit: 10 * .second)
        #expect(world.flushes.isEmpty)
        world.detach(force: false)
        world.run(limit: 40 * .second) { world.isDetached }
        #expect(world.isDetached)
        #expect(!world.disks[0].wasFlushed)
        #expect(world.lane.usage.isEmpty)
    }

    @Test("has nothing to flush when nothing was written, even without a path")
    func nothingToFlush() {
        let world = ready(WorldOptions())
        world.loseCarrier(interface: 0)
        world.loseCarrier(interface: 1)
        world.flush()
        world.run(limit: .second)
        #expect(world.flushes == [.none])
        world.detach(force: false)
        world.run(limit: 5 * .second) { world.isDetached }
        #expect(world.isDetached && world.disks[0].wasFlushed)
    }
}
