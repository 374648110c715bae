import CausewayCore
import Simulation
import Testing

/// What the lane notices, how soon, and what it costs. Times are virtual.
@Suite("The lane watches its paths")
struct LaneHealthTests {
    private func path(_ world: World, _ interface: Int) -> PathSnapshot? {
        world.snapshot()?.paths.first { $0.interface == "eth\(interface)" }
    }

    /// A load that does not end before it is stopped.
    private func endlessLoad(
        _ world: World, depth: Int = 4, reads: Int = 40, pause: UInt64 = 60 * .millisecond
    ) {
        var load = Load()
        load.depth = depth
        load.weights[0] = reads
        if reads > 40 { load.weights = [reads, 20, 0, 0, 0, 0] }
        // A steady trickle: virtual minutes are to pass in seconds.
        load.pause = pause / 2...pause
        for client in world.clients { client.load(load, count: 10_000_000) }
    }

    private func stop(_ world: World) {
        for client in world.clients { client.stopLoad() }
        settle(world)
    }

    @Test("an idle path is pinged every noop-interval, whatever the number of disks", arguments: [1, 64])
    func idlePings(_ disks: Int) {
        var options = WorldOptions()
        options.diskCount = disks
        options.lane = WorldOptions.laneForDisks(disks)
        let world = ready(options)
        let logins = world.target.loginCount
        let before = world.target.pingCount
        world.run(limit: 60 * .second)
        #expect((22...26).contains(world.target.pingCount - before))
        #expect(logins == 2 && world.target.loginCount == 2)
        #expect(world.target.fullPingCount >= 4)
        #expect(world.failure == nil)
    }

    @Test("fails over in the same time with 64 disks as with one", arguments: [1, 64])
    func manyDisks(_ disks: Int) {
        var options = WorldOptions()
        options.diskCount = disks
        options.lane = WorldOptions.laneForDisks(disks)
        let world = ready(options)
        endlessLoad(world, depth: 1, pause: UInt64(disks) * 10 * .millisecond)
        world.run(limit: .second)
        let pings = world.target.pingCount
        let logins = world.target.loginCount
        world.blackHole(interface: 0, .both)
        world.run(limit: 2 * .second)
        stop(world)
        // The fence, if a write was under way.
        #expect(world.target.loginCount - logins <= 1)
        #expect(path(world, 0)?.counters.losses == 1)
        #expect(world.target.pingCount - pings < 10)
        #expect(world.clients.allSatisfy { $0.longestWait < .second })
    }

    @Test("a disk with slow writes causes no constant pings")
    func slowWrites() {
        var options = WorldOptions()
        options.unit.latency = 400_000_000...600_000_000
        let world = ready(options)
        endlessLoad(world)
        world.run(limit: 20 * .second)
        let before = world.target.pingCount
        let hedged = world.snapshot()?.counters.hedgedReads
        world.run(limit: 60 * .second)
        // One path idles now and then; the other says nothing for half a second again and again.
        #expect(world.target.pingCount - before < 30)
        #expect(world.snapshot()?.counters.hedgedReads == hedged)
        #expect(path(world, 0)?.counters.losses == 0)
        stop(world)
    }

    @Test("reads of a silent path are hedged, and late answers harm nobody")
    func hedging() {
        let world = ready(WorldOptions())
        // So many at once that a few rounds do: a path that is late again and again gets more patience.
        endlessLoad(world, depth: 64, reads: 80, pause: 4 * .millisecond)
        world.run(limit: .second)
        for _ in 0..<3 {
            // Healed before the path is given up: both copies are answered.
            world.blackHole(interface: 0, .toInitiator)
            world.run(limit: 200 * .millisecond)
            world.heal(interface: 0)
            world.run(limit: .second)
        }
        stop(world)
        let lost = path(world, 0)
        #expect(lost?.counters.losses == 0)
        #expect(world.snapshot()?.counters.hedgedReads ?? 0 > 20)
        #expect(lost?.counters.hedgesWon ?? 0 > 20)
    }

