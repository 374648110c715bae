/// Sessions of ErrorRecoveryLevel 2: the writes of a lost connection go on over another one of its session
/// (RFC 7143 §7.1.4.3, §7.2.2). What is asked of whom, and when, `ConnectionRecovery` knows.
///
/// What only reads, and a FLUSH, is sent anew at once, as at level 0: there is nothing to wait for. The
/// target may know the old command for as long as it retains it, so that the slot, which is the command's
/// tag, is not free before that.
///
/// A sent write stays among the `held` ones of its path until the target goes on with it, so that a recovery
/// that fails leaves what any other loss leaves: a fence that is owed. What a reassigned write ends with is
/// believed if it is an error, and no more than that its old copy is over if it is GOOD: LIO drops the status
/// of a command that ends while its connection is being recovered, and then answers GOOD. So it is written
/// once more, over whatever path is best.
extension Lane {
    /// How long a send queue without room is waited for.
    private static var roomMilliseconds: UInt64 { 1 }
    /// Of LIO's 64 commands, so many may be lost to the window.
    private static var leftBehindLimit: Int { 16 }

    // MARK: Beginning

    /// How the commands under way on a path may go on over another; nil if one of them cannot, or if all
    /// would have to wait for too long.
    func recovery(of path: Path, _ session: Session, _ kept: [KeptCommand]) -> ConnectionRecovery? {
        guard let standing = session.standing, standing.errorRecoveryLevel == 2,
            standing.defaultTime2Retain > 0, !session.recoveryIsRefused, !settings.skipsFence,
            standing.defaultTime2Wait <= ConnectionRecovery.longestWaitSeconds,
            mayLeaveBehind(kept.count { !$0.goesOn }, session),
            kept.allSatisfy({ mayGoOn($0.reference.slot) })
        else { return nil }
        return ConnectionRecovery(
            numbers: numbers(of: kept), goesOn: kept.map(\.goesOn),
            time2Wait: standing.defaultTime2Wait, time2Retain: standing.defaultTime2Retain, now: now)
    }

    /// Whether there are slots for so many that are sent anew. LIO forgets what was left behind with the
    /// session alone, and as long as it remembers does not open its window again for it.
    private func mayLeaveBehind(_ count: Int, _ session: Session) -> Bool {
        let spared = max(settings.taskCapacity / 2, settings.reservedTasks)
        guard freeTasks.count > spared + count else { return false }
        return session.proof != .waitsForTasks || session.leftBehind + count <= Self.leftBehindLimit
    }

    private func mayGoOn(_ task: Int32) -> Bool {
        switch tasks[task].kind {
        case .write, .unmap, .writeSame: !isWantedByNobody(task)
        case .read, .hedgedRead, .hedge, .discarded, .synchronizeCache, .getLBAStatus, .inquiry, .signOfLife,
            .accessReport, .inventory, .reservationReport:
            true
        // They concern more than themselves.
        case .barrier, .witness, .resetBarrier, .accessSetting, .reservationOrder: false
        }
    }

    /// The commands under way on a path, in the order of their numbers.
    func commandsUnderWay(_ path: Path) -> [KeptCommand] {
        var commands: [KeptCommand] = []
        var task = pathQueues[path.index].inFlight.first
        while task >= 0 {
            commands.append(
                KeptCommand(
                    reference: TaskReference(slot: task, generation: tasks[task].generation),
                    lun: diskQueues[tasks[task].disk].lun, goesOn: tasks[task].kind.isWrite))
            task = tasks[task].next
        }
        return commands.sorted { tasks[$0.reference.slot].cmdSN < tasks[$1.reference.slot].cmdSN }
    }

    /// Takes a command off a lost path. Returns what is to be sent elsewhere at once: the task itself, or a
    /// new one in its place.
    mutating func keep(_ task: Int32, _ path: Path, wasSent: Bool) -> Int32? {
        switch tasks[task].kind {
        case .hedgedRead, .hedge, .discarded:
            if copyIsLost(task, staysKnown: wasSent) { return nil }
        case _ where tasks[task].request < 0:
            dropInternal(task, path, wasSent: wasSent, staysKnown: wasSent)
            return nil
        case let kind where kind.isWrite && wasSent:
            tasks[task].state = .held
            pathQueues[path.index].held.append(task, tasks)
            return nil
        default: break
        }
        return wasSent ? replace(task) : task
    }

    /// A new task for the request of one whose tag is not free yet.
    private mutating func replace(_ task: Int32) -> Int32 {
        // `mayLeaveBehind` has seen that there are enough.
        guard let other = freeTasks.take() else { return task }
        let generation = tasks[other].generation
        tasks[other] = tasks[task]
        tasks[other].generation = generation
        internalData[task] = nil
        becomeDiscarded(task)
        return other
    }

    /// It is as it was when its connection was lost.
    private func isKept(_ command: KeptCommand, _ lost: Int32) -> Bool {
        let slot = command.reference.slot
        return tasks[slot].state == .held && tasks[slot].path == lost
            && tasks[slot].generation == command.reference.generation
    }

    // MARK: Going on

