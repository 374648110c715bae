import CausewayCore
import Simulation
import Testing

@Suite("What targets seldom do")
struct LaneUnusualTests {
    private func answers(_ world: World, reads: Bool = true) {
        var load = Load()
        load.maxBlocks = 16
        world.client.load(load, count: 60)
        settle(world)
        let isUp = world.run(limit: 30 * .second) { world.pathsUp == world.options.paths.count }
        #expect(isUp)
    }

    // MARK: Asynchronous Message

    @Test("A logout that the target asks for is a logout, in time, and the path comes back")
    func logoutRequest() {
        let world = ready(WorldOptions())
        world.client.load(count: 200)
        world.run(limit: 2 * .millisecond)
        world.tell(path: 0, .logoutRequest, seconds: (0, 2))
        let isLoggedOut = world.run(limit: 2 * .second) { world.target.logoutCount == 1 }
        #expect(isLoggedOut)
        settle(world)
        #expect(world.run(limit: 10 * .second) { world.pathsUp == 2 })
        #expect(world.target.loginCount == 3)
        #expect(world.said.contains { $0.contains("target requests logout") })
    }

    @Test("A request to negotiate is answered by a logout and a login that does")
    func negotiationRequest() {
        let world = ready(WorldOptions())
        world.tell(path: 1, .negotiationRequest, seconds: (0, 3))
        answers(world)
        #expect(world.target.logoutCount == 1)
        #expect(world.target.loginCount == 3)
    }

    @Test(
        "A dropped connection or session is asked for again, not before Time2Wait",
        arguments: [
            AsynchronousMessage.Event.connectionDrop, .sessionDrop,
        ])
    func drops(_ event: AsynchronousMessage.Event) {
        let world = ready(WorldOptions())
        world.client.load(count: 100)
        world.tell(path: 0, event, seconds: (3, 0))
        world.run(limit: .second)
        #expect(world.pathsUp == 1)
        world.run(limit: 1900 * .millisecond)
        #expect(world.target.loginCount == 2)
        #expect(world.run(limit: 10 * .second) { world.pathsUp == 2 })
        settle(world)
    }

    @Test(
        "Events of SCSI, of vendors and of a time to come cost no connection",
        arguments: [
            AsynchronousMessage.Event.scsiEvent, AsynchronousMessage.Event(rawValue: 248),
            AsynchronousMessage.Event(rawValue: 255), AsynchronousMessage.Event(rawValue: 99),
        ])
    func harmless(_ event: AsynchronousMessage.Event) {
        let world = ready(WorldOptions())
        world.tell(path: 0, event)
        answers(world)
        #expect(world.target.loginCount == 2)
    }

    @Test("Terminated tasks without FastAbort break the protocol")
    func taskTermination() {
        let world = ready(WorldOptions())
        world.tell(path: 0, .taskTermination)
        answers(world)
        #expect(world.target.loginCount == 3)
        #expect(world.said.contains { $0.contains("opcode 0x32") })
    }

    // MARK: Reject

    @Test(
        "A rejected command goes out again, whatever the reason",
        arguments: [
            0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x77,
        ] as [UInt8])
    func reject(_ reason: UInt8) {
        let world = ready(WorldOptions())
        world.rejectNext(path: 0, reason: reason)
        world.rejectNext(path: 1, reason: reason)
        var errors: [UInt32] = []
        for lba in 0..<8 {
            world.client.submit(.write, lba: lba * 8, blocks: 8) { errors.append($0) }
            world.client.submit(.read, lba: 512 + lba * 8, blocks: 8) { errors.append($0) }
        }
        settle(world)
        #expect(errors == Array(repeating: 0, count: 16))
        #expect(world.run(limit: 10 * .second) { world.pathsUp == 2 })
    }

