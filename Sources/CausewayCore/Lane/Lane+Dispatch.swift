/// From task to path: choosing one with room, the SCSI Command PDU, and the data that goes with it.
extension Lane {
    /// Entries of a send queue kept free for what cannot wait: answers to pings, task management, logout.
    private static var urgentReserve: Int { 16 }

    /// Puts a task on a path, or in its disk's queue until one has room.
    @inline(__always)
    mutating func submit(_ task: Int32) {
        let disk = tasks[task].disk
        tasks[task].state = .pending
        if diskQueues[disk].pending.isEmpty || holdsWrites(disk), !diskQueues[disk].isFailing,
            let path = choosePath(disk, task)
        {
            issue(task, on: path)
        } else {
            wait(task, disk)
        }
    }

    @inline(never)
    private mutating func wait(_ task: Int32, _ disk: Int32) {
        guard !isHopeless(task, disk) else { return finishTask(task, error: NBDError.inputOutput.rawValue) }
        tasks[task].issuedAt = now
        if diskQueues[disk].fenceDebts > 0 { wake(at: now.adding(milliseconds: 1000)) }
        if diskQueues[disk].share.isSome { awaitShards(disk) }
        diskQueues[disk].pending.append(task, tasks)
        hasPending = true
    }

    /// The path that the disk's policy wants next, if one has room.
    @inline(__always)
    mutating func choosePath(_ disk: Int32, _ task: Int32) -> Int32? {
        if tasks[task].kind.isWrite && mustWait(task, disk) { return nil }
        if diskQueues[disk].choice.rule != .turns { return chooseByLoad(disk, tasks[task].byteCount) }
        let target = diskQueues[disk].target
        var candidates = diskQueues[disk].choice.candidates
        let start = diskQueues[disk].turn.start
        while candidates != 0 {
            let ordinal = PathTurn.first(of: candidates, from: start)
            let path = targetPaths[target].indices[Int(ordinal)]
            if hasRoom(path) {
                diskQueues[disk].turn.took(ordinal, bytes: tasks[task].byteCount)
                return path
            }
            candidates &= ~(1 &<< UInt32(truncatingIfNeeded: ordinal))
        }
        return nil
    }

    /// The path with the least to do. Where they are equal, they take turns.
    @inline(never)
    private mutating func chooseByLoad(_ disk: Int32, _ bytes: Int32) -> Int32? {
        let target = diskQueues[disk].target
        let rule = diskQueues[disk].choice.rule
        let start = diskQueues[disk].turn.start
        var candidates = diskQueues[disk].choice.candidates
        var best: (path: Int32, ordinal: Int32, load: UInt64) = (-1, 0, .max)
        while candidates != 0 {
            let ordinal = PathTurn.first(of: candidates, from: start)
            candidates &= ~(1 &<< UInt32(truncatingIfNeeded: ordinal))
            let path = targetPaths[target].indices[Int(ordinal)]
            guard hasRoom(path) else { continue }
            let load =
                rule == .serviceTime
                ? pathQueues[path].load.expected(bytes: bytes, now: now.nanoseconds)
                : UInt64(truncatingIfNeeded: pathQueues[path].inFlight.count)
            if load < best.load { best = (path, ordinal, load) }
        }
        guard best.path >= 0 else { return nil }
        diskQueues[disk].turn.took(best.ordinal, bytes: 0)
        return best.path
    }

    @inline(__always)
    private func hasRoom(_ path: Int32) -> Bool {
        pathQueues[path].inFlight.count < pathQueues[path].depth
            && sessionQueues[pathQueues[path].session].hasWindow
            && streams[pathQueues[path].stream].send.room > Self.urgentReserve
    }

    /// Goes on with tasks that found no room.
    @inline(never)
    mutating func pumpPending() {
        hasPending = false
        for disk in 0..<Int32(disks.count) where !diskQueues[disk].pending.isEmpty {
            var task = diskQueues[disk].pending.first
            while task >= 0 {
                let next = tasks[task].next
                if let path = choosePath(disk, task) {
                    diskQueues[disk].pending.remove(task, tasks)
                    issue(task, on: path)
                } else if !holdsWrites(disk) || !tasks[task].kind.isWrite {
                    break
                }
                task = next
            }
            guard !diskQueues[disk].pending.isEmpty else { continue }
            hasPending = true
            if diskQueues[disk].share.isSome { awaitShards(disk) }
        }
    }

    /// Puts a task on a path, under a new tag.
    @inline(__always)
    private mutating func enter(_ task: Int32, _ path: Int32) {
        tasks[task].generation &+= 1
        tasks[task].state = .inFlight
        tasks[task].path = path
        tasks[task].received = 0
        tasks[task].asked = 0
        tasks[task].nextDataSN = 0
        tasks[task].issuedAt = now
        noteEntry(task, path)
    }

