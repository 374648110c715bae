/// What a target asks for or says of its own accord: to be left, to be given time, to be found elsewhere
/// (RFC 7143 §11.9, §11.13.5, §11.15, §11.17).

/// A session that is about to be logged out and made anew, because the target asked for it.
struct Departure: BitwiseCopyable {
    /// Until then, commands under way may end; then, until then the logout may be answered.
    var deadline: Instant
    var hasLoggedOut = false
}

extension Lane {
    private static var logoutMilliseconds: UInt64 { 2000 }
    /// Commands that were sent before are given so long to end.
    private static var drainMilliseconds: UInt64 { 5000 }
    /// A target that asks for more patience than this is asked again earlier.
    private static var longestWaitSeconds: UInt16 { 60 }
    /// How often one command may be rejected before nobody is asked any more.
    private static var rejectLimit: UInt8 { 4 }
    static var redirectionsMax: Int { 4 }

    // MARK: Leaving

    /// Takes a path out of use, lets what is under way end, and logs out within `milliseconds`.
    mutating func depart(_ path: Path, _ reason: String, milliseconds: UInt64) {
        let wasUp = path.isUp
        switch path.state {
        case .up, .draining, .standIn: break
        case .down, .leaving, .loggingOut, .removed: return
        }
        if let attempt = path.attempt {
            closeStream(attempt.stream)
            path.attempt = nil
        }
        path.retryAt = nil
        path.reprobeAt = nil
        path.probes = [:]
        for disk in targets[Int(path.target)].disks {
            disks[Int(disk)].access.forget(path: path.ordinal)
            hide(disk, on: path)
        }
        let patience = min(milliseconds / 2, Self.drainMilliseconds)
        path.problem = PathProblem(
            kind: .unreachable, interface: path.specification.interface, portal: path.specification.portal,
            text: reason)
        path.state = .leaving(Departure(deadline: now.adding(milliseconds: patience)))
        wake(at: now)
        log(.warning, "\(targets[Int(path.target)].name) \(path.name): \(reason); logging out and in again")
        if wasUp { tellDisks(path, isUp: false, reason) }
        checkAllPathsDown(path.target)
        pumpPending()
    }

    mutating func tickDeparture(_ path: Path, _ departure: Departure) {
        let index = path.index
        if departure.hasLoggedOut {
            guard departure.deadline <= now else { return wake(at: departure.deadline) }
            return connectionLost(path, "the logout was not answered")
        }
        guard pathQueues[index].inFlight.isEmpty || departure.deadline <= now else {
            return wake(at: min(departure.deadline, now.adding(milliseconds: 20)))
        }
        let deadline = now.adding(milliseconds: Self.logoutMilliseconds)
        path.state = .leaving(Departure(deadline: deadline, hasLoggedOut: true))
        wake(at: deadline)
        sendLogout(path)
    }

    mutating func sendLogout(_ path: Path) {
        let index = path.index
        // The last connection takes its session with it.
        let isLast = path.session.map { areLeaving($0, besides: path) } ?? true
        let request = LogoutRequest(
            reason: isLast ? .closeSession : .closeConnection, initiatorTaskTag: PingState.tagBase - 1,
            cid: path.cid, cmdSN: cmdSN(path), expStatSN: pathQueues[index].expStatSN)
        sendCold(request.header, [], pathQueues[index].stream)
    }

    mutating func logoutAnswered(_ pdu: LogoutResponse, _ path: Path, _ stream: Int32) {
        guard countsStatus(pdu.header, path, stream) else { return }
        if pdu.header.initiatorTaskTag == ConnectionCleanUp.tag, let session = path.session {
            return cleanUpAnswered(pdu, session)
        }
        switch path.state {
        case .loggingOut: sessionEnded(path, isAnswered: true)
        case .leaving(let departure) where departure.hasLoggedOut:
            let reason = path.problem?.text ?? "logged out"
            connectionLost(path, reason, isLoggedOut: true)
            postpone(path, seconds: pdu.time2Wait)
        default: violation(path.index, stream, .unexpected(.logoutResponse))
        }
    }