    @Test("A command that is rejected again and again fails in the end, with a reason")
    func rejectedForEver() {
        var options = WorldOptions()
        options.paths = [(0, 0)]
        let world = ready(options)
        world.client.mayFail = true
        world.setScript(
            TargetScript(portal: 0) { pdu in
                // READ of block 40: a Data-In becomes a rejection of the command.
                guard pdu.header.opcode == .scsiDataIn, pdu.data.count == 512 else { return [pdu] }
                var command = BasicHeaderSegment(opcode: .scsiCommand)
                command[4] = pdu.header[4]
                var reject = BasicHeaderSegment(opcode: .reject)
                reject[byte: 1] = 0x80
                reject[byte: 2] = 0x09
                reject[4] = reservedTag
                for word in 6..<9 { reject[word] = pdu.header[word] }
                reject.dataSegmentLength = 48
                var data: [UInt8] = []
                for word in 0..<12 {
                    for shift in [24, 16, 8, 0] as [UInt32] {
                        data.append(UInt8(truncatingIfNeeded: command[word] >> shift))
                    }
                }
                return [ScriptedPDU(header: reject, data: data)]
            })
        var errors: [UInt32] = []
        world.client.submit(.read, lba: 40, blocks: 1) { errors.append($0) }
        #expect(world.run(limit: 60 * .second) { errors.count == 1 })
        #expect(errors == [5])
        #expect(world.said.contains { $0.contains("rejected a PDU (opcode 0x1): invalid PDU field") })
    }

    // MARK: Login

    @Test("Login text in several PDUs", arguments: [20, 48, 64, 200])
    func continuedText(_ bytes: Int) {
        var options = WorldOptions()
        options.target.textBytes = bytes
        options.target.asksTwice = true
        answers(ready(options))
    }

    @Test("A challenge is good for one login, also of those that run at once", arguments: [false, true])
    func repeatedChallenge(_ isMutual: Bool) {
        var options = WorldOptions()
        options.target.chap = isMutual ? .mutual : .oneWay
        options.target.repeatsChallenges = true
        let world = World(options)
        world.attach()
        world.run(limit: 20 * .second)
        #expect(world.isReady && world.pathsUp == 1)
        #expect(world.said.contains { $0.contains("repeats a CHAP challenge of an earlier login") })
    }

    @Test("A redirected login goes where the target says", arguments: [false, true])
    func redirection(isPermanent: Bool) {
        var options = WorldOptions()
        options.interfaceCount = 1
        options.paths = [(0, 0)]
        options.target.portalGroups = [1, 1]
        options.target.redirections[0] = TargetOptions.Redirection(to: 1, isPermanent: isPermanent)
        let world = ready(options)
        #expect(world.connectCount == 2)
        world.client.load(count: 50)
        world.run(limit: 5 * .millisecond)
        // Where the target has moved for good, the next login goes at once.
        world.cutAll()
        settle(world)
        #expect(world.run(limit: 10 * .second) { world.pathsUp == 1 })
        #expect(world.connectCount == (isPermanent ? 3 : 4))
    }