    @inline(__always)
    private mutating func noteEntry(_ task: Int32, _ path: Int32) {
        pathQueues[path].inFlight.append(task, tasks)
        if pathQueues[path].load.isMeasured {
            tasks[task].mark = pathQueues[path].load.issued(bytes: tasks[task].byteCount)
        }
        // A path that was idle is watched from now on.
        if pathQueues[path].inFlight.count == 1 {
            pathQueues[path].busy.begin(now)
            wake(at: Instant(nanoseconds: now.nanoseconds &+ PathHealth.shortestPatience))
        }
    }

    /// Queues the SCSI Command PDU and whatever data may follow it unasked (RFC 7143 §4.2.5.2).
    @inline(__always)
    mutating func issue(_ task: Int32, on path: Int32) {
        enter(task, path)
        let session = pathQueues[path].session
        let cmdSN = sessionQueues[session].cmdSN
        sessionQueues[session].cmdSN = cmdSN.next
        tasks[task].cmdSN = cmdSN
        sendCommand(task, path)
    }

    /// A command that the target has never taken from a connection that it has logged out goes over another
    /// one, as the same command (RFC 7143 §7.2.1): should the target have it after all, it takes no second.
    @inline(never)
    mutating func issueAgain(_ task: Int32, on path: Int32) {
        carry(task, path)
        tasks[task].received = 0
        tasks[task].nextDataSN = 0
        sendCommand(task, path)
    }

    /// Puts a task on a path that goes on under its tag and number.
    mutating func carry(_ task: Int32, _ path: Int32) {
        tasks[task].state = .inFlight
        tasks[task].path = path
        tasks[task].asked = 0
        tasks[task].issuedAt = now
        noteEntry(task, path)
    }

    /// The SCSI Command PDU of a task that has its tag and its number.
    @inline(__always)
    private mutating func sendCommand(_ task: Int32, _ path: Int32) {
        let index = pathQueues[path].stream
        let tag = Task.tag(slot: task, generation: tasks[task].generation)
        let kind = tasks[task].kind
        let length = tasks[task].byteCount
        let disk = tasks[task].disk
        var lun = diskQueues[disk].lun
        let cdb = commandDescriptorBlock(task)
        let cmdSN = tasks[task].cmdSN

        var immediate: Int32 = 0
        var unsolicited: Int32 = 0
        var flags: SCSICommand.Flags = .final
        var attribute: SCSICommand.TaskAttribute = .simple
        switch kind {
        case .read, .hedgedRead, .hedge, .discarded, .getLBAStatus, .inquiry, .witness,
            .accessReport, .reservationReport:
            if length > 0 { flags = [.final, .read] }
        case .inventory:
            flags = [.final, .read]
            lun = 0
        case .write, .unmap, .writeSame, .accessSetting, .reservationOrder:
            flags = [.final, .write]
            let first = min(pathQueues[path].firstBurstLength, length)
            if pathQueues[path].immediateData {
                immediate = min(first, pathQueues[path].targetMaxRecvDataSegmentLength)
            }
            if !pathQueues[path].initialR2T && first > immediate {
                unsolicited = first &- immediate
                flags = .write
            }
            tasks[task].received = immediate &+ unsolicited
        case .synchronizeCache, .signOfLife: break
        case .barrier, .resetBarrier: attribute = .ordered
        }
        let command = SCSICommand(
            flags: flags, attribute: attribute, lun: lun, initiatorTaskTag: tag,
            expectedDataTransferLength: UInt32(bitPattern: length), cmdSN: cmdSN,
            expStatSN: pathQueues[path].expStatSN, cdb: cdb, immediateDataLength: Int(immediate))
        let entry = unsafe streams[index].send.append()
        unsafe entry.pointee.reset(headerCount: BasicHeaderSegment.byteCount)
        unsafe command.header.copy(to: entry)
        unsafe entry.pointee.task = task
        if immediate > 0, let data = unsafe tasks[task].data {
            unsafe attach(data, count: immediate, chunk: tasks[task].chunk, to: entry)
        }
        if !streams[index].digests.isEmpty { unsafe seal(entry, index) }
        if unsolicited > 0 {
            let transfer = TransferQueue.Transfer(
                targetTransferTag: reservedTag, offset: UInt32(bitPattern: immediate),
                remaining: UInt32(bitPattern: unsolicited), dataSN: 0)
            _ = queueTransfer(task, transfer, path)
            sendTransfers(path)
        }
        markDirty(index)
    }

    /// A payload in an entry of its own pin: the task may end before the entry is sent.
    @inline(__always)
    private func attach(
        _ data: UnsafeRawPointer, count: Int32, chunk: ChunkID, to entry: UnsafeMutablePointer<SendEntry>
    ) {
        unsafe entry.pointee.payload = data
        unsafe entry.pointee.payloadCount = count
        unsafe entry.pointee.trailerCount = UInt8(truncatingIfNeeded: -count & 3)
        unsafe entry.pointee.trailer = 0
        if chunk.isSome {
            chunks.pin(chunk)
            unsafe entry.pointee.chunk = chunk
        }
    }

