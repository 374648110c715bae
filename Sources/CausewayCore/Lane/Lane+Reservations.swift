/// What a disk does about persistent reservations, one thing after the other.
struct ReservationDesk {
    enum Work {
        case idle
        case path(Int32, PathRegistration)
        case run(ReservationRun, isAsked: Bool)
    }

    var registration: DiskRegistration?
    /// What it was before the registration that is under way.
    var before: DiskRegistration?
    var work = Work.idle
    /// The task that carries the present command.
    var task: Int32 = -1
    /// What an administrator has asked for, and the number that its answer is to have.
    var command: ReservationCommand?
    var ticket: UInt64 = 0
    /// When that is given up.
    var deadline = Instant.never
    /// Paths that have shown the LUN and are to be registered before they carry I/O.
    var waiting: [Int32] = []
    /// A command was refused: is the key still there?
    var wantsCheck = false
    /// Paths that were refused although they are registered.
    var refused: Set<Int32> = []
    /// Paths, by name, that may not write under a reservation of this host's own.
    var shutOut: Set<String> = []
    /// Until then a conflict is another host's doing, as it was said last.
    var isForeignUntil: Instant?
    var toldAt: Instant?
    var isRetryDue = false
}

/// Persistent reservations (SPC-4 §5.9): this host's key on every path before the path's first I/O, and what
/// an administrator asks for.
extension Lane {
    /// Room for more keys than a cluster has nexuses, bytes.
    private static var keyBytes: Int32 { 16_392 }
    private static var reservationBytes: Int32 { 24 }
    private static var retryMilliseconds: UInt64 { 100 }
    private static var patienceMilliseconds: UInt64 { 60_000 }

    // MARK: What is asked for

    /// Does a command; `reservationEnded` with the same ticket tells how it went.
    public mutating func reserve(
        _ id: DiskID, _ command: ReservationCommand, ticket: UInt64, now: Instant
    ) {
        self.now = now
        let disk = id.rawValue
        guard disk >= 0, Int(disk) < disks.count, diskQueues[disk].isInUse else { return }
        let cold = disks[Int(disk)]
        if let error = refusal(of: command, cold) {
            effects.append(.notice(.reservationEnded(id, ticket: ticket, .failure(error))))
            return
        }
        cold.reservations.command = command
        cold.reservations.ticket = ticket
        cold.reservations.deadline = now.adding(milliseconds: Self.patienceMilliseconds)
        wake(at: cold.reservations.deadline)
        advanceReservations(cold)
    }

    private func refusal(of command: ReservationCommand, _ cold: Disk) -> ReservationError? {
        guard cold.reservations.command == nil else { return .busy }
        if case .run(_, isAsked: true) = cold.reservations.work { return .busy }
        guard !commandPaths(cold.index).isEmpty else { return .noPath }
        let key = cold.reservations.registration?.key
        switch command {
        case .register, .status: return nil
        case .unregister, .release, .clear: return key == nil ? .notRegistered : nil
        case .reserve(let type): return key == nil ? .notRegistered : refusal(of: type, cold)
        case .preempt(let victim, let type, _):
            guard let key else { return .notRegistered }
            guard victim != key else { return .ownKey }
            return type.flatMap { refusal(of: $0, cold) }
        }
    }

    private func refusal(of type: PersistentReservationType, _ cold: Disk) -> ReservationError? {
        type.hasOneNexus && hasSeveralNexuses(cold) ? .severalPaths(type) : nil
    }

    /// Connections of one session are one nexus.
    private func hasSeveralNexuses(_ cold: Disk) -> Bool {
        let carriers = targets[Int(cold.target)].paths.map { paths[Int($0)] }.filter { !$0.isFenceOnly }
        return Set(carriers.map(\.specification.isid)).count > 1
    }

    /// The paths of a disk that may carry commands of reservations, those that carry I/O first. Those that
    /// wait for their registration, or were shut out, are among them.
    private func commandPaths(_ disk: Int32) -> [Int32] {
        func rank(_ path: Path) -> Int {
            let bit: UInt32 = 1 &<< UInt32(path.ordinal)
            return diskQueues[disk].usable & bit != 0 ? 0 : diskQueues[disk].shown & bit != 0 ? 1 : 2
        }
        let leading = pathsTo(disk).filter { $0.intent == .inUse }
        return (0...2).flatMap { wanted in leading.filter { rank($0) == wanted }.map(\.index) }
    }

    // MARK: A path's first I/O

    /// Whether a path that has shown its LUN may carry I/O now. If it has to be registered first, that
    /// begins.
    mutating func isRegistered(_ path: Path, _ disk: Int32) -> Bool {
        let cold = disks[Int(disk)]
        guard let registration = cold.reservations.registration, mustRegister(path, registration) else {
            return true
        }
        if let pinned = registration.pinnedPath, pinned != path.name, path.session == nil {
            problem(path, disk, .notReady, "its reservation is \(pinned)'s alone")
            return false
        }
        if path.registered.contains(disk) { return true }
        // Connections of one session are one nexus.
        if members(with: path).contains(where: { $0.isUp && $0.registered.contains(disk) }) {
            path.registered.insert(disk)
            return true
        }
        if !cold.reservations.waiting.contains(path.index) { cold.reservations.waiting.append(path.index) }
        advanceReservations(cold)
        return path.registered.contains(disk)
    }

