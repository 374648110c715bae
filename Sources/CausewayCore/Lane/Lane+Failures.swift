/// Commands that did not end well, and PDUs that are not part of the data path.
extension Lane {
    /// A command was answered with something else than GOOD: what it is decides who deals with it.
    @inline(never)
    mutating func commandFailed(_ task: Int32, _ index: Int32, status: UInt8, sense: SenseData?) {
        let path = paths[Int(index)]
        let disk = tasks[task].disk
        let verdict = classify(status: SCSIStatus(rawValue: status), sense: sense)
        note(verdict.notices, path, disk)
        tasks[task].attempts = tasks[task].attempts == .max ? .max : tasks[task].attempts + 1
        internalData[task] = nil
        switch verdict.errorClass {
        case .good:
            finishTask(task, error: 0)
        case .retry where verdict.notices.contains(.accessStateChanged) && hasPatience(task):
            // States may change many times in a row.
            if tasks[task].attempts < 8 {
                sendAgain(task, first: true)
            } else {
                tasks[task].attempts -= 1
                putOff(task, milliseconds: 100)
            }
        case .retry where tasks[task].kind.isWrite && SCSIStatus(rawValue: status) == .taskAborted:
            if tasks[task].attempts <= settings.retryLimit { return writeWasAborted(task, path) }
            abandonWrite(task, path)
            reinstate(path, "a write was aborted too often")
        case .retry where tasks[task].attempts <= settings.retryLimit:
            sendAgain(task, first: true)
        case .retryAfterDelay where isTransition(verdict, sense) && disks[Int(disk)].access.mode != .off:
            accessRefused(path, disk, .accessStateTransition)
            // How long it lasts is the group's matter, not the command's.
            tasks[task].attempts -= 1
            sendAgain(task, first: true)
        case .retryAfterDelay where hasPatience(task):
            // BUSY and TASK SET FULL go on for as long as the target asks for patience, and use up no
            // retries.
            tasks[task].attempts -= 1
            if SCSIStatus(rawValue: status) == .taskSetFull { lowerDepth(index) }
            putOff(task, milliseconds: min(max(tasks[task].putOffMilliseconds / 2, 10), 500))
        case .pathError(let cause):
            pathQueues[index].counters.errors &+= 1
            leaveThePath(path, disk, cause, status, sense)
            sendAgain(task, first: true)
        case .reservationConflict: conflict(task, path)
        case .spaceExhausted where disks[Int(disk)].failure.space == .hold:
            holdForSpace(task)
        default:
            deviceError(task, index, status: status, sense: sense, verdict.errorClass)
        }
    }

    /// A command is put off for as long as all paths may be down. What counts is the time that the target
    /// asked for, not what the command spent in queues and on a slow target between its refusals.
    private func hasPatience(_ task: Int32) -> Bool {
        let patience = disks[Int(tasks[task].disk)].failure.allPathsDownTimeout
        return patience.end(since: now) > now.adding(milliseconds: tasks[task].putOffMilliseconds)
    }

    mutating func putOff(_ task: Int32, milliseconds: UInt64) {
        tasks[task].putOffMilliseconds += milliseconds
        delay(task, milliseconds: milliseconds)
    }

    private func isTransition(_ verdict: ErrorClassification, _ sense: SenseData?) -> Bool {
        verdict.notices.contains(.accessStateChanged) && sense?.additional == .accessStateTransition
    }

    /// This path does not lead to the data now: which others do not either depends on why.
    private mutating func leaveThePath(
        _ path: Path, _ disk: Int32, _ cause: PathErrorCause, _ status: UInt8, _ sense: SenseData?
    ) {
        switch cause {
        case .accessState where disks[Int(disk)].access.mode != .off:
            accessRefused(path, disk, sense?.additional ?? .none)
        case .accessState, .notReady: problem(path, disk, .notReady, describe(status, sense))
        case .logicalUnitGone: problem(path, disk, .lunGone, describe(status, sense))
        }
    }

    func describe(_ status: UInt8, _ sense: SenseData?) -> String {
        if let sense { "\(sense)" } else { "\(SCSIStatus(rawValue: status))" }
    }

