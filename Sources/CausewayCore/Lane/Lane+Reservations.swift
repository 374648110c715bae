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
    /// What an administrator has asked for.
    var command: ReservationCommand?
    /// Paths that have shown the LUN and are to be registered before they carry I/O.
    var waiting: [Int32] = []
    /// A command was refused: is the key still there?
    var wantsCheck = false
    var checkedAt: Instant?
    var isRetryDue = false
}

/// Persistent reservations (SPC-4 §5.9): this host's key on every path before the path's first I/O, and what
/// an administrator asks for.
extension Lane {
    /// Room for more keys than a cluster has nexuses, bytes.
    private static var keyBytes: Int32 { 16_392 }
    private static var reservationBytes: Int32 { 24 }
    private static var retryMilliseconds: UInt64 { 100 }
    private static var checkMilliseconds: UInt64 { 10_000 }

    // MARK: What is asked for

    /// Does a command; `reservationEnded` tells how it went.
    public mutating func reserve(_ id: DiskID, _ command: ReservationCommand, now: Instant) {
        self.now = now
        let disk = id.rawValue
        guard disk >= 0, Int(disk) < disks.count, diskQueues[disk].isInUse else { return }
        let cold = disks[Int(disk)]
        if let error = refusal(of: command, cold) {
            effects.append(.notice(.reservationEnded(id, .failure(error))))
            return
        }
        cold.reservations.command = command
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
        let count = targets[Int(cold.target)].paths.count { !paths[Int($0)].isFenceOnly }
        return type.hasOneNexus && count > 1 ? .severalPaths(type) : nil
    }

    /// The paths of a disk that may carry commands of reservations, those that carry I/O first.
    private func commandPaths(_ disk: Int32) -> [Int32] {
        func has(_ mask: UInt32, _ path: Path) -> Bool { mask & (1 &<< UInt32(path.ordinal)) != 0 }
        let leading = targets[Int(diskQueues[disk].target)].paths.map { paths[Int($0)] }.filter {
            $0.isUp && $0.intent == .inUse && has(diskQueues[disk].shown, $0)
        }
        let carrying = leading.filter { has(diskQueues[disk].usable, $0) }
        return (carrying + leading.filter { !has(diskQueues[disk].usable, $0) }).map(\.index)
    }

    // MARK: A path's first I/O

