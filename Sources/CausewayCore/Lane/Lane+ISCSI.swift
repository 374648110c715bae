/// The iSCSI side of a lane in full-feature phase: PDUs from the target (RFC 7143 §11).
extension Lane {
    mutating func parseISCSI(_ index: Int32) {
        let path = streams[index].owner
        pathQueues[path].lastReceived = now
        // Until full-feature phase the default holds, whatever was declared (RFC 7143 §13.12).
        let limit =
            pathQueues[path].stream == index && pathQueues[path].isFullFeature
            ? Int(pathQueues[path].initiatorMaxRecvDataSegmentLength) : 8192
        while streams[index].kind == .iscsi {
            let parsed = streams[index].parsed
            let available = streams[index].filled &- parsed
            guard available >= BasicHeaderSegment.byteCount else {
                streams[index].needed = BasicHeaderSegment.byteCount
                break
            }
            let bytes = unsafe UnsafeRawPointer(chunks.base(streams[index].chunk) + parsed)
            let header = unsafe BasicHeaderSegment(copyingFrom: bytes)
            let digests = streams[index].digests
            let dataOffset = BasicHeaderSegment.byteCount &+ digests.headerByteCount
            guard available >= dataOffset else {
                streams[index].needed = dataOffset
                break
            }
            if digests.coversHeader, unsafe !isIntact(bytes, BasicHeaderSegment.byteCount) {
                return headerIsDamaged(path, index)
            }
            let count = header.paddedDataSegmentLength
            guard header.fits(maxRecvDataSegmentLength: limit) else {
                return violation(path, index, .tooLong(header.opcode, header.dataSegmentLength))
            }
            let total = dataOffset &+ count &+ (count > 0 ? digests.dataByteCount : 0)
            guard available >= total else {
                streams[index].needed = total
                break
            }
            let data = unsafe bytes + dataOffset
            if digests.coversData, count > 0, unsafe !isIntact(data, count) {
                return dataIsDamaged(path, index, header.opcode)
            }
            // Taken before it is acted on: acting may close the stream.
            streams[index].parsed = parsed &+ total
            if pathQueues[path].stream == index && pathQueues[path].isFullFeature {
                unsafe receivePDU(header, data, path, index)
            } else {
                unsafe receiveDuringLogin(header, data, path, index)
            }
        }
        giveChunkBack(index)
        if sessionQueues[pathQueues[path].session].hasWaiting { pumpWaiting(path) }
        if hasPending { pumpPending() }
    }

    @inline(__always)
    private mutating func receivePDU(
        _ header: BasicHeaderSegment, _ data: UnsafeRawPointer, _ path: Int32, _ index: Int32
    ) {
        switch header.opcode {
        case .scsiDataIn: unsafe receiveDataIn(SCSIDataIn(header), data, path, index)
        case .scsiResponse: unsafe receiveResponse(SCSIResponse(header), data, path, index)
        case .readyToTransfer: receiveR2T(ReadyToTransfer(header), path, index)
        default: unsafe receiveRare(header, data, path, index)
        }
    }

    /// The task that a PDU speaks of, if it is on this path.
    @inline(__always)
    func taskOnPath(_ tag: UInt32, _ path: Int32) -> Int32? {
        let slot = Int32(tag & 0xffff)
        guard Int(slot) < tasks.capacity, tasks[slot].state == .inFlight, tasks[slot].path == path,
            tasks[slot].generation == UInt16(truncatingIfNeeded: tag >> 16)
        else { return nil }
        return slot
    }

    @inline(__always)
    mutating func updateWindow(_ path: Int32, expCmdSN: CmdSN, maxCmdSN: CmdSN) {
        sessionQueues[pathQueues[path].session].updateWindow(expCmdSN: expCmdSN, maxCmdSN: maxCmdSN)
    }

    /// Counts a status on; false if one is missing or comes twice, which ErrorRecoveryLevel 0 cannot mend.
    @inline(__always)
    mutating func countStatus(_ statSN: StatSN, _ path: Int32) -> Bool {
        guard statSN == pathQueues[path].expStatSN else { return false }
        pathQueues[path].expStatSN = statSN.next
        return true
    }