    /// The LUN itself says no: the caller is told, the path is not to blame.
    private mutating func deviceError(
        _ task: Int32, _ index: Int32, status: UInt8, sense: SenseData?, _ errorClass: ErrorClass
    ) {
        let disk = tasks[task].disk
        if tasks[task].forceUnitAccess, let sense, sense.key == .illegalRequest {
            // It claims DPOFUA and refuses FUA: cache synchronisation does the same.
            let isNews = diskQueues[disk].supportsFUA
            diskQueues[disk].supportsFUA = false
            tasks[task].forceUnitAccess = false
            if diskQueues[disk].hasCache { requests[tasks[task].request].mustSynchronize = true }
            if isNews { refused(disk, "FUA; SYNCHRONIZE CACHE takes its place") }
            return sendAgain(task, first: true)
        }
        if let sense, sense.key == .illegalRequest, fallBack(task) { return }
        pathQueues[index].counters.errors &+= 1
        log(
            .error,
            "\(disks[Int(disk)].name) \(paths[Int(index)].name): \(tasks[task].kind) "
                + "of \(tasks[task].blocks) blocks "
                + "at LBA \(tasks[task].lba): \(describe(status, sense))")
        let error: NBDError =
            switch errorClass {
            case .spaceExhausted: .noSpace
            default: .inputOutput
            }
        finishTask(task, error: error.rawValue)
    }

    /// What the LUN announced and then refused. TRIM may do nothing; zeros are written; what is allocated is
    /// not told.
    mutating func fallBack(_ task: Int32) -> Bool {
        let disk = tasks[task].disk
        let request = tasks[task].request
        let queue = diskQueues[disk]
        switch (tasks[task].kind, NBDCommand(rawValue: requests[request].type)) {
        case (.unmap, _), (.writeSame, .trim):
            requests[request].isFullyIssued = true
            diskQueues[disk].unmap = nil
            diskQueues[disk].writeSame?.mayUnmap = false
            if queue.unmap != nil || queue.writeSame?.mayUnmap == true {
                refused(disk, "to deallocate; TRIM does nothing from now on")
            }
            finishTask(task, error: 0)
        case (.writeSame, _) where tasks[task].mayUnmap:
            diskQueues[disk].readsZerosAfterUnmap = false
            tasks[task].mayUnmap = false
            sendAgain(task, first: true)
        case (.writeSame, _):
            diskQueues[disk].writeSame = nil
            if queue.writeSame != nil { refused(disk, "WRITE SAME; zeros are written one by one") }
            guard requests[request].flags & CommandFlags.fastZero.rawValue == 0 else {
                finishTask(task, error: NBDError.notSupported.rawValue)
                return true
            }
            return rewriteZeroes(task)
        case (.getLBAStatus, _):
            diskQueues[disk].supportsLBAStatus = false
            if queue.supportsLBAStatus { refused(disk, "GET LBA STATUS; clients hear that all is allocated") }
            blockStatusAnswered(task)
        default: return false
        }
        return true
    }

    private mutating func refused(_ disk: Int32, _ what: String) {
        tell(.warning, disks[Int(disk)], "the LUN refuses \(what)")
    }

    /// The range of a refused WRITE SAME as plain writes, one after the other in the same task: it needs no
    /// other.
    private mutating func rewriteZeroes(_ task: Int32) -> Bool {
        requests[tasks[task].request].tasks &-= 1
        rewriteNext(task, lba: tasks[task].lba, blocks: tasks[task].blocks)
        return true
    }

    /// A piece of such a range is written: the next one.
    @inline(never)
    mutating func continueZeroes(_ task: Int32) {
        requests[tasks[task].request].tasks &-= 1
        rewriteNext(task, lba: tasks[task].lba + UInt64(tasks[task].blocks), blocks: tasks[task].restBlocks)
    }

    private mutating func rewriteNext(_ task: Int32, lba: UInt64, blocks: UInt32) {
        let disk = tasks[task].disk
        let shift = UInt32(diskQueues[disk].blockShift)
        let count = min(blocks, UInt32(diskQueues[disk].pieceBytes) &>> shift)
        fillTask(
            task, .write, request: tasks[task].request, disk: disk, lba: lba, blocks: count,
            byteCount: Int32(count &<< shift))
        unsafe tasks[task].data = UnsafeRawPointer(zeros.address(0))
        tasks[task].restBlocks = blocks - count
        sendAgain(task, first: false)
    }

    /// GOOD with less data than asked for: nothing says which bytes are missing.
    @inline(never)
    mutating func shortTransfer(_ task: Int32, _ index: Int32) {
        pathQueues[index].counters.errors &+= 1
        tasks[task].attempts += 1
        let disk = tasks[task].disk
        if tasks[task].attempts < 3 { return sendAgain(task, first: true) }
        log(
            .error,
            "\(disks[Int(disk)].name): the target answered GOOD to a \(tasks[task].kind) at LBA "
                + "\(tasks[task].lba) and moved less than its \(tasks[task].byteCount) bytes")
        finishTask(task, error: NBDError.inputOutput.rawValue)
    }

