import CausewayCore
import Simulation
import Testing

/// A target that answers wrongly on purpose, on one of two paths: that path ends with a reason that names the
/// guilty side, nothing is touched or kept that should not be, and no request is lost.
@Suite("Hostile targets")
struct HostileTargetTests {
    /// What is changed, in which PDU of the target, and how.
    struct Attack: CustomTestStringConvertible, Sendable {
        var name: String
        var opcode: Opcode
        /// The lie costs no connection: what it changes means nothing to an initiator.
        var isHarmless = false
        var change: @Sendable (ScriptedPDU) -> [ScriptedPDU]
        var testDescription: String { "\(name) in opcode 0x\(String(opcode.rawValue, radix: 16))" }
    }

    /// One field of the header changed.
    private static func field(
        _ name: String, _ opcode: Opcode, isHarmless: Bool = false,
        _ change: @escaping @Sendable (inout BasicHeaderSegment) -> Void
    ) -> Attack {
        Attack(name: name, opcode: opcode, isHarmless: isHarmless) { pdu in
            var pdu = pdu
            change(&pdu.header)
            return [pdu]
        }
    }

    private static let answers: [Opcode] = [.scsiResponse, .scsiDataIn]

    // MARK: Full-feature phase

    static let anyPDU: [Attack] = [.scsiResponse, .scsiDataIn, .readyToTransfer, .nopIn].flatMap {
        opcode -> [Attack] in
        [
            field("tag of nobody", opcode) { $0[4] ^= 0x0001_0000 },
            field("tag beyond the table", opcode) { $0[4] = 0x7fff_fff0 },
            field("an AHS", opcode) { $0[1] |= 0x0100_0000 },
            field("the longest AHS", opcode) { $0[1] |= 0xff00_0000 },
            field("the longest data", opcode) { $0.dataSegmentLength = 0xff_ffff },
            field("data longer than may be", opcode) { $0.dataSegmentLength = 65537 },
            field("opcode of an initiator", opcode) { $0[byte: 0] = 0x01 },
            field("reserved opcode", opcode) { $0[byte: 0] = 0x3e },
            field("opcode of a login", opcode) { $0[byte: 0] = 0x23 },
            field("opcode of text", opcode) { $0[byte: 0] = 0x24 },
            field("opcode of a logout", opcode) { $0[byte: 0] = 0x26 },
            Attack(name: "silence instead", opcode: opcode) { _ in [] },
            Attack(name: "noise instead", opcode: opcode) { pdu in
                var noise = pdu
                for word in 0..<12 { noise.header[word] = noise.header[word] &* 2_654_435_761 &+ 12345 }
                return [noise]
            },
        ]
    }

    static let statuses: [Attack] = answers.flatMap { opcode -> [Attack] in
        [
            field("StatSN skipped", opcode) { $0[6] &+= 1 },
            field("StatSN again", opcode) { $0[6] &-= 1 },
            field("StatSN from afar", opcode) { $0[6] &+= 0x8000_0000 },
            Attack(name: "twice", opcode: opcode) { [$0, $0] },
            field("window of the past", opcode, isHarmless: true) { $0[8] = $0[7] &- 2 },
        ]
    }

    static let responses: [Attack] = [
        field("target failure", .scsiResponse, isHarmless: true) { $0[byte: 2] = 1 },
        field("vendor's response code", .scsiResponse, isHarmless: true) { $0[byte: 2] = 0x80 },
        field("BUSY", .scsiResponse, isHarmless: true) { $0[byte: 3] = 0x08 },
        field("status of nobody", .scsiResponse, isHarmless: true) { $0[byte: 3] = 0xee },
        field("underflow of all", .scsiResponse, isHarmless: true) {
            $0[byte: 1] |= 0x02
            $0[11] = 0xffff_ffff
        },
        Attack(name: "SenseLength beyond the data", opcode: .scsiResponse, isHarmless: true) { pdu in
            var pdu = pdu
            pdu.header[byte: 3] = 2
            pdu.data = [0xff, 0xff, 0x70, 0, 0x06]
            pdu.header.dataSegmentLength = 5
            return [pdu]
        },
        Attack(name: "sense data that are none", opcode: .scsiResponse, isHarmless: true) { pdu in
            var pdu = pdu
            pdu.header[byte: 3] = 2
            pdu.data = [0, 4, 0x01, 0xff, 0xff, 0xff]
            pdu.header.dataSegmentLength = 6
            return [pdu]
        },
        Attack(name: "one byte of sense", opcode: .scsiResponse, isHarmless: true) { pdu in
            var pdu = pdu
            pdu.header[byte: 3] = 2
            pdu.data = [0]
            pdu.header.dataSegmentLength = 1
            return [pdu]
        },
    ]

