/// The NBD side of a lane: requests in, replies out.
extension Lane {
    /// Entries that replies to refused requests may take, beside one for every request under way.
    private static var replyReserve: Int { 64 }

    mutating func parseNBD(_ index: Int32) {
        guard let rules = streams[index].rules else { return }
        while true {
            let parsed = streams[index].parsed
            let available = streams[index].filled &- parsed
            if streams[index].skipping > 0 {
                let skipped = min(available, streams[index].skipping)
                streams[index].skipping &-= skipped
                streams[index].parsed &+= skipped
                streams[index].needed = 0
                if streams[index].skipping > 0 { return }
                continue
            }
            if streams[index].writing >= 0 {
                guard takePayload(index, available: available) else { return }
                continue
            }
            guard available >= NBDRequest.byteCount else {
                streams[index].needed = NBDRequest.byteCount
                return
            }
            guard hasRoomForRequest(index) || streams[index].isGivenUp else { return block(index) }
            let header = unsafe NBDRequest(copyingFrom: chunks.base(streams[index].chunk) + parsed)
            switch rules.validate(header) {
            case .accept:
                streams[index].parsed = parsed &+ NBDRequest.byteCount
                if streams[index].isGivenUp {
                    pass(header, stream: index)
                } else {
                    start(header, stream: index)
                }
            case .refuse(let error):
                streams[index].parsed = parsed &+ NBDRequest.byteCount
                refuse(header, with: error, stream: index)
            case .refuseAndSkipPayload(let error):
                streams[index].parsed = parsed &+ NBDRequest.byteCount
                streams[index].skipping = Int(header.length)
                refuse(header, with: error, stream: index)
            case .disconnect(let end):
                return clientEnds(index, end)
            }
        }
    }

    @inline(__always)
    private func hasRoomForRequest(_ index: Int32) -> Bool {
        Int(streams[index].requests) &+ streams[index].send.count < Int(settings.requestsPerClient)
            && freeRequests.count > 0
            // One needs no more than the chunk that it lies in, and may be what all others wait for.
            && (chunks.freeCount > reservedChunks / 2 || streams[index].requests == 0)
            && freeTasks.count > settings.reservedTasks
            && streams[index].send.room > 2 &* Int(streams[index].requests) &+ Self.replyReserve
            && chunks.heapBytes < settings.heapLimitBytes
    }

    /// The next piece of the WRITE that is arriving, once all of it is here; false when more bytes or slots
    /// are needed.
    @inline(__always)
    private mutating func takePayload(_ index: Int32, available: Int) -> Bool {
        let request = streams[index].writing
        let disk = streams[index].owner
        let issued = requests[request].issued
        let piece = min(requests[request].length &- issued, UInt32(diskQueues[disk].pieceBytes))
        guard available >= Int(piece) else {
            streams[index].needed = Int(piece)
            return false
        }
        guard let task = takeTask() else {
            block(index)
            return false
        }
        let shift = UInt64(diskQueues[disk].blockShift)
        let chunk = streams[index].chunk
        chunks.pin(chunk)
        fillTask(
            task, .write, request: request, disk: disk,
            lba: (requests[request].offset &+ UInt64(issued)) &>> shift, blocks: piece &>> UInt32(shift),
            byteCount: Int32(piece))
        unsafe tasks[task].data = UnsafeRawPointer(chunks.base(chunk) + streams[index].parsed)
        tasks[task].chunk = chunk
        tasks[task].forceUnitAccess =
            requests[request].flags & CommandFlags.forceUnitAccess.rawValue != 0
            && diskQueues[disk].supportsFUA
        streams[index].parsed &+= Int(piece)
        requests[request].issued = issued &+ piece
        if issued &+ piece == requests[request].length {
            requests[request].isFullyIssued = true
            streams[index].writing = -1
        }
        submit(task)
        return true
    }

    /// A task for a request, as long as the lane's own commands have enough.
    @inline(__always)
    mutating func takeTask() -> Int32? {
        hasTask ? freeTasks.take() : nil
    }

