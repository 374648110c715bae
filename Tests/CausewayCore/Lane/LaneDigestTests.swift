import CausewayCore
import Simulation
import Testing

@Suite("Digests")
struct LaneDigestTests {
    /// What the two sides want, and what is to come of it.
    static func options(header: Bool, data: Bool) -> WorldOptions {
        var options = WorldOptions()
        options.settings.headerDigest = header ? .preferred : .prohibited
        options.settings.dataDigest = data ? .required : .discouraged
        options.target.headerDigest = true
        options.target.dataDigest = data
        return options
    }

    @Test(
        "cover every PDU of the full-feature phase", arguments: [(true, false), (false, true), (true, true)])
    func moveData(header: Bool, data: Bool) {
        var options = Self.options(header: header, data: data)
        // No multiple of four: padding is covered too.
        options.target.maxRecvDataSegmentLength = 1001
        options.target.dataInBytes = 901
        options.target.pingInterval = 300 * .millisecond
        let world = ready(options)
        #expect(world.snapshot()?.paths.allSatisfy { $0.headerDigest == (header ? .crc32c : .none) } == true)
        #expect(world.snapshot()?.paths.allSatisfy { $0.dataDigest == (data ? .crc32c : .none) } == true)
        var load = Load()
        load.maxBlocks = 64
        world.client.load(load, count: 200)
        settle(world)
        #expect(world.target.damagedCount == 0)
        #expect(world.target.loginCount == 2)
    }

    @Test("also one byte at a time")
    func oneByteAtATime() {
        var options = Self.options(header: true, data: true)
        options.receiveBytes = 1
        options.sendBytes = 1
        let world = ready(options)
        world.client.load(count: 25)
        settle(world)
    }

    /// Bytes of a PDU with 512 bytes of data: header, its digest, data, their digest.
    @Test("notice a damaged bit from the target wherever it is", arguments: 0..<120)
    func damageFromTarget(position: Int) {
        let world = ready(Self.options(header: true, data: true))
        world.client.submit(.write, lba: 5, blocks: 1) { #expect($0 == 0) }
        world.run(limit: .second) { world.client.isIdle }
        let at = position < 60 ? position : 60 + (position - 60) * 9
        world.damage(path: 0, toTarget: false, after: at)
        world.damage(path: 1, toTarget: false, after: at)
        var errors: [UInt32] = []
        world.client.submit(.read, lba: 5, blocks: 1) { errors.append($0) }
        world.client.submit(.read, lba: 5, blocks: 1) { errors.append($0) }
        settle(world)
        #expect(errors == [0, 0])
        let counted = world.snapshot()?.paths.reduce(0) {
            $0 + $1.counters.headerDigestErrors + $1.counters.dataDigestErrors
        }
        #expect(counted ?? 0 >= 1)
        #expect(world.run(limit: 10 * .second) { world.pathsUp == 2 })
    }

    @Test(
        "damaged on the way to the target, data are rejected and written again", arguments: 0..<60,
        [false, true])
    func damageToTarget(position: Int, closes: Bool) {
        var options = Self.options(header: true, data: true)
        options.target.closesOnDamage = closes
        options.target.initialR2T = position & 1 == 0
        options.target.immediateData = position & 2 == 0
        let world = ready(options)
        world.damage(path: 0, toTarget: true, after: position * 11)
        world.damage(path: 1, toTarget: true, after: position * 11)
        var errors: [UInt32] = []
        for lba in 0..<4 { world.client.submit(.write, lba: lba * 8, blocks: 8) { errors.append($0) } }
        settle(world)
        #expect(errors == [0, 0, 0, 0])
    }

    /// RFC 7143 §11.2.2: no PDU of a target has one. With digests it counts as damage, for a damaged length
    /// would look the same.
    @Test("and an AHS of the target", arguments: [1, 255], [false, true])
    func additionalHeader(words: Int, hasDigests: Bool) {
        var options = hasDigests ? Self.options(header: true, data: true) : WorldOptions()
        // Each path has its share of the few requests.
        options.settings.policy = .roundRobin(.init(commands: 1))
        let world = ready(options)
        var left = 1
        let script = TargetScript(portal: 0) { pdu in
            guard left > 0, pdu.header.opcode == .scsiResponse else { return [pdu] }
            left -= 1
            var pdu = pdu
            pdu.header[1] |= UInt32(words) << 24
            return [pdu]
        }
        world.setScript(script)
        var errors: [UInt32] = []
        for lba in 0..<4 { world.client.submit(.write, lba: lba * 8, blocks: 8) { errors.append($0) } }
        settle(world)
        #expect(errors == [0, 0, 0, 0] && left == 0)
        let words = hasDigests ? "a header from the target was damaged" : "or with an AHS"
        #expect(world.said.contains { $0.contains(words) }, "\(world.said)")
        let damaged = world.snapshot()?.paths.reduce(0) { $0 + $1.counters.headerDigestErrors }
        #expect(damaged == (hasDigests ? 1 : 0))
        #expect(world.run(limit: 60 * .second) { world.pathsUp == 2 })
    }

    @Test("that only one side insists on are no agreement, and the reason names the key")
    func noAgreement() {
        var options = WorldOptions()
        options.settings.dataDigest = .required
        let world = World(options)
        world.attach()
        world.run(limit: 5 * .second)
        #expect(!world.isReady)
        #expect(world.problems.contains { $0.text.contains("DataDigest") })
    }
}
