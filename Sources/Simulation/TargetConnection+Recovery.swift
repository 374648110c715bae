import CausewayCore

/// ErrorRecoveryLevel 2 at the target: tasks that outlive their connection, and go on over another (RFC 7143
/// §7.2.2, §7.5, §11.5.6, §11.14).
extension TargetConnection {
    func receivedRecoveryLogout(_ header: BasicHeaderSegment, _ session: TargetSession) {
        let named = UInt16(truncatingIfNeeded: header[5] >> 16)
        guard session.recovers else { return fail("a logout for recovery at a lower level") }
        guard named != cid else { return fail("a logout for recovery of the connection that carries it") }
        if target.options.recovery == .refusesLogout {
            return answerLogout(header, response: target.random.chance(500) ? 2 : 3)
        }
        if target.options.connectionLoss == .sessionGoesOnAndLogoutMistakes {
            answerLogout(header, response: 0)
            return target.logOut(cid, of: session) {}
        }
        let lost = session.connections.removeValue(forKey: named)
        guard lost != nil || session.lost.contains(named) else { return answerLogout(header, response: 1) }
        session.lost.remove(named)
        if let lost {
            session.tellAgain(lost)
            lost.close()
        }
        for (number, request) in session.early where request.connection.cid == named {
            session.early[number] = nil
        }
        for task in target.ordered(session.answered) where task.connection.cid == named {
            session.answered[task.tag] = nil
            if Int32(bitPattern: task.statSN &- header[7]) >= 0 { session.tasks[task.tag] = task }
        }
        let wait = target.random.chance(300) ? 1 : 0
        let retain = session.parameters.defaultTime2Retain
        let from = target.timeline.now + UInt64(wait) * 1_000_000_000
        for task in session.tasks.values where task.connection.cid == named && task.connection.isClosed {
            task.recoverableFrom = from
        }
        target.chronicle.trace("target", "session \(session.tsih), CID \(named) logged out for recovery")
        target.timeline.after(UInt64(wait + retain) * 1_000_000_000) { [weak target] in
            target?.terminateTasks(named, of: session)
        }
        // LIO leaves both fields empty.
        answerLogout(header, response: 0, wait: wait, retain: target.options.isLIO ? 0 : retain)
    }

    func receivedReassignment(_ header: BasicHeaderSegment, _ session: TargetSession) {
        let tag = header[4]
        guard header.isImmediate else { return fail("TASK REASSIGN that is not immediate") }
        guard session.recovers else { return fail("TASK REASSIGN at a lower level") }
        guard target.options.recovery != .refusesReassignment else { return answerManagement(tag, 4) }
        guard let task = session.tasks[header[5]] else { return answerManagement(tag, 1) }
        guard task.isWrite else { return fail("TASK REASSIGN of what could be sent anew") }
        guard let from = task.recoverableFrom else {
            guard task.connection.isClosed else { return fail("TASK REASSIGN of what is in good hands") }
            return answerManagement(tag, 3)
        }
        guard from <= target.timeline.now else { return fail("TASK REASSIGN before Time2Wait is over") }
        guard header.lun == task.unit.lun || header.lun == 0 && !target.options.isLIO else {
            return fail("TASK REASSIGN for LUN \(header.lun)")
        }
        guard header[9] <= task.r2tSN else {
            return fail("TASK REASSIGN with ExpDataSN \(header[9]) of \(task.name)")
        }
        switch target.options.recovery {
        case .hesitates where target.random.chance(500): return answerManagement(tag, 3)
        case .forgets where target.random.chance(200):
            target.drop(task)
            return answerManagement(tag, 1)
        default: break
        }
        answerManagement(tag, 0)
        target.reassignedCount += 1
        goOn(task, header[9])
    }

    private func goOn(_ task: TargetTask, _ expDataSN: UInt32) {
        task.connection = self
        task.recoverableFrom = nil
        if let outcome = task.outcome {
            task.session.tasks[task.tag] = nil
            // LIO drops what a command ended with that was being executed when its connection was lost.
            return answer(task, target.options.isLIO ? .good([]) : outcome)
        }
        guard task.state == .receiving else { return }
        task.unsolicited = nil
        task.transfers = []
        if target.random.chance(300) {
            task.data.removeLast(task.receivedBytes - task.immediateBytes)
            task.receivedBytes = task.immediateBytes
        }
        task.requested = task.receivedBytes
        if target.random.chance(500) { task.r2tSN = expDataSN }
        requestData(task)
    }

    // MARK: Data that is acknowledged

    func askToAcknowledge(_ header: inout BasicHeaderSegment, _ task: TargetTask, _ dataSN: UInt32) {
        let tag = takeTransferTag()
        header[byte: 1] |= 0x40
        header.lun = task.unit.lun
        header[5] = tag
        milestones[tag] = (task, dataSN)
    }

    func receivedSNACK(_ header: BasicHeaderSegment) {
        guard login.parameters.errorRecoveryLevel > 0 else { return fail("SNACK at ErrorRecoveryLevel 0") }
        guard header[byte: 1] == 0x82, header[4] == reservedTag, header[11] == 0,
            let (task, dataSN) = milestones.removeValue(forKey: header[5]), header.lun == task.unit.lun,
            header[10] == dataSN
        else { return fail("a SNACK that is no acknowledgement of what was asked for") }
        target.dataAckCount += 1
    }
}

extension TargetSession {
    /// Statuses that the initiator has: their tasks are over.
    func acknowledge(_ connection: TargetConnection, upTo statSN: UInt32) {
        for (tag, task) in answered
        where task.connection === connection && Int32(bitPattern: task.statSN &- statSN) < 0 {
            answered[tag] = nil
        }
    }
}

extension SimulatedTarget {
    /// A connection was lost: its tasks are kept, for so long as was agreed on.
    func retainTasks(_ cid: UInt16, of session: TargetSession) {
        let parameters = session.parameters
        let seconds = parameters.defaultTime2Wait + parameters.defaultTime2Retain
        timeline.after(UInt64(seconds) * 1_000_000_000) { [weak self] in
            guard let self, session.lost.remove(cid) != nil else { return }
            terminateTasks(cid, of: session)
        }
        guard random.chance(300), let other = session.living.first else { return }
        var message = other.header(.asynchronousMessage, countsStatus: true)
        message[4] = reservedTag
        message[9] = UInt32(AsynchronousMessage.Event.connectionDrop.rawValue) << 24 | UInt32(cid)
        message[10] = UInt32(parameters.defaultTime2Wait) << 16 | UInt32(parameters.defaultTime2Retain)
        other.send(message)
    }

    /// Nobody has asked for them in time.
    func terminateTasks(_ cid: UInt16, of session: TargetSession) {
        for tasks in [session.tasks, session.answered] {
            for task in ordered(tasks) where task.connection.cid == cid && task.connection.isClosed {
                drop(task)
            }
        }
        for unit in allUnits { startReady(unit) }
    }

    /// The session knows nothing of a task any more; what is being carried out goes on.
    func drop(_ task: TargetTask) {
        task.session.tasks[task.tag] = nil
        task.session.answered[task.tag] = nil
        switch task.state {
        case .receiving, .waiting: remove(task)
        case .executing: break
        case .ended: task.leaveAttention()
        }
        startReady(task.unit)
    }
}