    /// SERVICE DELIVERY OR TARGET FAILURE (RFC 7143 §11.4.3): nothing is known of the command, and the path
    /// is not to blame. Bounded, for a command may bring it about each time.
    @inline(never)
    mutating func serviceFailed(_ task: Int32, _ index: Int32, _ response: UInt8) {
        taskAnswered(task, index)
        pathQueues[index].counters.errors &+= 1
        switch tasks[task].kind {
        case .hedgedRead, .hedge, .discarded: if copyIsLost(task) { return }
        default: break
        }
        guard tasks[task].request >= 0, tasks[task].attempts < settings.retryLimit else {
            if tasks[task].request < 0 {
                dropInternal(task, paths[Int(index)], wasSent: true)
                return connectionLost(paths[Int(index)], "the target failed a command (response \(response))")
            }
            log(
                .error,
                "\(disks[Int(tasks[task].disk)].name) \(paths[Int(index)].name): the target failed a "
                    + "\(tasks[task].kind) at LBA \(tasks[task].lba) (response \(response))")
            return finishTask(task, error: NBDError.inputOutput.rawValue)
        }
        tasks[task].attempts += 1
        internalData[task] = nil
        delay(task, milliseconds: 50)
    }

    /// What sense data says beside the result.
    mutating func note(_ notices: TargetNotices, _ path: Path, _ disk: Int32) {
        if notices.contains(.restarted) && diskQueues[disk].mayBeCached { cacheIsLost(disk) }
        if notices.contains(.deferredError) {
            log(
                .error,
                "\(disks[Int(disk)].name) \(path.name): the target lost a write that it had acknowledged")
            writesAreLost(disk)
        }
        if !notices.isDisjoint(with: [.inquiryChanged, .lunListChanged]) {
            // Nothing more goes there before it has been asked who it is; answers of before do not count. A
            // session that has shown nothing yet says nothing of the others: many targets tell each new one
            // of a reset.
            let wasShown = members(with: path).contains {
                diskQueues[disk].shown & (1 &<< UInt32($0.ordinal)) != 0
            }
            hide(disk, on: path)
            path.probes[disk] = nil
            askAnew(disk, besides: path)
            if wasShown { doubtOthers(path, disk) }
        }
        if notices.contains(.accessStateChanged) {
            disks[Int(disk)].access.askSoon(now: now)
            wake(at: disks[Int(disk)].access.askAt ?? now)
        }
        // Not of a session's end, which ended the session's own commands: this lane knows of those.
        if notices.contains(.reset) && !notices.contains(.nexusLost) && path.isUp && hasCommands(path, disk) {
            beginSweep(path, disk, isOwn: false)
        }
        noteReservations(notices, path, disk)
        if notices.contains(.lunListChanged) { askInventory(targets[Int(path.target)], soon: true) }
        if notices.contains(.thinThresholdReached) {
            tell(.warning, disks[Int(disk)], "the thin pool behind the LUN is filling up (6/38/07)")
        }
        if !notices.isDisjoint(with: [.inquiryChanged, .capacityChanged, .lunListChanged, .modePagesChanged])
        {
            path.reprobeAt = now
            wake(at: now)
        }
    }

    /// A session is told once, on whichever connection: what the others have been answered so far does not
    /// count either.
    private mutating func askAnew(_ disk: Int32, besides path: Path) {
        for member in members(with: path) where member !== path && member.probes[disk] != nil {
            member.probes[disk] = nil
            member.reprobeAt = now
        }
    }

    private func hasCommands(_ path: Path, _ disk: Int32) -> Bool {
        var task = pathQueues[path.index].inFlight.first
        while task >= 0 {
            if tasks[task].disk == disk && tasks[task].request >= 0 { return true }
            task = tasks[task].next
        }
        return false
    }

    /// The target restarted: what it had acknowledged and not synchronised may be gone. The next FLUSH says
    /// so, and so do requests of which a part was done before.
    mutating func cacheIsLost(_ disk: Int32) {
        if diskQueues[disk].hasUnflushedWrites { writesAreLost(disk) }
        for request in 0..<requests.capacity
        where !requests[request].isFree && requests[request].disk == disk && requests[request].isInCache
            && requests[request].error == 0
        {
            requests[request].error = NBDError.inputOutput.rawValue
        }
    }

    /// Acknowledged writes are gone, and no client knows yet.
    mutating func writesAreLost(_ disk: Int32) {
        guard !diskQueues[disk].hasUntoldLoss else { return }
        diskQueues[disk].noteLoss()
        effects.append(.notice(.writesLost(DiskID(rawValue: disk), isTold: false)))
    }

    /// Who detaches the disk was told that writes are lost; there is no client to be told.
    public mutating func lossWasTold(_ id: DiskID) {
        let disk = id.rawValue
        guard disk >= 0, Int(disk) < disks.count, diskQueues[disk].hasUntoldLoss else { return }
        diskQueues[disk].lossesAreTold()
        effects.append(.notice(.writesLost(id, isTold: true)))
    }

    // MARK: PDUs off the data path