    static let data: [Attack] = [
        field("DataSN skipped", .scsiDataIn) { $0[9] &+= 1 },
        field("offset beyond", .scsiDataIn) { $0[10] &+= 512 },
        field("offset of 4 GiB", .scsiDataIn) { $0[10] = 0xffff_fe00 },
        field("offset negative", .scsiDataIn) { $0[10] = 0x8000_0000 },
        field("both residuals", .scsiDataIn) { $0[byte: 1] |= 0x06 },
        field("status without the final bit", .scsiDataIn) { $0[byte: 1] = 0x01 },
        field("status of an error", .scsiDataIn, isHarmless: true) { $0[byte: 3] = 0x02 },
        Attack(name: "more data than asked for", opcode: .scsiDataIn) { pdu in
            var pdu = pdu
            pdu.data += [UInt8](repeating: 0xee, count: 4096)
            pdu.header.dataSegmentLength = pdu.data.count
            return [pdu]
        },
        Attack(name: "less data than asked for", opcode: .scsiDataIn, isHarmless: true) { pdu in
            var pdu = pdu
            pdu.data.removeLast(256)
            pdu.header.dataSegmentLength = pdu.data.count
            return [pdu]
        },
        Attack(name: "status without data", opcode: .scsiDataIn, isHarmless: true) { pdu in
            var pdu = pdu
            pdu.data = []
            pdu.header.dataSegmentLength = 0
            return [pdu]
        },
        Attack(name: "overlapping halves", opcode: .scsiDataIn) { pdu in
            var half = pdu
            half.header[byte: 1] = 0
            half.data = Array(pdu.data.prefix(300))
            half.header.dataSegmentLength = 300
            var rest = pdu
            rest.header[9] = 1
            rest.header[10] = 200
            rest.data = Array(pdu.data.dropFirst(200))
            rest.header.dataSegmentLength = rest.data.count
            return [half, rest]
        },
        Attack(name: "a hole between halves", opcode: .scsiDataIn) { pdu in
            var half = pdu
            half.header[byte: 1] = 0
            half.data = Array(pdu.data.prefix(100))
            half.header.dataSegmentLength = 100
            var rest = pdu
            rest.header[9] = 1
            rest.header[10] = 104
            rest.data = Array(pdu.data.dropFirst(104))
            rest.header.dataSegmentLength = rest.data.count
            return [half, rest]
        },
        Attack(name: "data after status", opcode: .scsiDataIn) { pdu in
            var more = pdu
            more.header[byte: 1] = 0x80
            return [pdu, more]
        },
        Attack(name: "empty pieces without end", opcode: .scsiDataIn) { pdu in
            (0..<200).map { number in
                var empty = pdu
                empty.header[byte: 1] = 0
                empty.header[9] = UInt32(number)
                empty.data = []
                empty.header.dataSegmentLength = 0
                return empty
            }
        },
        Attack(name: "R2T for a read", opcode: .scsiDataIn) { pdu in
            var ready = BasicHeaderSegment(opcode: .readyToTransfer)
            for word in [4, 6, 7, 8] { ready[word] = pdu.header[word] }
            ready[5] = 1
            ready[11] = 512
            return [ScriptedPDU(header: ready, data: []), pdu]
        },
    ]

    private static func good(insteadOf request: ScriptedPDU) -> ScriptedPDU {
        var header = BasicHeaderSegment(opcode: .scsiResponse)
        header[byte: 1] = 0x80
        for word in [4, 6, 7, 8] { header[word] = request.header[word] }
        return ScriptedPDU(header: header, data: [])
    }

