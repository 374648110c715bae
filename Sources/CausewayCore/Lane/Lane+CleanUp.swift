/// The end of one connection while its session goes on: a logout for it through another one, NOP-Outs in
/// place of commands that have not reached the target, and the barrier. Where that cannot be, the session is
/// given up as a whole.
extension Lane {
    /// How a lost connection may be cleaned up while its session goes on; nil if that cannot be.
    ///
    /// - Parameter isLoggedOut: the target has ended its commands.
    func planCleanUp(_ path: Path, _ session: Session, isLoggedOut: Bool) -> ConnectionCleanUp? {
        guard session.cleanUp == nil, !owesFence(path), path.barriers.isEmpty, plugger(session) == nil
        else { return nil }
        let kept = commandsUnderWay(path)
        let recovery = isLoggedOut ? nil : recovery(of: path, session, kept)
        // Where its commands do not go on, a login alone waits for such a target's tasks.
        guard recovery != nil || session.proof != .waitsForTasks else { return nil }
        let others = members(with: path).filter { $0 !== path }
        guard others.allSatisfy({ !owesFence($0) && $0.barriers.isEmpty }) else { return nil }
        guard let via = carrier(for: path) else { return nil }
        let numbers = numbers(of: kept)
        guard streams[pathQueues[via.index].stream].send.room > numbers.count + 32 else { return nil }
        return ConnectionCleanUp(
            lost: path.index, cid: path.cid, expStatSN: pathQueues[path.index].expStatSN, via: via.index,
            began: now,
            phase: recovery.map(ConnectionCleanUp.Phase.recovering)
                ?? .loggingOut(deadline: now.adding(milliseconds: ConnectionCleanUp.milliseconds)),
            numbers: numbers, kept: recovery == nil ? [] : kept)
    }

    /// Who is to carry what a lost connection leaves to be done: an interface that takes one path away takes
    /// the others over it, too.
    private func carrier(for path: Path) -> Path? {
        let others = members(with: path).filter { $0 !== path && $0.isUp }
        let apart = others.filter { $0.specification.interface != path.specification.interface }
        return apart.first { !$0.isSuspect } ?? others.first { !$0.isSuspect } ?? apart.first ?? others.first
    }

    /// Whether a clean-up waits for a connection that is silent: for longer than TCP takes to send again, or,
    /// where TCP goes on, than a target may think.
    func isStuck(_ cleanUp: ConnectionCleanUp) -> Bool {
        let via = paths[Int(cleanUp.via)]
        guard case .fencing = cleanUp.phase, via.isSuspect, let sentAt = via.ping.sentAt,
            pathQueues[via.index].lastReceived < sentAt
        else { return false }
        let hasPeer = via.transportRead > sentAt && via.transport?.showsLivingPeer == true
        let limit =
            hasPeer
            ? targets[Int(via.target)].timers.noopTimeoutMilliseconds : ConnectionCleanUp.milliseconds
        return sentAt.adding(milliseconds: limit) <= now
    }

    /// Whether a connection that the target closes has just brought it a logout for another one, and the
    /// answer to that was the last thing that came.
    func hasCarriedLogout(_ path: Path, _ session: Session) -> Bool {
        guard let carrier = session.logoutCarrier, carrier.path == path.index,
            pathQueues[path.index].lastReceived <= carrier.time
        else { return false }
        return now.nanoseconds(since: carrier.time) < ConnectionCleanUp.mistakeNanoseconds
    }

    /// The path whose NOP-Outs in place of lost commands have not all arrived yet.
    func plugger(_ session: Session) -> Int32? {
        guard let plugged = session.plugged else { return nil }
        return sessionQueues[session.index].expCmdSN <= plugged.cmdSN ? plugged.path : nil
    }

    /// The numbers of the commands on a path that have no answer, in their order.
    func numbersUnderWay(_ path: Path) -> [CmdSN] { numbers(of: commandsUnderWay(path)) }

    func numbers(of commands: [KeptCommand]) -> [CmdSN] { commands.map { tasks[$0.reference.slot].cmdSN } }

    /// Fills what numbers of a closed connection the target has not delivered, through any other one. False
    /// if that cannot be.
    mutating func fill(_ numbers: [CmdSN], _ session: Session, besides path: Path) -> Bool {
        let missing = numbers.filter { sessionQueues[session.index].expCmdSN <= $0 }
        let others = members(with: path).filter { $0 !== path && pathQueues[$0.index].isFullFeature }
        // With its last connection goes the session.
        guard !missing.isEmpty, !others.isEmpty else { return true }
        guard plugger(session) == nil, let via = carrier(for: path) else { return false }
        return fill(missing, session, through: via)
    }

