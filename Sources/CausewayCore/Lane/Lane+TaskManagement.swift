/// Commands that stay without an answer although their path answers: task management, from mild to harsh
/// (RFC 7143 §11.5, SAM-5 §7).
///
///     ABORT TASK ── refused or late ──► LOGICAL UNIT RESET ──► TARGET WARM RESET ──► session reinstatement
///
/// The resets only where the disk's `reset-on-timeout` allows them, for they take away everyone's tasks. A
/// read that was aborted is sent again at once; a write after the barrier, for some targets answer ABORT TASK
/// while the command still runs in their backend. A barrier is not aborted: the session is made anew.

/// A task as it was when something was asked about it: its slot may be another's by the time of the answer.
struct TaskReference: BitwiseCopyable {
    var slot: Int32
    var generation: UInt16
}

/// A task management function that is out on a path. One at a time.
struct TaskManagement: BitwiseCopyable {
    enum Function: BitwiseCopyable {
        case abortTask(TaskReference, disk: Int32)
        case logicalUnitReset(disk: Int32)
        case targetWarmReset(disk: Int32)

        /// Whose command began it.
        var disk: Int32 {
            switch self {
            case .abortTask(_, let disk), .logicalUnitReset(let disk), .targetWarmReset(let disk): disk
            }
        }

        var name: TaskManagementRequest.Function {
            switch self {
            case .abortTask: .abortTask
            case .logicalUnitReset: .logicalUnitReset
            case .targetWarmReset: .targetWarmReset
            }
        }
    }

    /// Initiator Task Tags of these lie above all task slots, and apart from those of pings.
    static let tagBase: UInt32 = 0xfffd_8000

    static func isTag(_ tag: UInt32) -> Bool { tag & 0xffff_8000 == tagBase }

    var function: Function
    var tag: UInt32
    /// Commands before it are its business.
    var cmdSN: CmdSN
    var deadline: Instant
}

/// An ORDERED command behind writes that were aborted.
struct AbortBarrier {
    var task: Int32
    var covers: [TaskReference]
}

/// What an unanswered ABORT TASK may lead to before the session is made anew.
public enum TimeoutReset: String, CaseIterable, Sendable {
    case none
    case logicalUnit = "lun"
    case target
}

extension Lane {
    /// A command that was aborted so often is answered with an error.
    private static var abortLimit: UInt8 { 5 }
    /// The longest that a write may take whose client is gone.
    private static var orphanMilliseconds: UInt64 { 60_000 }
    /// So long a barrier may take at least, and where it is given no longer than a command.
    private static var barrierMilliseconds: UInt64 { 10_000 }
    private static var longestBarrierMilliseconds: UInt64 { 600_000 }

    /// Looks for commands that are too old, on a path that is alive: silence is `PathHealth`'s business.
    mutating func checkCommandAges(_ path: Path) {
        let index = path.index
        if let management = path.management {
            guard management.deadline <= now else { return wake(at: management.deadline) }
            guard !streams[pathQueues[index].stream].send.holds(initiatorTaskTag: management.tag) else {
                // It has not even gone out: what was put in line before it takes its time.
                let deadline = now.adding(milliseconds: settings.taskManagementTimeoutMilliseconds)
                path.management?.deadline = deadline
                return wake(at: deadline)
            }
            return escalate(path, management.function, "was not answered")
        }
        if let sentAt = path.ping.sentAt, pathQueues[index].lastReceived < sentAt { return }
        let shortest = shortestPatience(path)
        var task = pathQueues[index].inFlight.first
        while task >= 0 {
            let issued = tasks[task].issuedAt
            let earliest = issued.adding(milliseconds: shortest)
            guard earliest <= now else { return wake(at: earliest) }
            let due = deadline(of: task, path)
            if due <= now { return isBarrier(task) ? barrierIsLate(task, path) : abort(task, path) }
            wake(at: due)
            task = tasks[task].next
        }
    }