    static let requests: [Attack] = [
        field("R2T beyond the transfer", .readyToTransfer) { $0[10] = 0x7fff_ff00 },
        field("R2T that wraps round", .readyToTransfer) {
            $0[10] = 0xffff_fe00
            $0[11] = 0x400
        },
        field("R2T of nothing", .readyToTransfer) { $0[11] = 0 },
        field("R2T of 4 GiB", .readyToTransfer) { $0[11] = 0xffff_ffff },
        field("R2T without a tag", .readyToTransfer) { $0[5] = 0xffff_ffff },
        field("R2TSN skipped", .readyToTransfer) { $0[9] &+= 1 },
        Attack(name: "R2T twice", opcode: .readyToTransfer) { [$0, $0] },
        Attack(name: "R2T of the second half alone", opcode: .readyToTransfer) { pdu in
            var half = pdu
            half.header[11] /= 2
            half.header[10] &+= half.header[11]
            return [half]
        },
        Attack(name: "GOOD in place of R2T", opcode: .readyToTransfer) { [good(insteadOf: $0)] },
        Attack(name: "GOOD after half of the data", opcode: .readyToTransfer) { pdu in
            var half = pdu
            half.header[11] /= 2
            return [half, good(insteadOf: pdu)]
        },
        Attack(name: "R2T a hundred times", opcode: .readyToTransfer) { pdu in
            (0..<100).map { number in
                var pdu = pdu
                pdu.header[9] = UInt32(number)
                return pdu
            }
        },
    ]

    /// PDUs that nobody asked for, before a response.
    static let uncalled: [Attack] = {
        func before(
            _ name: String, _ opcode: Opcode, isHarmless: Bool = false, data: [UInt8] = [],
            _ fill: @escaping @Sendable (inout BasicHeaderSegment) -> Void = { _ in }
        ) -> Attack {
            Attack(name: name, opcode: .scsiResponse, isHarmless: isHarmless) { pdu in
                var header = BasicHeaderSegment(opcode: opcode)
                header[byte: 1] = 0x80
                header[4] = 0xffff_ffff
                header[5] = 0xffff_ffff
                for word in 6..<9 { header[word] = pdu.header[word] }
                header.dataSegmentLength = data.count
                fill(&header)
                return [ScriptedPDU(header: header, data: data), pdu]
            }
        }
        return [
            before(
                "NOP-In with a page of data", .nopIn, isHarmless: true, data: .init(repeating: 7, count: 4096)
            ),
            before("NOP-In for a ping never sent", .nopIn) { $0[4] = 0x1234 },
            before("a task management response", .taskManagementResponse) { $0[4] = 0x1234 },
            before("a logout response", .logoutResponse) { $0[4] = 0x1234 },
            before("a text response", .textResponse),
            before("a Reject without a header", .reject),
            before("a Reject with half a header", .reject, data: .init(repeating: 1, count: 20)),
            before(
                "a Reject of a command never sent", .reject, data: [0x01] + .init(repeating: 9, count: 47)),
            before("a Reject of nothing known", .reject, data: .init(repeating: 0xff, count: 48)),
            before("an Async of terminated tasks", .asynchronousMessage) { $0[byte: 36] = 5 },
            before("an Async with a gap", .asynchronousMessage) {
                $0[byte: 36] = 250
                $0[6] &+= 3
            },
        ]
    }()

    static let fullFeature = anyPDU + statuses + responses + data + requests + uncalled

    @Test("in full-feature phase, once", arguments: fullFeature)
    func once(_ attack: Attack) { run(attack, times: 1) }

    @Test("in full-feature phase, again and again", arguments: fullFeature.filter { !$0.isHarmless })
    func always(_ attack: Attack) { run(attack, times: .max) }