    @inline(__always)
    var hasTask: Bool { freeTasks.count > settings.reservedTasks }

    @inline(__always)
    mutating func fillTask(
        _ task: Int32, _ kind: TaskKind, request: Int32, disk: Int32, lba: UInt64, blocks: UInt32,
        byteCount: Int32
    ) {
        let generation = tasks[task].generation
        tasks[task] = Task()
        tasks[task].generation = generation
        tasks[task].kind = kind
        tasks[task].request = request
        tasks[task].disk = disk
        tasks[task].lba = lba
        tasks[task].blocks = blocks
        tasks[task].byteCount = byteCount
        if request >= 0 { requests[request].tasks &+= 1 }
    }

    /// Begins an accepted request; `hasRoomForRequest` held.
    @inline(__always)
    private mutating func start(_ header: NBDRequest, stream index: Int32) {
        guard let request = freeRequests.take() else { preconditionFailure("a request without a slot") }
        let disk = streams[index].owner
        requests[request] = Request()
        requests[request].isFree = false
        requests[request].type = header.command.rawValue
        requests[request].flags = header.flags.rawValue
        requests[request].cookie = header.cookie
        requests[request].offset = header.offset
        requests[request].length = header.length
        requests[request].stream = index
        requests[request].disk = disk
        streams[index].requests &+= 1
        diskQueues[disk].requests &+= 1
        switch header.command {
        case .read:
            diskQueues[disk].counters.reads &+= 1
            diskQueues[disk].counters.readBytes &+= UInt64(header.length)
            if header.length <= UInt32(diskQueues[disk].pieceBytes), let task = takeTask() {
                let shift = UInt64(diskQueues[disk].blockShift)
                fillTask(
                    task, .read, request: request, disk: disk, lba: header.offset &>> shift,
                    blocks: header.length &>> UInt32(shift), byteCount: Int32(header.length))
                requests[request].issued = header.length
                requests[request].isFullyIssued = true
                submit(task)
            } else {
                startLongRead(request)
            }
        case .write:
            diskQueues[disk].counters.writes &+= 1
            diskQueues[disk].counters.writtenBytes &+= UInt64(header.length)
            if header.flags.contains(.forceUnitAccess) && !diskQueues[disk].supportsFUA
                && diskQueues[disk].hasCache
            {
                requests[request].mustSynchronize = true
            }
            streams[index].writing = request
            if diskQueues[disk].share.isSome { openShardWrite(request) }
        default:
            startOther(request, header)
        }
    }

    /// A reply without data to a request that is not even begun.
    @inline(never)
    private mutating func refuse(_ header: NBDRequest, with error: NBDError, stream index: Int32) {
        guard !streams[index].isGivenUp else { return }
        writeReply(header.cookie, isRead: header.command == .read, error, stream: index)
    }

    // MARK: Replies

    /// Queues a reply without data.
    @inline(__always)
    mutating func writeReply(_ cookie: UInt64, isRead: Bool, _ error: NBDError, stream index: Int32) {
        let entry = unsafe streams[index].send.append()
        // With structured replies a READ may only be answered by chunks, an error included.
        if isRead && streams[index].structuredReplies {
            unsafe entry.pointee.reset(headerCount: 0)
            let count = unsafe ReplyChunk.writeError(error, message: "", cookie: cookie, to: entry)
            unsafe entry.pointee.headerCount = UInt8(truncatingIfNeeded: count)
        } else {
            unsafe entry.pointee.reset(headerCount: SimpleReply.byteCount)
            unsafe SimpleReply.write(error: error, cookie: cookie, to: entry)
        }
        markDirty(index)
    }

    /// Answers a READ with data that lies in a chunk, which stays pinned until the reply is sent.
    @inline(__always)
    mutating func replyRead(_ request: Int32, data: UnsafeRawPointer, chunk: ChunkID) {
        let index = requests[request].stream
        if !requests[request].isOrphan {
            chunks.pin(chunk)
            unsafe appendReadReply(
                request, stream: index, data: data, count: Int32(bitPattern: requests[request].length),
                chunk: chunk,
                ownsData: false)
        }
        releaseRequest(request)
    }

