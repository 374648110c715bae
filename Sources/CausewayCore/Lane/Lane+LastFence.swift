/// What a disk's `fence` setting allows where no portal of a lost session's portal group answers, so that the
/// session cannot be reinstated; and what a LOGICAL UNIT RESET, ours or another's, leaves behind.
extension Lane {
    /// A reset is given up when it was not answered for so long.
    private static var resetMilliseconds: UInt64 { 15_000 }
    /// What has reached the target it takes up within this time, while it answers.
    private static var settlingMilliseconds: UInt64 { 1000 }
    private static var resetPauseMilliseconds: UInt64 { 10_000 }
    /// A sign of life counts for so long.
    private static var staleNanoseconds: UInt64 { 5_000_000_000 }
    /// Commands that a reset has taken away show within this time, or their session is begun anew.
    private static var sweepMilliseconds: UInt64 { 60_000 }
    /// The same for a target that may not be sent a barrier.
    private static var blindSweepMilliseconds: UInt64 { 10_000 }

    private func resetTag(_ disk: Int32) -> UInt32 { PingState.tagBase - 0x1000 - UInt32(disk) }

    /// Looks whether the sent writes of a lost session wait for longer than their disks' settings ask for.
    mutating func tickLastFence(_ path: Path) {
        guard case .down = path.state, owesFence(path), path.session?.standing == nil else { return }
        for disk in targets[Int(path.target)].disks where owesFence(path, disk) {
            let cold = disks[Int(disk)]
            guard cold.failure.fence != .hold else { continue }
            var due = path.downSince.adding(milliseconds: settings.lastFenceMilliseconds)
            if let attempt = path.attempt, case .loggingIn = attempt.phase {
                // A login that waits for earlier commands is a fence under way.
                let usual = targets[Int(path.target)].timers.loginTimeoutMilliseconds
                let patience = max(usual, settings.fenceLoginTimeoutMilliseconds) - usual
                let early = Instant(nanoseconds: patience * 1_000_000)
                due = max(due, Instant(nanoseconds: attempt.deadline.nanoseconds(since: early)))
            }
            due = max(due, cold.resetNotBefore)
            guard due <= now else {
                wake(at: due)
                continue
            }
            switch cold.failure.fence {
            case .hold: break
            case .none: releaseUnfenced(path, cold)
            case .logicalUnitReset: beginReset(cold)
            }
        }
    }

    private mutating func releaseUnfenced(_ path: Path, _ cold: Disk) {
        let count = release(path, cold.index)
        path.accessDebts.remove(cold.index)
        diskQueues[cold.index].counters.unfenced &+= UInt64(count)
        path.lastFence = "none (fence = none), \(count) writes"
        tell(
            .error, cold,
            "\(path.name): no fence is to be had; \(count) writes are sent again without one (fence = none): "
                + "earlier copies of them may yet overwrite newer data")
        pumpPending()
    }

    /// Lets go of what waited for a lost session's fence. Returns how many writes.
    mutating func release(_ path: Path, _ disk: Int32) -> Int {
        var released: [Int32] = []
        var task = pathQueues[path.index].held.first
        while task >= 0 {
            let next = tasks[task].next
            if tasks[task].disk == disk {
                pathQueues[path.index].held.remove(task, tasks)
                released.append(task)
            }
            task = next
        }
        for task in released.reversed() { sendAgain(task, first: true) }
        if path.debts.remove(disk) != nil { diskQueues[disk].fenceDebts -= 1 }
        if pathQueues[path.index].held.isEmpty && path.debts.isEmpty { path.fenceBegan = nil }
        return released.count
    }

    // MARK: LOGICAL UNIT RESET