    @Test("hedged reads of several PDUs and several pieces go well")
    func hedgedPieces() {
        var options = WorldOptions()
        options.target.dataInBytes = 1000
        options.unit.maxTransferBlocks = 8
        options.unit.slowPermille = 20
        options.lane.maxRecvDataSegmentLength = 1024
        let world = ready(options)
        var load = Load()
        load.weights = [80, 20, 0, 0, 0, 0]
        load.depth = 16
        load.pause = 30 * .millisecond...60 * .millisecond
        load.maxBlocks = 40
        world.client.load(load, count: 10_000_000)
        for round in 0..<30 {
            world.blackHole(interface: round % 2, round % 3 == 0 ? .toTarget : .toInitiator)
            world.run(limit: UInt64(150 + 10 * round) * .millisecond)
            world.heal(interface: round % 2)
            world.run(limit: 500 * .millisecond)
        }
        stop(world)
        #expect(world.snapshot()?.counters.hedgedReads ?? 0 > 20)
    }

    @Test("nothing is hedged, and nobody logs in, while the whole target pauses")
    func pauseCausesNoStorm() {
        let world = ready(WorldOptions())
        endlessLoad(world)
        world.run(limit: .second)
        let pings = world.target.pingCount
        let attempts = world.connectCount
        world.pauseTarget(30 * .second)
        world.run(limit: 31 * .second)
        #expect(world.connectCount == attempts)
        #expect(world.target.pingCount - pings < 10)
        #expect(world.snapshot()?.counters.hedgedReads ?? 1 == 0)
        stop(world)
    }

    @Test("a process that hangs behind a living kernel is met with patience, and its reads move")
    func stall() {
        let world = ready(WorldOptions())
        var load = Load()
        load.weights = [1, 0, 0, 0, 0, 0]
        load.pause = 30 * .millisecond...60 * .millisecond
        world.client.load(load, count: 10_000_000)
        world.run(limit: .second)
        world.stall(portal: 0, 3 * .second)
        world.run(limit: 4 * .second)
        stop(world)
        #expect(path(world, 0)?.counters.losses == 0)
        #expect(world.client.longestWait < 300 * .millisecond)
    }

    @Test("but not for ever")
    func longStall() {
        let world = ready(WorldOptions())
        endlessLoad(world)
        world.run(limit: .second)
        world.stall(portal: 0, 20 * .second)
        world.run(limit: 25 * .second)
        stop(world)
        #expect(path(world, 0)?.counters.losses == 1)
        #expect(world.client.longestWait < 7 * .second)
    }

    // MARK: Large segments

    private func jumbo(paths: Int) -> WorldOptions {
        var options = WorldOptions()
        options.paths = Array([(0, 0), (1, 1)].prefix(paths))
        options.weather.segmentBytes = 8948
        options.target.maxRecvDataSegmentLength = 65536
        return options
    }

    @Test(
        "a broken jumbo MTU is found before the path carries anything, and is named",
        arguments: [World.Direction.toTarget, .toInitiator])
    func brokenMTU(_ direction: World.Direction) {
        let world = World(jumbo(paths: 2))
        world.keepsLog = true
        world.limitSegments(interface: 0, bytes: 1448, direction)
        world.attach()
        world.run(limit: .second) { world.isReady }
        endlessLoad(world)
        world.run(limit: 30 * .second)
        #expect(world.client.longestWait < 100 * .millisecond)
        let broken = path(world, 0)
        #expect(broken?.standing == .quarantined)
        let words = "small pings pass, full-size ones do not: check the MTU along eth0->198.51.100.0:3260"
        #expect(broken?.reason == words)
        #expect(world.log.count { $0.text.contains(words) } <= 3)
        world.heal(interface: 0)
        let isBack = world.run(limit: 60 * .second) { path(world, 0)?.standing == .active }
        #expect(isBack)
        stop(world)
    }