    /// While another host has the LUN nothing is registered; but what may have been registered too late is
    /// taken back.
    private func mustRegister(_ path: Path, _ registration: DiskRegistration) -> Bool {
        registration.state != .evicted || registration.unproved.contains(path.nexusName)
    }

    // MARK: One command after the other

    /// Goes on with what is under way, or begins what is next.
    mutating func advanceReservations(_ cold: Disk) {
        while cold.reservations.task < 0, !cold.isRemoved, !diskQueues[cold.index].isDetaching {
            switch cold.reservations.work {
            case .idle:
                guard beginReservations(cold) else { return }
            case .path(let index, let registration):
                guard let step = registration.step else {
                    cold.reservations.work = .idle
                    noteProof(registration, paths[Int(index)], cold)
                    if let verdict = registration.verdict { pathRegistered(index, cold, verdict) }
                    continue
                }
                guard send(step, cold, paths[Int(index)]) else { return }
            case .run(let run, let isAsked):
                guard let (step, index) = run.next else {
                    cold.reservations.work = .idle
                    runEnded(run, cold, isAsked: isAsked)
                    continue
                }
                guard send(step, cold, paths[Int(index)]) else { return }
            }
        }
    }

    /// False if there is nothing to do.
    private mutating func beginReservations(_ cold: Disk) -> Bool {
        let disk = cold.index
        let able = commandPaths(disk)
        if let command = cold.reservations.command {
            cold.reservations.command = nil
            guard !able.isEmpty else {
                end(.failure(.noPath), cold)
                return true
            }
            begin(command, cold, able)
            return true
        }
        if !cold.reservations.waiting.isEmpty {
            let index = cold.reservations.waiting.removeFirst()
            let path = paths[Int(index)]
            guard path.target == cold.target, path.isUp, let registration = cold.reservations.registration,
                mustRegister(path, registration)
            else { return true }
            cold.reservations.work = .path(
                index,
                PathRegistration(
                    registration, isUnproved: registration.unproved.contains(path.nexusName),
                    isShutOut: cold.reservations.shutOut.contains(path.nexusName)))
            return true
        }
        guard cold.reservations.wantsCheck, !able.isEmpty else { return false }
        cold.reservations.wantsCheck = false
        cold.reservations.work = .run(
            ReservationRun(
                .status, key: cold.reservations.key, persists: false, hasSeveralNexuses: true,
                paths: withNexuses(able)),
            isAsked: false)
        return true
    }

    private func withNexuses(_ able: [Int32]) -> [(index: Int32, nexus: InitiatorSessionID)] {
        able.map { ($0, paths[Int($0)].specification.isid) }
    }

    private mutating func begin(_ command: ReservationCommand, _ cold: Disk, _ able: [Int32]) {
        let run = ReservationRun(
            command, key: cold.reservations.key,
            persists: cold.reservations.registration?.persists ?? false,
            hasSeveralNexuses: hasSeveralNexuses(cold), paths: withNexuses(able))
        if case .register(let key, let persists) = command {
            // On record first: a successor goes on with it.
            cold.reservations.before = cold.reservations.registration
            setRegistration(
                DiskRegistration(
                    key: key, persists: persists, pinnedPath: cold.reservations.registration?.pinnedPath),
                cold
            )
        }
        cold.reservations.work = .run(run, isAsked: true)
    }

    /// False when it cannot go out now.
    private mutating func send(_ step: ReservationStep, _ cold: Disk, _ path: Path) -> Bool {
        let disk = cold.index
        // Another session than the one that was looked at has to show its LUN first.
        guard path.target == cold.target, pathsTo(disk).contains(where: { $0 === path }) else {
            answered(.lost, cold)
            return true
        }
        let task: Int32?
        switch step {
        case .read(let action):
            let count = action == .readKeys ? Self.keyBytes : Self.reservationBytes
            task = issueCommand(
                .reservationReport, .persistentReserveIn(action, allocationLength: UInt16(count)),
                disk: disk, path: path, byteCount: count)
        case .order(let order):
            noteOrder(order, path, cold)
            task = isOwed(order, cold) ? nil : makeTask(order, disk, path)
        }
        guard let task else {
            cold.reservations.isRetryDue = true
            wake(at: now.adding(milliseconds: Self.retryMilliseconds))
            return false
        }
        cold.reservations.task = task
        sendInternal(task, path)
        return true
    }

    private mutating func makeTask(_ order: PersistentReserveOrder, _ disk: Int32, _ path: Path) -> Int32? {
        let task = issueCommand(
            .reservationOrder, order.command, disk: disk, path: path,
            byteCount: Int32(ParameterList.byteCount))
        guard let task else { return nil }
        let words = order.parameterWords
        parameters[task].words[0] = words.0
        parameters[task].words[1] = words.1
        parameters[task].words[2] = words.2
        unsafe tasks[task].data = UnsafeRawPointer(parameters.address(Int(task)))
        // Told apart when it is lost: a registration is its own nexus' matter, which a login settles.
        tasks[task].blocks = order.action.isOfOneNexus ? 0 : 1
        return task
    }

