import CausewayCore
import Simulation
import Testing

@Suite("The lane moves data")
struct LaneDataTests {
    struct Combination: CustomTestStringConvertible {
        var initialR2T: Bool
        var immediateData: Bool
        var isSmall: Bool
        var outstandingR2T: Int
        var testDescription: String {
            "InitialR2T=\(initialR2T) ImmediateData=\(immediateData) R2T=\(outstandingR2T)"
                + (isSmall ? " small" : " large")
        }
    }

    static let combinations = [false, true].flatMap { initialR2T in
        [false, true].flatMap { immediateData in
            [false, true].flatMap { isSmall in
                [1, 4].map {
                    Combination(
                        initialR2T: initialR2T, immediateData: immediateData, isSmall: isSmall,
                        outstandingR2T: $0)
                }
            }
        }
    }

    @Test("in every combination of the negotiated keys", arguments: combinations)
    func everyCombination(_ combination: Combination) {
        var options = WorldOptions()
        options.target.initialR2T = combination.initialR2T
        options.target.immediateData = combination.immediateData
        options.target.maxOutstandingR2T = combination.outstandingR2T
        // 1000 is no multiple of a block and, with padding, not of anything.
        options.target.maxRecvDataSegmentLength = combination.isSmall ? 1000 : 65536
        options.target.firstBurstLength = combination.isSmall ? 1536 : 65536
        options.target.maxBurstLength = combination.isSmall ? 4096 : 262_144
        options.target.dataInBytes = combination.isSmall ? 900 : 65536
        options.target.collapsesPhases = combination.isSmall
        let world = ready(options)
        var load = Load()
        load.maxBlocks = 64
        world.client.load(load, count: 120)
        settle(world)
    }

    @Test("one byte at a time, in both directions")
    func oneByteAtATime() {
        var options = WorldOptions()
        options.receiveBytes = 1
        options.sendBytes = 1
        let world = ready(options)
        world.client.load(count: 25)
        settle(world)
    }

    @Test("in pieces of any size through small socket buffers")
    func smallBuffers() {
        var options = WorldOptions()
        options.weather.segmentBytes = 97
        options.weather.capacity = 700
        options.clientWeather.capacity = 900
        options.clientWeather.segmentBytes = 61
        let world = ready(options)
        world.client.load(count: 100)
        settle(world)
    }

    @Test("requests longer than the LUN's limits, up to 32 MiB")
    func longRequests() {
        var options = WorldOptions()
        options.unit.blockLength = 4096
        options.unit.blockCount = 16384
        options.unit.maxTransferBlocks = 15
        options.unit.maxUnmapBlocks = 100
        options.unit.maxWriteSameBlocks = 77
        options.target.maxRecvDataSegmentLength = 262_144
        let world = ready(options)
        let blocks = (32 << 20) / 4096
        var errors: [UInt32] = []
        world.client.submit(.write, lba: 3, blocks: blocks) { errors.append($0) }
        world.run(limit: 60 * .second) { errors.count == 1 }
        world.client.submit(.read, lba: 3, blocks: blocks) { errors.append($0) }
        world.run(limit: 60 * .second) { errors.count == 2 }
        world.client.submit(.trim, lba: 0, blocks: 5000) { errors.append($0) }
        world.run(limit: 60 * .second) { errors.count == 3 }
        world.client.submit(.writeZeroes, lba: 500, blocks: 9000) { errors.append($0) }
        world.run(limit: 60 * .second) { errors.count == 4 }
        world.client.submit(.read, lba: 0, blocks: 8192) { errors.append($0) }
        world.run(limit: 60 * .second) { errors.count == 5 }
        #expect(errors == [0, 0, 0, 0, 0])
        settle(world)
    }

    @Test("through a window of one command", arguments: [1, 2, 5])
    func smallWindow(_ window: Int) {
        var options = WorldOptions()
        options.target.window = window
        let world = ready(options)
        world.client.load(count: 150)
        settle(world)
    }

    @Test("while the window shuts and opens")
    func shuttingWindow() {
        let world = ready(WorldOptions())
        world.client.load(count: 600)
        for _ in 0..<5 {
            world.run(limit: 3 * .millisecond)
            world.shutWindow(40 * .millisecond)
        }
        settle(world)
    }

    /// A world that has answered so many requests of these kinds, and lost none of them.
    private func worked(_ options: WorldOptions, weights: [Int], count: Int) -> World {
        let world = ready(options)
        var load = Load()
        load.weights = weights
        world.client.load(load, count: count)
        settle(world)
        return world
    }

    @Test("to a LUN without write cache, without FUA, without UNMAP", arguments: 0..<8)
    func lesserUnits(_ bits: Int) {
        var options = WorldOptions()
        options.unit.hasWriteCache = bits & 1 != 0
        options.unit.supportsFUA = bits & 2 != 0
        options.unit.isThin = bits & 4 != 0
        options.unit.maxWriteSameBlocks = bits & 4 != 0 ? 100 : 0
        _ = worked(options, weights: [30, 30, 10, 10, 10, 10], count: 150)
    }

