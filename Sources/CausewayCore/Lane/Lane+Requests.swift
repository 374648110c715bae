/// Requests that take more than one task, and the end of all of them.
extension Lane {
    /// A READ longer than one command may be: its pieces gather in a buffer.
    @inline(never)
    mutating func startLongRead(_ request: Int32) {
        giveBuffer(request)
        advance(request)
    }

    /// Memory in which a READ gathers. A chunk if it fits and there is one, otherwise the heap, which is
    /// bounded by the admission of requests: waiting for a chunk here could mean to wait for oneself.
    mutating func giveBuffer(_ request: Int32) {
        let length = Int(requests[request].length)
        if length <= chunks.chunkBytes, chunks.freeCount > max(reservedChunks, chunks.capacity / 4),
            let chunk = chunks.take()
        {
            unsafe requests[request].buffer = chunks.base(chunk)
            requests[request].bufferChunk = chunk
        } else {
            unsafe requests[request].buffer = .allocate(byteCount: length, alignment: 4096)
            requests[request].bufferIsOnHeap = true
            chunks.heapBytes += length
        }
    }

    /// Everything but READ and WRITE.
    @inline(never)
    mutating func startOther(_ request: Int32, _ header: NBDRequest) {
        let disk = requests[request].disk
        let isSynchronous = header.flags.contains(.forceUnitAccess) && diskQueues[disk].hasCache
        switch header.command {
        case .flush:
            diskQueues[disk].counters.flushes &+= 1
            startFlush(request)
        case .trim:
            diskQueues[disk].counters.trims &+= 1
            requests[request].mustSynchronize = isSynchronous
            openShardWrite(request)
            guard narrowToGranularity(request) else { return reply(request) }
            advance(request)
        case .writeZeroes:
            diskQueues[disk].counters.writeZeroes &+= 1
            requests[request].mustSynchronize = isSynchronous
            openShardWrite(request)
            if header.flags.contains(.fastZero) && diskQueues[disk].writeSame == nil {
                // Zeros would be written, which the client can do itself.
                requests[request].isFullyIssued = true
                requests[request].error = NBDError.notSupported.rawValue
                return reply(request)
            }
            advance(request)
        case .blockStatus:
            guard let task = takeTask() else { return starve(request) }
            issueBlockStatus(request, task)
        default:
            // CACHE: the target has a cache of its own.
            requests[request].isFullyIssued = true
            reply(request)
        }
    }

    mutating func startFlush(_ request: Int32) {
        let disk = requests[request].disk
        requests[request].isFullyIssued = true
        // Which losses were told before this FLUSH, and below which writes it covers; a FLUSH has no range,
        // so these fields are free. Read before a loss is looked for: one that comes in between fails it.
        requests[request].issued = UInt32(truncatingIfNeeded: diskQueues[disk].losses)
        // One of ours does its work first.
        if diskQueues[disk].hasUntoldLoss && !requests[request].isOrphan {
            failFlush(request)
            return reply(request)
        }
        guard diskQueues[disk].mayBeCached else { return reply(request) }
        requests[request].offset = diskQueues[disk].acknowledgedWrites
        synchronize(request, lba: 0, blocks: 0)
    }

    /// What an earlier write left in the cache is gone: this FLUSH, begun before or after, is the one to say
    /// so.
    @inline(never)
    private mutating func failFlush(_ request: Int32) {
        let disk = requests[request].disk
        // Not flushed for all that: what is still in the cache may be lost by the next restart. And a FLUSH
        // of ours tells no client.
        if !requests[request].isOrphan {
            diskQueues[disk].lossesAreTold()
            streams[requests[request].stream].hasToldLoss = true
            effects.append(.notice(.writesLost(DiskID(rawValue: disk), isTold: true)))
        }
        requests[request].error = NBDError.inputOutput.rawValue
        log(.error, "\(disks[Int(disk)].name): FLUSH fails: the target restarted with writes in its cache")
    }

    @inline(never)
    mutating func synchronize(_ request: Int32, lba: UInt64, blocks: UInt32) {
        guard let task = takeTask() else { return starve(request) }
        fillTask(
            task, .synchronizeCache, request: request, disk: requests[request].disk, lba: lba, blocks: blocks,
            byteCount: 0)
        submit(task)
    }

    private mutating func issueBlockStatus(_ request: Int32, _ task: Int32) {
        let disk = requests[request].disk
        let shift = UInt64(diskQueues[disk].blockShift)
        requests[request].isFullyIssued = true
        fillTask(
            task, .getLBAStatus, request: request, disk: disk, lba: requests[request].offset &>> shift,
            blocks: requests[request].length &>> UInt32(shift), byteCount: 8 + 16 * 32)
        internalData[task] = []
        // Announced, and refused since.
        guard diskQueues[disk].supportsLBAStatus else { return blockStatusAnswered(task) }
        submit(task)
    }