    /// The header of a READ's reply and `count` bytes of its data; the entry takes over the pin of `chunk`.
    @inline(__always)
    mutating func appendReadReply(
        _ request: Int32, stream index: Int32, data: UnsafeRawPointer, count: Int32, chunk: ChunkID,
        ownsData: Bool
    ) {
        let entry = unsafe streams[index].send.append()
        if streams[index].structuredReplies {
            unsafe entry.pointee.reset(headerCount: ReplyChunk.offsetDataByteCount)
            unsafe ReplyChunk.writeOffsetData(
                offset: requests[request].offset, dataByteCount: requests[request].length,
                cookie: requests[request].cookie, to: entry)
        } else {
            unsafe entry.pointee.reset(headerCount: SimpleReply.byteCount)
            unsafe SimpleReply.write(cookie: requests[request].cookie, to: entry)
        }
        unsafe entry.pointee.payload = data
        unsafe entry.pointee.payloadCount = count
        unsafe entry.pointee.chunk = chunk
        unsafe entry.pointee.ownsPayload = ownsData
        markDirty(index)
    }

    /// Answers a request all of whose tasks have ended, and frees it.
    @inline(__always)
    mutating func reply(_ request: Int32) {
        if !requests[request].isOrphan {
            let isRead = requests[request].type == NBDCommand.read.rawValue
            let error = NBDError(rawValue: requests[request].error)
            if isRead && error == .none {
                replyGathered(request)
            } else {
                writeReply(requests[request].cookie, isRead: isRead, error, stream: requests[request].stream)
            }
        } else if requests[request].stream < 0 {
            ownFlushEnded(request)
        }
        releaseRequest(request)
    }

    /// A READ whose data was put together in a buffer of its own: the reply takes the buffer along.
    @inline(never)
    private mutating func replyGathered(_ request: Int32) {
        guard let buffer = unsafe requests[request].buffer else { return }
        unsafe appendReadReply(
            request, stream: requests[request].stream, data: buffer,
            count: Int32(bitPattern: requests[request].length), chunk: requests[request].bufferChunk,
            ownsData: requests[request].bufferIsOnHeap)
        unsafe requests[request].buffer = nil
        requests[request].bufferIsOnHeap = false
        requests[request].bufferChunk = .none
    }

    @inline(__always)
    mutating func releaseRequest(_ request: Int32) {
        if unsafe requests[request].buffer != nil { dropBuffer(request) }
        let stream = requests[request].stream
        if !requests[request].isOrphan {
            streams[stream].requests &-= 1
            if streams[stream].requests == 0 { giveChunkBack(stream) }
        }
        let disk = requests[request].disk
        if requests[request].isOpenWrite { closeShardWrite(request) }
        if requests[request].isAwaited {
            diskQueues[disk].fenceDebts -= 1
            hasPending = true
        }
        let error = requests[request].error
        if error != 0 && error != NBDError.notSupported.rawValue { diskQueues[disk].counters.errors &+= 1 }
        diskQueues[disk].requests &-= 1
        requests[request].isFree = true
        freeRequests.giveBack(request)
        if diskQueues[disk].requests == 0 && diskQueues[disk].isDetaching { diskIsIdle(disk) }
    }

    /// A client with nothing under way and a session with nothing half received hold no memory: there may be
    /// many of them. The next chunk that is taken is the one given back last, warm in the cache.
    @inline(__always)
    mutating func giveChunkBack(_ index: Int32) {
        let chunk = streams[index].chunk
        guard chunk.isSome, streams[index].parsed == streams[index].filled, chunks.isOnlyPin(chunk) else {
            return
        }
        chunks.unpin(chunk)
        streams[index].chunk = .none
        streams[index].parsed = 0
        streams[index].filled = 0
    }