    /// The target wants to be left alone for a while (Time2Wait).
    private mutating func postpone(_ path: Path, seconds: UInt16) {
        let wait = UInt64(min(seconds, Self.longestWaitSeconds)) * 1000
        guard path.stateIsDown else { return }
        path.notBefore = max(path.notBefore, now.adding(milliseconds: wait))
        path.retryAt = max(path.retryAt ?? now, path.notBefore)
        wake(at: path.retryAt ?? .never)
    }

    /// Counts a status of a PDU off the data path; a gap ends the connection (ErrorRecoveryLevel 0).
    mutating func countsStatus(_ header: BasicHeaderSegment, _ path: Path, _ stream: Int32) -> Bool {
        let index = path.index
        guard countStatus(header.statSN, index) else {
            violation(index, stream, .statSN(expected: pathQueues[index].expStatSN, got: header.statSN))
            return false
        }
        updateWindow(index, expCmdSN: header.expCmdSN, maxCmdSN: header.maxCmdSN)
        return true
    }

    // MARK: Asynchronous Message

    mutating func receiveAsynchronous(
        _ pdu: AsynchronousMessage, _ data: UnsafeRawPointer, _ path: Path, _ stream: Int32
    ) {
        guard countsStatus(pdu.header, path, stream) else { return }
        // Of another connection's end its own path tells.
        if pdu.event != .connectionDrop && path.isNews("\(pdu.event)", now) {
            log(.warning, "\(targets[Int(path.target)].name) \(path.name): \(pdu.event)")
        }
        switch pdu.event {
        case .scsiEvent: unsafe receiveEvent(pdu, data, path)
        case .logoutRequest:
            depart(path, "\(pdu.event)", milliseconds: UInt64(pdu.parameter3) * 1000)
        // A logout is one of the two answers that RFC 7143 §11.9.1 allows; the next login negotiates anew.
        case .negotiationRequest:
            depart(path, "\(pdu.event)", milliseconds: UInt64(pdu.parameter3) * 1000)
        case .sessionDrop:
            connectionLost(path, "\(pdu.event)", endsSession: true)
            for member in members(with: path) { postpone(member, seconds: pdu.parameter2) }
        case .connectionDrop: connectionDropped(pdu, path)
        // Only where TaskReporting=FastAbort was negotiated, which is never offered.
        case .taskTermination: violation(path.index, stream, .unexpected(.asynchronousMessage))
        // Of a vendor, or of a time to come.
        default: break
        }
    }

    /// Any connection of a session may bring the news of another's end.
    private mutating func connectionDropped(_ pdu: AsynchronousMessage, _ path: Path) {
        let dropped = members(with: path).first {
            pathQueues[$0.index].isFullFeature && $0.cid == pdu.parameter1
        }
        // It may be gone already, or not be ours.
        guard let dropped else { return }
        connectionLost(dropped, "\(pdu.event)")
        postpone(dropped, seconds: pdu.parameter2)
    }

    /// Sense data that no command asked for.
    private mutating func receiveEvent(_ pdu: AsynchronousMessage, _ data: UnsafeRawPointer, _ path: Path) {
        var notices = TargetNotices.inquiryChanged
        if let sense = unsafe SenseData(segment: data, count: pdu.dataSegmentLength) {
            notices = classify(status: .checkCondition, sense: sense).notices
        }
        for disk in targets[Int(path.target)].disks where diskQueues[disk].lun == pdu.lun {
            note(notices, path, disk)
        }
    }

    // MARK: Reject