    /// Shrinks a TRIM to what the LUN can deallocate; false if nothing is left, which is a success.
    private mutating func narrowToGranularity(_ request: Int32) -> Bool {
        let disk = requests[request].disk
        let shift = UInt64(diskQueues[disk].blockShift)
        let first = requests[request].offset &>> shift
        var range: Range<UInt64>? = first..<first &+ UInt64(requests[request].length) &>> shift
        if let unmap = diskQueues[disk].unmap, let whole = range {
            range = unmap.wholeGranules(in: whole)
        } else if diskQueues[disk].writeSame?.mayUnmap != true {
            range = nil
        }
        guard let range else {
            requests[request].isFullyIssued = true
            return false
        }
        requests[request].offset = range.lowerBound &<< shift
        requests[request].length = UInt32((range.upperBound &- range.lowerBound) &<< shift)
        return true
    }

    /// Makes the next tasks of a request that is cut into pieces, as many as may be under way at once.
    @inline(never)
    mutating func advance(_ request: Int32) {
        let disk = requests[request].disk
        while !requests[request].isFullyIssued && requests[request].tasks < settings.tasksPerRequest {
            guard let task = takeTask() else { return starve(request) }
            let bytes: UInt32
            switch NBDCommand(rawValue: requests[request].type) {
            case .trim: bytes = makeTrim(request, disk, task)
            case .writeZeroes: bytes = makeZeroes(request, disk, task)
            default: bytes = makePiece(request, disk, task)
            }
            requests[request].issued &+= bytes
            if requests[request].issued == requests[request].length { requests[request].isFullyIssued = true }
            submit(task)
        }
    }

    private func restBytes(_ request: Int32) -> UInt32 {
        requests[request].length &- requests[request].issued
    }

    private func position(_ request: Int32, _ disk: Int32) -> UInt64 {
        (requests[request].offset &+ UInt64(requests[request].issued)) &>> UInt64(diskQueues[disk].blockShift)
    }

    /// A piece of a long READ.
    private mutating func makePiece(_ request: Int32, _ disk: Int32, _ task: Int32) -> UInt32 {
        let bytes = min(restBytes(request), UInt32(diskQueues[disk].pieceBytes))
        let offset = requests[request].issued
        fillTask(
            task, .read, request: request, disk: disk, lba: position(request, disk),
            blocks: bytes &>> UInt32(diskQueues[disk].blockShift), byteCount: Int32(bytes))
        tasks[task].offset = Int32(offset)
        return bytes
    }

    private mutating func makeTrim(_ request: Int32, _ disk: Int32, _ task: Int32) -> UInt32 {
        let shift = UInt32(diskQueues[disk].blockShift)
        let rest = restBytes(request) &>> shift
        let lba = position(request, disk)
        let blocks: UInt32
        if let unmap = diskQueues[disk].unmap {
            // Cut between granules: half a granule is not given back.
            let whole = unmap.maxBlocks - unmap.maxBlocks % unmap.granularityBlocks
            blocks = min(rest, whole == 0 ? unmap.maxBlocks : whole)
            fillTask(
                task, .unmap, request: request, disk: disk, lba: lba, blocks: blocks,
                byteCount: Int32(ParameterList.byteCount))
            writeParameterList(task)
        } else {
            blocks = min(rest, diskQueues[disk].writeSame?.maxBlocks ?? 65535)
            fillSame(task, request, disk, lba: lba, blocks: blocks, mayUnmap: true)
        }
        return blocks &<< shift
    }

    /// The UNMAP parameter list with one descriptor (SBC-4 5.35.2).
    private mutating func writeParameterList(_ task: Int32) {
        let bytes = unsafe UnsafeMutableRawBufferPointer(
            start: parameters.mutableAddress(Int(task)), count: ParameterList.byteCount)
        var list = unsafe UnmapParameterList(in: bytes)
        _ = list.append(lba: tasks[task].lba, blocks: tasks[task].blocks)
        _ = list.finish()
        unsafe tasks[task].data = UnsafeRawPointer(bytes.baseAddress)
    }

    private mutating func fillSame(
        _ task: Int32, _ request: Int32, _ disk: Int32, lba: UInt64, blocks: UInt32, mayUnmap: Bool
    ) {
        fillTask(
            task, .writeSame, request: request, disk: disk, lba: lba, blocks: blocks,
            byteCount: 1 << Int32(diskQueues[disk].blockShift))
        tasks[task].mayUnmap = mayUnmap
        unsafe tasks[task].data = UnsafeRawPointer(zeros.address(0))
    }

