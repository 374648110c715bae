import CausewayCore

/// Commands and their data (RFC 7143 §4.2.5, §11.3 to §11.8).
extension TargetConnection {
    func receivedCommand(_ header: BasicHeaderSegment, _ data: [UInt8], _ session: TargetSession) {
        let tag = header[4]
        guard tag != reservedTag, session.tasks[tag] == nil else { return fail("tag \(tag) is in use") }
        var cdb: [UInt8] = []
        for word in 8..<12 { cdb.append(UInt64(header[word]), bytes: 4) }
        let reads = header[byte: 1] & 0x40 != 0
        let writes = header[byte: 1] & 0x20 != 0
        let length = Int(header[5])
        abortedTags.remove(tag)
        guard let unit = target.unit(header.lun, portal: connection.portal) else {
            return answerWithoutUnit(tag, cdb, length, expectsData: writes && !header.isFinal)
        }
        guard let transfer = unit.transferLength(cdb) else {
            return fail("CDB \(cdb) is not known to the simulator")
        }
        guard length == transfer.count, reads == (!transfer.isWrite && length > 0),
            writes == (transfer.isWrite && length > 0)
        else {
            return fail("CDB \(cdb) moves \(transfer.count) bytes; EDTL \(length), R \(reads), W \(writes)")
        }
        let attribute = header[byte: 1] & 7
        guard attribute == 1 || attribute == 2 else { return fail("task attribute \(attribute)") }
        if attribute == 2 && target.options.isLIO { return fail("an ORDERED command to LIO") }
        let task = TargetTask(
            session: session, unit: unit, tag: tag, cdb: cdb, isOrdered: attribute == 2, isWrite: writes,
            expectedLength: length, connection: self)
        guard checkUnsolicited(header, data, task) else { return }
        session.tasks[tag] = task
        task.forced = forcedOutcome(task, session)
        task.cmdSN = header[6]
        task.expStatSN = header[7]
        if isUnheard(task) { task.forced = .check(.lunsChanged) }
        task.isSlow = task.cdb[0] != 0 && target.random.chance(unit.options.slowPermille)
        if let forced = task.forced, !task.isOrdered, isImmediateRefusal(forced) {
            // Refused before anything else: the rest of its data is thrown away.
            session.tasks[tag] = nil
            if task.unsolicited != nil { endedEarly.insert(tag) }
            return answer(task, forced)
        }
        if writes && task.receivedBytes < length {
            task.state = .receiving
            task.requested = task.receivedBytes
        }
        target.enqueue(task)
        if task.state == .receiving { requestData(task) }
    }

    /// Whether a command went out before the initiator had heard that the LUN is another. What was under way
    /// when the news went out, it cannot call back: a target that takes a LUN away under one refuses it.
    func isUnheard(_ task: TargetTask) -> Bool {
        guard task.unit.isImpostor else { return false }
        if task.session.isShared { return task.session.isUnheard(task.cmdSN, lun: task.unit.lun) }
        return replacementStatSN.map { Int32(bitPattern: task.expStatSN &- $0) <= 0 } ?? false
    }

    /// What may come unasked, against what was negotiated.
    private func checkUnsolicited(_ header: BasicHeaderSegment, _ data: [UInt8], _ task: TargetTask) -> Bool {
        let parameters = login.parameters
        let first = min(parameters.firstBurstLength, task.expectedLength)
        if !data.isEmpty {
            guard task.isWrite, parameters.immediateData, data.count <= first else {
                fail("\(data.count) bytes of immediate data with \(task.name)")
                return false
            }
        }
        if !header.isFinal {
            guard task.isWrite, !parameters.initialR2T, data.count < first else {
                fail("F = 0 on \(task.name) although no unsolicited data may follow")
                return false
            }
            task.unsolicited = TargetTask.Transfer(
                tag: reservedTag, offset: data.count, end: first, dataSN: 0)
        }
        task.data = data
        task.receivedBytes = data.count
        task.immediateBytes = data.count
        return true
    }

    private func forcedOutcome(_ task: TargetTask, _ session: TargetSession) -> Outcome? {
        let random = target.random
        let options = task.unit.options
        let isExempt = task.cdb[0] == 0x12 || task.cdb[0] == 0xa0
        if !isExempt, let attention = session.attentions[task.unit.lun]?.first {
            session.attentions[task.unit.lun]?.removeFirst()
            task.attention = attention
            return .check(attention)
        }
        if let sense = task.unit.access?.refusal(task.cdb, group: target.accessGroup(of: task.portal)) {
            return .check(sense)
        }
        if !isExempt && random.chance(options.attentionPermille) { return .check(.modeParametersChanged) }
        if random.chance(options.busyPermille) { return .busy }
        if random.chance(options.taskSetFullPermille) { return .taskSetFull }
        if options.speechlessPermille > 0, random.chance(options.speechlessPermille) { return .speechless }
        if random.chance(options.abortedPermille) { return .check(.aborted) }
        return nil
    }