    mutating func receiveReject(_ pdu: Reject, _ data: UnsafeRawPointer, _ path: Path, _ stream: Int32) {
        guard countsStatus(pdu.header, path, stream) else { return }
        let reason = pdu.reason
        if reason == .dataDigestError { pathQueues[path.index].counters.rejectedDigests &+= 1 }
        guard pdu.dataSegmentLength >= BasicHeaderSegment.byteCount else {
            return violation(path.index, stream, .rejected(reason, nil))
        }
        let rejected = unsafe BasicHeaderSegment(copyingFrom: data)
        let complaint = ProtocolViolation.rejected(reason, rejected.opcode)
        if path.isNews("\(complaint)", now) {
            log(.warning, "\(targets[Int(path.target)].name) \(path.name): \(complaint)")
        }
        switch rejected.opcode {
        // The command is answered in its own time (RFC 7143 §7.3).
        case .scsiDataOut: break
        // As good a sign of life as an echo.
        case .nopOut where path.session != nil && ConnectionCleanUp.isPlugTag(rejected.initiatorTaskTag):
            connectionLost(path, complaint.description, endsSession: true)
        case .nopOut: _ = pingRejected(path)
        case .taskManagementRequest where KeptCommand.isTag(rejected.initiatorTaskTag):
            reassignmentRejected(path, rejected.initiatorTaskTag, reason, complaint)
        case .taskManagementRequest:
            if let management = path.management, management.tag == rejected.initiatorTaskTag {
                escalate(path, management.function, "is rejected: \(reason)")
            }
        case .logoutRequest:
            if case .loggingOut = path.state { return sessionEnded(path) }
            connectionLost(path, complaint.description)
        case .scsiCommand: commandRejected(rejected, complaint, reason, path, stream)
        default: violation(path.index, stream, complaint)
        }
    }

    /// The command never began, and its CmdSN is a gap that only a new session fills at ErrorRecoveryLevel 0.
    private mutating func commandRejected(
        _ rejected: BasicHeaderSegment, _ complaint: ProtocolViolation, _ reason: Reject.Reason, _ path: Path,
        _ stream: Int32
    ) {
        guard let task = taskOnPath(rejected.initiatorTaskTag, path.index) else {
            return violation(path.index, stream, .unknownTask(.reject, rejected.initiatorTaskTag))
        }
        if reason == .waitingForLogout {
            return depart(path, "the target waits for a logout", milliseconds: 0)
        }
        tasks[task].attempts = min(tasks[task].attempts, .max - 1) + 1
        if !reason.mayResend && tasks[task].attempts >= Self.rejectLimit && tasks[task].request >= 0 {
            log(
                .error,
                "\(disks[Int(tasks[task].disk)].name) \(path.name): \(tasks[task].kind) at LBA "
                    + "\(tasks[task].lba) fails: \(complaint)")
            taskAnswered(task, path.index)
            internalData[task] = nil
            finishTask(task, error: NBDError.inputOutput.rawValue)
        }
        connectionLost(path, complaint.description, endsSession: true)
    }

    // MARK: Redirection

    /// The login is to be tried at another address: over the same interface, for a bounded number of hops.
    mutating func redirect(_ path: Path, to address: PortalAddress, permanent: Bool) {
        guard var attempt = path.attempt else { return }
        let portal = PortalAddress(paths[Int(attempt.via)].specification.portal)
        let isBack = address == portal && !attempt.beganElsewhere
        guard attempt.visited.count < Self.redirectionsMax, !attempt.visited.contains(address), !isBack else {
            return attemptFailed(
                path, .unreachable,
                "the target redirects in circles: "
                    + (attempt.visited + [address]).map { "\($0)" }.joined(
                        separator: ", "), wasRefused: true)
        }
        closeStream(attempt.stream)
        path.attempt = nil
        guard let stream = openStream(.iscsi, owner: path.index) else {
            return attemptFailed(path, .timedOut, "no stream is free", wasRefused: false)
        }
        attempt.visited.append(address)
        attempt.movesForGood = permanent && !attempt.isForeign
        attempt.stream = stream
        attempt.phase = .connecting
        attempt.deadline = now.adding(milliseconds: settings.connectTimeoutMilliseconds)
        path.attempt = attempt
        wake(at: attempt.deadline)
        log(
            .information,
            "\(targets[Int(path.target)].name) \(path.name): redirected to \(address) "
                + (permanent ? "for good" : "for this login"))
        effects.append(
            .connectElsewhere(
                streamID(stream), route: attempt.route, address: address,
                userTimeoutMilliseconds: userTimeout(path)))
    }
}

extension SenseData {
    /// From a data segment: two bytes of SenseLength, then the sense data (RFC 7143 §11.4.7).
    init?(segment data: UnsafeRawPointer, count: Int) {
        guard count > 2 else { return nil }
        let bytes = unsafe UnsafeRawBufferPointer(start: data, count: count)
        let length = unsafe min(Int(bytes[0]) << 8 | Int(bytes[1]), count - 2)
        let span = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: bytes[2..<2 + length]))
        self.init(span)
    }
}
