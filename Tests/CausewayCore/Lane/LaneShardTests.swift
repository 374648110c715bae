import CausewayCore
import Simulation
import Testing

/// Two lanes with a shard each of one disk: two worlds whose clocks are moved on by turns.
@Suite("The shards of a disk with several queues")
struct LaneShardTests {
    private static let kernelTimeoutMilliseconds: UInt64 = 20_000

    private func shards(hasWriteCache: Bool = false) -> (World, World) {
        let shares = DiskShares(count: 2, kernelTimeoutMilliseconds: Self.kernelTimeoutMilliseconds)
        let worlds = (0..<2).map { shard($0, of: shares, hasWriteCache: hasWriteCache) }
        // They came up after different times.
        let latest = max(worlds[0].elapsed, worlds[1].elapsed)
        for world in worlds { world.run(limit: latest - world.elapsed) }
        return (worlds[0], worlds[1])
    }

    private func shard(
        _ index: Int, of shares: DiskShares, hasWriteCache: Bool,
        allPathsDown: FailureSettings.Patience = .milliseconds(140_000)
    ) -> World {
        var options = WorldOptions()
        options.seed = UInt64(index) + 1
        options.share = DiskShare(shares: shares, index: index)
        options.unit.hasWriteCache = hasWriteCache
        options.settings.commandTimeoutMilliseconds = 600_000
        options.settings.failure.allPathsDownTimeout = allPathsDown
        return ready(options)
    }

    private func run(_ worlds: (World, World), for time: UInt64) {
        for _ in 0..<(time / (10 * .millisecond)) {
            worlds.0.run(limit: 10 * .millisecond)
            worlds.1.run(limit: 10 * .millisecond)
        }
    }

    /// That its lane has sent to the target.
    private func commands(_ world: World) -> UInt64 {
        world.snapshot()?.paths.reduce(0) { $0 + $1.counters.commands } ?? 0
    }

    private func settle(_ worlds: (World, World)) {
        run(worlds, for: 30 * .second)
        CausewayCoreTests.settle(worlds.0)
        CausewayCoreTests.settle(worlds.1)
    }

    @Test("no shard writes while a write of a client that went is under way on another")
    func debts() {
        let worlds = shards()
        worlds.0.holdFirstWrite(for: 3 * .second)
        worlds.0.client.submit(.write, lba: 8, blocks: 8)
        run(worlds, for: 100 * .millisecond)
        worlds.0.loseClient(of: worlds.0.disks[0], connectsAfter: 10 * .second)
        run(worlds, for: 100 * .millisecond)
        var written = false
        var read = false
        worlds.1.client.submit(.write, lba: 8, blocks: 8) { _ in written = true }
        worlds.1.client.submit(.read, lba: 800, blocks: 8) { _ in read = true }
        run(worlds, for: 1 * .second)
        #expect(read && !written)
        run(worlds, for: 3 * .second)
        #expect(written)
        settle(worlds)
        #expect(worlds.1.client.errors == 0)
    }

    @Test("a write waits while another shard has an older one that the kernel is about to send again")
    func age() {
        let worlds = shards()
        worlds.0.holdFirstWrite(for: 14 * .second)
        worlds.0.client.submit(.write, lba: 8, blocks: 8)
        run(worlds, for: 8 * .second)
        var early = false
        worlds.1.client.submit(.write, lba: 8, blocks: 8) { _ in early = true }
        run(worlds, for: 1 * .second)
        #expect(early, "it is not old yet")
        run(worlds, for: 3 * .second)
        var written = false
        var trimmed = false
        var read = false
        worlds.1.client.submit(.write, lba: 8, blocks: 8) { _ in written = true }
        worlds.1.client.submit(.writeZeroes, lba: 80, blocks: 8) { _ in trimmed = true }
        worlds.1.client.submit(.read, lba: 800, blocks: 8) { _ in read = true }
        run(worlds, for: 1 * .second)
        #expect(read && !written && !trimmed)
        run(worlds, for: 4 * .second)
        #expect(written && trimmed)
        settle(worlds)
    }

