/// Sessions of ErrorRecoveryLevel 2: the commands of a lost connection go on over another one of its session
/// (RFC 7143 §7.1.4.3, §7.2.2). What is asked of whom, and when, `ConnectionRecovery` knows.
///
/// Until its fate is certain, a sent write stays among the `held` ones of its path, so that a recovery that
/// fails leaves what any other loss leaves: a fence that is owed.
extension Lane {
    /// How long a send queue without room is waited for.
    private static var roomMilliseconds: UInt64 { 1 }
    /// With a longer DefaultTime2Wait (seconds), commands are not kept waiting for it: level 0 is faster.
    private static var longestWaitSeconds: Int { 5 }

    // MARK: Beginning

    /// How the commands under way on a path may go on over another; nil if one of them cannot, or if all
    /// would have to wait for too long.
    func recovery(of path: Path, _ session: Session) -> ConnectionRecovery? {
        guard let standing = session.standing, standing.errorRecoveryLevel == 2,
            standing.defaultTime2Retain > 0, !session.recoveryIsRefused, !settings.skipsFence,
            standing.defaultTime2Wait <= Self.longestWaitSeconds
        else { return nil }
        var task = pathQueues[path.index].inFlight.first
        while task >= 0 {
            guard mayGoOn(task) else { return nil }
            task = tasks[task].next
        }
        return ConnectionRecovery(
            numbers: numbersUnderWay(path), time2Wait: standing.defaultTime2Wait,
            time2Retain: standing.defaultTime2Retain, now: now)
    }

    private func mayGoOn(_ task: Int32) -> Bool {
        switch tasks[task].kind {
        case .read, .hedgedRead, .discarded, .synchronizeCache, .getLBAStatus: true
        // On its own it becomes a plain read, which has its data elsewhere.
        case .hedge: !isAcknowledged(task)
        case .write, .unmap, .writeSame: !isWantedByNobody(task)
        case .inquiry, .signOfLife, .accessReport, .inventory, .reservationReport: true
        // They concern more than themselves.
        case .barrier, .witness, .resetBarrier, .accessSetting, .reservationOrder: false
        }
    }

    /// The commands under way on a path, in the order of their numbers.
    func commandsToKeep(_ path: Path) -> [KeptCommand] {
        var kept: [KeptCommand] = []
        var task = pathQueues[path.index].inFlight.first
        while task >= 0 {
            let reference = TaskReference(slot: task, generation: tasks[task].generation)
            let lun = tasks[task].kind == .inventory ? 0 : diskQueues[tasks[task].disk].lun
            kept.append(KeptCommand(reference: reference, lun: lun))
            task = tasks[task].next
        }
        return kept.sorted { tasks[$0.reference.slot].cmdSN < tasks[$1.reference.slot].cmdSN }
    }

    /// Takes a command off a lost path and holds it. What nobody waits for keeps its slot nevertheless: its
    /// tag is not free while the target has it.
    mutating func keep(_ task: Int32, _ path: Path, wasSent: Bool) {
        switch tasks[task].kind {
        case .hedgedRead, .hedge, .discarded:
            if copyIsLost(task, staysKnown: wasSent) { return }
        case _ where tasks[task].request < 0:
            return dropInternal(task, path, wasSent: wasSent, staysKnown: wasSent)
        default: break
        }
        tasks[task].state = .held
        pathQueues[path.index].held.append(task, tasks)
    }

    /// It is as it was when its connection was lost.
    private func isKept(_ command: KeptCommand, _ lost: Int32) -> Bool {
        let slot = command.reference.slot
        return tasks[slot].state == .held && tasks[slot].path == lost
            && tasks[slot].generation == command.reference.generation
    }

    // MARK: Going on

    mutating func recoveryLogoutAnswered(_ pdu: LogoutResponse, _ session: Session) {
        guard var cleanUp = session.cleanUp, case .recovering(var recovery) = cleanUp.phase else { return }
        recovery.logoutAnswered(pdu, expCmdSN: sessionQueues[session.index].expCmdSN, now: now)
        cleanUp.phase = .recovering(recovery)
        session.cleanUp = cleanUp
        goOnRecovering(session)
    }