    /// A target may shut its command window for a while (RFC 7143 §4.2.2.1). With nothing under way, only a
    /// new session opens one that stays shut.
    mutating func checkWindow(_ path: Path) {
        let target = targets[Int(path.target)]
        let index = path.index
        guard !sessionQueues[pathQueues[index].session].hasWindow,
            members(with: path).allSatisfy({ pathQueues[$0.index].inFlight.isEmpty }),
            !path.waiting.isEmpty || target.disks.contains(where: { !diskQueues[$0].pending.isEmpty })
        else {
            path.shutSince = nil
            return
        }
        let since = path.shutSince ?? now
        path.shutSince = since
        let end = Instant(nanoseconds: since.nanoseconds &+ target.timers.recoveryTimeout)
        guard end <= now else { return wake(at: end) }
        path.shutSince = nil
        connectionLost(path, "the target's command window stays shut", endsSession: true)
    }

    private func shortestPatience(_ path: Path) -> UInt64 {
        var shortest = UInt64.max / 2_000_000
        for disk in targets[Int(path.target)].disks {
            shortest = min(shortest, patience(disk))
            if diskQueues[disk].fenceDebts > 0 { shortest = min(shortest, Self.orphanMilliseconds) }
        }
        return shortest
    }

    /// Milliseconds.
    private func patience(_ disk: Int32) -> UInt64 {
        let timeout = disks[Int(disk)].settings.commandTimeoutMilliseconds
        return timeout == 0 ? UInt64.max / 2_000_000 : timeout
    }

    private func deadline(of task: Int32, _ path: Path) -> Instant {
        let disk = tasks[task].disk
        var patience = patience(disk)
        if isBarrier(task) && patience < Self.longestBarrierMilliseconds {
            // It waits by its nature, and what a new session could not mend is not mended by many.
            let late = members(with: path).reduce(0) { max($0, $1.lateBarriers) }
            patience = max(patience, Self.barrierMilliseconds) << min(late, 4)
        }
        // All writes of the next client wait for it.
        let isAwaited = isOrphanedWrite(task, disk)
        return tasks[task].issuedAt.adding(
            milliseconds: isAwaited ? min(patience, Self.orphanMilliseconds) : patience)
    }

    private func isBarrier(_ task: Int32) -> Bool { [.barrier, .resetBarrier].contains(tasks[task].kind) }

    /// No ABORT TASK for a barrier: tgt dies of one for a command that waits for others (seen with tgt
    /// 1.0.85). And somebody's reset may have taken it away: then only a new session helps.
    private mutating func barrierIsLate(_ task: Int32, _ path: Path) {
        path.lateBarriers &+= 1
        let milliseconds = now.nanoseconds(since: tasks[task].issuedAt) / 1_000_000
        reinstate(
            path,
            "the LUN did not finish earlier commands in \(milliseconds) ms (ORDERED TEST UNIT READY)")
    }

    private mutating func abort(_ task: Int32, _ path: Path) {
        let disk = tasks[task].disk
        tasks[task].aborts = min(tasks[task].aborts, .max - 1) + 1
        log(
            .warning,
            "\(disks[Int(disk)].name) \(path.name): \(tasks[task].kind) at LBA \(tasks[task].lba) is without "
                + "an answer after \(now.nanoseconds(since: tasks[task].issuedAt) / 1_000_000) ms: ABORT TASK"
        )
        let reference = TaskReference(slot: task, generation: tasks[task].generation)
        send(.abortTask(reference, disk: disk), path)
    }

