import CausewayCore

/// An iSCSI target that does what RFC 7143 asks of it and checks that the initiator does so too: every
/// violation ends the history with words. Around it, what targets do in real life: pause, restart, shut the
/// window, answer late.
public final class SimulatedTarget {
    public internal(set) var options: TargetOptions
    let name: String
    let timeline: Timeline
    let random: RandomStream
    let chronicle: Chronicle
    private(set) var units: [UInt64: SimulatedUnit] = [:]
    /// Numbers of units that are away for a while.
    private var absent: Set<UInt64> = []
    /// Units that were taken away while they had tasks.
    private var former: [SimulatedUnit] = []
    /// Portals that show another LUN than the rest.
    var impostors: [Int: SimulatedUnit] = [:]
    private(set) var sessions: [TargetSession] = []
    /// Ended sessions whose tasks still run.
    private(set) var draining: [TargetSession] = []
    private var waitingLogins: [TargetConnection] = []
    private(set) var connections: [TargetConnection] = []
    private(set) var pausedUntil: UInt64 = 0
    private(set) var isDown = false
    private var nextTSIH: UInt16 = 1
    private(set) var isWindowShut = false
    /// LUNs of sessions made after a restart have this to say first.
    private var wasRestarted = false
    private var hasLostCache = false
    /// Who has acknowledged the news of the last restart. News that a lost connection took away is told
    /// again: not every real target does so, and no initiator can mend that.
    var told: Set<Listener> = []

    /// An I_T_L nexus.
    struct Listener: Hashable {
        var isid: UInt64
        var lun: UInt64
    }

    /// Logins that came as far as an answer, and commands carried out after their session had ended.
    public private(set) var loginCount = 0
    public private(set) var ghostCount = 0
    /// READs are taken and never carried out.
    public var swallowReads = false
    /// Sessions that were logged out in order.
    public internal(set) var logoutCount = 0
    /// How often it was asked for each task management function (RFC 7143 §11.5.1).
    public internal(set) var managementCounts: [UInt8: Int] = [:]
    public private(set) var commandCount = 0
    /// Tasks that went on over another connection than they had come by, and Data-In that was acknowledged.
    public internal(set) var reassignedCount = 0
    public internal(set) var dataAckCount = 0
    /// Changes what the target says on one portal.
    var script: TargetScript?
    /// NOP-Outs that wanted an echo, and those of them that carried data.
    public internal(set) var pingCount = 0
    public internal(set) var fullPingCount = 0
    var onCacheLost: () -> Void = {}
    /// Asked before a command is carried out; how much longer it takes, nanoseconds.
    var delay: (TargetTask) -> UInt64 = { _ in 0 }

    init(name: String, options: TargetOptions, timeline: Timeline, random: RandomStream, chronicle: Chronicle)
    {
        self.name = name
        self.options = options
        self.timeline = timeline
        self.random = random
        self.chronicle = chronicle
    }

    func add(_ unit: SimulatedUnit) {
        units[unit.lun] = unit
        unit.reservations.tell = { [weak self, lun = unit.lun] in self?.tell($0, $1, lun: lun) }
        giveAccess(unit)
    }

    func remove(_ lun: UInt64) { units[lun] = nil }

    private func giveAccess(_ unit: SimulatedUnit) {
        guard options.groupSupport != 0, unit.access == nil else { return }
        let access = SimulatedAccess(
            groups: Set(portalsByGroup.keys), knowsExtendedHeader: options.knowsExtendedHeader,
            miscounts: options.miscountsExtendedHeader,
            transitionSeconds: options.knowsExtendedHeader ? 60 : 0)
        access.onChange = { [weak self, weak unit, weak access] in
            guard let self, let unit, let access else { return }
            accessChanged(unit, access)
        }
        unit.access = access
    }

    func accessGroup(of portal: Int) -> UInt16 {
        portal < options.accessGroups.count ? options.accessGroups[portal] : 1
    }

    var portalsByGroup: [UInt16: [Int]] {
        Dictionary(grouping: options.portalGroups.indices) { accessGroup(of: $0) }
    }