    @inline(__always)
    private mutating func receiveDataIn(
        _ pdu: SCSIDataIn, _ data: UnsafeRawPointer, _ path: Int32, _ index: Int32
    ) {
        updateWindow(path, expCmdSN: pdu.expCmdSN, maxCmdSN: pdu.maxCmdSN)
        guard let task = taskOnPath(pdu.initiatorTaskTag, path) else {
            return violation(path, index, .unknownTask(.scsiDataIn, pdu.initiatorTaskTag))
        }
        let count = Int32(truncatingIfNeeded: pdu.dataSegmentLength)
        let received = tasks[task].received
        guard pdu.bufferOffset == UInt32(bitPattern: received), count <= tasks[task].byteCount &- received,
            pdu.dataSN == tasks[task].nextDataSN, pdu.flags.isConsistent, unsafe tasks[task].data == nil
        else { return violation(path, index, .dataOutOfPlace(offset: pdu.bufferOffset, count: count)) }
        tasks[task].received = received &+ count
        tasks[task].nextDataSN &+= 1
        if pdu.flags.contains(.acknowledge) { acknowledgeData(task, pdu, path, index) }

        guard pdu.hasStatus else { return unsafe gather(task, data, count) }
        guard countStatus(pdu.statSN, path) else {
            return violation(path, index, .statSN(expected: pathQueues[path].expStatSN, got: pdu.statSN))
        }
        if pdu.status == 0 && tasks[task].kind == .read && count == tasks[task].byteCount {
            let request = tasks[task].request
            if requests[request].length == UInt32(bitPattern: count) {
                // All of it in one PDU: it goes on to the client from where it lies.
                taskAnswered(task, path)
                pathQueues[path].counters.readBytes &+= UInt64(count)
                unsafe replyRead(request, data: data, chunk: streams[index].chunk)
                return releaseTask(task)
            }
        }
        unsafe gather(task, data, count)
        complete(task, path, status: pdu.status, sense: nil)
    }

    /// Copies Data-In to where it gathers.
    @inline(never)
    private mutating func gather(_ task: Int32, _ data: UnsafeRawPointer, _ count: Int32) {
        guard count > 0 else { return }
        switch tasks[task].kind {
        case .read, .hedgedRead: break
        case .discarded: return
        default:
            unsafe internalData[task, default: []].append(
                contentsOf: UnsafeRawBufferPointer(start: data, count: Int(count)))
            return
        }
        let request = tasks[task].request
        if unsafe requests[request].buffer == nil { giveBuffer(request) }
        guard let buffer = unsafe requests[request].buffer else { return }
        let at = Int(tasks[task].offset) &+ Int(tasks[task].received &- count)
        unsafe (buffer + at).copyMemory(from: data, byteCount: Int(count))
    }

    @inline(__always)
    private mutating func receiveResponse(
        _ pdu: SCSIResponse, _ data: UnsafeRawPointer, _ path: Int32, _ index: Int32
    ) {
        guard countStatus(pdu.statSN, path) else {
            return violation(path, index, .statSN(expected: pathQueues[path].expStatSN, got: pdu.statSN))
        }
        updateWindow(path, expCmdSN: pdu.expCmdSN, maxCmdSN: pdu.maxCmdSN)
        guard let task = taskOnPath(pdu.initiatorTaskTag, path) else {
            return violation(path, index, .unknownTask(.scsiResponse, pdu.initiatorTaskTag))
        }
        guard pdu.response == .commandCompletedAtTarget else {
            return serviceFailed(task, path, pdu.response.rawValue)
        }
        if pdu.status == 0 && pdu.flags.isDisjoint(with: [.residualOverflow, .residualUnderflow])
            && (tasks[task].kind == .write && hasTakenAll(task) || tasks[task].kind == .synchronizeCache)
        {
            taskAnswered(task, path)
            pathQueues[path].counters.writtenBytes &+= UInt64(UInt32(bitPattern: tasks[task].byteCount))
            return finishTask(task, error: 0)
        }
        unsafe completeWithSense(task, path, pdu, data)
    }

    /// Whether the target has asked for all of a write's data, and has it.
    @inline(__always)
    private func hasTakenAll(_ task: Int32) -> Bool {
        tasks[task].received == tasks[task].byteCount && transfers[task].count == 0 && !isReassigned(task)
    }

    /// The data segment: two bytes of SenseLength, then the sense data (RFC 7143 §11.4.7).
    @inline(never)
    private mutating func completeWithSense(
        _ task: Int32, _ path: Int32, _ pdu: SCSIResponse, _ data: UnsafeRawPointer
    ) {
        var sense: SenseData?
        if pdu.dataSegmentLength > 2 {
            sense = unsafe SenseData(segment: data, count: pdu.dataSegmentLength)
        }
        if pdu.status == 0 && isReassigned(task) {
            taskAnswered(task, path)
            return sendAgain(task, first: true)
        }
        if pdu.status == 0 && tasks[task].kind == .write {
            // GOOD with a residual count, or to what was asked for in part: not all blocks were taken.
            taskAnswered(task, path)
            return shortTransfer(task, path)
        }
        if pdu.status == 0 && tasks[task].kind == .writeSame && !hasTakenAll(task) {
            // Whatever it has written, it did not take the block. TRIM may do nothing; zeros are written.
            taskAnswered(task, path)
            _ = fallBack(task)
            return
        }
        complete(task, path, status: pdu.status, sense: sense)
    }