    private mutating func makeZeroes(_ request: Int32, _ disk: Int32, _ task: Int32) -> UInt32 {
        let shift = UInt32(diskQueues[disk].blockShift)
        let lba = position(request, disk)
        if let same = diskQueues[disk].writeSame {
            let blocks = min(restBytes(request) &>> shift, same.maxBlocks)
            let mayUnmap =
                same.mayUnmap && diskQueues[disk].readsZerosAfterUnmap
                && requests[request].flags & CommandFlags.noHole.rawValue == 0
            fillSame(task, request, disk, lba: lba, blocks: blocks, mayUnmap: mayUnmap)
            return blocks &<< shift
        }
        let bytes = min(restBytes(request), UInt32(diskQueues[disk].pieceBytes))
        fillTask(
            task, .write, request: request, disk: disk, lba: lba, blocks: bytes &>> shift,
            byteCount: Int32(bytes))
        unsafe tasks[task].data = UnsafeRawPointer(zeros.address(0))
        return bytes
    }

    // MARK: Waiting for tasks

    @inline(never)
    mutating func starve(_ request: Int32) {
        requests[request].isStarved = true
        requests[request].next = -1
        if lastStarved >= 0 { requests[lastStarved].next = request } else { firstStarved = request }
        lastStarved = request
    }

    @inline(never)
    mutating func feedStarved() {
        var at = firstStarved
        firstStarved = -1
        lastStarved = -1
        while at >= 0 {
            let next = requests[at].next
            requests[at].isStarved = false
            resume(at)
            at = next
        }
    }

    private mutating func resume(_ request: Int32) {
        // Nobody waits for it, but for the last FLUSH of a disk, which comes from no stream.
        if requests[request].isOrphan && requests[request].tasks == 0 && requests[request].stream >= 0 {
            return releaseRequest(request)
        }
        switch NBDCommand(rawValue: requests[request].type) {
        case .flush: synchronize(request, lba: 0, blocks: 0)
        case .blockStatus:
            guard let task = takeTask() else { return starve(request) }
            issueBlockStatus(request, task)
        default:
            if requests[request].isFullyIssued { endIfDone(request) } else { advance(request) }
        }
    }

    // MARK: The end

    /// A task has its final result: 0, or an NBD errno. Its slot is free afterwards.
    @inline(__always)
    mutating func finishTask(_ task: Int32, error: UInt32) {
        let request = tasks[task].request
        if error == 0 && tasks[task].kind.isWrite {
            requests[request].isInCache = true
            if tasks[task].restBlocks > 0 { return continueZeroes(task) }
        }
        if error != 0 { noteError(error, task) }
        releaseTask(task)
        requests[request].tasks &-= 1
        endIfDone(request)
    }

    /// The first error of a request's commands is the request's.
    @inline(never)
    private mutating func noteError(_ error: UInt32, _ task: Int32) {
        let request = tasks[task].request
        if tasks[task].kind == .getLBAStatus { internalData[task] = nil }
        if requests[request].error == 0 { requests[request].error = error }
    }

    @inline(__always)
    mutating func releaseTask(_ task: Int32) {
        if tasks[task].chunk.isSome { chunks.unpin(tasks[task].chunk) }
        if transfers[task].count > 0 { dropTransfers(task) }
        tasks[task].state = .free
        freeTasks.giveBack(task)
    }

    @inline(__always)
    mutating func endIfDone(_ request: Int32) {
        if requests[request].isFullyIssued {
            guard requests[request].tasks == 0 && !requests[request].isStarved else { return }
            guard !requests[request].mustSynchronize || requests[request].error != 0 else {
                return synchronizeRange(request)
            }
            acknowledge(request)
            reply(request)
        } else if requests[request].type != NBDCommand.write.rawValue {
            advanceAfterTask(request)
        }
    }

    @inline(never)
    private mutating func advanceAfterTask(_ request: Int32) {
        if requests[request].error != 0 {
            requests[request].isFullyIssued = true
            if requests[request].tasks == 0 && !requests[request].isStarved { reply(request) }
            return
        }
        guard !requests[request].isStarved else { return }
        advance(request)
    }

    @inline(never)
    private mutating func synchronizeRange(_ request: Int32) {
        // Still to be done when it has to wait for a task.
        guard hasTask else { return starve(request) }
        requests[request].mustSynchronize = false
        let shift = UInt64(diskQueues[requests[request].disk].blockShift)
        synchronize(
            request, lba: requests[request].offset &>> shift,
            blocks: requests[request].length &>> UInt32(shift))
    }

    /// Keeps the books on what lies in the target's cache.
    @inline(__always)
    private mutating func acknowledge(_ request: Int32) {
        let disk = requests[request].disk
        guard requests[request].error == 0 else { return }
        switch NBDCommand(rawValue: requests[request].type) {
        case .write, .writeZeroes, .trim:
            guard diskQueues[disk].hasCache else { return }
            diskQueues[disk].acknowledgeWrite()
        case .flush:
            // A FLUSH that came before the word of a loss would promise what is lost, also where another has
            // told of it since.
            let losses = UInt32(truncatingIfNeeded: diskQueues[disk].losses)
            if diskQueues[disk].hasUntoldLoss || requests[request].issued != losses {
                failFlush(request)
                guard requests[request].isOrphan else { return }
            }
            diskQueues[disk].flushed(upTo: requests[request].offset)
        default: break
        }
    }
}
