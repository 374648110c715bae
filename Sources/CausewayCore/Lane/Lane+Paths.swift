/// The life of a path: connecting, logging in, losing the connection, logging out.
extension Lane {
    mutating func log(_ severity: LaneNotice.Severity, _ text: String) {
        effects.append(.notice(.event(severity: severity, text: text)))
    }

    // MARK: Attempts

    /// Begins to connect. One attempt at a time, so that one ISID is never in two logins.
    mutating func beginAttempt(_ path: Path) {
        path.retryAt = nil
        // A path that is added again while it leaves may still have one.
        guard path.attempt == nil, mayConnect(path) else { return }
        // Who stands in has the session that the fence needs; its own route is what is tried.
        let isStandIn = if case .standIn = path.state { true } else { false }
        // Any path reinstates the session that it shares over its own route.
        let owes = owesFence(path) && !isStandIn && path.session == nil
        let ordinal = FenceRoute.choose(
            attempt: path.attemptsSinceLoss, siblings: siblingsForFence(path), own: path.ordinal,
            owesFence: owes)
        let by = paths[Int(targetPaths[path.target].indices[Int(ordinal)])]
        path.attemptsSinceLoss += 1
        guard let stream = openStream(.iscsi, owner: path.index) else {
            return attemptFailed(path, .timedOut, "no stream is free", wasRefused: false)
        }
        let isForeign = by.index != path.index
        path.attempt = Path.Attempt(
            stream: stream, route: by.specification.route, via: by.index, isForeign: isForeign,
            began: now, phase: .connecting,
            deadline: now.adding(milliseconds: isForeign ? 1000 : settings.connectTimeoutMilliseconds))
        wake(at: path.attempt?.deadline ?? .never)
        guard let moved = path.movedTo, !isForeign else {
            return effects.append(
                .connect(
                    streamID(stream), route: by.specification.route,
                    userTimeoutMilliseconds: userTimeout(path)))
        }
        // If it is not there either, the next attempt begins where the path was configured.
        path.movedTo = nil
        path.attempt?.visited = [moved]
        path.attempt?.movesForGood = true
        path.attempt?.beganElsewhere = true
        effects.append(
            .connectElsewhere(
                streamID(stream), route: by.specification.route, address: moved,
                userTimeoutMilliseconds: userTimeout(path)))
    }

    func userTimeout(_ path: Path) -> UInt32 {
        UInt32(clamping: targets[Int(path.target)].timers.recoveryTimeoutMilliseconds)
    }

    private func path(of id: StreamID) -> Path? {
        guard isCurrent(id), streams[id.index].kind == .iscsi else { return nil }
        return paths[Int(streams[id.index].owner)]
    }

    /// The TCP connection of a stream stands.
    @inline(never)
    public mutating func connected(_ id: StreamID, now: Instant) {
        self.now = now
        guard let path = path(of: id), var attempt = path.attempt, attempt.stream == id.index else { return }
        if path.isUp {
            // A session that was silent. If it was heard meanwhile it goes on; otherwise the network is back
            // and TCP still waits before it sends again what was lost.
            guard pathQueues[path.index].lastReceived < attempt.began else {
                closeStream(attempt.stream)
                path.attempt = nil
                return
            }
            path.attempt = nil
            // It may have been the ping itself that TCP sends again and again.
            if path.ping.isFullSize { path.segments.failed() }
            path.ping.forget()
            connectionLost(path, "silent, and a new connection can be made")
            path.retryAt = nil
            path.attempt = attempt
        }
        // A stand-in for this very session ends when the login goes out: the target would end it anyway.
        if pathQueues[path.index].stream >= 0 {
            if path.session == nil {
                abandonSession(path)
            } else {
                path.attempt = nil
                connectionLost(path, "another connection takes its place", endsSession: true)
                path.retryAt = nil
                path.attempt = attempt
            }
        }
        guard takesPart(path, &attempt) else { return }
        var machine = LoginStateMachine(loginOptions(path))
        let step = machine.start()
        attempt.phase = .loggingIn(machine)
        attempt.deadline = now.adding(milliseconds: loginTimeout(path))
        path.attempt = attempt
        wake(at: attempt.deadline)
        take(step, path)
    }

    /// Some targets let a login wait until the old session's writes have ended: then patience is the proof.
    private func loginTimeout(_ path: Path) -> UInt64 {
        let usual = targets[Int(path.target)].timers.loginTimeoutMilliseconds
        let isPatient = path.session.map { mayWait(for: $0, path) } ?? owesFence(path)
        return isPatient ? max(usual, settings.fenceLoginTimeoutMilliseconds) : usual
    }

    @inline(never)
    public mutating func connectFailed(_ id: StreamID, reason: String, now: Instant) {
        self.now = now
        guard let path = path(of: id), path.attempt?.stream == id.index else { return }
        attemptFailed(path, .unreachable, reason, wasRefused: false)
    }