    @Test("A redirection in a circle, or to a name, ends with a reason", arguments: ["circle", "name"])
    func badRedirection(_ kind: String) {
        var options = WorldOptions()
        options.interfaceCount = 1
        options.paths = [(0, 0)]
        options.target.portalGroups = [1, 1]
        options.target.redirections[0] =
            kind == "circle"
            ? TargetOptions.Redirection(to: 1, isPermanent: false)
            : TargetOptions.Redirection(address: "array.example:3260")
        options.target.redirections[1] = TargetOptions.Redirection(to: 0, isPermanent: false)
        let world = World(options)
        world.attach()
        world.run(limit: 20 * .second)
        #expect(!world.isReady)
        #expect(
            world.problems.contains { $0.text.contains(kind == "circle" ? "in circles" : "array.example") })
        // No storm: after the first second less than two attempts in each, of two connections.
        #expect(world.connectCount < 90)
    }

    // MARK: Commands without an answer

    static let abortions = TargetOptions.Abortion.allCases.flatMap { abortion in
        TimeoutReset.allCases.map { (abortion, $0) }
    }

    @Test(
        "A command that takes too long on a living path is aborted and sent again behind a barrier",
        arguments: abortions)
    func commandTimeout(_ abortion: TargetOptions.Abortion, _ reset: TimeoutReset) {
        var options = WorldOptions()
        options.target.abortion = abortion
        options.target.reinstatement = .returnsAtOnce
        options.settings.commandTimeoutMilliseconds = 300
        options.settings.resetOnTimeout = reset
        options.lane.taskManagementTimeoutMilliseconds = 200
        let world = ready(options)
        world.holdFirstWrite(for: 1200 * .millisecond)
        var errors: [UInt32] = []
        world.client.submit(.write, lba: 7, blocks: 1) { errors.append($0) }
        world.run(limit: 20 * .millisecond)
        // The others are not kept waiting.
        for lba in 20..<30 { world.client.submit(.read, lba: lba, blocks: 1) { errors.append($0) } }
        settle(world)
        #expect(errors == Array(repeating: 0, count: 11))
        #expect(world.said.contains { $0.contains("ABORT TASK") })
        let asked = world.target.managementCounts
        #expect(asked[1] ?? 0 > 0)
        // Whoever answers ABORT TASK in time is asked for nothing else.
        #expect((asked[5] ?? 0 > 0) == (reset != .none && abortion != .returnsAtOnce))
        #expect(world.run(limit: 10 * .second) { world.pathsUp == 2 })
    }

    @Test(
        "What is refused leads to the next harsher means that is allowed, the last is a new session",
        arguments: TimeoutReset.allCases)
    func escalation(_ reset: TimeoutReset) {
        var options = WorldOptions()
        options.target.abortion = .refuses
        options.target.resetsUnits = false
        options.target.reinstatement = .drains
        options.settings.commandTimeoutMilliseconds = 300
        options.settings.resetOnTimeout = reset
        let world = ready(options)
        world.holdFirstWrite(for: 3 * .second)
        var errors: [UInt32] = []
        world.client.submit(.write, lba: 7, blocks: 1) { errors.append($0) }
        settle(world)
        #expect(errors == [0])
        let asked = world.target.managementCounts
        #expect(asked[1] == 1)
        #expect(asked[5] ?? 0 == (reset == .none ? 0 : 1))
        #expect(asked[6] ?? 0 == (reset == .target ? 1 : 0))
        #expect(world.target.loginCount >= 3)
        #expect(world.run(limit: 10 * .second) { world.pathsUp == 2 })
    }

    @Test("Without that barrier the ghost comes, and the oracle sees it")
    func abortWithoutBarrier() {
        var options = WorldOptions()
        options.target.abortion = .returnsAtOnce
        options.settings.commandTimeoutMilliseconds = 300
        options.lane.skipsBarrier = true
        let world = ready(options)
        world.holdFirstWrite(for: 1200 * .millisecond)
        var answers = 0
        world.client.submit(.write, lba: 7, blocks: 1) { _ in answers += 1 }
        #expect(world.run(limit: .second) { answers == 1 })
        world.client.submit(.write, lba: 7, blocks: 1) { _ in answers += 1 }
        #expect(world.run(limit: 100 * .millisecond) { answers == 2 })
        world.run(limit: 5 * .second)
        world.checkAtRest()
        #expect(
            world.failure?.contains("returned write") == true || world.failure?.contains("medium") == true)
    }

    @Test("A function that waits in line behind data is not taken for unanswered")
    func managementInLine() {
        var options = WorldOptions()
        options.paths = [(0, 0)]
        options.weather.latency = 5_000_000...5_000_000
        options.weather.capacity = 4096
        options.settings.commandTimeoutMilliseconds = 100
        options.settings.resetOnTimeout = .target
        options.lane.taskManagementTimeoutMilliseconds = 50
        let world = ready(options)
        world.client.mayFail = true
        for lba in 0..<40 { world.client.submit(.write, lba: 16 * lba, blocks: 16) }
        settle(world)
        #expect(world.target.managementCounts[1] ?? 0 > 0)
        #expect(world.target.managementCounts[5] == nil)
        #expect(world.snapshot()?.paths.first?.counters.losses == 0)
    }

    @Test("A silent path is not a slow command")
    func silenceIsNoTimeout() {
        var options = WorldOptions()
        options.settings.commandTimeoutMilliseconds = 500
        let world = ready(options)
        world.client.load(count: 50)
        world.pauseTarget(20 * .second)
        settle(world)
        #expect(!world.said.contains { $0.contains("ABORT TASK") })
    }

    @Test("A LUN that never answers a command is given up after some aborts")
    func neverAnswered() {
        var options = WorldOptions()
        options.settings.commandTimeoutMilliseconds = 300
        let world = ready(options)
        world.client.mayFail = true
        world.target.swallowReads = true
        var errors: [UInt32] = []
        world.client.submit(.read, lba: 7, blocks: 1) { errors.append($0) }
        #expect(world.run(limit: 20 * .second) { errors == [5] })
        #expect(world.said.contains { $0.contains("was aborted 5 times") })
    }

    // MARK: Full task sets, and conditions without words

    @Test("TASK SET FULL lowers the depth of a path, which grows again")
    func taskSetFull() {
        var options = WorldOptions()
        options.paths = [(0, 0)]
        options.unit.taskSetFullPermille = 300
        let world = ready(options)
        let depth = world.snapshot()?.paths.first?.depth ?? 0
        var load = Load()
        load.depth = 32
        world.client.load(load, count: 300)
        var lowest = depth
        world.run(limit: 20 * .second) {
            lowest = min(lowest, world.snapshot()?.paths.first?.depth ?? depth)
            return world.client.isIdle
        }
        #expect(lowest < depth)
        settle(world)
        world.run(limit: 60 * .second)
        #expect(world.snapshot()?.paths.first?.depth == depth)
    }

    @Test("CHECK CONDITION without sense data is asked again")
    func speechless() {
        var options = WorldOptions()
        options.unit.speechlessPermille = 100
        answers(ready(options))
    }

    // MARK: The command window

    @Test("A window that stays shut ends its session, and is said to; the next one opens")
    func windowStaysShut() {
        let world = ready(WorldOptions())
        world.shutWindow(70 * .second)
        // What is still allowed is used up.
        world.client.load(count: 400)
        world.run(limit: 60 * .second) { world.said.contains { $0.contains("window stays shut") } }
        #expect(world.said.contains { $0.contains("window stays shut") })
        settle(world, within: 120 * .second)
        #expect(world.target.loginCount >= 3)
    }

    // MARK: Patience

    @Test("A minute of BUSY uses up no retries, and ends with the patience for it", arguments: [false, true])
    func busy(_ isPatient: Bool) {
        var options = WorldOptions()
        options.settings.failure.allPathsDownTimeout = .milliseconds(isPatient ? 140_000 : 20_000)
        let world = ready(options)
        world.client.mayFail = true
        world.setBusy(true)
        var error: UInt32?
        world.client.submit(.write, lba: 8, blocks: 8) { error = $0 }
        world.run(limit: 60 * .second)
        #expect(error == (isPatient ? nil : NBDError.inputOutput.rawValue))
        // What comes first after a takeover.
        world.raiseAttention()
        world.setBusy(false)
        world.run(limit: 2 * .second) { error != nil }
        #expect(error == (isPatient ? 0 : NBDError.inputOutput.rawValue))
        settle(world)
    }

    // MARK: Paths that do not agree

    @Test("A path that shows fewer blocks than another carries nothing until it shows them all")
    func shortPath() {
        var options = WorldOptions()
        options.unit.shownBlocks = [1: 100]
        let world = ready(options, pathsUp: 1)
        world.run(limit: 5 * .second)
        #expect(world.pathsCarrying == 1)
        world.client.load(count: 200)
        settle(world)
        #expect(world.said.contains { $0.contains("51200 bytes here") }, "\(world.said)")
        world.showAllBlocks()
        #expect(world.run(limit: 60 * .second) { world.pathsCarrying == 2 })
    }

    @Test("A LUN that shrinks costs no path")
    func shrinkingUnit() {
        let world = ready(WorldOptions())
        world.resizeUnit(2048)
        world.client.load(count: 200)
        world.run(limit: 20 * .second) { world.client.isIdle }
        world.run(limit: 5 * .second)
        #expect(world.pathsCarrying == 2)
        #expect(world.said.contains { $0.contains("has shrunk") })
        #expect(!world.said.contains { $0.contains("bytes here") }, "\(world.said)")
        settle(world)
    }
}