    @Test(
        "in answers to the lane's own questions", arguments: anyPDU + statuses + responses + uncalled,
        [false, true])
    func questions(_ attack: Attack, _ hasDigests: Bool) {
        var options = WorldOptions()
        options.target.collapsesPhases = true
        options.target.groupSupport = 3
        options.lane.taskManagementTimeoutMilliseconds = 500
        if hasDigests {
            options.target.headerDigest = true
            options.settings.headerDigest = .preferred
        }
        let world = World(options)
        var left = 5
        let script = TargetScript(portal: 0) { pdu in
            guard left > 0, pdu.header.opcode == attack.opcode else { return [pdu] }
            left -= 1
            return attack.change(pdu)
        }
        world.setScript(script)
        world.attach()
        #expect(world.run(limit: 120 * .second) { world.isReady })
        world.client.load(count: 20)
        #expect(world.run(limit: 120 * .second) { world.client.isIdle })
        script.isArmed = false
        settle(world)
        #expect(world.client.errors == 0)
        #expect(world.run(limit: 60 * .second) { world.pathsUp == 2 })
    }

    private func run(_ attack: Attack, times: Int) {
        var options = WorldOptions()
        // Each path has its share of the few requests.
        options.settings.policy = .roundRobin(.init(commands: 1))
        options.target.initialR2T = true
        options.target.immediateData = false
        options.target.collapsesPhases = true
        options.target.pingInterval = attack.opcode == .nopIn ? 40 * .millisecond : 0
        options.settings.commandTimeoutMilliseconds = 1000
        options.lane.taskManagementTimeoutMilliseconds = 500
        let world = ready(options)
        let loginCount = world.target.loginCount
        var left = times
        // The world has the script.
        let script = TargetScript(portal: 0) { [unowned world] pdu in
            // A session's probe is left alone, so that the path joins again and meets the next request.
            guard left > 0, pdu.header.opcode == attack.opcode,
                world.client.inFlight > 0 || attack.opcode == .nopIn
            else { return [pdu] }
            left -= 1
            return attack.change(pdu)
        }
        world.setScript(script)
        var errors: [UInt32] = []
        for lba in 0..<4 {
            // So that each path meets both.
            let operations: [(ClientOperation, Int)] = [(.write, 0), (.read, 512)]
            for (operation, base) in lba % 2 == 0 ? operations : operations.reversed() {
                world.client.submit(operation, lba: base + lba * 8, blocks: 8) { errors.append($0) }
            }
        }
        #expect(world.run(limit: 120 * .second) { errors.count == 8 })
        #expect(errors == Array(repeating: 0, count: 8))
        world.run(limit: .second)
        #expect(left < times, "the lie was never told")
        script.isArmed = false
        settle(world)
        #expect(world.run(limit: 60 * .second) { world.pathsUp == 2 })
        if !attack.isHarmless && world.target.loginCount > loginCount {
            #expect(world.said.contains { $0.contains("target") || $0.contains("silent") }, "\(world.said)")
        }
        if attack.isHarmless { #expect(world.target.loginCount == loginCount, "\(world.said)") }
    }

    // MARK: Login

    private static func loginText(_ name: String, _ text: String) -> Attack {
        Attack(name: name, opcode: .loginResponse) { pdu in
            var pdu = pdu
            pdu.data = Array(text.utf8)
            pdu.header.dataSegmentLength = pdu.data.count
            return [pdu]
        }
    }

    static let logins: [Attack] = [
        field("tag of nobody", .loginResponse) { $0[4] = 99 },
        field("another ISID", .loginResponse) { $0[2] ^= 1 },
        field("another stage", .loginResponse) { $0[byte: 1] ^= 0x04 },
        field("the reserved stage", .loginResponse) { $0[byte: 1] |= 0x0c },
        field("a next stage of no login", .loginResponse) { $0[byte: 1] = 0x82 },
        field("T and C", .loginResponse) { $0[byte: 1] |= 0xc0 },
        field("C without end", .loginResponse) { $0[byte: 1] = $0[byte: 1] & 0x0c | 0x40 },
        field("never T", .loginResponse) { $0[byte: 1] &= 0x0c },
        field("version 7", .loginResponse) { $0[byte: 3] = 7 },
        field("an AHS", .loginResponse) { $0[1] |= 0x0200_0000 },
        field("the longest data", .loginResponse) { $0.dataSegmentLength = 0xff_ffff },
        field("data that do not come", .loginResponse) { $0.dataSegmentLength += 4000 },
        field("a status class of no meaning", .loginResponse) { $0[9] = 0x0700_0000 },
        field("an initiator error", .loginResponse) { $0[9] = 0x0200_0000 },
        field("a target error", .loginResponse) { $0[9] = 0x0300_0000 },
        field("a redirection to nowhere", .loginResponse) { $0[9] = 0x0101_0000 },
        field("another opcode", .loginResponse) { $0[byte: 0] = 0x25 },
        field("a Reject", .loginResponse) { $0[byte: 0] = 0x3f },
        field("no TSIH", .loginResponse) { $0[3] &= 0xffff_0000 },
        Attack(name: "silence", opcode: .loginResponse) { _ in [] },
        Attack(name: "twice", opcode: .loginResponse) { [$0, $0] },
        loginText("no key at all", "=\0"),
        loginText("no NUL", "HeaderDigest=None"),
        loginText("no value", "HeaderDigest\0"),
        loginText("a key of 70 bytes", String(repeating: "K", count: 70) + "=1\0"),
        loginText("a value of 8000 bytes", "X-a=" + String(repeating: "v", count: 8000) + "\0"),
        loginText("a number of 40 digits", "MaxBurstLength=" + String(repeating: "9", count: 40) + "\0"),
        loginText("MaxBurstLength=0", "MaxBurstLength=0\0"),
        loginText("a burst above the burst", "FirstBurstLength=16777215\0MaxBurstLength=512\0"),
        loginText("MaxRecvDataSegmentLength=1", "MaxRecvDataSegmentLength=1\0"),
        loginText("a key twice", "ImmediateData=Yes\0ImmediateData=Yes\0"),
        loginText("keys of an initiator", "InitiatorName=iqn.2001-04.com.evil:x\0"),
        loginText("a digest of another kind", "HeaderDigest=MD5\0"),
        loginText("an offer that was never made", "IFMarker=Reject\0"),
        loginText("a thousand keys", (0..<400).map { "X-\($0)=1\0" }.joined()),
        loginText("control characters", "X-\u{1b}[2J=\u{7f}\0"),
        Attack(name: "bytes that are no text", opcode: .loginResponse) { pdu in
            var pdu = pdu
            pdu.data = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 128) }
            pdu.header.dataSegmentLength = pdu.data.count
            return [pdu]
        },
        Attack(name: "the full-feature phase at once", opcode: .loginResponse) { pdu in
            var response = BasicHeaderSegment(opcode: .scsiResponse)
            for word in 4..<9 { response[word] = pdu.header[word] }
            return [ScriptedPDU(header: response, data: [])]
        },
    ]

    @Test("in the login", arguments: logins, [1, 2])
    func login(_ attack: Attack, number: Int) {
        var options = WorldOptions()
        options.settings.timers.loginTimeoutMilliseconds = 500
        let world = World(options)
        var seen = 0
        let script = TargetScript(portal: 0) { pdu in
            guard pdu.header.opcode == .loginResponse else { return [pdu] }
            // Of each login, from its first or from its second response on.
            seen += 1
            return number == 1 || seen % 2 == 0 ? attack.change(pdu) : [pdu]
        }
        world.setScript(script)
        world.attach()
        #expect(world.run(limit: 10 * .second) { world.isReady })
        var errors: [UInt32] = []
        for lba in 0..<4 { world.client.submit(.write, lba: lba * 8, blocks: 8) { errors.append($0) } }
        #expect(world.run(limit: 60 * .second) { errors.count == 4 })
        #expect(errors == [0, 0, 0, 0])
        world.run(limit: 20 * .second)
        #expect(seen > 0)
        // A target that keeps on lying is asked less and less often.
        #expect(world.connectCount < 80)
        if world.pathsUp == 1 {
            #expect(
                world.said.contains { text in
                    ["target", "login", "it ", "agreement"].contains { text.contains($0) }
                })
        }
        script.isArmed = false
        #expect(world.run(limit: 60 * .second) { world.pathsUp == 2 })
        settle(world)
    }
}