    @Test("while the target answers BUSY, TASK SET FULL, ABORTED COMMAND and unit attentions")
    func conditions() {
        var options = WorldOptions()
        options.unit.busyPermille = 50
        options.unit.taskSetFullPermille = 50
        options.unit.abortedPermille = 50
        options.unit.attentionPermille = 20
        let world = ready(options)
        world.client.load(count: 300)
        settle(world)
    }

    @Test("and answers pings of the target, and is heard when idle")
    func pings() {
        var options = WorldOptions()
        options.target.pingInterval = 700 * .millisecond
        let world = ready(options)
        world.run(limit: 30 * .second)
        #expect(world.pathsUp == 2)
        #expect(world.target.loginCount == 2)
        settle(world)
    }

    @Test("and the same seed is the same history")
    func sameHistory() {
        func hash(_ seed: UInt64) -> UInt64 {
            var options = WorldOptions()
            options.seed = seed
            let world = ready(options)
            world.client.load(count: 100)
            settle(world)
            return world.chronicle.hash
        }
        #expect(hash(7) == hash(7))
        #expect(hash(7) != hash(8))
    }

    // MARK: What was announced and is refused

    @Test("although the LUN refuses what it announced", arguments: 0..<32)
    func refusals(_ bits: Int) {
        var options = WorldOptions()
        options.unit.refusals = .init(rawValue: bits)
        options.clientsNegotiate = true
        let world = worked(options, weights: [30, 30, 10, 10, 10, 20], count: 300)
        #expect(world.client.errors == 0)
        let words = [1: "deallocate", 2: "WRITE SAME", 8: "FUA", 16: "GET LBA STATUS"]
        for (bit, word) in words {
            let lines = world.said.count { $0.contains("refuses") && $0.contains(word) }
            #expect(lines == (bits & bit != 0 ? 1 : 0), "\(word): \(world.said)")
        }
    }

    // MARK: Structured replies

    @Test("to a client that asked for structured replies and block status")
    func structuredReplies() {
        var options = WorldOptions()
        options.clientsNegotiate = true
        let world = worked(options, weights: [60, 20, 0, 5, 20, 5], count: 300)
        var errors: [UInt32] = []
        world.client.submit(.blockStatus, lba: 0, blocks: 256) { errors.append($0) }
        // Beyond the end: an error in a chunk of its own.
        world.client.mayFail = true
        world.client.submit(.read, lba: options.unit.blockCount, blocks: 1) { errors.append($0) }
        world.run(limit: 5 * .second) { errors.count == 2 }
        #expect(errors.sorted() == [0, NBDError.invalidArgument.rawValue])
        settle(world)
    }

    @Test("zeros fast, or not at all", arguments: [0, 100])
    func fastZero(_ maxWriteSameBlocks: Int) {
        var options = WorldOptions()
        options.unit.maxWriteSameBlocks = maxWriteSameBlocks
        let world = ready(options)
        world.client.mayFail = true
        var error: UInt32?
        world.client.submit(.fastZero, lba: 8, blocks: 8) { error = $0 }
        world.run(limit: 5 * .second) { error != nil }
        #expect(error == (maxWriteSameBlocks == 0 ? NBDError.notSupported.rawValue : 0))
        #expect(world.snapshot()?.counters.errors == 0)
        settle(world)
    }

    // MARK: Pieces

    /// One request of each kind, one after the other.
    private func everyRequest(_ world: World) -> Bool {
        let operations: [ClientOperation] = [
            .write, .read, .writeAndForce, .trim, .writeZeroes, .flush, .blockStatus, .writeZeroesAndForce,
            .read,
        ]
        for (number, operation) in operations.enumerated() {
            var error: UInt32?
            world.client.submit(operation, lba: number / 2 * 2, blocks: 2) { error = $0 }
            world.run(limit: 5 * .second) { error != nil }
            guard error == 0 else { return false }
        }
        world.checkAtRest()
        return world.failure == nil
    }

    @Test("in two pieces, cut at every byte", arguments: [0, 1], [false, true])
    func twoPieces(_ kind: Int, _ hasDigests: Bool) {
        var options = WorldOptions()
        options.paths = [(0, 0)]
        options.clientsNegotiate = true
        options.target.initialR2T = kind == 0
        options.target.immediateData = kind == 1
        options.target.maxRecvDataSegmentLength = 600
        options.target.dataInBytes = 700
        options.target.collapsesPhases = kind == 0
        options.target.headerDigest = hasDigests
        if hasDigests { options.settings.headerDigest = .preferred }
        let world = ready(options, pathsUp: 1)
        world.splitReceives(after: .max)
        #expect(everyRequest(world))
        let count = world.mostReceived
        #expect(count > 4 * 512)
        for at in 1..<count {
            let world = ready(options, pathsUp: 1)
            world.splitReceives(after: at)
            guard everyRequest(world) else {
                Issue.record("cut after byte \(at): \(world.failure ?? "an error")")
                return
            }
        }
    }
}
