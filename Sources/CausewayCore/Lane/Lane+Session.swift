/// Sessions with several connections (RFC 7143 §4.2.2, §6.3): who leads the login, who joins, and what the
/// loss of a connection means for the others.
///
///     none ── one path leads (TSIH 0; the ISID of the session before: its fence) ──► standing
///     standing: the others join with its TSIH ── lost ──► none
///
/// A connection that is lost is logged out through another one, and what the target may have missed of its
/// command numbers is filled; then it joins anew. Where that cannot be, the session as a whole is given up
/// and reinstated.
extension Lane {
    /// How long a path waits for another's leading login before it looks again.
    private static var leaderMilliseconds: UInt64 { 50 }
    /// How long a path stands by that the target did not let join.
    private static var standByMilliseconds: UInt64 { 30_000 }

    /// The paths that share a path's session; the path alone where each has its own.
    func members(with path: Path) -> [Path] {
        guard let session = path.session else { return [path] }
        return targets[Int(path.target)].paths.map { paths[Int($0)] }.filter { $0.session === session }
    }

    /// The number that the next command of a path's session bears.
    func cmdSN(_ path: Path) -> CmdSN { sessionQueues[pathQueues[path.index].session].cmdSN }

    /// Whether a disk's earlier writes over the session of a path may still reach the medium.
    func sessionOwesFence(_ path: Path, _ disk: Int32) -> Bool {
        members(with: path).contains { owesFence($0, disk) }
    }

    func sessionOwesFence(_ path: Path) -> Bool {
        members(with: path).contains { owesFence($0) || !$0.unfenced.isEmpty }
    }

    /// Whether a path's session carries no new I/O of a disk before a barrier is answered.
    func isFencing(_ path: Path, _ disk: Int32) -> Bool {
        if path.barriers[disk] != nil { return true }
        guard let session = path.session else { return false }
        return members(with: path).contains {
            $0.barriers[disk] != nil && session.cleanUp?.lost != $0.index
        }
    }

    /// A path that is added to a session. Once that has stood, what a predecessor left is others' to owe.
    func join(_ session: Session, _ path: Path) {
        path.session = session
        session.recordNumber = max(session.recordNumber, path.specification.recordNumber)
        if session.hasStood {
            path.unfenced = []
        } else {
            session.portalGroupTag = session.portalGroupTag ?? path.portalGroupTag
        }
    }

    /// The connection of a path's session to ask after `current`, each once: they are one I_T nexus.
    func connection(after current: Int32, _ path: Path) -> Int32? {
        let others = members(with: path).filter { $0.isUp && $0 !== path }.map(\.index)
        guard current != path.index else { return others.first }
        guard let at = others.firstIndex(of: current), at + 1 < others.count else { return nil }
        return others[at + 1]
    }

    /// What would be sent behind the logout of one connection of several would leave a gap in the numbers of
    /// all.
    func hasLoggedOut(_ path: Path) -> Bool {
        guard path.session != nil else { return false }
        return switch path.state {
        case .loggingOut: true
        case .leaving(let departure): departure.hasLoggedOut
        case .down, .draining, .up, .standIn, .removed: false
        }
    }

    // MARK: Login

    /// Another path whose login is to begin the session.
    private func isLed(_ session: Session, besides path: Path) -> Bool {
        members(with: path).contains { $0 !== path && $0.attempt?.leads == true }
    }

    /// Whether a path of a session with several connections may connect now; if not, it looks again.
    mutating func mayConnect(_ path: Path) -> Bool {
        guard let session = path.session else { return true }
        path.standsBy = false
        if isLed(session, besides: path) || session.cleanUp != nil {
            path.retryAt = now.adding(milliseconds: Self.leaderMilliseconds)
            wake(at: path.retryAt ?? .never)
            return false
        }
        guard isFull(session, besides: path), let limit = session.standing?.maxConnections else {
            return true
        }
        standBy(
            path,
            "stands by: the target allows a session \(limit) connection\(limit == 1 ? "" : "s") "
                + "(MaxConnections)")
        return false
    }

    private mutating func standBy(_ path: Path, _ reason: String) {
        let isNews = path.problem?.text != reason
        path.standsBy = true
        path.wasTried = true
        path.problem = PathProblem(
            kind: .unreachable, interface: path.specification.interface, portal: path.specification.portal,
            text: reason)
        path.retryAt = now.adding(milliseconds: Self.standByMilliseconds)
        wake(at: path.retryAt ?? .never)
        if isNews { log(.information, "\(targets[Int(path.target)].name) \(path.name): \(reason)") }
        tellProblems(path.target)
    }