    /// Sends LOGICAL UNIT RESET (RFC 7143 §11.5.1, SAM-5 7.7) through a path that shows the LUN.
    private mutating func beginReset(_ cold: Disk) {
        let disk = cold.index
        guard cold.reset == nil else { return }
        let target = targets[Int(cold.target)]
        let living = target.paths.map { paths[Int($0)] }.filter {
            $0.isUp && diskQueues[disk].shown & (1 &<< UInt32($0.ordinal)) != 0
        }
        let carrying = living.first { diskQueues[disk].usable & (1 &<< UInt32($0.ordinal)) != 0 }
        // With a task set for each session (TST 001b) no barrier of one session tells of another's commands.
        guard let via = carrying ?? living.first, cold.report?.limits.sharesTaskSet == true else {
            cold.resetNotBefore = now.adding(milliseconds: 1000)
            return wake(at: cold.resetNotBefore)
        }
        // A command that the target has received and not looked at would survive its reset.
        switch cold.resetCheck {
        case .none:
            guard let task = issueInternal(.signOfLife, disk: disk, path: via) else {
                return wake(at: now.adding(milliseconds: 100))
            }
            cold.resetCheck = .asked(task)
            return
        case .asked: return
        case .answered(let moment):
            let due = moment.adding(milliseconds: Self.settlingMilliseconds)
            guard due <= now else { return wake(at: due) }
            cold.resetCheck = .none
            // Known from before the loss, it says nothing.
            let lost = target.paths.map { paths[Int($0)] }.filter { owesFence($0, disk) && !$0.isUp }
            let isOld = lost.contains {
                moment < $0.downSince.adding(milliseconds: settings.lastFenceMilliseconds)
            }
            if isOld || now.nanoseconds(since: due) > Self.staleNanoseconds { return wake(at: now) }
        }
        let index = via.index
        let stream = pathQueues[index].stream
        guard streams[stream].send.room > 0 else { return wake(at: now.adding(milliseconds: 100)) }
        var owed: [Int32: Instant] = [:]
        for other in target.paths where owesFence(paths[Int(other)], disk) {
            if case .down = paths[Int(other)].state { owed[other] = paths[Int(other)].downSince }
        }
        cold.reset = LogicalUnitReset(
            via: index, began: now, deadline: now.adding(milliseconds: Self.resetMilliseconds), owed: owed,
            taken: inFlight(index, disk))
        wake(at: now.adding(milliseconds: Self.resetMilliseconds))
        diskQueues[disk].counters.resets &+= 1
        tell(
            .warning, cold,
            "\(via.name): no portal group of a lost session answers: LOGICAL UNIT RESET (fence = lun-reset)")
        let request = TaskManagementRequest(
            function: .logicalUnitReset, lun: diskQueues[disk].lun, initiatorTaskTag: resetTag(disk),
            cmdSN: cmdSN(via), expStatSN: pathQueues[index].expStatSN)
        sendCold(request.header, [], stream)
    }

    mutating func signOfLifeAnswered(_ task: Int32) {
        let cold = disks[Int(tasks[task].disk)]
        releaseTask(task)
        guard cold.resetCheck == .asked(task) else { return }
        cold.resetCheck = .answered(now)
        wake(at: now)
    }

    private func inFlight(_ path: Int32, _ disk: Int32) -> [LogicalUnitReset.Command] {
        var list: [LogicalUnitReset.Command] = []
        var task = pathQueues[path].inFlight.first
        while task >= 0 {
            if tasks[task].disk == disk {
                list.append(LogicalUnitReset.Command(task: task, generation: tasks[task].generation))
            }
            task = tasks[task].next
        }
        return list
    }

    mutating func resetAnswered(_ pdu: TaskManagementResponse, _ path: Path, _ stream: Int32) {
        let index = path.index
        guard countStatus(pdu.statSN, index) else {
            return violation(
                index, stream, .statSN(expected: pathQueues[index].expStatSN, got: pdu.statSN))
        }
        updateWindow(index, expCmdSN: pdu.expCmdSN, maxCmdSN: pdu.maxCmdSN)
        let known = targets[Int(path.target)].disks.first {
            resetTag($0) == pdu.initiatorTaskTag && disks[Int($0)].reset?.via == index
        }
        // Of a reset that was given up meanwhile.
        guard let disk = known, var reset = disks[Int(disk)].reset, !reset.isAnswered else { return }
        let cold = disks[Int(disk)]
        guard pdu.response == .functionComplete || pdu.response == .functionSucceeded else {
            tell(.error, cold, "\(path.name): LOGICAL UNIT RESET: \(pdu.response)")
            return abandonReset(cold)
        }
        reset.isAnswered = true
        cold.reset = reset
        if path.proof == .waitsForTasks {
            // It answers once every command has ended, and may not be sent ORDERED ones. Those of this
            // session that were sent before are over (RFC 7143 §11.5.1).
            sweep(reset.taken.filter { tasks[$0.task].cmdSN < pdu.expCmdSN }, path, disk)
            resetIsProved(cold)
        }
        for other in targets[Int(path.target)].paths where pathQueues[other].isFullFeature {
            beginSweep(paths[Int(other)], disk, isOwn: true)
        }
        if path.sweeps[disk] == nil && cold.reset != nil { abandonReset(cold) }
    }

    /// The reset was not answered, or not well: what it may have done all the same is looked after.
    private mutating func abandonReset(_ cold: Disk) {
        cold.reset = nil
        cold.resetNotBefore = now.adding(milliseconds: Self.resetPauseMilliseconds)
        wake(at: cold.resetNotBefore)
        for other in targets[Int(cold.target)].paths where pathQueues[other].isFullFeature {
            beginSweep(paths[Int(other)], cold.index, isOwn: false)
        }
    }

    private mutating func resetIsProved(_ cold: Disk) {
        guard let reset = cold.reset else { return }
        cold.reset = nil
        let took = now.nanoseconds(since: reset.began) / 1_000_000
        for (index, downSince) in reset.owed.sorted(by: { $0.key < $1.key }) {
            let path = paths[Int(index)]
            // A session that was lost again since has sent more.
            guard path.downSince == downSince, path.target == cold.target else { continue }
            let count = release(path, cold.index)
            path.accessDebts.remove(cold.index)
            path.unfenced.remove(diskQueues[cold.index].lun)
            pathQueues[index].counters.fences &+= 1
            path.lastFence = "LOGICAL UNIT RESET through another path, after \(took) ms, \(count) writes"
            tell(
                .warning, cold,
                "\(path.name): fence: LOGICAL UNIT RESET through \(paths[Int(reset.via)].name) after \(took) "
                    + "ms; \(count) writes are sent again")
        }
        pumpPending()
    }