    @inline(never)
    mutating func receiveRare(
        _ header: BasicHeaderSegment, _ data: UnsafeRawPointer, _ index: Int32, _ stream: Int32
    ) {
        let path = paths[Int(index)]
        switch header.opcode {
        case .nopIn: receiveNOPIn(NOPIn(header), path, stream)
        case .logoutResponse: logoutAnswered(LogoutResponse(header), path, stream)
        case .asynchronousMessage:
            unsafe receiveAsynchronous(AsynchronousMessage(header), data, path, stream)
        case .reject: unsafe receiveReject(Reject(header), data, path, stream)
        case .taskManagementResponse where TaskManagement.isTag(header.initiatorTaskTag):
            guard countsStatus(header, path, stream) else { return }
            managementAnswered(TaskManagementResponse(header), path)
        case .taskManagementResponse where KeptCommand.isTag(header.initiatorTaskTag):
            guard countsStatus(header, path, stream) else { return }
            reassignmentAnswered(TaskManagementResponse(header), path)
        case .taskManagementResponse: resetAnswered(TaskManagementResponse(header), path, stream)
        default: violation(index, stream, .unexpected(header.opcode))
        }
    }

    /// Whatever data it brings: an echo is no more than a sign of life, and a ping wants none back.
    private mutating func receiveNOPIn(_ pdu: NOPIn, _ path: Path, _ stream: Int32) {
        let index = path.index
        if pdu.isEcho {
            let isPlug = path.session != nil && ConnectionCleanUp.isPlugTag(pdu.initiatorTaskTag)
            guard path.ping.wasSent(pdu.initiatorTaskTag) || isPlug else {
                return violation(index, stream, .unknownTask(.nopIn, pdu.initiatorTaskTag))
            }
            guard countsStatus(pdu.header, path, stream) else { return }
            if !isPlug { pingAnswered(path, tag: pdu.initiatorTaskTag) }
        } else {
            updateWindow(index, expCmdSN: pdu.expCmdSN, maxCmdSN: pdu.maxCmdSN)
        }
        let answer = NOPOut(
            answering: pdu, cmdSN: cmdSN(path), expStatSN: pathQueues[index].expStatSN)
        if let answer { sendCold(answer.header, [], pathQueues[index].stream) }
    }

    // MARK: GET LBA STATUS

    /// Answers BLOCK_STATUS with what the LUN says (SBC-4 5.9).
    mutating func blockStatusAnswered(_ task: Int32) {
        let data = internalData.removeValue(forKey: task) ?? []
        let request = tasks[task].request
        let disk = tasks[task].disk
        let extents = allocation(data, request, disk)
        guard !requests[request].isOrphan else { return finishTask(task, error: 0) }
        let index = requests[request].stream
        let count = ReplyChunk.blockStatusByteCount(extentCount: extents.count)
        let bytes = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 8)
        let header = NBDRequest(
            .blockStatus, flags: CommandFlags(rawValue: requests[request].flags),
            cookie: requests[request].cookie,
            offset: requests[request].offset, length: requests[request].length)
        let used = unsafe ReplyChunk.writeBlockStatus(
            extents.span, contextID: streams[index].allocationContext, answering: header, to: bytes)
        let entry = unsafe streams[index].send.append()
        unsafe entry.pointee.reset(headerCount: 0)
        unsafe entry.pointee.payload = UnsafeRawPointer(bytes)
        unsafe entry.pointee.payloadCount = Int32(used)
        unsafe entry.pointee.ownsPayload = true
        chunks.heapBytes += used
        markDirty(index)
        releaseTask(task)
        releaseRequest(request)
    }

    private func allocation(_ data: [UInt8], _ request: Int32, _ disk: Int32) -> [BlockStatusExtent] {
        let shift = UInt64(diskQueues[disk].blockShift)
        let start = requests[request].offset
        let end = start + UInt64(requests[request].length)
        var extents: [BlockStatusExtent] = []
        var at = start
        let unmapped: AllocationFlags = diskQueues[disk].readsZerosAfterUnmap ? [.hole, .zero] : .hole
        for run in unsafe (try? LBAStatusData(data.span.bytes))?.descriptors ?? [] {
            guard run.lba <= at >> shift else { break }
            let into = (at >> shift) - run.lba
            guard into < UInt64(run.blocks) else { break }
            let until = min(at + (UInt64(run.blocks) - into) << shift, end)
            let flags: AllocationFlags = run.status == .deallocated ? unmapped : []
            extents.append(BlockStatusExtent(length: UInt32(until - at), flags: flags))
            at = until
            if at == end { break }
        }
        // That it is data is always true, and an answer without an extent is none.
        if extents.isEmpty { extents.append(BlockStatusExtent(length: UInt32(end - start), flags: [])) }
        return extents
    }
}