    @Test("load that never rests does not count as one old write")
    func load() {
        let worlds = shards()
        worlds.0.client.load(count: 1_000_000)
        run(worlds, for: 15 * .second)
        #expect(!worlds.0.client.isIdle)
        var written = false
        worlds.1.client.submit(.write, lba: 8, blocks: 8) { _ in written = true }
        run(worlds, for: 100 * .millisecond)
        #expect(written)
        worlds.0.client.stopLoad()
        settle(worlds)
    }

    @Test("an old write that ends under load keeps the others waiting no longer")
    func oldUnderLoad() {
        let worlds = shards()
        worlds.0.holdFirstWrite(for: 14 * .second)
        worlds.0.client.submit(.write, lba: 8, blocks: 8)
        var load = Load()
        load.span = 256
        worlds.0.client.load(load, count: 1_000_000)
        run(worlds, for: 13 * .second)
        var written = false
        worlds.1.client.submit(.write, lba: 8, blocks: 8) { _ in written = true }
        run(worlds, for: 500 * .millisecond)
        #expect(!written && !worlds.0.client.isIdle)
        run(worlds, for: 1 * .second)
        #expect(written)
        worlds.0.client.stopLoad()
        settle(worlds)
    }

    @Test("a write does not fail for having waited for an old one of another shard")
    func patience() {
        let shares = DiskShares(count: 2, kernelTimeoutMilliseconds: Self.kernelTimeoutMilliseconds)
        let worlds = (
            shard(0, of: shares, hasWriteCache: false, allPathsDown: .milliseconds(1000)),
            shard(1, of: shares, hasWriteCache: false, allPathsDown: .milliseconds(1000))
        )
        worlds.0.holdFirstWrite(for: 16 * .second)
        worlds.0.client.submit(.write, lba: 8, blocks: 8)
        run(worlds, for: 12 * .second)
        var errors: [UInt32] = []
        worlds.1.client.submit(.write, lba: 8, blocks: 8) { errors.append($0) }
        run(worlds, for: 3 * .second)
        #expect(errors.isEmpty)
        run(worlds, for: 3 * .second)
        #expect(errors == [0])
        settle(worlds)
    }

    @Test("the oldest write of all shards never waits for another's")
    func oldest() {
        let worlds = shards()
        worlds.0.holdFirstWrite(for: 60 * .second)
        var first = false
        worlds.0.client.submit(.write, lba: 8, blocks: 8) { _ in first = true }
        run(worlds, for: 1 * .second)
        worlds.1.holdFirstWrite(for: 60 * .second)
        worlds.1.client.submit(.write, lba: 8, blocks: 8)
        run(worlds, for: 13 * .second)
        // Lost and fenced, it is sent again, although the other shard has an old one too.
        for path in 0..<2 { worlds.0.cut(path: path) }
        run(worlds, for: 100 * .second)
        #expect(first)
        settle(worlds)
    }

    @Test("a FLUSH on one shard fails once for what another had acknowledged and the target lost")
    func losses() {
        let worlds = shards(hasWriteCache: true)
        worlds.1.client.mayFail = true
        worlds.0.client.submit(.write, lba: 8, blocks: 8)
        run(worlds, for: 1 * .second)
        #expect(worlds.0.client.isIdle)
        // The other shard has written nothing, and is the one to notice.
        worlds.1.restartTarget(downFor: 100 * .millisecond, losesCache: true)
        run(worlds, for: 10 * .second)
        #expect(worlds.1.pathsUp == 2)
        var errors: [UInt32] = []
        for _ in 0..<2 {
            worlds.1.client.submit(.flush, lba: 0, blocks: 1) { errors.append($0) }
            run(worlds, for: 1 * .second)
        }
        #expect(errors == [NBDError.inputOutput.rawValue, 0])
        settle(worlds)
    }

