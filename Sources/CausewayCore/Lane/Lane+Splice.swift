/// Long Data-In that goes from the target's socket to the client's through a pipe, inside the kernel: two
/// copies of the data less. The status that ends the READ is in the header of its last Data-In PDU (RFC 7143
/// §11.7.3), so nothing behind the header has to be seen.
extension Lane {
    /// Whether the next PDU is probably long Data-In, so that no more than its header should be received.
    @inline(__always)
    func expectsLongData(_ path: Int32) -> Bool {
        pathQueues[path].splices && pathQueues[path].longReads &* 2 > pathQueues[path].inFlight.count
            && settings.pipeCount > 0 && pathQueues[path].isFullFeature
    }

    /// A Data-In PDU has begun to arrive: if it is a whole READ that ended well, the rest of it goes into a
    /// pipe.
    @inline(__always)
    mutating func beginSplice(_ pdu: SCSIDataIn, _ path: Int32, _ index: Int32, _ available: Int) -> Bool {
        let count = pdu.dataSegmentLength
        guard count >= Int(settings.spliceBytes), pathQueues[path].splices, settings.pipeCount > 0 else {
            return false
        }
        return beginLongSplice(pdu, path, index, available)
    }

    private mutating func beginLongSplice(_ pdu: SCSIDataIn, _ path: Int32, _ index: Int32, _ available: Int)
        -> Bool
    {
        let count = pdu.dataSegmentLength
        let prefix = available &- BasicHeaderSegment.byteCount
        guard pathQueues[path].stream == index, pathQueues[path].isFullFeature, count &- prefix >= count / 2,
            count & 3 == 0, pdu.hasStatus, pdu.status == 0, pdu.flags.isConsistent,
            let task = taskOnPath(pdu.initiatorTaskTag, path), tasks[task].kind == .read,
            tasks[task].byteCount == Int32(truncatingIfNeeded: count), tasks[task].received == 0,
            pdu.bufferOffset == 0, pdu.dataSN == 0, pdu.statSN == pathQueues[path].expStatSN,
            requests[tasks[task].request].length == UInt32(truncatingIfNeeded: count),
            let pipe = chunks.takePipe()
        else { return false }
        // Its status is counted once all of it is here: until then it may still have to go through memory.
        pathQueues[path].updateWindow(expCmdSN: pdu.expCmdSN, maxCmdSN: pdu.maxCmdSN)
        let chunk = streams[index].chunk
        chunks.pin(chunk)
        streams[index].pipe = pipe
        streams[index].spliceTask = task
        streams[index].spliceRest = count &- prefix
        streams[index].splicePrefix = prefix
        streams[index].splicePrefixOffset = streams[index].parsed &+ BasicHeaderSegment.byteCount
        streams[index].spliceChunk = chunk
        streams[index].parsed = streams[index].filled
        streams[index].needed = 0
        return true
    }

    /// `count` bytes went into the pipe that `receiveSpace` named.
    public mutating func spliced(_ id: StreamID, count: Int, now: Instant) {
        guard isCurrent(id), streams[id.index].pipe >= 0 else { return }
        self.now = now
        let index = id.index
        let path = streams[index].owner
        pathQueues[path].lastReceived = now
        streams[index].spliceRest &-= count
        if streams[index].spliceRest == 0 { finishSplice(index, path) }
    }

    /// All of a READ's data is in the pipe: the reply takes it along.
    @inline(__always)
    private mutating func finishSplice(_ index: Int32, _ path: Int32) {
        let task = streams[index].spliceTask
        let request = tasks[task].request
        let pipe = streams[index].pipe
        pathQueues[path].expStatSN = pathQueues[path].expStatSN.next
        taskAnswered(task, path)
        pathQueues[path].counters.readBytes &+= UInt64(UInt32(bitPattern: tasks[task].byteCount))
        if requests[request].isOrphan {
            endSplice(index, isEmpty: false)
        } else {
            let client = requests[request].stream
            let prefix = streams[index].splicePrefix
            let start = unsafe chunks.base(streams[index].spliceChunk) + streams[index].splicePrefixOffset
            unsafe appendReadReply(
                request, stream: client, data: start, count: Int32(prefix), chunk: streams[index].spliceChunk,
                ownsData: false)
            let entry = unsafe streams[client].send.append()
            unsafe entry.pointee.reset(headerCount: 0)
            unsafe entry.pointee.payloadCount = tasks[task].byteCount &- Int32(prefix)
            unsafe entry.pointee.pipe = pipe
            streams[index].pipe = -1
            streams[index].spliceChunk = .none
        }
        releaseRequest(request)
        releaseTask(task)
        if hasPending { pumpPending() }
    }

    /// Gives back what a splice holds, before its end.
    mutating func endSplice(_ index: Int32, isEmpty: Bool) {
        chunks.givePipeBack(streams[index].pipe, isEmpty: isEmpty)
        if streams[index].spliceChunk.isSome { chunks.unpin(streams[index].spliceChunk) }
        streams[index].spliceChunk = .none
        streams[index].pipe = -1
    }

    /// Pipes to be emptied (a mask by number) before the lane names them again.
    public mutating func takeDirtyPipes() -> UInt64 { chunks.takeDirtyPipes() }

    /// The pipe of a stream is full of small pieces before all data is in it. Returns where its bytes are to
    /// be read to; afterwards `unspliced` goes on with the PDU in memory, and the path does without pipes
    /// from then on.
    public mutating func unsplice(_ id: StreamID) -> ReceiveSpace? {
        guard isCurrent(id), streams[id.index].pipe >= 0, let fresh = chunks.take() else { return nil }
        let index = id.index
        let count = streams[index].splicePrefix &+ BasicHeaderSegment.byteCount
        let start =
            unsafe chunks.base(streams[index].spliceChunk) + streams[index].splicePrefixOffset
            - BasicHeaderSegment.byteCount
        unsafe chunks.base(fresh).copyMemory(from: start, byteCount: count)
        let total = Int(tasks[streams[index].spliceTask].byteCount)
        let inPipe = total &- streams[index].splicePrefix &- streams[index].spliceRest
        chunks.unpin(streams[index].chunk)
        streams[index].chunk = fresh
        streams[index].parsed = 0
        streams[index].filled = count
        return unsafe ReceiveSpace(base: chunks.base(fresh) + count, count: inPipe)
    }

    /// The bytes of the pipe are where `unsplice` said.
    public mutating func unspliced(_ id: StreamID, count: Int, now: Instant) {
        let index = id.index
        let path = streams[index].owner
        pathQueues[path].splices = false
        endSplice(index, isEmpty: true)
        received(id, count: count, now: now)
    }
}