    mutating func recoveryLogoutAnswered(_ pdu: LogoutResponse, _ session: Session) {
        let (expCmdSN, now) = (sessionQueues[session.index].expCmdSN, now)
        session.withRecovery { $0.logoutAnswered(pdu, expCmdSN: expCmdSN, now: now) }
        goOnRecovering(session)
    }

    /// Does what is to be done now.
    mutating func goOnRecovering(_ session: Session) {
        while let cleanUp = session.cleanUp, case .recovering(let recovery) = cleanUp.phase {
            let via = paths[Int(cleanUp.via)]
            guard pathQueues[via.index].isFullFeature, !hasLoggedOut(via) else {
                // Of a session that ends nothing goes on.
                if areLeaving(session, besides: via) { return abandonCleanUp(session) }
                return giveUpCleanUp(session, "the connection that takes over the commands of another ends")
            }
            // A few entries stay free for the answers to what comes meanwhile.
            guard streams[pathQueues[via.index].stream].send.room > 8 else {
                return wake(at: now.adding(milliseconds: Self.roomMilliseconds))
            }
            let now = now
            switch session.withRecovery({ $0.next(now: now) }) {
            case nil: return
            case .wait(let until): return wake(at: until)
            case .logOut: sendLogout(for: cleanUp, .removeConnectionForRecovery)
            case .deliver(let index):
                guard deliver(cleanUp.kept[index], recovery.numbers[index], session) else {
                    return giveUpCleanUp(session, "no room to send lost commands once more")
                }
            case .reassign(let index):
                guard askToReassign(index, cleanUp) else {
                    return giveUpCleanUp(session, "a command was given up that the target still has")
                }
            case .finish: return recovered(session)
            case .fail(let failure):
                if failure.isForGood { session.recoveryIsRefused = true }
                return giveUpCleanUp(session, "\(failure)")
            }
        }
    }

    /// The number of a command that the target does not have: a write goes out once more; a NOP-Out takes the
    /// place of what went elsewhere.
    private mutating func deliver(_ command: KeptCommand, _ number: CmdSN, _ session: Session) -> Bool {
        guard let cleanUp = session.cleanUp else { return false }
        let task = command.reference.slot
        let (lost, via) = (cleanUp.lost, cleanUp.via)
        guard isKept(command, lost), command.goesOn else {
            if isKept(command, lost) { releaseTask(task) }
            return fill([number], session, through: paths[Int(via)])
        }
        pathQueues[lost].held.remove(task, tasks)
        if isHopeless(task, tasks[task].disk) {
            finishTask(task, error: NBDError.inputOutput.rawValue)
            return fill([number], session, through: paths[Int(via)])
        }
        session.cleanUp?.delivered += 1
        issueAgain(task, on: via)
        return true
    }

    private mutating func askToReassign(_ index: Int, _ cleanUp: ConnectionCleanUp) -> Bool {
        let command = cleanUp.kept[index]
        guard isKept(command, cleanUp.lost) else { return false }
        let task = command.reference.slot
        let via = paths[Int(cleanUp.via)]
        let request = TaskManagementRequest(
            function: .taskReassign,
            // Reserved by RFC 7143 §11.5.3, and compared by LIO.
            lun: command.lun,
            initiatorTaskTag: KeptCommand.tagBase | UInt32(index) & 0x7fff,
            referencedTaskTag: Task.tag(slot: task, generation: tasks[task].generation),
            cmdSN: cmdSN(via), expStatSN: pathQueues[via.index].expStatSN,
            // The R2Ts that have come need not come again (RFC 7143 §11.5.6).
            expDataSN: tasks[task].nextDataSN)
        sendCold(request.header, [], pathQueues[via.index].stream)
        return true
    }

    /// The answer to a TASK REASSIGN; its StatSN was counted.
    mutating func reassignmentAnswered(_ pdu: TaskManagementResponse, _ path: Path) {
        guard let session = path.session, let cleanUp = session.cleanUp, cleanUp.isRecovery,
            cleanUp.via == path.index
        else { return }
        let (index, now) = (Int(pdu.initiatorTaskTag & 0x7fff), now)
        // What the target never had, or has forgotten, stays held, for a fence.
        if session.withRecovery({ $0.answered(index, pdu.response, now: now) }) == .reassigned {
            guard isKept(cleanUp.kept[index], cleanUp.lost) else {
                return giveUpCleanUp(session, "a command was given up that the target goes on with")
            }
            goOn(cleanUp.kept[index].reference.slot, session)
        }
        goOnRecovering(session)
        pumpPending()
    }

    /// The target goes on with a write here.
    private mutating func goOn(_ task: Int32, _ session: Session) {
        guard let cleanUp = session.cleanUp else { return }
        pathQueues[cleanUp.lost].held.remove(task, tasks)
        session.cleanUp?.reassigned += 1
        pathQueues[cleanUp.lost].counters.reassigned &+= 1
        tasks[task].reassignedAs = UInt32(tasks[task].generation)
        carry(task, cleanUp.via)
    }