    @Test("the only path is better than none, with whatever MTU")
    func brokenMTUAlone() {
        let world = World(jumbo(paths: 1))
        world.limitSegments(interface: 0, bytes: 1448, .toTarget)
        world.attach()
        let isUp = world.run(limit: 10 * .second) { world.isReady }
        #expect(isUp)
        world.run(limit: 120 * .second)
        #expect(path(world, 0)?.counters.losses == 1)
        #expect(path(world, 0)?.standing == .active)
    }

    @Test("targets that do not echo data, or reject it, are no worse for it", arguments: [false, true])
    func strangeEchoes(_ isRejected: Bool) {
        var options = WorldOptions()
        options.target.echoesPings = false
        options.target.rejectsPingData = isRejected
        let world = ready(options)
        world.run(limit: 300 * .second)
        #expect(path(world, 0)?.counters.losses == 0)
        #expect(world.target.fullPingCount > 0)
        if isRejected { #expect(world.target.fullPingCount == 2) }
        #expect(world.failure == nil)
    }

    // MARK: Grey paths

    @Test("a path that is much slower than the other is quarantined, and comes back when it is not")
    func slowPath() {
        let world = ready(WorldOptions())
        world.keepsLog = true
        endlessLoad(world)
        world.run(limit: 2 * .second)
        world.slow(interface: 0, by: 20 * .millisecond)
        let isOut = world.run(limit: 10 * .second) { path(world, 0)?.standing == .quarantined }
        #expect(isOut)
        #expect(path(world, 0)?.reason?.hasPrefix("slow: ") == true)
        // It comes back on probation, and is found slow again, each time later.
        world.run(limit: 100 * .second)
        #expect(path(world, 0)?.counters.quarantines ?? 0 <= 5)
        world.heal(interface: 0)
        let isBack = world.run(limit: 300 * .second) { path(world, 0)?.standing == .active }
        #expect(isBack)
        world.run(limit: 20 * .second)
        #expect(path(world, 0)?.standing == .active)
        stop(world)
        #expect(world.log.count { $0.text.contains("quarantine") } <= 12)
    }

    @Test("a path that fails again and again is quarantined, but never the last one")
    func flapping() {
        let world = ready(WorldOptions())
        endlessLoad(world)
        for _ in 0..<6 {
            world.run(limit: 3 * .second)
            #expect(path(world, 0)?.standing == .active)
            world.cut(path: 0)
        }
        let isOut = world.run(limit: 2 * .second) { path(world, 0)?.standing == .quarantined }
        #expect(isOut)
        #expect(path(world, 0)?.quarantineLeft ?? 0 > 0)
        // The session stands; the other path fails; the grey one takes over at once.
        let waits = world.client.longestWait
        world.loseCarrier(interface: 1)
        world.run(limit: .second)
        #expect(world.client.longestWait < max(waits, 100 * .millisecond))
        #expect(path(world, 0)?.standing == .active)
        world.findCarrier(interface: 1)
        world.run(limit: 60 * .second)
        #expect(world.pathsCarrying == 2)
        stop(world)
    }

    @Test("who enables a quarantined path ends its quarantine, and its hold-off begins anew")
    func release() {
        let world = ready(WorldOptions())
        endlessLoad(world)
        for _ in 0..<6 {
            world.run(limit: 3 * .second)
            world.cut(path: 0)
        }
        let isOut = world.run(limit: 2 * .second) { path(world, 0)?.standing == .quarantined }
        #expect(isOut)
        #expect(world.enablePath(interface: 0, portal: 0) == nil)
        #expect(path(world, 0)?.standing == .active)
        #expect(path(world, 0)?.quarantineLeft == nil)
        // It is no longer on probation: once lost, it is back at once.
        world.run(limit: 3 * .second)
        world.cut(path: 0)
        let isBack = world.run(limit: 2 * .second) { path(world, 0)?.standing == .active }
        #expect(isBack)
        #expect(path(world, 0)?.counters.quarantines == 1)
        stop(world)
    }

    @Test("a path that lies down once, or twice, is no grey path")
    func pardon() {
        let world = ready(WorldOptions())
        endlessLoad(world)
        for _ in 0..<2 {
            world.run(limit: 5 * .second)
            world.loseCarrier(interface: 0)
            world.run(limit: 5 * .second)
            world.findCarrier(interface: 0)
        }
        let isBack = world.run(limit: 2 * .second) { world.pathsCarrying == 2 }
        #expect(isBack)
        stop(world)
    }

    @Test("timers change on a live disk; of two disks of a target the shorter ones hold")
    func timers() {
        var options = WorldOptions()
        options.diskCount = 2
        let world = ready(options)
        world.changeTimers(disk: 1) { $0.noopIntervalMilliseconds = 1000 }
        let before = world.target.pingCount
        world.run(limit: 30 * .second)
        #expect((55...66).contains(world.target.pingCount - before))
        world.changeTimers(disk: 1) { $0.noopIntervalMilliseconds = 60_000 }
        let after = world.target.pingCount
        world.run(limit: 30 * .second)
        #expect((10...14).contains(world.target.pingCount - after))
    }

    // MARK: The log

    @Test("a pulled cable is one line in the log, and its return another")
    func oneLine() {
        var options = WorldOptions()
        options.diskCount = 4
        options.target.reinstatement = .returnsAtOnce
        // So that writes are under way at any moment.
        options.unit.latency = 20 * .millisecond...40 * .millisecond
        let world = ready(options)
        world.keepsLog = true
        endlessLoad(world, pause: 4 * .millisecond)
        world.run(limit: .second)
        world.loseCarrier(interface: 0)
        world.run(limit: 20 * .second)
        #expect(world.log.count == 1, "\(world.log.map(\.text))")
        #expect(world.log.first?.severity == .warning)
        #expect(world.log.first?.text.contains("path lost: carrier lost; ") == true)
        #expect(world.log.first?.text.contains("sent writes after a fence of ") == true)
        world.findCarrier(interface: 0)
        world.run(limit: 5 * .second)
        #expect(world.log.count == 2, "\(world.log.map(\.text))")
        #expect(world.log.last?.text.contains("path is back after 2") == true)
        let counters = path(world, 0)?.counters
        #expect(counters?.fences == 1 && counters?.fencesByBarrier == 1 && counters?.fencesByLogin == 0)
        #expect(counters?.heldWrites ?? 0 > 0 && counters?.lastFenceNanoseconds ?? 0 > 0)
        let fenced = world.disks.indices.reduce(0) { $0 + (world.snapshot($1)?.counters.fencedWrites ?? 0) }
        #expect(fenced == counters?.heldWrites)
        stop(world)
    }

    @Test("an address that goes takes its sessions along, and no others")
    func addressLost() {
        let world = ready(WorldOptions())
        endlessLoad(world)
        world.run(limit: .second)
        world.loseAddress(interface: 0)
        world.run(limit: 50 * .millisecond)
        #expect(world.snapshot()?.paths.map { $0.standing == .active } == [false, true])
        #expect(world.said.contains { $0.contains("eth0 lost the address") })
        world.findCarrier(interface: 0)
        #expect(world.run(limit: 5 * .second) { world.pathsUp == 2 })
        stop(world)
    }

    @Test("TCP is asked for suspect paths, and now and then for status")
    func inspections() {
        let world = ready(WorldOptions())
        endlessLoad(world)
        world.run(limit: .second)
        let before = world.inspectionCount
        world.run(limit: 60 * .second)
        #expect(world.inspectionCount - before <= 30)
        #expect(path(world, 0)?.transport?.roundTripMicroseconds ?? 0 > 0)
        #expect(path(world, 0)?.percentile99 ?? 0 > 0)
        stop(world)
    }
}