    /// Does what is to be done now.
    mutating func goOnRecovering(_ session: Session) {
        while var cleanUp = session.cleanUp, case .recovering(var recovery) = cleanUp.phase {
            let via = paths[Int(cleanUp.via)]
            guard !hasLoggedOut(via) else {
                return giveUpCleanUp(session, "the connection that takes over the commands of another ends")
            }
            // A few entries stay free for the answers to what comes meanwhile.
            guard streams[pathQueues[via.index].stream].send.room > 8 else {
                return wake(at: now.adding(milliseconds: Self.roomMilliseconds))
            }
            let step = recovery.next(now: now)
            cleanUp.phase = .recovering(recovery)
            session.cleanUp = cleanUp
            switch step {
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

    /// The number of a command that the target does not have: the command goes out once more, or, where
    /// nobody waits for it any more, a NOP-Out in its place.
    private mutating func deliver(_ command: KeptCommand, _ number: CmdSN, _ session: Session) -> Bool {
        guard let cleanUp = session.cleanUp else { return false }
        let task = command.reference.slot
        let (lost, via) = (cleanUp.lost, cleanUp.via)
        guard isKept(command, lost), tasks[task].kind != .discarded else {
            if isKept(command, lost) { releaseTask(task) }
            return fill([number], session, through: paths[Int(via)])
        }
        pathQueues[lost].held.remove(task, tasks)
        if internalData[task] != nil { internalData[task] = [] }
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
            expDataSN: expDataSN(task))
        sendCold(request.header, [], pathQueues[via.index].stream)
        return true
    }

    /// What the target need not send again: R2Ts that have come, and Data-In that was acknowledged; other
    /// Data-In is thrown away (RFC 7143 §7.2.2, §11.5.6).
    private func expDataSN(_ task: Int32) -> UInt32 {
        if unsafe tasks[task].data != nil { return tasks[task].nextDataSN }
        return isAcknowledged(task) ? tasks[task].acknowledgedDataSN : 0
    }

    private func isAcknowledged(_ task: Int32) -> Bool {
        tasks[task].acknowledgedAs == UInt32(tasks[task].generation)
    }

    /// The answer to a TASK REASSIGN; its StatSN was counted.
    mutating func reassignmentAnswered(_ pdu: TaskManagementResponse, _ path: Path) {
        guard let session = path.session, var cleanUp = session.cleanUp, cleanUp.via == path.index,
            case .recovering(var recovery) = cleanUp.phase
        else { return }
        let index = Int(pdu.initiatorTaskTag & 0x7fff)
        let answer = recovery.answered(index, pdu.response, now: now)
        cleanUp.phase = .recovering(recovery)
        session.cleanUp = cleanUp
        switch answer {
        case .reassigned:
            guard isKept(cleanUp.kept[index], cleanUp.lost) else {
                return giveUpCleanUp(session, "a command was given up that the target goes on with")
            }
            goOn(cleanUp.kept[index].reference.slot, session)
        case .unknown:
            if isKept(cleanUp.kept[index], cleanUp.lost) {
                isUnknown(cleanUp.kept[index].reference.slot, cleanUp.lost)
            }
        case .denied, .refused, nil: break
        }
        goOnRecovering(session)
        pumpPending()
    }

    /// The target goes on with a command here: data that was not acknowledged comes once more.
    private mutating func goOn(_ task: Int32, _ session: Session) {
        guard let cleanUp = session.cleanUp else { return }
        if tasks[task].kind != .discarded { pathQueues[cleanUp.lost].held.remove(task, tasks) }
        session.cleanUp?.reassigned += 1
        pathQueues[cleanUp.lost].counters.reassigned &+= 1
        tasks[task].reassignedAs = UInt32(tasks[task].generation)
        if unsafe tasks[task].data == nil {
            let bytes = isAcknowledged(task) ? tasks[task].acknowledgedBytes : 0
            tasks[task].nextDataSN = isAcknowledged(task) ? tasks[task].acknowledgedDataSN : 0
            rewind(task, to: bytes)
        }
        carry(task, cleanUp.via)
    }

    private mutating func rewind(_ task: Int32, to bytes: Int32) {
        tasks[task].received = bytes
        if let count = internalData[task]?.count, count > Int(bytes) {
            internalData[task]?.removeLast(count - Int(bytes))
        }
    }

    /// The target has no such command: it never had it, or has forgotten it. A write stays held, for a fence.
    private mutating func isUnknown(_ task: Int32, _ lost: Int32) {
        if tasks[task].kind == .discarded { return releaseTask(task) }
        guard !tasks[task].kind.isWrite else { return }
        pathQueues[lost].held.remove(task, tasks)
        sendAgain(task, first: true)
    }

    mutating func reassignmentRejected(_ session: Session, _ reason: String) {
        guard let cleanUp = session.cleanUp, case .recovering = cleanUp.phase else { return }
        session.recoveryIsRefused = true
        giveUpCleanUp(session, reason)
    }

    // MARK: Ending

    /// Each command goes on, or its fate is unknown. For these there is the fence.
    private mutating func recovered(_ session: Session) {
        guard let cleanUp = session.cleanUp else { return }
        let path = paths[Int(cleanUp.lost)]
        let took = now.nanoseconds(since: cleanUp.began) / 1_000_000
        log(
            .warning,
            "\(label(path)): connection recovered through \(paths[Int(cleanUp.via)].name) after \(took) ms: "
                + "\(cleanUp.reassigned) commands reassigned, \(cleanUp.delivered) sent once more under "
                + "their numbers" + (owesFence(path) ? "; the fate of others is unknown" : ""))
        path.loss = nil
        if !owesFence(path) {
            path.fenceBegan = nil
            path.lastFence =
                "none needed, the target went on with \(cleanUp.reassigned) commands after \(took) ms"
        } else if session.proof == .waitsForTasks {
            return giveUpCleanUp(session, "the target does not know a write of a lost connection")
        }
        fenceLost(session)
    }

    /// A clean-up is over before it has come to its end. What it kept goes the way of other losses.
    mutating func letGo(of cleanUp: ConnectionCleanUp) {
        guard case .recovering = cleanUp.phase else { return }
        for command in cleanUp.kept
        where isKept(command, cleanUp.lost) && tasks[command.reference.slot].kind == .discarded {
            releaseTask(command.reference.slot)
        }
        let lost = cleanUp.lost
        var task = pathQueues[lost].held.first
        while task >= 0 {
            let next = tasks[task].next
            if tasks[task].kind.isWrite {
                pathQueues[lost].counters.heldWrites &+= 1
            } else {
                pathQueues[lost].held.remove(task, tasks)
                sendAgain(task, first: true)
            }
            task = next
        }
        if pathQueues[lost].held.isEmpty && paths[Int(lost)].debts.isEmpty {
            paths[Int(lost)].fenceBegan = nil
        }
    }

    // MARK: Data

    /// A target at ErrorRecoveryLevel 1 or 2 asks that Data-In be acknowledged (RFC 7143 §11.16.2), which it
    /// then need not send again.
    @inline(never)
    mutating func acknowledgeData(_ task: Int32, _ pdu: SCSIDataIn, _ path: Int32, _ stream: Int32) {
        guard let level = paths[Int(path)].session?.standing?.errorRecoveryLevel, level > 0 else { return }
        tasks[task].acknowledgedAs = UInt32(tasks[task].generation)
        tasks[task].acknowledgedDataSN = tasks[task].nextDataSN
        tasks[task].acknowledgedBytes = tasks[task].received
        let snack = SNACKRequest(
            kind: .dataAck, lun: pdu.lun, initiatorTaskTag: reservedTag,
            targetTransferTag: pdu.targetTransferTag, expStatSN: pathQueues[path].expStatSN,
            begRun: tasks[task].nextDataSN, runLength: 0)
        sendCold(snack.header, [], stream)
    }

    /// After a reassignment a target may choose to send all data from the first byte on (RFC 7143 §7.2.2).
    @inline(never)
    mutating func beginsAnew(_ task: Int32, _ pdu: SCSIDataIn) {
        guard tasks[task].reassignedAs == UInt32(tasks[task].generation), pdu.dataSN == 0 else { return }
        tasks[task].reassignedAs = .max
        tasks[task].nextDataSN = 0
        rewind(task, to: 0)
    }

    /// An R2T with another number than the next: the first one after a reassignment may have any; one that
    /// has come before is to be thrown away (RFC 7143 §7.9).
    @inline(never)
    mutating func isRepeated(_ task: Int32, _ pdu: ReadyToTransfer, _ path: Int32) -> Bool {
        if tasks[task].reassignedAs == UInt32(tasks[task].generation) && tasks[task].asked == 0 {
            tasks[task].nextDataSN = pdu.r2tSN
            return false
        }
        let level = paths[Int(path)].session?.standing?.errorRecoveryLevel ?? 0
        return level > 0 && pdu.r2tSN < tasks[task].nextDataSN
    }
}