    /// The other end closed the stream, or the kernel gave it up (`byPeer` false).
    @inline(never)
    public mutating func closed(_ id: StreamID, reason: String, byPeer: Bool = true, now: Instant) {
        self.now = now
        guard isCurrent(id) else { return }
        switch streams[id.index].kind {
        case .iscsi:
            let path = paths[Int(streams[id.index].owner)]
            if path.attempt?.stream == id.index {
                closedDuringLogin(path)
            } else if case .loggingOut = path.state {
                sessionEnded(path)
            } else {
                // A target that does not like ping data.
                if path.ping.isFullSize { path.segments.ended() }
                connectionLost(path, reason, byTarget: byPeer)
            }
        case .negotiation, .nbd: clientIsGone(id.index)
        case .free: break
        }
    }

    /// - Parameter isEarly: it was given up before its time, which says nothing of the path.
    @inline(never)
    mutating func attemptFailed(
        _ path: Path, _ kind: PathProblem.Kind, _ reason: String, wasRefused: Bool, isEarly: Bool = false
    ) {
        if let attempt = path.attempt {
            if attempt.leads { path.hasLedInVain = true }
            closeStream(attempt.stream)
            path.attempt = nil
        }
        let downMilliseconds = now.nanoseconds(since: path.downSince) / 1_000_000
        let delay = path.retries.next(wasRefused: wasRefused, downMilliseconds: downMilliseconds)
        path.notBefore = now.adding(milliseconds: delay)
        path.retryAt = path.notBefore
        wake(at: path.notBefore)
        // Beside a session that is only silent.
        if path.isUp { return }
        // That a lost path cannot be reached is no news.
        let isNews = path.problem?.text != reason && (!path.wasUp || kind != .unreachable)
        path.problem = PathProblem(
            kind: kind, interface: path.specification.interface, portal: path.specification.portal,
            text: reason)
        if !isEarly { path.wasTried = true }
        if isNews { log(.warning, "\(targets[Int(path.target)].name) \(path.name): \(reason)") }
        tellProblems(path.target)
    }

    mutating func closeStream(_ index: Int32) {
        effects.append(.close(streamID(index)))
        releaseStream(index)
    }

    // MARK: Login

    @inline(never)
    mutating func receiveDuringLogin(
        _ header: BasicHeaderSegment, _ data: UnsafeRawPointer, _ pathIndex: Int32, _ index: Int32
    ) {
        let path = paths[Int(pathIndex)]
        guard var attempt = path.attempt, attempt.stream == index,
            case .loggingIn(var machine) = attempt.phase
        else { return }
        let target = targets[Int(path.target)]
        machine.know(target.challenges)
        let known = machine.challenges.count
        let step = unsafe machine.received(
            header, data: UnsafeRawBufferPointer(start: data, count: header.dataSegmentLength))
        // At once: whatever becomes of this login, and for those that are under way.
        remember(Array(machine.challenges.dropFirst(known)), target)
        attempt.phase = .loggingIn(machine)
        attempt.heard = now
        path.attempt = attempt
        take(step, path)
    }

    private mutating func take(_ step: LoginStep, _ path: Path) {
        guard let attempt = path.attempt else { return }
        switch step {
        case .send(let header, let data): sendCold(header, data, attempt.stream)
        case .completed(let parameters): loggedIn(path, parameters)
        case .redirected(let address, let permanent): redirect(path, to: address, permanent: permanent)
        case .failed(let error): loginFailed(path, error)
        }
    }

    private mutating func closedDuringLogin(_ path: Path) {
        guard case .loggingIn(var machine)? = path.attempt?.phase else {
            return attemptFailed(
                path, .unreachable, "the target closed the connection during login", wasRefused: true)
        }
        loginFailed(path, machine.connectionClosed())
    }

    /// Tries once more with MD5 alone where that may help; a target that fails with it too is asked for all
    /// algorithms the next time.
    private mutating func loginFailed(_ path: Path, _ error: LoginError) {
        guard let attempt = path.attempt, case .loggingIn(let machine) = attempt.phase else { return }
        let target = targets[Int(path.target)]
        if isRefusedToJoin(path, error) { return }
        guard machine.maySucceedWithMD5(after: error) else {
            target.offersMD5Alone = false
            return attemptFailed(path, error.problemKind, "\(error)", wasRefused: true)
        }
        if !target.offersMD5Alone {
            log(
                .warning,
                "\(target.name) \(path.name): CHAP failed with the algorithm that the target chose; "
                    + "trying once more with MD5 alone (\(error))")
        }
        target.offersMD5Alone = true
        closeStream(attempt.stream)
        path.attempt = nil
        path.retryAt = now
        wake(at: now)
    }

    private func remember(_ challenges: [[UInt8]], _ target: Target) {
        target.challenges += challenges
        target.challenges.removeFirst(max(target.challenges.count - Target.challengesMax, 0))
    }