    /// The connection of a path stands: it leads the login, or joins. False if another leads just now.
    mutating func takesPart(_ path: Path, _ attempt: inout Path.Attempt) -> Bool {
        guard let session = path.session else { return true }
        attempt.leads = session.standing == nil
        // That of a lost connection is still to be logged out.
        if session.cleanUp?.lost != path.index {
            session.cid &+= 1
            path.cid = session.cid
        }
        let mustWait = attempt.leads ? isLed(session, besides: path) : session.cleanUp != nil
        guard mustWait || isFull(session, besides: path) else { return true }
        closeStream(attempt.stream)
        path.attempt = nil
        path.retryAt = now.adding(milliseconds: Self.leaderMilliseconds)
        wake(at: path.retryAt ?? .never)
        return false
    }

    /// Whether the target allows a session no further connection.
    private func isFull(_ session: Session, besides path: Path) -> Bool {
        guard let standing = session.standing else { return false }
        let count = members(with: path).count {
            $0 !== path && (pathQueues[$0.index].isFullFeature || isJoining($0))
        }
        return count >= standing.maxConnections
    }

    private func isJoining(_ path: Path) -> Bool {
        if case .loggingIn = path.attempt?.phase { true } else { false }
    }

    /// What a login of a path is made with.
    func loginOptions(_ path: Path) -> LoginOptions {
        let target = targets[Int(path.target)]
        var options = LoginOptions(
            initiatorName: path.specification.initiatorName ?? target.initiatorName,
            targetName: target.name, isid: path.specification.isid)
        options.wanted = wantedParameters(target)
        options.initiatorAlias = settings.initiatorAlias
        let authentication =
            target.offersMD5Alone ? target.authentication.withMD5Alone : target.authentication
        options.authentication = authentication.knowing(target.challenges)
        guard let session = path.session else { return options }
        options.cid = path.cid
        guard let standing = session.standing else { return options }
        options.tsih = standing.tsih
        options.session = standing
        options.cmdSN = sessionQueues[session.index].cmdSN
        return options
    }

    /// A login is done. Why it does not count; nil if it does.
    mutating func takeSession(
        _ path: Path, _ attempt: Path.Attempt, _ parameters: NegotiatedParameters
    ) -> String? {
        let tag = parameters.targetPortalGroupTag
        guard let session = path.session else {
            let endsEarlier = attempt.isForeign || owesFence(path) || !path.unfenced.isEmpty
            return endsEarlier ? noFence(path.portalGroupTag, tag) : nil
        }
        if attempt.leads {
            if sessionOwesFence(path), let reason = noFence(session.portalGroupTag, tag) { return reason }
            session.standing = parameters
            session.hasStood = true
            session.began = now
            session.portalGroupTag = tag
            session.plugged = nil
            session.proof = proof(of: attempt, target: path.target)
            sessionQueues[session.index].begin(parameters)
            for member in members(with: path) where member.attempt == nil && member !== path {
                if member.retryAt != nil || member.standsBy { hurry(member) }
            }
            return nil
        }
        guard session.standing?.tsih == parameters.tsih else {
            return "the session ended before it was joined"
        }
        guard tag == nil || session.portalGroupTag == nil || tag == session.portalGroupTag else {
            return "portal group \(tag.map { "\($0)" } ?? "") cannot join a session of another"
        }
        sessionQueues[session.index].updateWindow(
            expCmdSN: parameters.expCmdSN, maxCmdSN: parameters.maxCmdSN)
        return nil
    }

    /// Why a login in a portal group is no fence for a session that was made in another.
    private func noFence(_ earlier: UInt16?, _ tag: UInt16?) -> String? {
        guard let earlier, earlier != tag else { return nil }
        return "portal group \(tag.map { "\($0)" } ?? "unknown") answered, the lost session was in "
            + "\(earlier): no fence"
    }

    /// A path need not wait any longer for others.
    private mutating func hurry(_ path: Path) {
        guard path.stateIsDown, path.intent == .inUse || owesFence(path) else { return }
        path.retryAt = now
        wake(at: now)
    }

    /// The target has refused that a connection joins its session. False if that is a failure like others.
    mutating func isRefusedToJoin(_ path: Path, _ error: LoginError) -> Bool {
        guard path.session != nil, let attempt = path.attempt, !attempt.leads,
            case .refused(let status) = error,
            status == .tooManyConnections || status == .cannotIncludeInSession
        else { return false }
        closeStream(attempt.stream)
        path.attempt = nil
        standBy(path, "stands by: \(status)")
        return true
    }

    // MARK: Loss