    private func isImmediateRefusal(_ outcome: Outcome) -> Bool {
        switch outcome {
        case .good, .check(.aborted): false
        case .check, .status: true
        }
    }

    func receivedData(_ header: BasicHeaderSegment, _ data: [UInt8], _ session: TargetSession) {
        let tag = header[4]
        guard let task = session.tasks[tag], task.state == .receiving else {
            if abortedTags.contains(tag) { return }
            guard endedEarly.contains(tag) else {
                return fail("Data-Out for tag \(tag), which waits for none")
            }
            if header.isFinal { endedEarly.remove(tag) }
            return
        }
        let offset = Int(header[10])
        if header[5] == reservedTag {
            guard var transfer = task.unsolicited else { return fail("unsolicited Data-Out of \(task.name)") }
            guard take(header, data, offset, &transfer, task) else { return }
            task.unsolicited = header.isFinal ? nil : transfer
            if header.isFinal { task.requested = transfer.offset }
        } else {
            guard let index = task.transfers.firstIndex(where: { $0.tag == header[5] }) else {
                return fail("Data-Out with target transfer tag \(header[5]), which was not given out")
            }
            guard index == 0 else { return fail("Data-Out answers a later R2T before the first") }
            guard header.lun == task.unit.lun else { return fail("Data-Out with LUN \(header.lun)") }
            guard take(header, data, offset, &task.transfers[0], task) else { return }
            if header.isFinal {
                guard task.transfers[0].offset == task.transfers[0].end else {
                    return fail(
                        "F at \(offset + data.count), the R2T asked for data up to \(task.transfers[0].end)")
                }
                task.transfers.removeFirst()
            }
        }
        if task.receivedBytes == task.expectedLength {
            task.state = .waiting
            target.startReady(task.unit)
        } else {
            requestData(task)
        }
    }

    /// Puts a Data-Out where it belongs.
    private func take(
        _ header: BasicHeaderSegment, _ data: [UInt8], _ offset: Int, _ transfer: inout TargetTask.Transfer,
        _ task: TargetTask
    ) -> Bool {
        guard header[9] == transfer.dataSN, offset == transfer.offset, offset == task.data.count,
            offset + data.count <= transfer.end
        else {
            fail(
                "Data-Out of \(task.name): DataSN \(header[9]), offset \(offset), \(data.count) bytes; "
                    + "expected DataSN \(transfer.dataSN), offset \(transfer.offset), up to \(transfer.end)")
            return false
        }
        guard header.isFinal || offset + data.count < transfer.end else {
            fail("Data-Out of \(task.name) without F at the end of its sequence")
            return false
        }
        task.data += data
        task.receivedBytes += data.count
        transfer.offset += data.count
        transfer.dataSN += 1
        return true
    }

    /// R2Ts, as many as may be outstanding.
    func requestData(_ task: TargetTask) {
        guard task.unsolicited == nil else { return }
        let parameters = login.parameters
        while task.transfers.count < parameters.maxOutstandingR2T && task.requested < task.expectedLength {
            var count = min(parameters.maxBurstLength, task.expectedLength - task.requested)
            if target.random.chance(200) { count = target.random.number(1...count) }
            let tag = takeTransferTag()
            task.transfers.append(
                TargetTask.Transfer(tag: tag, offset: task.requested, end: task.requested + count, dataSN: 0))
            var header = self.header(.readyToTransfer, countsStatus: false)
            header.lun = task.unit.lun
            header[4] = task.tag
            header[5] = tag
            header[9] = task.r2tSN
            header[10] = UInt32(task.requested)
            header[11] = UInt32(count)
            task.r2tSN += 1
            task.requested += count
            send(header)
            // RFC 7143 §7.9: of an R2T that comes twice the second is thrown away.
            if parameters.errorRecoveryLevel > 0 && target.random.chance(30) { send(header) }
        }
    }

    // MARK: Task management

    func receivedTaskManagement(_ header: BasicHeaderSegment, _ session: TargetSession) {
        let function = header[byte: 1] & 0x7f
        let tag = header[4]
        target.managementCounts[function, default: 0] += 1
        switch function {
        case 1:
            guard let task = session.tasks[header[5]] else {
                return answerManagement(tag, abortEarly(header, session) ? 0 : 1)
            }
            guard header.lun == task.unit.lun else { return fail("ABORT TASK for LUN \(header.lun)") }
            target.abort(task) { [weak self] response in self?.answerManagement(tag, response) }
        case 5:
            guard target.options.resetsUnits else { return answerManagement(tag, 5) }
            guard let unit = target.unit(header.lun, portal: connection.portal) else {
                return answerManagement(tag, 2)
            }
            target.reset(unit, by: session) { [weak self] in self?.answerManagement(tag, 0) }
        case 6:
            guard target.options.resetsUnits else { return answerManagement(tag, 5) }
            let units = target.allUnits
            var left = units.count
            for unit in units {
                target.reset(unit, by: session) { [weak self] in
                    left -= 1
                    if left == 0 { self?.answerManagement(tag, 0) }
                }
            }
        case 8: receivedReassignment(header, session)
        default: fail("task management function \(function)")
        }
    }