    /// The target counts a NOP-Out as it would have counted the command.
    mutating func fill(_ numbers: [CmdSN], _ session: Session, through via: Path) -> Bool {
        let stream = pathQueues[via.index].stream
        guard streams[stream].send.room > numbers.count else { return false }
        for number in numbers {
            let ping = NOPOut(
                immediate: false,
                initiatorTaskTag: ConnectionCleanUp.plugTagBase | number.value & 0x7fff, cmdSN: number,
                expStatSN: pathQueues[via.index].expStatSN)
            sendCold(ping.header, [], stream)
            session.plugged = (via.index, number)
        }
        return true
    }

    mutating func begin(_ cleanUp: ConnectionCleanUp, _ session: Session) {
        session.cleanUp = cleanUp
        if cleanUp.isRecovery { return goOnRecovering(session) }
        wake(at: now.adding(milliseconds: ConnectionCleanUp.milliseconds))
        sendLogout(for: cleanUp, .closeConnection)
    }

    mutating func sendLogout(for cleanUp: ConnectionCleanUp, _ reason: LogoutRequest.Reason) {
        let via = paths[Int(cleanUp.via)]
        let request = LogoutRequest(
            reason: reason, initiatorTaskTag: ConnectionCleanUp.tag,
            cid: cleanUp.cid, cmdSN: cmdSN(via), expStatSN: cleanUp.expStatSN)
        sendCold(request.header, [], pathQueues[cleanUp.via].stream)
    }

    /// The target has answered the logout for a lost connection: nothing that is still on its way there
    /// counts any more. Commands that it had not delivered it has discarded (RFC 7143 §11.14): NOP-Outs take
    /// their numbers, and behind them goes the barrier.
    mutating func cleanUpAnswered(_ pdu: LogoutResponse, _ session: Session) {
        guard let cleanUp = session.cleanUp, !cleanUp.isFencing else { return }
        session.logoutCarrier = (cleanUp.via, now)
        if cleanUp.isRecovery { return recoveryLogoutAnswered(pdu, session) }
        guard pdu.response == .closed || pdu.response == .cidNotFound else {
            return giveUpCleanUp(session, "the logout of the connection is answered: \(pdu.response)")
        }
        let missing = cleanUp.numbers.filter { sessionQueues[session.index].expCmdSN <= $0 }
        guard fill(missing, session, through: paths[Int(cleanUp.via)]) else {
            return giveUpCleanUp(session, "no room to send what takes the place of lost commands")
        }
        fenceLost(session)
    }

    /// What the target may still have of a lost connection it has to finish first.
    mutating func fenceLost(_ session: Session) {
        guard var cleanUp = session.cleanUp else { return }
        let (path, via) = (paths[Int(cleanUp.lost)], paths[Int(cleanUp.via)])
        cleanUp.phase = .fencing
        session.cleanUp = cleanUp
        for disk in targets[Int(path.target)].disks where owesFence(path, disk) {
            if settings.skipsBarrier {
                fenceDone(path, disk)
            } else if !sendBarrier(path, disk, through: via) {
                return giveUpCleanUp(session, "no task is free for the barrier")
            }
        }
        goOn(after: session)
    }

    private mutating func sendBarrier(_ path: Path, _ disk: Int32, through via: Path) -> Bool {
        guard let task = freeTasks.take() else { return false }
        fillTask(
            task, .barrier, request: -1, disk: disk, lba: UInt64(path.index) + 1, blocks: 0, byteCount: 0)
        tasks[task].path = via.index
        path.barriers[disk] = Barrier(task: task, via: via.index)
        sendInternal(task, via)
        return true
    }

    mutating func giveUpCleanUp(_ session: Session, _ reason: String) {
        guard let cleanUp = session.cleanUp else { return }
        connectionLost(paths[Int(cleanUp.via)], reason, endsSession: true)
    }

    /// Once every barrier is answered, the lost connection may join again.
    mutating func goOn(after session: Session) {
        guard let cleanUp = session.cleanUp, case .fencing = cleanUp.phase,
            paths[Int(cleanUp.lost)].barriers.isEmpty
        else { return }
        session.cleanUp = nil
        let path = paths[Int(cleanUp.lost)]
        if path.attempt == nil { hurry(path) }
        // There is room for another connection.
        for other in members(with: path) where other.standsBy && other.attempt == nil { hurry(other) }
    }

    /// A barrier of a clean-up is answered with something else than GOOD, or lost: a new session settles it.
    mutating func cleanUpFailed(_ path: Path, _ reason: String) -> Bool {
        guard let session = path.session, session.cleanUp?.lost == path.index else { return false }
        path.barriers = [:]
        giveUpCleanUp(session, reason)
        return true
    }

    mutating func tickSession(_ target: Target) {
        guard let session = target.session else { return }
        releaseRetired(session)
        guard let cleanUp = session.cleanUp else { return }
        if cleanUp.isRecovery { return goOnRecovering(session) }
        guard case .loggingOut(let deadline) = cleanUp.phase else { return }
        guard deadline <= now else { return wake(at: deadline) }
        giveUpCleanUp(session, "the logout of another connection was not answered")
    }
}