    /// A connection is gone.
    ///
    /// - Parameters:
    ///   - endsSession: only a new session settles what the connection owes.
    ///   - isLoggedOut: the target has let go of it in order.
    @inline(never)
    mutating func connectionLost(
        _ path: Path, _ reason: String, endsSession: Bool = false, isLoggedOut: Bool = false
    ) {
        guard pathQueues[path.index].stream >= 0 else { return }
        if case .loggingOut = path.state { return sessionEnded(path) }
        guard let session = path.session, session.standing != nil else {
            loseConnection(path, reason, isCulprit: true)
            return pumpPending()
        }
        if let cleanUp = session.cleanUp, cleanUp.via == path.index, case .fencing = cleanUp.phase {
            session.logoutIsVoid = true
        }
        let isOver = isLoggedOut && !leavesTrace(path, session)
        let cleanUp = endsSession || isOver ? nil : planCleanUp(path, session)
        loseConnection(path, reason, isCulprit: true, keepsCommands: cleanUp?.isRecovery ?? false)
        if let cleanUp {
            begin(cleanUp, session)
        } else if isOver {
            memberIsGone(session, path)
        } else {
            endSession(session, because: path)
        }
        pumpPending()
    }

    /// Whether a connection that is logged out leaves anything behind: commands that may still run or whose
    /// numbers the target waits for, or a fence that was under way.
    private func leavesTrace(_ path: Path, _ session: Session) -> Bool {
        !pathQueues[path.index].inFlight.isEmpty || session.cleanUp != nil || owesFence(path)
            || !path.barriers.isEmpty || plugger(session) == path.index
    }

    /// The path whose NOP-Outs in place of lost commands have not all arrived yet.
    private func plugger(_ session: Session) -> Int32? {
        guard let plugged = session.plugged else { return nil }
        return sessionQueues[session.index].expCmdSN <= plugged.cmdSN ? plugged.path : nil
    }

    /// A connection has ended in order.
    mutating func memberIsGone(_ session: Session, _ path: Path) {
        let others = members(with: path).filter { $0 !== path }
        if !others.contains(where: { pathQueues[$0.index].isFullFeature }) {
            session.standing = nil
            if let cleanUp = session.cleanUp { letGo(of: cleanUp) }
            session.cleanUp = nil
        }
        for other in others where other.standsBy && other.attempt == nil { hurry(other) }
    }

    /// Whether all other connections of a session are being logged out.
    func areLeaving(_ session: Session, besides path: Path) -> Bool {
        members(with: path).allSatisfy { member in
            guard member !== path, pathQueues[member.index].isFullFeature else { return true }
            if case .loggingOut = member.state { return true } else { return false }
        }
    }

    /// Gives up the session with all of its connections. The login that reinstates it is the fence.
    mutating func endSession(_ session: Session, because path: Path) {
        guard session.standing != nil else { return }
        session.standing = nil
        if let cleanUp = session.cleanUp {
            paths[Int(cleanUp.lost)].barriers = [:]
            letGo(of: cleanUp)
        }
        session.cleanUp = nil
        let others = members(with: path).filter { $0 !== path }
        let count = others.count { pathQueues[$0.index].stream >= 0 }
        if count > 0 {
            log(
                .warning,
                "\(label(path)): its session ends with this connection, and \(count) other connections of it")
        }
        for other in others {
            if let attempt = other.attempt {
                closeStream(attempt.stream)
                other.attempt = nil
                other.retryAt = now
                wake(at: now)
            }
            guard pathQueues[other.index].stream >= 0 else {
                if other.standsBy { hurry(other) }
                continue
            }
            if case .loggingOut = other.state {
                sessionEnded(other)
            } else {
                loseConnection(
                    other, "its session ended with the connection of \(path.name)", isCulprit: false)
            }
        }
    }

    /// Has the session that a disk's paths share made anew, with what logins are made with now: what holds
    /// for all of its connections is negotiated by the first alone.
    public mutating func renewSession(_ id: DiskID, now: Instant) {
        self.now = now
        let disk = id.rawValue
        guard disk >= 0, Int(disk) < disks.count, diskQueues[disk].isInUse else { return }
        let target = targets[Int(disks[Int(disk)].target)]
        let member = target.paths.first { paths[Int($0)].session != nil && pathQueues[$0].isFullFeature }
        guard let member else { return }
        connectionLost(paths[Int(member)], "logged in anew for other settings", endsSession: true)
    }

    // MARK: One connection alone

