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
    private func leader(of session: Session, besides path: Path) -> Path? {
        members(with: path).first { $0 !== path && $0.attempt?.leads == true }
    }

    /// Whether the target may let a login wait for what earlier connections of the session have sent: one
    /// that is known to do so, or not known at all.
    func mayWait(for session: Session, _ path: Path) -> Bool {
        sessionOwesFence(path) && (!session.hasStood || session.proof == .waitsForTasks)
    }

    /// Whether the login of a leader has been without a word for so long that `path` may lead in its place.
    private func isOverdue(_ leader: Path, for path: Path) -> Bool {
        guard let session = path.session, let attempt = leader.attempt else { return true }
        var patience = session.leaderPatience
        if mayWait(for: session, path) {
            patience = max(patience, targets[Int(path.target)].timers.loginTimeoutMilliseconds)
        }
        // Who has not tried yet comes first.
        if path.hasLedInVain { patience += 4 * Self.leaderMilliseconds }
        return attempt.heard.adding(milliseconds: patience) <= now
    }

    /// Gives up the login of a leader: the connection of another path stands. Of a target that is slow on all
    /// paths more and more is waited for; an attempt counts once all that were given up have together taken
    /// as long as one login may.
    private mutating func takeTheLead(from leader: Path, _ session: Session) {
        let milliseconds = leader.attempt.map { now.nanoseconds(since: $0.heard) / 1_000_000 } ?? 0
        let most = targets[Int(leader.target)].timers.loginTimeoutMilliseconds
        let next = 2 * session.leaderPatience
        session.leaderPatience = min(next, most)
        attemptFailed(
            leader, .timedOut,
            "the login was without an answer for \(milliseconds) ms, and another path tries",
            wasRefused: false, isEarly: next < most)
    }

    private mutating func lookAgain(_ path: Path) {
        path.retryAt = now.adding(milliseconds: Self.leaderMilliseconds)
        wake(at: path.retryAt ?? .never)
    }

    /// Whether a path of a session with several connections may connect now; if not, it looks again.
    mutating func mayConnect(_ path: Path) -> Bool {
        guard let session = path.session else { return true }
        path.standsBy = false
        let isLed = leader(of: session, besides: path).map { !isOverdue($0, for: path) } ?? false
        if isLed || session.cleanUp.map({ !isStuck($0) }) ?? false {
            lookAgain(path)
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
        if let cleanUp = session.cleanUp, isStuck(cleanUp) {
            // This attempt is not the session's yet.
            path.attempt = nil
            giveUpCleanUp(session, "silent, and another connection can be made")
            path.retryAt = nil
            path.attempt = attempt
        }
        attempt.leads = session.standing == nil
        attempt.heard = now
        // That of a lost connection is still to be logged out.
        if session.cleanUp?.lost != path.index {
            session.cid &+= 1
            path.cid = session.cid
        }
        var mustWait = session.cleanUp != nil
        if attempt.leads, let leader = leader(of: session, besides: path) {
            mustWait = !isOverdue(leader, for: path)
            if !mustWait { takeTheLead(from: leader, session) }
        }
        guard mustWait || isFull(session, besides: path) else { return true }
        closeStream(attempt.stream)
        path.attempt = nil
        lookAgain(path)
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
            session.leftBehind = 0
            session.hasStood = true
            session.began = now
            session.portalGroupTag = tag
            session.plugged = nil
            session.logoutCarrier = nil
            session.leaderPatience = Session.firstLeaderPatience
            session.proof = proof(of: attempt, target: path.target)
            sessionQueues[session.index].begin(parameters)
            for member in members(with: path) { member.hasLedInVain = false }
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

    /// A path need not wait any longer for others; its own back-off goes on.
    mutating func hurry(_ path: Path) {
        guard path.stateIsDown, path.intent == .inUse || owesFence(path) else { return }
        path.retryAt = min(path.retryAt ?? .never, max(now, path.notBefore))
        wake(at: path.retryAt ?? .never)
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
    ///   - byTarget: it was the target that closed it.
    @inline(never)
    mutating func connectionLost(
        _ path: Path, _ reason: String, endsSession: Bool = false, isLoggedOut: Bool = false,
        byTarget: Bool = false
    ) {
        guard pathQueues[path.index].stream >= 0 else { return }
        if case .loggingOut = path.state { return sessionEnded(path) }
        guard let session = path.session, session.standing != nil else {
            loseConnection(path, reason, isCulprit: true)
            return pumpPending()
        }
        let isMistaken = byTarget && hasCarriedLogout(path, session)
        // A target may end a session for the loss of one connection: the others are not to blame.
        let isFallout = isMistaken || byTarget && session.cleanUp != nil
        let isOver = isLoggedOut && !leavesTrace(path, session)
        let cleanUp =
            endsSession || isOver || isMistaken ? nil : planCleanUp(path, session, isLoggedOut: isLoggedOut)
        loseConnection(
            path, reason, isCulprit: !isFallout, keepsCommands: cleanUp?.isRecovery ?? false)
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

    /// A connection has ended in order.
    mutating func memberIsGone(_ session: Session, _ path: Path) {
        let others = members(with: path).filter { $0 !== path }
        if session.cleanUp?.via == path.index { abandonCleanUp(session) }
        if !others.contains(where: { pathQueues[$0.index].isFullFeature }) {
            session.standing = nil
            abandonCleanUp(session)
            releaseRetired(session)
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
        abandonCleanUp(session)
        releaseRetired(session)
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
}