    /// An order of before may still come late, and would undo this one: it waits for that one's fence.
    private func isOwed(_ order: PersistentReserveOrder, _ cold: Disk) -> Bool {
        guard !order.action.isOfOneNexus else { return false }
        return targets[Int(cold.target)].paths.contains {
            paths[Int($0)].orderDebts.contains(cold.index)
                && paths[Int($0)].accessDebts.contains(cold.index)
        }
    }

    mutating func tickReservations(_ cold: Disk) {
        if cold.reservations.deadline <= now {
            cold.reservations.deadline = .never
            giveUpCommand(cold)
        } else {
            wake(at: cold.reservations.deadline)
        }
        guard cold.reservations.isRetryDue else { return }
        cold.reservations.isRetryDue = false
        advanceReservations(cold)
    }

    /// The LUN does not answer: nothing of the command may go out later.
    private mutating func giveUpCommand(_ cold: Disk) {
        if cold.reservations.command != nil {
            cold.reservations.command = nil
            return end(.failure(.failed("the disk was busy with its registrations")), cold)
        }
        guard case .run(var run, isAsked: true) = cold.reservations.work else { return }
        dropReservationTask(cold)
        run.giveUp()
        cold.reservations.work = .run(run, isAsked: true)
        advanceReservations(cold)
    }

    /// Takes back a command that did not go out yet; the answer of one that did is not heard any more.
    mutating func dropReservationTask(_ cold: Disk) {
        let task = cold.reservations.task
        cold.reservations.task = -1
        guard task >= 0, tasks[task].path >= 0 else { return }
        let path = paths[Int(tasks[task].path)]
        switch tasks[task].state {
        case .delayed: delayed.remove(task, tasks)
        case .pending: path.waiting.removeAll { $0 == task }
        case .free, .inFlight, .held: return
        }
        internalData[task] = nil
        releaseTask(task)
    }

    // MARK: Answers

    mutating func reservationAnswered(_ task: Int32, _ index: Int32, status: UInt8, sense: SenseData?) {
        let path = paths[Int(index)]
        let disk = tasks[task].disk
        let cold = disks[Int(disk)]
        let data = internalData.removeValue(forKey: task) ?? []
        guard cold.reservations.task == task else { return releaseTask(task) }
        let verdict = classify(status: SCSIStatus(rawValue: status), sense: sense)
        if status != 0 { note(verdict.notices, path, disk) }
        let mayRepeat = tasks[task].attempts < 40
        // What was noted may have ended the path, and this task with it.
        guard cold.reservations.task == task else { return releaseTask(task) }
        tasks[task].attempts += 1
        switch verdict.errorClass {
        case .retry where mayRepeat:
            if !tasks[task].kind.isWrite { internalData[task] = [] }
            return sendInternal(task, path)
        case .retryAfterDelay where mayRepeat:
            if !tasks[task].kind.isWrite { internalData[task] = [] }
            return delay(task, milliseconds: Self.retryMilliseconds)
        default: break
        }
        releaseTask(task)
        cold.reservations.task = -1
        switch verdict.errorClass {
        case .good: answered(.good(data), cold)
        case .reservationConflict: answered(.conflict, cold)
        default: answered(.failed(describe(status, sense)), cold)
        }
        advanceReservations(cold)
    }

    /// The command's path was lost, or it was aborted.
    mutating func reservationLost(_ task: Int32, _ cold: Disk) {
        guard cold.reservations.task == task else { return }
        cold.reservations.task = -1
        answered(.lost, cold)
        // Not at once: the path is being taken apart.
        cold.reservations.isRetryDue = true
        wake(at: now)
    }

    /// The session is gone: what waits for it waits in vain.
    mutating func forgetReservations(_ path: Path) {
        path.registered = []
        for disk in targets[Int(path.target)].disks {
            let cold = disks[Int(disk)]
            cold.reservations.waiting.removeAll { $0 == path.index }
            cold.reservations.refused.remove(path.index)
            guard cold.reservations.task < 0, case .path(path.index, _) = cold.reservations.work else {
                continue
            }
            answered(.lost, cold)
            cold.reservations.isRetryDue = true
            wake(at: now)
        }
    }

    private func answered(_ answer: ReservationAnswer, _ cold: Disk) {
        switch cold.reservations.work {
        case .idle: break
        case .path(let index, var registration):
            registration.answered(answer)
            cold.reservations.work = .path(index, registration)
        case .run(var run, let isAsked):
            run.answered(answer)
            cold.reservations.work = .run(run, isAsked: isAsked)
        }
    }
}

extension ReservationDesk {
    /// Under which this host is registered; zero: not at all.
    var key: ReservationKey { registration.map(\.key) ?? .none }
}

extension PersistentReserveOutAction {
    /// Whether it changes nothing but the registration of the nexus that it comes over.
    fileprivate var isOfOneNexus: Bool { self == .register || self == .registerAndIgnoreExistingKey }
}