    @Test("a FLUSH on one shard fails for a loss that another noticed")
    func noticedElsewhere() {
        let worlds = shards(hasWriteCache: true)
        worlds.0.client.mayFail = true
        worlds.1.client.mayFail = true
        worlds.1.client.submit(.write, lba: 8, blocks: 8)
        run(worlds, for: 1 * .second)
        worlds.1.restartTarget(downFor: 100 * .millisecond, losesCache: true)
        run(worlds, for: 10 * .second)
        var errors: [UInt32] = []
        for world in [worlds.0, worlds.1, worlds.0] {
            world.client.submit(.flush, lba: 0, blocks: 1) { errors.append($0) }
            run(worlds, for: 1 * .second)
        }
        #expect(errors == [NBDError.inputOutput.rawValue, 0, 0])
        CausewayCoreTests.settle(worlds.0)
        // The other's client did not hear of it, and only knows that its write is lost.
        #expect(worlds.1.client.isIdle)
    }

    @Test("what the kernel sent to a socket that it has given up is not begun")
    func givenUp() {
        let worlds = shards()
        let before = worlds.0.snapshot()?.counters.writes
        worlds.0.client.submit(.write, lba: 8, blocks: 8)
        worlds.0.client.submit(.trim, lba: 80, blocks: 8)
        worlds.0.giveUpSocket(of: worlds.0.disks[0])
        run(worlds, for: 1 * .second)
        #expect(worlds.0.snapshot()?.counters.writes == before)
        #expect(worlds.0.snapshot()?.counters.trims == 0)
        #expect(worlds.0.snapshot()?.requests == 0)
        #expect(worlds.0.lane.clients(of: DiskID(rawValue: 0)).isEmpty)
        // Sent again, it is.
        worlds.0.loseClient(of: worlds.0.disks[0], connectsAfter: 1 * .second)
        settle(worlds)
        #expect(worlds.0.client.errors == 0)
    }

    @Test("a socket that the kernel disconnects goes at once, and what it had under way is owed")
    func disconnected() {
        let worlds = shards()
        worlds.0.client.mayFail = true
        worlds.0.holdFirstWrite(for: 3 * .second)
        worlds.0.client.submit(.write, lba: 8, blocks: 8)
        run(worlds, for: 100 * .millisecond)
        worlds.0.client.disconnect()
        worlds.0.giveUpSocket(of: worlds.0.disks[0])
        run(worlds, for: 100 * .millisecond)
        #expect(worlds.0.lane.clients(of: DiskID(rawValue: 0)).isEmpty)
        var written = false
        worlds.1.client.submit(.write, lba: 8, blocks: 8) { _ in written = true }
        run(worlds, for: 1 * .second)
        #expect(!written)
        run(worlds, for: 3 * .second)
        #expect(written)
        CausewayCoreTests.settle(worlds.1)
    }

    @Test("requests that there was no room to read count from when reading stopped")
    func unread() {
        let worlds = shards()
        for path in 0..<2 { worlds.0.blackHole(interface: path, .both) }
        for number in 0..<70 { worlds.0.client.submit(.write, lba: 8 * number, blocks: 8) }
        // Behind all those that fill the lane's table, and long inside the target once it gets there.
        worlds.0.client.submit(.write, lba: 800, blocks: 16)
        worlds.0.holdFirstWrite(for: 10 * .second, bytes: 16 * 512)
        run(worlds, for: 12 * .second)
        #expect(worlds.0.snapshot()?.counters.writes ?? 70 < 70)
        for path in 0..<2 { worlds.0.heal(interface: path) }
        var waited: UInt64 = 0
        while worlds.0.client.inFlight > 1 && waited < 60 * .second {
            run(worlds, for: 100 * .millisecond)
            waited += 100 * .millisecond
        }
        #expect(worlds.0.client.inFlight == 1, "the last one is held")
        var written = false
        worlds.1.client.submit(.write, lba: 800, blocks: 8) { _ in written = true }
        run(worlds, for: 1 * .second)
        #expect(!written)
        run(worlds, for: 12 * .second)
        #expect(written)
        settle(worlds)
    }