    @inline(__always)
    private func commandDescriptorBlock(_ task: Int32) -> (UInt32, UInt32, UInt32, UInt32) {
        let lba = tasks[task].lba
        let blocks = tasks[task].blocks
        switch tasks[task].kind {
        case .read, .hedgedRead, .hedge, .discarded:
            return CommandDescriptorBlock.read16(lba: lba, blocks: blocks).words
        case .write:
            return CommandDescriptorBlock.write16(lba: lba, blocks: blocks, fua: tasks[task].forceUnitAccess)
                .words
        case .synchronizeCache:
            return CommandDescriptorBlock.synchronizeCache16(lba: lba, blocks: blocks).words
        case .unmap:
            return CommandDescriptorBlock.unmap(parameterListLength: UInt16(ParameterList.byteCount)).words
        case .writeSame:
            return CommandDescriptorBlock.writeSame16(lba: lba, blocks: blocks, unmap: tasks[task].mayUnmap)
                .words
        case .getLBAStatus:
            return CommandDescriptorBlock.getLBAStatus(
                lba: lba, allocationLength: UInt32(tasks[task].byteCount)
            )
            .words
        case .barrier, .resetBarrier, .signOfLife: return CommandDescriptorBlock.testUnitReady.words
        case .inquiry, .witness, .accessReport, .accessSetting, .inventory, .reservationReport,
            .reservationOrder:
            return commands[task].words
        }
    }

    // MARK: Data-Out

    /// Adds a transfer to a task's queue and the task to its path's; false when the target asked for too
    /// many.
    @inline(__always)
    mutating func queueTransfer(_ task: Int32, _ transfer: TransferQueue.Transfer, _ path: Int32) -> Bool {
        let wasEmpty = transfers[task].count == 0
        guard transfers[task].append(transfer) else { return false }
        if wasEmpty {
            tasks[task].nextTransfer = -1
            if pathQueues[path].lastTransfer >= 0 {
                tasks[pathQueues[path].lastTransfer].nextTransfer = task
            } else {
                pathQueues[path].firstTransfer = task
            }
            pathQueues[path].lastTransfer = task
        }
        return true
    }

    /// Cuts what was asked for into Data-Out PDUs, as far as the send queue has room.
    @inline(__always)
    mutating func sendTransfers(_ path: Int32) {
        let index = pathQueues[path].stream
        let limit = UInt32(pathQueues[path].targetMaxRecvDataSegmentLength)
        while true {
            let task = pathQueues[path].firstTransfer
            guard task >= 0, streams[index].send.room > Self.urgentReserve else { break }
            var transfer = transfers[task].first
            let count = min(transfer.remaining, limit)
            let pdu = SCSIDataOut(
                isFinal: count == transfer.remaining,
                lun: transfer.targetTransferTag == reservedTag ? 0 : diskQueues[tasks[task].disk].lun,
                initiatorTaskTag: Task.tag(slot: task, generation: tasks[task].generation),
                targetTransferTag: transfer.targetTransferTag, expStatSN: pathQueues[path].expStatSN,
                dataSN: transfer.dataSN, bufferOffset: transfer.offset, dataSegmentLength: Int(count))
            let entry = unsafe streams[index].send.append()
            unsafe entry.pointee.reset(headerCount: BasicHeaderSegment.byteCount)
            unsafe pdu.header.copy(to: entry)
            if let data = unsafe tasks[task].data {
                unsafe attach(
                    data + Int(transfer.offset), count: Int32(count), chunk: tasks[task].chunk, to: entry)
            }
            if !streams[index].digests.isEmpty { unsafe seal(entry, index) }
            transfer.offset &+= count
            transfer.remaining &-= count
            transfer.dataSN &+= 1
            if transfer.remaining > 0 {
                transfers[task].first = transfer
            } else {
                transfers[task].removeFirst()
                if transfers[task].count == 0 { removeFirstTransfer(path) }
            }
        }
        markDirty(index)
    }

    @inline(__always)
    private mutating func removeFirstTransfer(_ path: Int32) {
        let task = pathQueues[path].firstTransfer
        let next = tasks[task].nextTransfer
        pathQueues[path].firstTransfer = next
        if next < 0 { pathQueues[path].lastTransfer = -1 }
    }

    /// Forgets what a task had still to send: it ended early, or its path is lost.
    @inline(never)
    mutating func dropTransfers(_ task: Int32) {
        while transfers[task].count > 0 { transfers[task].removeFirst() }
        let path = tasks[task].path
        guard path >= 0 else { return }
        var previous: Int32 = -1
        var at = pathQueues[path].firstTransfer
        while at >= 0 && at != task {
            previous = at
            at = tasks[at].nextTransfer
        }
        guard at == task else { return }
        let next = tasks[task].nextTransfer
        if previous >= 0 {
            tasks[previous].nextTransfer = next
        } else {
            pathQueues[path].firstTransfer = next
        }
        if pathQueues[path].lastTransfer == task { pathQueues[path].lastTransfer = previous }
    }
}

extension CommandDescriptorBlock {
    /// As a SCSI Command PDU takes it.
    @inline(__always)
    fileprivate var words: (UInt32, UInt32, UInt32, UInt32) { (word(0), word(1), word(2), word(3)) }
}