    // MARK: What a reset has taken away

    /// A reset ends commands without an answer (SAM-5 5.8.2). An ORDERED command behind them tells: once it
    /// is answered, what was sent before it and has no answer gets none.
    mutating func beginSweep(_ path: Path, _ disk: Int32, isOwn: Bool) {
        let list = inFlight(path.index, disk)
        let isVia = isOwn && disks[Int(disk)].reset?.via == path.index
        guard isVia || !list.isEmpty else { return }
        var sweep = Sweep(commands: list, deadline: now.adding(milliseconds: Self.blindSweepMilliseconds))
        if path.proof != .waitsForTasks {
            sweep.deadline = now.adding(milliseconds: Self.sweepMilliseconds)
            guard let task = issueInternal(.resetBarrier, disk: disk, path: path) else { return }
            sweep.task = task
        }
        path.sweeps[disk] = sweep
        wake(at: sweep.deadline)
    }

    mutating func resetBarrierAnswered(_ task: Int32, _ index: Int32, status: UInt8, sense: SenseData?) {
        let path = paths[Int(index)]
        let disk = tasks[task].disk
        guard let sweep = path.sweeps[disk], sweep.task == task else { return releaseTask(task) }
        guard status == 0 else {
            note(classify(status: SCSIStatus(rawValue: status), sense: sense).notices, path, disk)
            return delay(task, milliseconds: 20)
        }
        releaseTask(task)
        path.sweeps[disk] = nil
        self.sweep(sweep.commands, path, disk)
        let cold = disks[Int(disk)]
        if cold.reset?.via == index && cold.reset?.isAnswered == true { resetIsProved(cold) }
        pumpPending()
    }

    /// Sends again what a reset has ended.
    private mutating func sweep(_ list: [LogicalUnitReset.Command], _ path: Path, _ disk: Int32) {
        for command in list.reversed() {
            let task = command.task
            guard tasks[task].state == .inFlight, tasks[task].path == path.index,
                tasks[task].generation == command.generation
            else { continue }
            takeOff(task, path.index)
            switch tasks[task].kind {
            case .hedgedRead, .hedge, .discarded: if copyIsLost(task) { continue }
            default: break
            }
            if tasks[task].request >= 0 {
                sendAgain(task, first: true)
            } else if [.accessSetting, .reservationOrder].contains(tasks[task].kind) {
                dropInternal(task, path, wasSent: false)
            } else {
                if internalData[task] != nil { internalData[task] = [] }
                sendInternal(task, path)
            }
        }
    }

    /// Time that has passed for sweeps and resets.
    mutating func tickSweeps(_ path: Path) {
        for (disk, sweep) in path.sweeps {
            guard sweep.deadline <= now else {
                wake(at: sweep.deadline)
                continue
            }
            path.sweeps[disk] = nil
            let isLost = sweep.commands.contains { command in
                tasks[command.task].state == .inFlight && tasks[command.task].path == path.index
                    && tasks[command.task].generation == command.generation
            }
            if isLost || sweep.task >= 0 {
                return connectionLost(path, "commands went without an answer in a LOGICAL UNIT RESET")
            }
        }
    }

    mutating func tickReset(_ cold: Disk) {
        guard let reset = cold.reset else { return }
        if reset.deadline <= now {
            tell(.error, cold, "LOGICAL UNIT RESET was not answered in time")
            abandonReset(cold)
        } else {
            wake(at: reset.deadline)
        }
    }

    /// The session that carried resets is lost: nobody knows whether they were done.
    mutating func loseResets(_ path: Path) {
        path.sweeps = [:]
        for disk in targets[Int(path.target)].disks where disks[Int(disk)].reset?.via == path.index {
            abandonReset(disks[Int(disk)])
        }
    }
}

/// A LOGICAL UNIT RESET of our own that is under way.
struct LogicalUnitReset {
    struct Command {
        var task: Int32
        var generation: UInt16
    }

    /// The path that carries it.
    var via: Int32
    var began: Instant
    var deadline: Instant
    /// The lost sessions that it is a fence for, by path: when each was lost.
    var owed: [Int32: Instant]
    /// Commands of the LUN on `via` when it was sent.
    var taken: [Command]
    var isAnswered = false
}

/// Whether the target is known to be awake before it is sent a reset.
enum ResetCheck: Equatable {
    case none
    case asked(Int32)
    case answered(Instant)
}

/// Commands of a path that a reset may have ended.
struct Sweep {
    /// The barrier behind them; -1 where the target may not be sent one.
    var task: Int32 = -1
    var commands: [LogicalUnitReset.Command]
    var deadline: Instant
}