    func answerManagement(_ tag: UInt32, _ response: UInt8) {
        guard phase == .fullFeature else { return }
        var answer = header(.taskManagementResponse, countsStatus: true)
        answer[4] = tag
        answer[byte: 2] = response
        send(answer)
    }

    // MARK: Answers

    /// A LUN that is not there: REPORT LUNS to LUN 0 and INQUIRY are answered all the same.
    private func answerWithoutUnit(_ tag: UInt32, _ cdb: [UInt8], _ length: Int, expectsData: Bool) {
        if expectsData { abortedTags.insert(tag) }
        let outcome: Outcome =
            switch cdb[0] {
            case 0xa0: .good(target.reportLUNs(portal: connection.portal))
            case 0x12 where cdb[1] & 1 == 0:
                .good([0x7f, 0, 6, 2, 91] + Array(repeating: 0, count: 91))
            default: .check(.noSuchUnit)
            }
        answer(nil, tag, outcome, isWrite: false, expected: length)
    }

    func answer(_ task: TargetTask, _ outcome: Outcome) {
        if case .check(let sense) = outcome, sense == .powerOn || sense == .reset {
            restartNews.append((statSN, task.unit.lun))
        }
        if let attention = task.attention, case .check(let sense) = outcome, sense == attention,
            task.session.isShared
        {
            untold.append((statSN, task.unit.lun, sense))
        }
        if task.session.recovers && !task.session.isOver {
            task.outcome = outcome
            task.state = .ended
            guard phase == .fullFeature else {
                task.session.tasks[task.tag] = task
                return
            }
            task.statSN = statSN
            task.session.answered[task.tag] = task
        }
        answer(task, task.tag, outcome, isWrite: task.isWrite, expected: task.expectedLength)
    }

    private func answer(
        _ task: TargetTask?, _ tag: UInt32, _ outcome: Outcome, isWrite: Bool, expected: Int
    ) {
        guard phase == .fullFeature else { return }
        guard case .good(let all) = outcome, !isWrite, expected > 0 else {
            let moved = if case .good = outcome { isWrite ? expected : 0 } else { 0 }
            return respond(tag, outcome, dataCount: moved, expected: expected, dataSN: 0)
        }
        let data = Array(all.prefix(expected))
        let most = max(1, min(login.parameters.initiatorMaxRecvDataSegmentLength, target.options.dataInBytes))
        let burst = login.parameters.maxBurstLength
        let isCollapsed = target.options.collapsesPhases || target.random.chance(100)
        var dataSN: UInt32 = 0
        var at = 0
        while at < data.count {
            let toBurstEnd = burst - at % burst
            let count = min(most, data.count - at, toBurstEnd)
            let isLast = at + count == data.count
            var header = self.header(.scsiDataIn, countsStatus: isLast && isCollapsed)
            header[byte: 1] = isLast || count == toBurstEnd ? 0x80 : 0
            header[4] = tag
            header[5] = reservedTag
            header[9] = dataSN
            header[10] = UInt32(at)
            if let task, login.parameters.errorRecoveryLevel > 0, isLast || count == toBurstEnd,
                at + count < data.count || target.random.chance(300)
            {
                askToAcknowledge(&header, task, dataSN + 1)
            }
            if isLast && isCollapsed {
                header[byte: 1] |= 0x01
                if data.count < expected {
                    header[byte: 1] |= 0x02
                    header[11] = UInt32(expected - data.count)
                }
            }
            send(header, Array(data[at..<at + count]))
            at += count
            dataSN += 1
        }
        if !isCollapsed || data.isEmpty {
            respond(tag, .good([]), dataCount: data.count, expected: expected, dataSN: dataSN)
        }
    }

    private func respond(_ tag: UInt32, _ outcome: Outcome, dataCount: Int, expected: Int, dataSN: UInt32) {
        var header = self.header(.scsiResponse, countsStatus: true)
        header[4] = tag
        header[9] = dataSN
        if dataCount < expected {
            header[byte: 1] |= 0x02
            header[11] = UInt32(expected - dataCount)
        }
        switch outcome {
        case .good: send(header)
        case .status(let status):
            header[byte: 3] = status
            send(header)
        case .check(let sense):
            if [.lunsChanged, .inquiryChanged, .reset].contains(sense) { replacementStatSN = header[6] }
            header[byte: 3] = 0x02
            send(header, [0, UInt8(sense.bytes.count)] + sense.bytes)
        }
    }
}