    private mutating func send(_ function: TaskManagement.Function, _ path: Path) {
        let index = path.index
        path.managementNumber &+= 1
        let management = TaskManagement(
            function: function, tag: TaskManagement.tagBase | path.managementNumber & 0x7fff,
            cmdSN: cmdSN(path),
            deadline: now.adding(milliseconds: settings.taskManagementTimeoutMilliseconds))
        var lun = diskQueues[function.disk].lun
        var referenced = reservedTag
        var refCmdSN = CmdSN(0)
        switch function {
        case .abortTask(let task, _):
            referenced = Task.tag(slot: task.slot, generation: task.generation)
            refCmdSN = tasks[task.slot].cmdSN
        case .logicalUnitReset: break
        case .targetWarmReset: lun = 0
        }
        path.management = management
        wake(at: management.deadline)
        let request = TaskManagementRequest(
            function: function.name, lun: lun, initiatorTaskTag: management.tag,
            referencedTaskTag: referenced, cmdSN: management.cmdSN, expStatSN: pathQueues[index].expStatSN,
            refCmdSN: refCmdSN)
        sendCold(request.header, [], pathQueues[index].stream)
    }

    /// The answer to a task management function; its StatSN was counted.
    mutating func managementAnswered(_ pdu: TaskManagementResponse, _ path: Path) {
        // A late answer to a function that was given up for the next one.
        guard let management = path.management, management.tag == pdu.initiatorTaskTag else { return }
        path.management = nil
        let reached = pdu.expCmdSN < management.cmdSN ? pdu.expCmdSN : management.cmdSN
        switch (management.function, pdu.response) {
        case (.abortTask(let task, _), .taskDoesNotExist)
        where isUnderWay(task, path) && pdu.expCmdSN <= tasks[task.slot].cmdSN:
            commandIsWaiting(task.slot, path)
        case (.abortTask(let task, _), .taskDoesNotExist)
        where isUnderWay(task, path) && tasks[task.slot].kind.isWrite && path.proof == .waitsForTasks:
            // Somebody's reset may have taken it out of the task set and not have seen its end: for that only
            // a login waits.
            reinstate(path, "a write without an answer is not known to the target")
        case (.abortTask(let task, _), .functionComplete), (.abortTask(let task, _), .taskDoesNotExist):
            // Its own answer may have come before.
            if isUnderWay(task, path) { aborted(task.slot, path) }
        case (.logicalUnitReset(let disk), .functionComplete):
            resetDone(path, disk: disk, reached)
        case (.targetWarmReset, .functionComplete):
            for disk in targets[Int(path.target)].disks { resetDone(path, disk: disk, reached) }
        default: return escalate(path, management.function, "is answered: \(pdu.response)")
        }
        wake(at: now)
        pumpPending()
    }

    /// The target has not come to a command yet: it waits for lower numbers, on other connections of the
    /// session. It should know of it (RFC 7143 §11.6.1), and does not: it will answer it in its turn.
    private mutating func commandIsWaiting(_ task: Int32, _ path: Path) {
        guard tasks[task].aborts < Self.abortLimit else {
            return reinstate(path, "the target waits for commands before one that is late")
        }
        tasks[task].issuedAt = now
        pathQueues[path.index].inFlight.remove(task, tasks)
        pathQueues[path.index].inFlight.append(task, tasks)
    }

    private func isUnderWay(_ task: TaskReference, _ path: Path) -> Bool {
        tasks[task.slot].state == .inFlight && tasks[task.slot].path == path.index
            && tasks[task.slot].generation == task.generation
    }

    /// The next harsher means. `why` is what became of the last.
    mutating func escalate(_ path: Path, _ function: TaskManagement.Function, _ why: String) {
        path.management = nil
        // The command ended by itself meanwhile: nothing is wrong with it any more.
        if case .abortTask(let task, _) = function, !isUnderWay(task, path) { return }
        let disk = function.disk
        var allowed = diskQueues[disk].isInUse ? disks[Int(disk)].settings.resetOnTimeout : .none
        // A question of the lane's own is not worth everyone's tasks.
        if case .abortTask(let task, _) = function, tasks[task.slot].request < 0 { allowed = .none }
        let next: TaskManagement.Function
        switch function {
        case .abortTask where allowed != .none: next = .logicalUnitReset(disk: disk)
        case .logicalUnitReset where allowed == .target: next = .targetWarmReset(disk: disk)
        default: return connectionLost(path, "\(function.name) to the target \(why)")
        }
        log(.warning, "\(disks[Int(disk)].name) \(path.name): \(function.name) \(why): \(next.name)")
        send(next, path)
    }