    /// Whether a path that has shown its LUN may carry I/O now. If it has to be registered first, that begins.
    mutating func isRegistered(_ path: Path, _ disk: Int32) -> Bool {
        let cold = disks[Int(disk)]
        guard let registration = cold.reservations.registration, registration.state != .evicted else {
            return true
        }
        if let pinned = registration.pinnedPath, pinned != path.name {
            problem(path, disk, .notReady, "its reservation is \(pinned)'s alone")
            return false
        }
        if path.registered.contains(disk) { return true }
        if !cold.reservations.waiting.contains(path.index) { cold.reservations.waiting.append(path.index) }
        advanceReservations(cold)
        return path.registered.contains(disk)
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
                effects.append(.notice(.reservationEnded(DiskID(rawValue: disk), .failure(.noPath))))
                return true
            }
            begin(command, cold, able)
            return true
        }
        if !cold.reservations.waiting.isEmpty {
            let index = cold.reservations.waiting.removeFirst()
            let path = paths[Int(index)]
            guard path.target == cold.target, path.isUp, let registration = cold.reservations.registration,
                registration.state != .evicted
            else { return true }
            cold.reservations.work = .path(index, PathRegistration(registration))
            return true
        }
        guard cold.reservations.wantsCheck, !able.isEmpty else { return false }
        cold.reservations.wantsCheck = false
        cold.reservations.work = .run(
            ReservationRun(.status, key: cold.reservations.key, persists: false, paths: able), isAsked: false)
        return true
    }

    private mutating func begin(_ command: ReservationCommand, _ cold: Disk, _ able: [Int32]) {
        let run = ReservationRun(
            command, key: cold.reservations.key,
            persists: cold.reservations.registration?.persists ?? false, paths: able)
        if case .register(let key, let persists) = command {
            // On record first: a successor goes on with it.
            cold.reservations.before = cold.reservations.registration
            setRegistration(DiskRegistration(key: key, persists: persists), cold)
        }
        cold.reservations.work = .run(run, isAsked: true)
    }

    /// False when it cannot go out now.
    private mutating func send(_ step: ReservationStep, _ cold: Disk, _ path: Path) -> Bool {
        let disk = cold.index
        guard path.isUp, path.target == cold.target else {
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
        case .tryWrite:
            task = issueCommand(
                .reservationReport, .write16(lba: 0, blocks: 0), disk: disk, path: path, byteCount: 0)
        case .order(let order):
            // A copy of an earlier one may still come: none is sent before its fence.
            let target = targets[Int(cold.target)]
            let owes = target.paths.contains { paths[Int($0)].accessDebts.contains(disk) }
            task =
                owes
                ? nil
                : issueCommand(
                    .reservationOrder, order.command, disk: disk, path: path,
                    byteCount: Int32(ParameterList.byteCount))
            if let task {
                let words = order.parameterWords
                parameters[task].words[0] = words.0
                parameters[task].words[1] = words.1
                parameters[task].words[2] = words.2
                unsafe tasks[task].data = UnsafeRawPointer(parameters.address(Int(task)))
            }
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

    mutating func tickReservations(_ cold: Disk) {
        guard cold.reservations.isRetryDue else { return }
        cold.reservations.isRetryDue = false
        advanceReservations(cold)
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

    // MARK: Results

    private mutating func pathRegistered(_ index: Int32, _ cold: Disk, _ verdict: PathRegistration.Verdict) {
        let path = paths[Int(index)]
        let disk = cold.index
        switch verdict {
        case .registered:
            guard path.isUp, path.target == cold.target, var registration = cold.reservations.registration
            else { return }
            path.registered.insert(disk)
            if registration.state == .wanted {
                registration.state = .standing
                setRegistration(registration, cold)
            }
            guard path.intent == .inUse, path.barriers[disk] == nil else { return }
            join(path, disk)
        case .evicted(let reason):
            evict(cold, reason)
            reprobeAll(cold)
        case .failed(let text):
            guard path.isUp, path.target == cold.target else { return }
            problem(path, disk, .notReady, text)
        }
    }

    private mutating func runEnded(_ run: ReservationRun, _ cold: Disk, isAsked: Bool) {
        let id = DiskID(rawValue: cold.index)
        apply(run, cold)
        if let keys = run.keys, let registration = cold.reservations.registration,
            registration.state == .standing, keys.count(of: registration.key) == 0, !keys.isTruncated
        {
            evict(cold, "its reservation key \(registration.key) is not registered any more")
        }
        guard isAsked else { return }
        switch run.outcome {
        case .failed(let error): effects.append(.notice(.reservationEnded(id, .failure(error))))
        case .done:
            let registered = targets[Int(cold.target)].paths.map { paths[Int($0)] }.filter {
                $0.registered.contains(cold.index)
            }
            let report = ReservationReport(
                generation: run.keys?.generation ?? 0, keys: run.keys?.keys ?? [],
                holder: run.reservation?.holder, registration: cold.reservations.registration,
                registeredPaths: registered.map(\.name),
                problems: run.problems.map { "\(paths[Int($0.path)].name): \($0.text)" })
            effects.append(.notice(.reservationEnded(id, .success(report))))
        }
    }

    /// What a run has changed, also one that failed half-way.
    private mutating func apply(_ run: ReservationRun, _ cold: Disk) {
        let disk = cold.index
        let isDone = run.outcome == .done
        var registration = cold.reservations.registration
        switch run.command {
        case .register:
            guard !run.done.isEmpty else {
                registration = cold.reservations.before
                break
            }
            for index in run.done where paths[Int(index)].isUp { paths[Int(index)].registered.insert(disk) }
            shutOut(run, cold)
            registration?.state = .standing
        case .unregister, .clear:
            guard isDone || !run.done.isEmpty else { return }
            forgetRegistration(cold)
            return
        case .reserve(let type) where isDone && type.hasOneNexus,
            .preempt(_, let type?, _) where isDone && type.hasOneNexus:
            let pinned = run.done.last.map { paths[Int($0)].name }
            registration?.pinnedPath = pinned
        case .release where isDone: registration?.pinnedPath = nil
        case .reserve, .preempt: return shutOut(run, cold)
        case .release, .status: return
        }
        setRegistration(registration, cold)
        reprobeAll(cold)
    }

    /// Paths that a run has found to be of no use now.
    private mutating func shutOut(_ run: ReservationRun, _ cold: Disk) {
        for (index, text) in run.problems where paths[Int(index)].isUp {
            paths[Int(index)].registered.remove(cold.index)
            problem(paths[Int(index)], cold.index, .notReady, text)
        }
    }

    private mutating func forgetRegistration(_ cold: Disk) {
        for index in targets[Int(cold.target)].paths { paths[Int(index)].registered.remove(cold.index) }
        setRegistration(nil, cold)
        reprobeAll(cold)
    }

    /// Paths that waited, or were kept out, are asked anew.
    private mutating func reprobeAll(_ cold: Disk) {
        cold.reservations.waiting = []
        for index in targets[Int(cold.target)].paths where paths[Int(index)].isUp {
            let bit: UInt32 = 1 &<< UInt32(paths[Int(index)].ordinal)
            guard diskQueues[cold.index].shown & bit == 0 else { continue }
            paths[Int(index)].reprobeAt = now
        }
        wake(at: now)
    }

    private mutating func setRegistration(_ registration: DiskRegistration?, _ cold: Disk) {
        guard cold.reservations.registration != registration else { return }
        cold.reservations.registration = registration
        let disk = cold.index
        // Until the key is back, writes would only meet a conflict.
        let isEvicted =
            registration?.state == .evicted || registration?.state == .wanted && diskQueues[disk].isEvicted
        if isEvicted != diskQueues[disk].isEvicted {
            diskQueues[disk].isEvicted = isEvicted
            diskQueues[disk].fenceDebts += isEvicted ? 1 : -1
        }
        effects.append(.notice(.registrationChanged(DiskID(rawValue: disk), registration)))
        if !isEvicted { pumpPending() }
    }

    // MARK: Another host

    /// What sense data says of reservations, on a session that is registered. On one that is not, the list of
    /// keys is asked.
    mutating func noteReservations(_ notices: TargetNotices, _ path: Path, _ disk: Int32) {
        guard !notices.isDisjoint(with: [.reservationsPreempted, .registrationsPreempted]),
            path.registered.contains(disk)
        else { return }
        let cold = disks[Int(disk)]
        if case .run(let run, isAsked: true) = cold.reservations.work, run.explainsLosses { return }
        evict(
            cold,
            notices.contains(.registrationsPreempted)
                ? "another host has pre-empted its registration (6/2A/05)"
                : "another host has pre-empted or cleared its reservation (6/2A/03)")
    }

    /// Another host has taken the LUN: this one's writes fail from now on, and it does not register again by
    /// itself.
    private mutating func evict(_ cold: Disk, _ reason: String) {
        guard var registration = cold.reservations.registration, registration.state != .evicted else {
            return
        }
        registration.state = .evicted
        registration.pinnedPath = nil
        let disk = cold.index
        for index in targets[Int(cold.target)].paths { paths[Int(index)].registered.remove(disk) }
        setRegistration(registration, cold)
        tell(
            .error, cold,
            "\(reason): writes fail, and nothing is registered again, until "
                + "causeway reserve \(cold.name) register")
        var late: [Int32] = []
        var task = diskQueues[disk].pending.first
        while task >= 0 {
            if tasks[task].kind.isWrite { late.append(task) }
            task = tasks[task].next
        }
        for task in late where tasks[task].state == .pending {
            diskQueues[disk].pending.remove(task, tasks)
            finishTask(task, error: NBDError.inputOutput.rawValue)
        }
        reprobeAll(cold)
        pumpPending()
    }

    /// RESERVATION CONFLICT: another host has reserved the LUN. The path is not to blame, and another would
    /// not do.
    mutating func conflict(_ task: Int32, _ path: Path) {
        let cold = disks[Int(tasks[task].disk)]
        pathQueues[path.index].counters.errors &+= 1
        let isNews = cold.reservations.checkedAt.map {
            now.nanoseconds(since: $0) >= Self.checkMilliseconds * 1_000_000
        }
        if isNews ?? true {
            cold.reservations.checkedAt = now
            tell(
                .error, cold,
                "\(path.name): RESERVATION CONFLICT: another host has reserved the LUN, and a "
                    + "\(tasks[task].kind) at LBA \(tasks[task].lba) fails; see "
                    + "causeway reserve \(cold.name) status")
            if cold.reservations.registration?.state == .standing {
                cold.reservations.wantsCheck = true
                cold.reservations.isRetryDue = true
                wake(at: now)
            }
        }
        finishTask(task, error: NBDError.inputOutput.rawValue)
    }

    /// A write of a disk whose I/O fails, whose client is gone, or which another host has taken.
    func isHopeless(_ task: Int32, _ disk: Int32) -> Bool {
        diskQueues[disk].isFailing || isOrphanedWrite(task, disk)
            || diskQueues[disk].isEvicted && tasks[task].kind.isWrite
    }
}

extension ReservationDesk {
    /// Under which this host is registered; zero: not at all.
    var key: ReservationKey { registration.map(\.key) ?? .none }
}
