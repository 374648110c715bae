import CausewayCore

/// What several connections of one session have in common (RFC 7143 §4.2.2.1, §11.14).
extension TargetConnection {
    /// Requests are delivered by their numbers, whichever connection brings them.
    func takeTurn(_ header: BasicHeaderSegment, _ data: [UInt8], _ session: TargetSession) {
        if header.opcode == .scsiDataOut {
            let early = session.early.first {
                $0.value.header[4] == header[4] && $0.value.connection === self
                    && $0.value.header.opcode == .scsiCommand
            }
            guard let number = early?.key else {
                if hasGap && session.tasks[header[4]] == nil { return }
                return deliver(header, data, session)
            }
            session.early[number]?.dataOuts.append((header, data))
            return
        }
        let number = header[6]
        if header.isImmediate {
            guard abs(Int32(bitPattern: number &- session.expCmdSN)) < 5000 else {
                return fail("CmdSN \(number) of an immediate request, expected \(session.expCmdSN)")
            }
            return deliver(header, data, session)
        }
        if let reason = nextRejection, header.opcode == .scsiCommand {
            nextRejection = nil
            hasGap = true
            return reject(header, reason)
        }
        let isKnown = Int32(bitPattern: number &- session.expCmdSN) < 0 || session.early[number] != nil
        guard !isKnown else {
            // Only what fills gaps may meet a number that is not missing.
            if header.opcode == .scsiCommand { fail("CmdSN \(number) twice") }
            return
        }
        guard Int32(bitPattern: number &- session.maxCmdSN) <= 0 else {
            return fail("CmdSN \(number) is beyond MaxCmdSN \(session.maxCmdSN)")
        }
        session.early[number] = EarlyRequest(header: header, data: data, connection: self)
        while let next = session.early.removeValue(forKey: session.expCmdSN) {
            session.expCmdSN &+= 1
            next.connection.deliver(next, session)
        }
    }

    /// ABORT TASK for a command whose turn has not come: its number counts as received, and no more of it
    /// (RFC 7143 §11.6.1). Not every target knows that.
    func abortEarly(_ header: BasicHeaderSegment, _ session: TargetSession) -> Bool {
        let number = header[8]
        guard target.options.connectionLoss != .sessionGoesOnAndLogoutMistakes,
            let early = session.early[number], early.connection === self, early.header[4] == header[5],
            Int32(bitPattern: number &- header[6]) < 0
        else { return false }
        session.early[number]?.isAborted = true
        abortedTags.insert(header[5])
        return true
    }

    private func deliver(_ early: EarlyRequest, _ session: TargetSession) {
        if early.isAborted { return }
        // Of a connection that is gone, what came in full may still be carried out.
        let isWhole = early.header.isFinal && Int(early.header[5]) == early.data.count
        if isClosed {
            guard early.header.opcode == .scsiCommand, isWhole, target.random.chance(500) else { return }
        }
        deliver(early.header, early.data, session)
        for data in early.dataOuts where !isClosed { deliver(data.header, data.data, session) }
    }

    func receivedLogout(_ header: BasicHeaderSegment, _ session: TargetSession) {
        let reason = header[byte: 1] & 0x7f
        if reason == 1 && session.isShared { return receivedConnectionLogout(header, session) }
        if reason == 2 { return receivedRecoveryLogout(header, session) }
        guard reason == 0 else { return fail("a logout for another reason than closing the session") }
        var answer = self.header(.logoutResponse, countsStatus: true)
        answer[4] = header[4]
        answer[10] = UInt32(target.random.below(2)) << 16
        send(answer)
        target.logoutCount += 1
        target.end(session, "logged out")
    }

    private func receivedConnectionLogout(_ header: BasicHeaderSegment, _ session: TargetSession) {
        let named = UInt16(truncatingIfNeeded: header[5] >> 16)
        let isMistaken = target.options.connectionLoss == .sessionGoesOnAndLogoutMistakes && named != cid
        let closed = isMistaken ? cid : named
        guard closed == cid || session.connections[named] != nil || session.lost.contains(named) else {
            return answerLogout(header, response: 1)
        }
        guard closed != cid else {
            answerLogout(header, response: 0)
            target.logOut(cid, of: session) {}
            if session.connections.isEmpty { target.end(session, "left by its last connection") }
            return
        }
        target.logOut(named, of: session) { [weak self] in self?.answerLogout(header, response: 0) }
    }

    /// - Parameters:
    ///   - wait: Time2Wait, seconds.
    ///   - retain: Time2Retain, seconds.
    func answerLogout(_ header: BasicHeaderSegment, response: UInt8, wait: Int? = nil, retain: Int = 0) {
        guard phase == .fullFeature else { return }
        var answer = self.header(.logoutResponse, countsStatus: true)
        answer[byte: 2] = response
        answer[4] = header[4]
        answer[10] = UInt32(wait ?? Int(target.random.below(2))) << 16 | UInt32(retain)
        send(answer)
        target.logoutCount += 1
    }
}

extension SimulatedTarget {
    func connectionLost(_ cid: UInt16, of session: TargetSession) {
        session.lost.insert(cid)
        if session.recovers { return retainTasks(cid, of: session) }
        if options.connectionLoss == .sessionEndsAtOnce { end(session, "closed for a lost connection") }
        guard options.connectionLoss == .sessionEnds else { return }
        timeline.after(random.nanoseconds(2_000_000_000...2_500_000_000)) { [weak self] in
            if let self, session.lost.contains(cid) { end(session, "closed for a lost connection") }
        }
    }

    /// The end of one connection (RFC 7143 §11.14): its tasks are ended, and requests of it that were not
    /// delivered are discarded. `isDone` once that is so, as this kind of target understands it.
    func logOut(_ cid: UInt16, of session: TargetSession, _ isDone: @escaping () -> Void) {
        session.lost.remove(cid)
        if let connection = session.connections.removeValue(forKey: cid) {
            session.tellAgain(connection)
            connection.close()
        }
        for (number, request) in session.early where request.connection.cid == cid {
            session.early[number] = nil
        }
        for task in ordered(session.answered) where task.connection.cid == cid {
            session.answered[task.tag] = nil
        }
        let tasks = ordered(session.tasks).filter { $0.connection.cid == cid }
        chronicle.trace("target", "session \(session.tsih), CID \(cid) logged out, \(tasks.count) tasks")
        for task in tasks {
            session.tasks[task.tag] = nil
            switch task.state {
            case .receiving: remove(task)
            case .waiting: if options.reinstatement == .drains || task.cdb[0] == 0 { remove(task) }
            case .executing, .ended: break
            }
            if task.state == .ended { task.leaveAttention() }
        }
        for unit in allUnits { startReady(unit) }
        waitForEnd(tasks, isDone)
    }

    func session(tsih: UInt16) -> TargetSession? { sessions.first { $0.tsih == tsih } }
}