    /// A reset took away all tasks of a disk that came before it, on all sessions of everyone. Here no answer
    /// to them follows; to those that wait for their turn (from `cmdSN` on) one does. On the siblings one may
    /// be on its way: a sweep tells.
    private mutating func resetDone(_ path: Path, disk: Int32, _ cmdSN: CmdSN) {
        var gone: [Int32] = []
        var task = pathQueues[path.index].inFlight.first
        while task >= 0 {
            if tasks[task].disk == disk && tasks[task].cmdSN < cmdSN { gone.append(task) }
            task = tasks[task].next
        }
        for task in gone { aborted(task, path) }
        for sibling in targets[Int(path.target)].paths
        where sibling != path.index && pathQueues[sibling].isFullFeature {
            beginSweep(paths[Int(sibling)], disk, isOwn: false)
        }
    }

    /// The target has let go of a task: no answer comes any more.
    private mutating func aborted(_ task: Int32, _ path: Path) {
        let index = path.index
        takeOff(task, index)
        pathQueues[index].counters.aborts &+= 1
        let disk = tasks[task].disk
        switch tasks[task].kind {
        // It waits by its nature; but someone's reset may have taken it away: then it would wait for ever.
        case .barrier, .resetBarrier: sendInternal(task, path)
        case .witness: witnessAborted(task, path)
        case .hedgedRead, .hedge, .discarded: if !copyIsLost(task) { again(task) }
        case .inquiry:
            internalData[task] = nil
            releaseTask(task)
            if path.probes[disk]?.task == task {
                path.probes[disk] = nil
                problem(path, disk, .notReady, "the LUN does not answer")
            }
        case .accessSetting, .reservationOrder:
            let name = commands[task].operationName
            dropInternal(task, path, wasSent: true)
            // What it owes is settled by a new session alone.
            reinstate(path, "\(name) had to be aborted")
        case _ where tasks[task].request < 0: dropInternal(task, path, wasSent: true)
        case let kind where kind.isWrite: writeWasAborted(task, path)
        default: again(task)
        }
    }

    /// A sent write was aborted, by us or, as its answer TASK ABORTED says, by a reset of somebody else. Not
    /// every target has let go of it by then: it is sent again behind a barrier.
    mutating func writeWasAborted(_ task: Int32, _ path: Path) {
        let index = path.index
        let disk = tasks[task].disk
        if isWantedByNobody(task) {
            abandonWrite(task, path)
            return reinstate(path, "a write that nobody waits for had to be aborted")
        }
        if pathQueues[index].held.isEmpty { path.fenceBegan = now }
        tasks[task].state = .held
        pathQueues[index].held.append(task, tasks)
        let reference = TaskReference(slot: task, generation: tasks[task].generation)
        // Such a target answers ABORT TASK once the command has ended, as it lets a login wait for it.
        if path.proof == .waitsForTasks || settings.skipsBarrier { return release([reference], path) }
        path.unbarred[disk, default: []].append(reference)
        beginAbortBarrier(path, disk)
    }

    /// Takes a task off its path that gets no answer there.
    mutating func takeOff(_ task: Int32, _ path: Int32) {
        pathQueues[path].inFlight.remove(task, tasks)
        if pathQueues[path].inFlight.isEmpty { pathQueues[path].busy.end(now) }
        if transfers[task].count > 0 { dropTransfers(task) }
        pathQueues[path].load.abandoned(bytes: tasks[task].byteCount)
    }