    /// Whether a task is where it is by TASK REASSIGN.
    @inline(__always)
    func isReassigned(_ task: Int32) -> Bool {
        tasks[task].reassignedAs == UInt32(tasks[task].generation)
    }

    mutating func reassignmentRejected(
        _ path: Path, _ tag: UInt32, _ reason: Reject.Reason, _ complaint: ProtocolViolation
    ) {
        guard let session = path.session, session.cleanUp?.isRecovery == true else { return }
        // It takes fewer immediate commands at a time than were sent.
        if reason.mayResend {
            let now = now
            session.withRecovery { $0.rejected(Int(tag & 0x7fff), now: now) }
            return goOnRecovering(session)
        }
        session.recoveryIsRefused = true
        giveUpCleanUp(session, "\(complaint)")
    }

    // MARK: Ending

    /// Each write goes on, or its fate is unknown. For these there is the fence.
    private mutating func recovered(_ session: Session) {
        guard let cleanUp = session.cleanUp, case .recovering(let recovery) = cleanUp.phase else { return }
        let path = paths[Int(cleanUp.lost)]
        let took = now.nanoseconds(since: cleanUp.began) / 1_000_000
        let owes = owesFence(path)
        if owes && session.proof == .waitsForTasks {
            return giveUpCleanUp(session, "the target does not know a write of a lost connection")
        }
        log(
            .warning,
            "\(label(path)): connection recovered through \(paths[Int(cleanUp.via)].name) after \(took) ms: "
                + "\(cleanUp.reassigned) commands reassigned, \(cleanUp.delivered) sent once more under "
                + "their numbers" + (owes ? "; the fate of others is unknown" : ""))
        path.loss = nil
        if owes {
            pathQueues[path.index].counters.heldWrites &+= UInt64(pathQueues[path.index].held.count)
        } else {
            path.fenceBegan = nil
            path.lastFence =
                "none needed, the target went on with \(cleanUp.reassigned) commands after \(took) ms"
        }
        for slot in leftBehind(cleanUp) {
            session.retired.append((slot, recovery.forgottenAt))
            session.leftBehind += 1
        }
        releaseRetired(session)
        fenceLost(session)
    }

    /// Ends a clean-up that its session does not need any more.
    mutating func abandonCleanUp(_ session: Session) {
        if let cleanUp = session.cleanUp {
            paths[Int(cleanUp.lost)].barriers = [:]
            letGo(of: cleanUp)
        }
        session.cleanUp = nil
    }

    /// The slots of what was sent anew, and whose tags the target may still know.
    private func leftBehind(_ cleanUp: ConnectionCleanUp) -> [Int32] {
        cleanUp.kept.filter { isKept($0, cleanUp.lost) && !$0.goesOn }.map(\.reference.slot)
    }

    /// A clean-up is over before it has come to its end: the writes that it kept wait for a fence.
    private mutating func letGo(of cleanUp: ConnectionCleanUp) {
        guard case .recovering = cleanUp.phase else { return }
        for slot in leftBehind(cleanUp) { releaseTask(slot) }
        let lost = cleanUp.lost
        pathQueues[lost].counters.heldWrites &+= UInt64(pathQueues[lost].held.count)
        if pathQueues[lost].held.isEmpty && paths[Int(lost)].debts.isEmpty {
            paths[Int(lost)].fenceBegan = nil
        }
    }

    /// Tags that the target has forgotten: all of them with the session.
    mutating func releaseRetired(_ session: Session) {
        guard !session.retired.isEmpty else { return }
        let limit: Instant = session.standing == nil ? .never : now
        for retired in session.retired where retired.until <= limit { releaseTask(retired.slot) }
        session.retired.removeAll { $0.until <= limit }
        if let next = session.retired.map(\.until).min() { wake(at: next) }
    }

    // MARK: Data

    /// A target at ErrorRecoveryLevel 1 or 2 asks that Data-In be acknowledged (RFC 7143 §11.16.2), so that
    /// it need not keep it.
    @inline(never)
    mutating func acknowledgeData(_ task: Int32, _ pdu: SCSIDataIn, _ path: Int32, _ stream: Int32) {
        guard let level = paths[Int(path)].session?.standing?.errorRecoveryLevel, level > 0 else { return }
        let snack = SNACKRequest(
            kind: .dataAck, lun: pdu.lun, initiatorTaskTag: reservedTag,
            targetTransferTag: pdu.targetTransferTag, expStatSN: pathQueues[path].expStatSN,
            begRun: tasks[task].nextDataSN, runLength: 0)
        sendCold(snack.header, [], stream)
    }

    /// An R2T with another number than the next: the first one after a reassignment may have any; one that
    /// has come before is to be thrown away (RFC 7143 §7.9).
    @inline(never)
    mutating func isRepeated(_ task: Int32, _ pdu: ReadyToTransfer, _ path: Int32) -> Bool {
        if isReassigned(task) && tasks[task].asked == 0 {
            tasks[task].nextDataSN = pdu.r2tSN
            return false
        }
        let level = paths[Int(path)].session?.standing?.errorRecoveryLevel ?? 0
        return level > 0 && pdu.r2tSN < tasks[task].nextDataSN
    }
}