    @Test(
        "a FLUSH goes to the LUN for what another shard has written to a cache that this one knows nothing of"
    )
    func cacheSwitchedOn() {
        let shares = DiskShares(count: 2, kernelTimeoutMilliseconds: Self.kernelTimeoutMilliseconds)
        let worlds = (shard(0, of: shares, hasWriteCache: true), shard(1, of: shares, hasWriteCache: false))
        worlds.1.client.submit(.flush, lba: 0, blocks: 1)
        worlds.1.run(limit: 1 * .second)
        let before = commands(worlds.1)
        worlds.0.client.submit(.write, lba: 8, blocks: 8)
        worlds.0.run(limit: 1 * .second)
        for _ in 0..<2 {
            worlds.1.client.submit(.flush, lba: 0, blocks: 1)
            worlds.1.run(limit: 1 * .second)
        }
        #expect(worlds.1.client.isIdle)
        #expect(commands(worlds.1) == before + 2)
        CausewayCoreTests.settle(worlds.0)
        CausewayCoreTests.settle(worlds.1)
    }

    @Test("a FLUSH goes to the LUN for what a shard has written to a cache that only another one knows of")
    func cacheKnownElsewhere() {
        let shares = DiskShares(count: 2, kernelTimeoutMilliseconds: Self.kernelTimeoutMilliseconds)
        let worlds = (shard(0, of: shares, hasWriteCache: true), shard(1, of: shares, hasWriteCache: false))
        worlds.1.client.submit(.write, lba: 8, blocks: 8)
        worlds.1.run(limit: 1 * .second)
        let before = commands(worlds.1)
        worlds.1.client.submit(.flush, lba: 0, blocks: 1)
        worlds.1.run(limit: 1 * .second)
        #expect(worlds.1.client.isIdle)
        #expect(commands(worlds.1) == before + 1)
        CausewayCoreTests.settle(worlds.0)
        CausewayCoreTests.settle(worlds.1)
    }

    @Test("whoever keeps the books sees a loss until it is told, whichever shard says so")
    func record() {
        let shares = DiskShares(count: 2, kernelTimeoutMilliseconds: Self.kernelTimeoutMilliseconds)
        let worlds = (shard(0, of: shares, hasWriteCache: true), shard(1, of: shares, hasWriteCache: true))
        worlds.0.client.mayFail = true
        worlds.1.client.mayFail = true
        worlds.0.client.submit(.write, lba: 8, blocks: 8)
        worlds.0.run(limit: 1 * .second)
        #expect(!shares.hasUntoldLoss)
        worlds.0.restartTarget(downFor: 100 * .millisecond, losesCache: true)
        worlds.0.run(limit: 10 * .second)
        #expect(shares.hasUntoldLoss)
        worlds.1.client.submit(.flush, lba: 0, blocks: 1)
        worlds.1.run(limit: 1 * .second)
        #expect(!shares.hasUntoldLoss)
        CausewayCoreTests.settle(worlds.0)
        CausewayCoreTests.settle(worlds.1)
    }

    @Test("a FLUSH covers what every shard has acknowledged")
    func covered() {
        let worlds = shards(hasWriteCache: true)
        worlds.0.client.submit(.write, lba: 8, blocks: 8)
        run(worlds, for: 1 * .second)
        worlds.1.client.submit(.flush, lba: 0, blocks: 1)
        run(worlds, for: 1 * .second)
        // Nothing was in a cache that no FLUSH had covered.
        worlds.1.restartTarget(downFor: 100 * .millisecond, losesCache: true)
        run(worlds, for: 10 * .second)
        var errors: [UInt32] = []
        worlds.1.client.submit(.flush, lba: 0, blocks: 1) { errors.append($0) }
        run(worlds, for: 1 * .second)
        #expect(errors == [0])
        settle(worlds)
    }
}