    @inline(__always)
    private mutating func receiveR2T(_ pdu: ReadyToTransfer, _ path: Int32, _ index: Int32) {
        updateWindow(path, expCmdSN: pdu.expCmdSN, maxCmdSN: pdu.maxCmdSN)
        guard let task = taskOnPath(pdu.initiatorTaskTag, path) else {
            return violation(path, index, .unknownTask(.readyToTransfer, pdu.initiatorTaskTag))
        }
        if pdu.r2tSN != tasks[task].nextDataSN && isRepeated(task, pdu, path) { return }
        let transfer = TransferQueue.Transfer(
            targetTransferTag: pdu.targetTransferTag, offset: pdu.bufferOffset,
            remaining: pdu.desiredDataTransferLength, dataSN: 0)
        // Without a hole, so that nothing remains unasked (DataSequenceInOrder is Yes, RFC 7143 §13.19). A
        // target that had no room for unsolicited data may ask for it once more (§4.2.5.2), and not without
        // end.
        let end = Int64(pdu.bufferOffset) &+ Int64(pdu.desiredDataTransferLength)
        let asked = Int64(tasks[task].asked) &+ Int64(pdu.desiredDataTransferLength)
        guard unsafe tasks[task].data != nil, pdu.r2tSN == tasks[task].nextDataSN,
            pdu.bufferOffset <= UInt32(bitPattern: tasks[task].received),
            asked <= 2 &* Int64(tasks[task].byteCount),
            pdu.isAcceptable(
                expectedDataTransferLength: Int(tasks[task].byteCount),
                maxBurstLength: Int(pathQueues[path].maxBurstLength)),
            queueTransfer(task, transfer, path)
        else {
            return violation(
                path, index, .transferRequest(offset: pdu.bufferOffset, length: pdu.desiredDataTransferLength)
            )
        }
        tasks[task].asked = Int32(truncatingIfNeeded: asked)
        tasks[task].received = max(tasks[task].received, Int32(truncatingIfNeeded: end))
        tasks[task].nextDataSN &+= 1
        sendTransfers(path)
    }

    /// The answer to a task has come, good or bad: the path has room again.
    @inline(__always)
    mutating func taskAnswered(_ task: Int32, _ path: Int32) {
        pathQueues[path].inFlight.remove(task, tasks)
        if pathQueues[path].inFlight.isEmpty { pathQueues[path].busy.end(now) }
        // Answered before all of its data was sent: the rest is not wanted any more.
        if transfers[task].count > 0 { dropTransfers(task) }
        let latency = now.nanoseconds(since: tasks[task].issuedAt)
        pathQueues[path].counters.answered(after: latency)
        if pathQueues[path].load.isMeasured {
            pathQueues[path].load.answered(
                bytes: tasks[task].byteCount, mark: tasks[task].mark, latency: latency, now: now.nanoseconds)
        }
        let row = tasks[task].kind.historyRow(byteCount: tasks[task].byteCount)
        pathQueues[path].history.note(latency, row: row)
    }

    /// The slower end of a task: what is not a whole READ in one PDU or a WRITE that went well.
    @inline(never)
    mutating func complete(_ task: Int32, _ path: Int32, status: UInt8, sense: SenseData?) {
        taskAnswered(task, path)
        switch tasks[task].kind {
        case .inquiry: return probeAnswered(task, path, status: status, sense: sense)
        case .barrier: return barrierAnswered(task, path, status: status, sense: sense)
        case .witness: return witnessAnswered(task, path, status: status, sense: sense)
        case .hedgedRead, .hedge: return hedgeAnswered(task, path, status: status, sense: sense)
        case .discarded:
            noteSense(task, path, status: status, sense: sense)
            return releaseTask(task)
        case .resetBarrier: return resetBarrierAnswered(task, path, status: status, sense: sense)
        case .signOfLife:
            let notices = classify(status: SCSIStatus(rawValue: status), sense: sense).notices
            noteReservations(notices, paths[Int(path)], tasks[task].disk)
            return signOfLifeAnswered(task)
        case .accessReport: return accessAnswered(task, path, status: status, sense: sense)
        case .accessSetting: return activationAnswered(task, path, status: status, sense: sense)
        case .inventory: return inventoryAnswered(task, path, status: status, sense: sense)
        case .reservationReport, .reservationOrder:
            return reservationAnswered(task, path, status: status, sense: sense)
        default: break
        }
        guard status == 0 else { return commandFailed(task, path, status: status, sense: sense) }
        switch tasks[task].kind {
        case .read:
            guard tasks[task].received == tasks[task].byteCount else {
                return shortTransfer(task, path)
            }
            pathQueues[path].counters.readBytes &+= UInt64(UInt32(bitPattern: tasks[task].byteCount))
            finishTask(task, error: 0)
        case .getLBAStatus: blockStatusAnswered(task)
        default: finishTask(task, error: 0)
        }
    }
}