    private mutating func again(_ task: Int32) {
        guard tasks[task].aborts >= Self.abortLimit else { return sendAgain(task, first: true) }
        log(
            .error,
            "\(disks[Int(tasks[task].disk)].name): \(tasks[task].kind) at LBA \(tasks[task].lba) "
                + "was aborted \(Self.abortLimit) times and fails")
        internalData[task] = nil
        finishTask(task, error: NBDError.inputOutput.rawValue)
    }

    private mutating func beginAbortBarrier(_ path: Path, _ disk: Int32) {
        guard path.abortBarriers[disk] == nil, let waiting = path.unbarred.removeValue(forKey: disk) else {
            return
        }
        guard let barrier = issueInternal(.barrier, disk: disk, path: path) else {
            return reinstate(path, "no task is free for the barrier")
        }
        path.abortBarriers[disk] = AbortBarrier(task: barrier, covers: waiting)
    }

    mutating func abortBarrierAnswered(
        _ task: Int32, _ path: Path, _ disk: Int32, status: UInt8, sense: SenseData?
    ) {
        let verdict = classify(status: SCSIStatus(rawValue: status), sense: sense)
        if status != 0 { note(verdict.notices, path, disk) }
        switch verdict.errorClass {
        case .good:
            releaseTask(task)
            abortBarrierDone(path, disk)
        case .retry where tasks[task].attempts < 16:
            tasks[task].attempts += 1
            sendInternal(task, path)
        // The fence of a new session can take another way to the LUN.
        case .pathError:
            releaseTask(task)
            path.abortBarriers[disk] = nil
            reinstate(path, "the barrier behind ABORT TASK is answered: \(describe(status, sense))")
        default: delay(task, milliseconds: 200)
        }
    }

    /// The barrier is answered: the writes before it cannot reach the medium any more.
    private mutating func abortBarrierDone(_ path: Path, _ disk: Int32) {
        guard let barrier = path.abortBarriers.removeValue(forKey: disk) else { return }
        pathQueues[path.index].counters.fences &+= 1
        path.lateBarriers = 0
        path.lastFence = "ABORT TASK and barrier, \(barrier.covers.count) writes"
        release(barrier.covers, path)
        beginAbortBarrier(path, disk)
        leave(path)
        pumpPending()
    }

    private mutating func release(_ writes: [TaskReference], _ path: Path) {
        for write in writes
        where tasks[write.slot].state == .held && tasks[write.slot].path == path.index
            && tasks[write.slot].generation == write.generation
        {
            pathQueues[path.index].held.remove(write.slot, tasks)
            again(write.slot)
        }
    }

    /// Ends a session at the next tick, so that its successor's fence settles what is owed.
    mutating func reinstate(_ path: Path, _ reason: String) {
        path.mustReinstate = reason
        wake(at: now)
    }

    // MARK: TASK SET FULL

    /// The target holds as many commands as it can: so many are the path's depth, until it has grown again.
    mutating func lowerDepth(_ index: Int32) {
        let path = paths[Int(index)]
        pathQueues[index].depth = max(1, min(pathQueues[index].depth, pathQueues[index].inFlight.count))
        path.depthGrowsAt = now.adding(milliseconds: settings.depthGrowthMilliseconds)
        wake(at: path.depthGrowsAt ?? .never)
    }

    mutating func growDepth(_ path: Path) {
        guard let time = path.depthGrowsAt else { return }
        guard time <= now else { return wake(at: time) }
        let depth = pathQueues[path.index].depth
        pathQueues[path.index].depth = min(path.depthLimit, depth + max(1, depth / 4))
        path.depthGrowsAt = nil
        if pathQueues[path.index].depth < path.depthLimit {
            path.depthGrowsAt = now.adding(milliseconds: settings.depthGrowthMilliseconds)
            wake(at: path.depthGrowsAt ?? .never)
        }
        pumpPending()
    }
}