    /// Queues a PDU of the control path; its data is copied.
    mutating func sendCold(_ header: BasicHeaderSegment, _ data: [UInt8], _ index: Int32) {
        guard streams[index].send.room > 0 else { return }
        let entry = unsafe streams[index].send.append()
        unsafe entry.pointee.reset(headerCount: BasicHeaderSegment.byteCount)
        unsafe header.copy(to: entry)
        unsafe attachCopy(of: data, to: entry)
        unsafe entry.pointee.trailerCount = UInt8(-data.count & 3)
        unsafe entry.pointee.trailer = 0
        if !streams[index].digests.isEmpty { unsafe seal(entry, index) }
        markDirty(index)
    }

    /// Queues bytes that are no PDU; they are copied.
    mutating func sendPlain(_ bytes: [UInt8], _ index: Int32) {
        guard !bytes.isEmpty, streams[index].send.room > 0 else { return }
        let entry = unsafe streams[index].send.append()
        unsafe entry.pointee.reset(headerCount: 0)
        unsafe attachCopy(of: bytes, to: entry)
        markDirty(index)
    }

    /// A payload that lives as long as its entry.
    private mutating func attachCopy(of bytes: [UInt8], to entry: UnsafeMutablePointer<SendEntry>) {
        guard !bytes.isEmpty else { return }
        let copy = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: 8)
        unsafe bytes.withUnsafeBytes { source in
            if let base = source.baseAddress { unsafe copy.copyMemory(from: base, byteCount: source.count) }
        }
        unsafe entry.pointee.payload = UnsafeRawPointer(copy)
        unsafe entry.pointee.payloadCount = Int32(bytes.count)
        unsafe entry.pointee.ownsPayload = true
        chunks.heapBytes += bytes.count
    }

    private mutating func loggedIn(_ path: Path, _ parameters: NegotiatedParameters) {
        guard let attempt = path.attempt else { return }
        path.shutSince = nil
        if let reason = takeSession(path, attempt, parameters) {
            return attemptFailed(path, .protocolViolation, reason, wasRefused: false)
        }
        path.attempt = nil
        path.proof = path.session?.proof ?? proof(of: attempt, target: path.target)
        path.negotiated = parameters
        if let moved = attempt.visited.last, attempt.movesForGood { path.movedTo = moved }
        path.portalGroupTag = path.session?.portalGroupTag ?? parameters.targetPortalGroupTag
        path.problem = nil
        path.state = .draining
        path.sessionBegan = now
        path.ping = PingState()
        path.transport = nil
        path.transportRead = now
        let index = path.index
        path.via = attempt.via
        pathQueues[index].stream = attempt.stream
        pathQueues[index].take(parameters)
        if path.session == nil { sessionQueues[index].begin(parameters) }
        streams[attempt.stream].digests = StreamDigests(parameters)
        pathQueues[index].isFullFeature = true
        pathQueues[index].lastReceived = now
        let depth = path.specification.depth
        path.depthLimit = depth > 0 ? depth : settings.depthPerPath
        path.depthGrowsAt = nil
        pathQueues[index].depth = path.depthLimit
        if path.session == nil || attempt.leads || path.specification.awaitsRecord {
            effects.append(.notice(.sessionBegan(sessionName(path), portalGroupTag: path.portalGroupTag)))
        }
        if !attempt.isForeign { checkSegments(path) }
        beginBarriers(path, attempt)
        wake(at: now)
    }

    // MARK: Logout

    /// Logs out, politely and bounded.
    @inline(never)
    mutating func logOut(_ path: Path) {
        if let attempt = path.attempt {
            closeStream(attempt.stream)
            path.attempt = nil
        }
        path.retryAt = nil
        let index = path.index
        guard pathQueues[index].isFullFeature else { return sessionEnded(path) }
        var hasLoggedOut = false
        if case .leaving(let departure) = path.state { hasLoggedOut = departure.hasLoggedOut }
        path.state = .loggingOut(deadline: now.adding(milliseconds: 2000))
        wake(at: now.adding(milliseconds: 2000))
        if !hasLoggedOut { sendLogout(path) }
    }

    /// The session of a path that is being removed is over.
    @inline(never)
    mutating func sessionEnded(_ path: Path, isAnswered: Bool = false) {
        if pathQueues[path.index].stream >= 0 {
            let numbers = numbersUnderWay(path)
            let hadBarriers = !path.barriers.isEmpty
            _ = emptyPath(path)
            if let session = path.session, session.standing != nil {
                path.state = .down
                let isOver = isAnswered && fill(numbers, session, besides: path)
                let isClean = isOver && !hadBarriers && !owesFence(path) && session.cleanUp == nil
                if isClean || areLeaving(session, besides: path) {
                    memberIsGone(session, path)
                } else {
                    endSession(session, because: path)
                }
            }
        }
        let isToReturn = path.intent != .removed || owesFence(path)
        if isToReturn && targets[Int(path.target)].lastDisk == nil { return rest(path) }
        path.state = .removed
        pathRemoved(path)
        // What it owed kept the disks from following their LUNs' sizes.
        for disk in targets[Int(path.target)].disks { checkSize(disk) }
    }
}