    @inline(never)
    private mutating func dropBuffer(_ request: Int32) {
        if requests[request].bufferIsOnHeap {
            unsafe requests[request].buffer?.deallocate()
            chunks.heapBytes -= Int(requests[request].length)
        } else if requests[request].bufferChunk.isSome {
            chunks.unpin(requests[request].bufferChunk)
        }
        unsafe requests[request].buffer = nil
    }

    // MARK: The end of a client

    /// DISC, or a stream that has lost its place: nothing more is read. What was accepted is carried out and
    /// answered first.
    @inline(never)
    private mutating func clientEnds(_ index: Int32, _ end: TransmissionEnd) {
        if end != .requested {
            log(.error, "\(disks[Int(streams[index].owner)].name): \(end); its connection is closed")
        }
        streams[index].endIsRequested = end == .requested
        beginClosing(index, .whenAnswered)
    }

    /// Lets go of an NBD client. Its requests run to their end, unanswered.
    @inline(never)
    mutating func clientIsGone(_ index: Int32) {
        let disk = streams[index].owner
        let id = streamID(index)
        let requested = streams[index].endIsRequested
        negotiations[index] = nil
        lingering[index] = nil
        // The answer that says so may be among those that are lost with the stream.
        if streams[index].hasToldLoss && !streams[index].send.isEmpty { writesAreLost(disk) }
        // First, for the end of a request may be the end of the disk, which closes its streams.
        releaseStream(index)
        effects.append(.close(id))
        effects.append(.notice(.clientGone(DiskID(rawValue: disk), requested: requested)))
        orphanRequests(of: index, disk)
    }

    /// Requests that nobody waits for any more on this stream run to their end, and new writes wait for it.
    mutating func orphanRequests(of index: Int32, _ disk: Int32) {
        for request in 0..<Int32(requests.capacity)
        where !requests[request].isFree && !requests[request].isOrphan && requests[request].stream == index {
            requests[request].isOrphan = true
            if requests[request].tasks == 0 && !requests[request].isStarved {
                // The rest of its payload never came.
                releaseRequest(request)
            } else {
                requests[request].isFullyIssued = true
                switch NBDCommand(rawValue: requests[request].type) {
                case .write, .writeZeroes, .trim:
                    requests[request].isAwaited = true
                    diskQueues[disk].fenceDebts += 1
                default: break
                }
            }
        }
        dropOrphans(disk)
    }

    /// Writes of clients that are gone and that wait to be sent, or to be sent again: they would go over what
    /// the next client writes, to which the kernel sends the same ones anew.
    private mutating func dropOrphans(_ disk: Int32) {
        // Collected first: the end of one may be the end of the disk.
        var waiting: [Int32] = []
        for list in [diskQueues[disk].pending, delayed] { collectOrphans(list.first, disk, &waiting) }
        for task in waiting where isOrphanedWrite(task, disk) {
            switch tasks[task].state {
            case .delayed: delayed.remove(task, tasks)
            case .pending: diskQueues[disk].pending.remove(task, tasks)
            default: continue
            }
            finishTask(task, error: NBDError.inputOutput.rawValue)
        }
        for index in targets[Int(diskQueues[disk].target)].paths {
            let path = paths[Int(index)]
            var held: [Int32] = []
            collectOrphans(pathQueues[index].held.first, disk, &held)
            for task in held where tasks[task].state == .held && isOrphanedWrite(task, disk) {
                pathQueues[index].held.remove(task, tasks)
                if pathQueues[index].isFullFeature && path.abortBarriers[disk] != nil {
                    reinstate(path, "an aborted write was given up before its barrier")
                }
                abandonWrite(task, path)
            }
        }
    }

    private func collectOrphans(_ first: Int32, _ disk: Int32, _ list: inout [Int32]) {
        var task = first
        while task >= 0 {
            if isOrphanedWrite(task, disk) { list.append(task) }
            task = tasks[task].next
        }
    }

    func isOrphanedWrite(_ task: Int32, _ disk: Int32) -> Bool {
        tasks[task].disk == disk && tasks[task].kind.isWrite && tasks[task].request >= 0
            && requests[tasks[task].request].isOrphan
    }
}