    /// How a lost connection may be cleaned up while its session goes on; nil if that cannot be.
    private func planCleanUp(_ path: Path, _ session: Session) -> ConnectionCleanUp? {
        guard session.cleanUp == nil, !session.logoutIsVoid, !owesFence(path), path.barriers.isEmpty,
            plugger(session) == nil
        else { return nil }
        let recovers = mayRecover(path, session)
        // Otherwise a login alone waits for such a target's tasks.
        guard recovers || session.proof != .waitsForTasks else { return nil }
        let others = members(with: path).filter { $0 !== path }
        guard others.allSatisfy({ !owesFence($0) && $0.barriers.isEmpty }) else { return nil }
        let trusted = others.filter { $0.isUp && !$0.isSuspect }
        guard let via = trusted.first ?? others.first(where: { $0.isUp }) else { return nil }
        let numbers = numbersUnderWay(path)
        guard streams[pathQueues[via.index].stream].send.room > numbers.count + 32 else { return nil }
        var cleanUp = ConnectionCleanUp(
            lost: path.index, via: via.index, began: now,
            phase: .loggingOut(deadline: now.adding(milliseconds: ConnectionCleanUp.milliseconds)),
            numbers: numbers)
        if recovers, let standing = session.standing {
            cleanUp.kept = commandsToKeep(path)
            cleanUp.phase = .recovering(
                ConnectionRecovery(
                    numbers: numbers, time2Wait: standing.defaultTime2Wait,
                    time2Retain: standing.defaultTime2Retain, now: now))
        }
        return cleanUp
    }

    /// The numbers of the commands on a path that have no answer, in their order.
    func numbersUnderWay(_ path: Path) -> [CmdSN] {
        var numbers: [CmdSN] = []
        var task = pathQueues[path.index].inFlight.first
        while task >= 0 {
            numbers.append(tasks[task].cmdSN)
            task = tasks[task].next
        }
        return numbers.sorted { $0 < $1 }
    }

    /// Fills what numbers of a closed connection the target has not delivered, through any other one. False
    /// if that cannot be.
    mutating func fill(_ numbers: [CmdSN], _ session: Session, besides path: Path) -> Bool {
        let missing = numbers.filter { sessionQueues[session.index].expCmdSN <= $0 }
        let others = members(with: path).filter { $0 !== path && pathQueues[$0.index].isFullFeature }
        // With its last connection goes the session.
        guard !missing.isEmpty, !others.isEmpty else { return true }
        guard plugger(session) == nil, let via = others.first(where: \.isUp) else { return false }
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

    private mutating func begin(_ cleanUp: ConnectionCleanUp, _ session: Session) {
        session.cleanUp = cleanUp
        if cleanUp.isRecovery { return goOnRecovering(session) }
        wake(at: now.adding(milliseconds: ConnectionCleanUp.milliseconds))
        sendLogout(cleanUp, reason: .closeConnection)
    }

    mutating func sendLogout(_ cleanUp: ConnectionCleanUp, reason: LogoutRequest.Reason) {
        let via = paths[Int(cleanUp.via)]
        let request = LogoutRequest(
            reason: reason, initiatorTaskTag: ConnectionCleanUp.tag,
            cid: paths[Int(cleanUp.lost)].cid, cmdSN: cmdSN(via),
            expStatSN: pathQueues[cleanUp.lost].expStatSN)
        sendCold(request.header, [], pathQueues[cleanUp.via].stream)
    }

    /// The target has answered the logout for a lost connection: nothing that is still on its way there
    /// counts any more. Commands that it had not delivered it has discarded (RFC 7143 §11.14): NOP-Outs take
    /// their numbers, and behind them goes the barrier.
    mutating func cleanUpAnswered(_ pdu: LogoutResponse, _ session: Session) {
        guard var cleanUp = session.cleanUp else { return }
        if case .recovering(var recovery) = cleanUp.phase {
            recovery.logoutAnswered(pdu, expCmdSN: sessionQueues[session.index].expCmdSN, now: now)
            cleanUp.phase = .recovering(recovery)
            session.cleanUp = cleanUp
            return goOnRecovering(session)
        }
        guard case .loggingOut = cleanUp.phase else { return }
        let via = paths[Int(cleanUp.via)]
        guard pdu.response == .closed || pdu.response == .cidNotFound else {
            return giveUpCleanUp(session, "the logout of the connection is answered: \(pdu.response)")
        }
        let missing = cleanUp.numbers.filter { sessionQueues[session.index].expCmdSN <= $0 }
        guard fill(missing, session, through: via) else {
            return giveUpCleanUp(session, "no room to send what takes the place of lost commands")
        }
        fenceLost(session)
    }

    /// What the target may still have of a lost connection, it has to finish first.
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
        guard let session = target.session, let cleanUp = session.cleanUp else { return }
        if cleanUp.isRecovery { return goOnRecovering(session) }
        guard case .loggingOut(let deadline) = cleanUp.phase else { return }
        guard deadline <= now else { return wake(at: deadline) }
        giveUpCleanUp(session, "the logout of another connection was not answered")
    }
}