    /// Every session is told; commands that were not begun may be refused.
    private func accessChanged(_ unit: SimulatedUnit, _ access: SimulatedAccess) {
        chronicle.trace(
            "target", "access \(access.states.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value)" })")
        for task in unit.tasks where (task.state == .waiting || task.state == .receiving) && !task.isOrdered {
            if let sense = access.refusal(task.cdb, group: accessGroup(of: task.portal)), random.chance(500) {
                task.forced = .check(sense)
            }
        }
        raise(.accessStateChanged, lun: unit.lun)
    }

    func reportLUNs(portal: Int) -> [UInt8] {
        let luns = units.keys.sorted()
        var bytes: [UInt8] = []
        bytes.append(UInt64(8 * luns.count), bytes: 4)
        bytes.append(0, bytes: 4)
        for lun in luns { bytes.append(lun, bytes: 8) }
        return bytes
    }

    /// Another LUN, or none, under the number of `old`; who is asked next is told so.
    func replace(_ old: SimulatedUnit, by unit: SimulatedUnit?, tellsAll: Bool = true) {
        chronicle.trace("target", "LUN \(old.lun >> 48) is \(unit == nil ? "gone" : "another")")
        let present = units[old.lun]
        units[old.lun] = unit
        if unit == nil { absent.insert(old.lun) } else { absent.remove(old.lun) }
        if let unit { giveAccess(unit) }
        if let present, present !== unit { former.append(present) }
        former.removeAll { former in former.tasks.isEmpty || former === unit }
        let sense = random.pick([Sense.lunsChanged, .lunsChanged, .reset, .inquiryChanged])
        raise(unit == nil ? .lunsChanged : sense, lun: old.lun)
        if !tellsAll { for session in sessions.dropFirst() { session.attentions[old.lun] = [] } }
    }

    /// LOGICAL UNIT RESET: every task of the unit ends without an answer. Those being carried out go on to
    /// their end, for which one kind of target waits and another does not.
    func reset(_ unit: SimulatedUnit, by session: TargetSession, _ isDone: @escaping () -> Void) {
        let tasks = unit.tasks
        chronicle.trace("target", "LUN reset, \(tasks.count) tasks")
        for task in tasks {
            let mayBeAnswered = task.state != .executing || !options.isLIO
            let isAnswered = task.session !== session && random.chance(300) && mayBeAnswered
            // One that was ended before, and whose tag may be another's, is only still being carried out.
            if task.session.tasks[task.tag] === task {
                task.session.tasks[task.tag] = nil
                task.connection.abortedTags.insert(task.tag)
                if isAnswered { task.connection.answer(task, .status(0x40)) }
            }
            if task.state != .executing {
                remove(task)
                task.leaveAttention()
            }
        }
        for other in sessions where other !== session {
            other.attentions[unit.lun, default: []].append(random.chance(500) ? .reset : .deviceReset)
        }
        waitForEnd(tasks.filter { $0.state == .executing }, isDone)
        startReady(unit)
    }

    func waitForEnd(_ tasks: [TargetTask], _ isDone: @escaping () -> Void) {
        let rest = options.reinstatement == .drains ? tasks.filter { $0.state == .executing } : []
        if rest.isEmpty && !isPaused { return isDone() }
        timeline.after(1_000_000) { [weak self] in self?.waitForEnd(rest, isDone) }
    }

    /// Portals that show no LUN 1 at present.
    var blindPortals: Set<Int> = []
    /// Makes the StatSN of the next answer to a ping, or of the next asynchronous message, wrong.
    var confusesStatSN = false

    func takesConfusion() -> Bool {
        defer { confusesStatSN = false }
        return confusesStatSN
    }

    func unit(_ lun: UInt64, portal: Int) -> SimulatedUnit? {
        if blindPortals.contains(portal), lun == World.lun.rawValue { return nil }
        if let impostor = impostors[portal], impostor.lun == lun { return impostor }
        return units[lun]
    }

    var isPaused: Bool { timeline.now < pausedUntil }
    var isIdle: Bool { allUnits.allSatisfy { $0.tasks.isEmpty } }

    /// What comes in through a portal is neither read nor answered, though its TCP goes on.
    private var stalledUntil: [Int: UInt64] = [:]

    func isStalled(_ portal: Int) -> Bool { timeline.now < stalledUntil[portal] ?? 0 }

    func stall(portal: Int, _ nanoseconds: UInt64) {
        chronicle.trace("target", "portal \(portal) stalls for \(nanoseconds / 1_000_000) ms")
        stalledUntil[portal] = timeline.now + nanoseconds
        timeline.after(nanoseconds) { [weak self] in
            guard let self, !isStalled(portal) else { return }
            for connection in connections where connection.connection.portal == portal {
                connection.goOnAfterStall()
            }
        }
    }

    func endStalls() {
        let portals = stalledUntil.keys
        stalledUntil = [:]
        for connection in connections where portals.contains(connection.connection.portal) {
            connection.goOnAfterStall()
        }
    }

    func accept(_ connection: Connection) {
        connections.removeAll { $0.isClosed }
        connections.append(TargetConnection(self, connection))
    }

    func connection(_ number: Int) -> TargetConnection? {
        connections.first { $0.connection.number == number }
    }

    /// PDUs that came damaged, on connections that are remembered.
    public var damagedCount: Int { connections.reduce(0) { $0 + $1.damagedCount } }

    // MARK: Sessions

    func drainsFor(name: String, isid: UInt64, portalGroup: UInt16) -> Bool {
        draining.contains { $0.isid == isid && $0.initiatorName == name && $0.portalGroup == portalGroup }
    }

    /// Ends the session that a login with the same name, ISID and portal group replaces.
    func reinstate(name: String, isid: UInt64, portalGroup: UInt16) {
        let old = sessions.first {
            $0.isid == isid && $0.initiatorName == name && $0.portalGroup == portalGroup
        }
        if let old { end(old, "reinstated") }
    }

    func makeSession(
        name: String, isid: UInt64, portalGroup: UInt16, cmdSN: UInt32, _ parameters: NegotiatedParameters
    ) -> TargetSession {
        let session = TargetSession(
            initiatorName: name, isid: isid, tsih: nextTSIH, portalGroup: portalGroup, cmdSN: cmdSN,
            parameters: parameters)
        nextTSIH = nextTSIH == .max ? 1 : nextTSIH + 1
        // A unit that lost nothing says no more than that tasks are gone.
        if wasRestarted {
            let isTalkative = random.chance(100)
            // A unit that is away now has it to say when it is back.
            for lun in Set(units.keys).union(absent)
            where isTalkative || !told.contains(Listener(isid: isid, lun: lun)) {
                session.attentions[lun] = [hasLostCache && options.announcesRestart ? .powerOn : .reset]
            }
        }
        sessions.append(session)
        loginCount += 1
        return session
    }

    func waitForDrain(_ connection: TargetConnection) { waitingLogins.append(connection) }

    /// The session is over; what of its tasks goes on depends on the kind of target.
    func end(_ session: TargetSession, _ why: String) {
        guard !session.isOver else { return }
        session.isOver = true
        sessions.removeAll { $0 === session }
        chronicle.trace("target", "session \(session.tsih) \(why), \(session.tasks.count) tasks")
        for task in ordered(session.tasks) {
            switch task.state {
            case .receiving: remove(task)
            case .waiting: if options.reinstatement == .drains || task.cdb[0] == 0 { remove(task) }
            case .executing, .ended: break
            }
        }
        let connections = session.living
        session.forget()
        for connection in connections { connection.close() }
        if hasTasks(session) { draining.append(session) }
        for unit in allUnits { startReady(unit) }
    }

    func ordered(_ tasks: [UInt32: TargetTask]) -> [TargetTask] {
        tasks.sorted { $0.key < $1.key }.map { $0.value }
    }

    var allUnits: [SimulatedUnit] {
        units.sorted { $0.key < $1.key }.map { $0.value }
            + impostors.sorted { $0.key < $1.key }.map { $0.value } + former
    }

    private func hasTasks(_ session: TargetSession) -> Bool {
        allUnits.contains { $0.tasks.contains { $0.session === session } }
    }

    /// The connection of a session went away: its tasks go on, without those whose data can no longer come.
    func connectionLost(_ connection: TargetConnection) {
        waitingLogins.removeAll { $0 === connection }
        guard let session = connection.session, session.connections[connection.cid] === connection else {
            return
        }
        session.connections[connection.cid] = nil
        session.tellAgain(connection)
        for task in ordered(session.tasks)
        where task.state == .receiving && task.connection === connection && !session.recovers {
            remove(task)
            session.tasks[task.tag] = nil
        }
        for unit in allUnits { startReady(unit) }
        if session.isShared { connectionLost(connection.cid, of: session) }
    }

    // MARK: Tasks

    func remove(_ task: TargetTask) {
        task.state = .ended
        task.unit.tasks.removeAll { $0 === task }
    }

    /// Takes a task into its LUN's task set.
    func enqueue(_ task: TargetTask) {
        commandCount += 1
        task.unit.tasks.append(task)
        startReady(task.unit)
    }

    /// An ORDERED task waits for all before it, and all after it wait for it (SAM-5 8.6).
    func startReady(_ unit: SimulatedUnit) {
        var isFirst = true
        for task in unit.tasks {
            if task.isOrdered && !isFirst { return }
            if task.state == .waiting && !(swallowReads && task.cdb[0] == 0x88) { start(task) }
            if task.isOrdered { return }
            isFirst = false
        }
    }

    private func start(_ task: TargetTask) {
        task.state = .executing
        let options = task.unit.options
        let time = random.nanoseconds(task.isSlow ? options.slowLatency : options.latency) + delay(task)
        timeline.after(time) { [weak self, weak task] in
            if let self, let task { finish(task) }
        }
    }

    private func finish(_ task: TargetTask) {
        guard task.state == .executing else { return }
        if isPaused {
            timeline.at(pausedUntil + 1000) { [weak self, weak task] in
                if let self, let task { finish(task) }
            }
            return
        }
        remove(task)
        let session = task.session
        if session.isOver {
            ghostCount += 1
            chronicle.trace("target", "ghost of session \(session.tsih): \(task.name)")
        }
        let outcome = carryOut(task)
        if session.tasks[task.tag] === task {
            session.tasks[task.tag] = nil
            task.connection.answer(task, outcome)
        } else {
            task.leaveAttention()
        }
        let ends = task.onEnd
        task.onEnd = []
        for end in ends { end() }
        draining.removeAll { !hasTasks($0) }
        startReady(task.unit)
        let ready = waitingLogins
        waitingLogins = []
        for login in ready { login.goOn() }
    }

    private func carryOut(_ task: TargetTask) -> Outcome {
        if let forced = task.forced {
            if case .check(.aborted) = forced, random.chance(500) {
                _ = task.unit.execute(task.cdb, task.data, portal: task.portal, self)
            }
            return forced
        }
        // The news may have gone out since the command came.
        if task.connection.isUnheard(task) { return .check(.lunsChanged) }
        let nexus = SimulatedReservations.Nexus(
            isid: task.session.isid, group: Int(task.session.portalGroup))
        return task.unit.reservations.outcome(task.cdb, task.data, nexus)
            ?? task.unit.execute(task.cdb, task.data, portal: task.portal, self)
    }

    /// ABORT TASK: a task that is not being carried out is gone; what becomes of another depends on the kind
    /// of target.
    func abort(_ task: TargetTask, _ answer: @escaping (UInt8) -> Void) {
        guard task.state == .executing else {
            forget(task)
            startReady(task.unit)
            return answer(0)
        }
        switch options.abortion {
        case .refuses: answer(255)
        case .saysNothing: break
        case .returnsAtOnce:
            task.session.tasks[task.tag] = nil
            ghostCount += 1
            answer(0)
        case .waits:
            task.session.tasks[task.tag] = nil
            task.onEnd.append { answer(0) }
        }
    }

    /// Its data may still be on their way.
    private func forget(_ task: TargetTask) {
        if task.state == .receiving { task.connection.abortedTags.insert(task.tag) }
        remove(task)
        task.leaveAttention()
        task.session.tasks[task.tag] = nil
    }

    // MARK: What targets do in real life

    /// Nothing is read, carried out or answered; TCP goes on.
    func pause(_ nanoseconds: UInt64) {
        pausedUntil = max(pausedUntil, timeline.now + nanoseconds)
        chronicle.trace("target", "pauses for \(nanoseconds / 1_000_000) ms")
        timeline.at(pausedUntil) { [weak self] in
            guard let self, !isPaused else { return }
            chronicle.trace("target", "goes on")
            for connection in connections { connection.receive() }
        }
    }

    func endPause() {
        guard isPaused else { return }
        pausedUntil = timeline.now
        for connection in connections { connection.receive() }
    }

    /// No new command is admitted.
    func shutWindow(_ nanoseconds: UInt64) {
        isWindowShut = true
        timeline.after(nanoseconds) { [weak self] in
            guard let self, isWindowShut else { return }
            isWindowShut = false
            for connection in sessions.flatMap(\.living) { connection.announceWindow() }
        }
    }

    /// Every connection is reset, no task survives, and a volatile cache is lost.
    func restart(downFor nanoseconds: UInt64, losesCache: Bool) {
        chronicle.trace(
            "target", "restarts, down for \(nanoseconds / 1_000_000) ms\(losesCache ? ", cache lost" : "")")
        isDown = true
        wasRestarted = true
        hasLostCache = losesCache
        told = []
        pausedUntil = 0
        for unit in allUnits {
            for task in unit.tasks {
                // Whether a write that was being carried out reached the medium, nobody knows.
                if task.state == .executing && task.forced == nil && random.chance(500) { _ = carryOut(task) }
                task.state = .ended
            }
            unit.tasks = []
            if losesCache && unit.options.hasWriteCache { unit.loseCache() }
        }
        if losesCache { onCacheLost() }
        let old = connections
        connections = []
        waitingLogins = []
        for connection in old { connection.close() }
        for session in sessions {
            session.isOver = true
            session.forget()
        }
        sessions = []
        draining = []
        timeline.after(nanoseconds) { [weak self] in
            self?.isDown = false
            self?.chronicle.trace("target", "is up again")
        }
    }
}
