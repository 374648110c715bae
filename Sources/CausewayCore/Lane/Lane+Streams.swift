/// Where to put bytes that arrive on a stream.
@safe
public struct ReceiveSpace: BitwiseCopyable {
    public let base: UnsafeMutableRawPointer
    public let count: Int

    init(base: UnsafeMutableRawPointer, count: Int) {
        unsafe self.base = base
        self.count = count
    }
}

/// Byte streams: opening, receiving, sending, closing.
extension Lane {
    /// A fresh stream, or nil when the table is full.
    mutating func openStream(_ kind: Stream.Kind, owner: Int32) -> Int32? {
        guard let index = freeStreams.take() else { return nil }
        let generation = streams[index].generation &+ 1
        var stream = Stream()
        stream.kind = kind
        stream.generation = generation
        stream.owner = owner
        stream.send = SendQueue.allocate(capacity: settings.sendQueueCapacity)
        streams[index] = stream
        return index
    }

    /// Gives back all that a stream holds. Its send queue must have been dealt with.
    mutating func releaseStream(_ index: Int32) {
        let stream = unsafe streams.mutableAddress(Int(index))
        while unsafe stream.pointee.send.dropFirst(chunks: &chunks) != nil {}
        if streams[index].chunk.isSome { chunks.unpin(streams[index].chunk) }
        if streams[index].isDirty { removeDirty(index) }
        if streams[index].isBlocked { removeBlocked(index) }
        streams[index].send.deallocate()
        let generation = streams[index].generation
        streams[index] = Stream()
        streams[index].generation = generation
        freeStreams.giveBack(index)
    }

    func streamID(_ index: Int32) -> StreamID {
        StreamID(index: index, generation: streams[index].generation)
    }

    /// Whether `id` still names the stream that it was made for.
    @inline(__always)
    func isCurrent(_ id: StreamID) -> Bool {
        UInt32(bitPattern: id.index) < UInt32(streams.capacity) && streams[id.index].kind != .free
            && streams[id.index].generation == id.generation
    }

    /// Room for what the stream has to say next, or nil if it must wait: no memory, or its requests have no
    /// slots.
    public mutating func receiveSpace(_ id: StreamID) -> ReceiveSpace? {
        guard isCurrent(id) else { return nil }
        let index = id.index
        if streams[index].isBlocked || streams[index].isDisconnecting { return nil }
        if streams[index].stopsAtBoundary { return spaceToBoundary(index) }
        if !makeRoom(index) {
            staysUnread(index)
            return nil
        }
        let stream = streams[index]
        let base = unsafe chunks.base(stream.chunk)
        return unsafe ReceiveSpace(base: base + stream.filled, count: chunks.chunkBytes &- stream.filled)
    }

    /// Bytes for which it is worth to start at the front of the chunk again, so that the cache stays warm.
    private static var smallRest: Int { 4096 }

    /// Of a small pool, half at most.
    var reservedChunks: Int { min(settings.reservedChunks, chunks.capacity / 2) }

    /// Clients leave memory to the sessions: what a client waits for must be able to arrive, a login above
    /// all.
    @inline(__always)
    private mutating func takeChunk(for index: Int32) -> ChunkID? {
        if streams[index].kind == .iscsi || chunks.freeCount > reservedChunks, let chunk = chunks.take() {
            return chunk
        }
        return takeIdleChunk(for: index)
    }

    /// A client whose last request ended while its chunk was still pinned keeps it although it idles. Others
    /// wait for that memory: it is looked for once in a wake-up.
    @inline(never)
    private mutating func takeIdleChunk(for index: Int32) -> ChunkID? {
        guard idleChunksSought != now else { return nil }
        idleChunksSought = now
        for idle in 0..<Int32(streams.capacity)
        where streams[idle].kind == .nbd && idle != index && streams[idle].requests == 0 {
            giveChunkBack(idle)
        }
        guard streams[index].kind == .iscsi || chunks.freeCount > reservedChunks else { return nil }
        return chunks.take()
    }

    @inline(__always)
    mutating func makeRoom(_ index: Int32) -> Bool {
        let chunk = streams[index].chunk
        guard chunk.isSome else {
            guard let fresh = takeChunk(for: index) else { return false }
            streams[index].chunk = fresh
            streams[index].parsed = 0
            streams[index].filled = 0
            return true
        }
        let parsed = streams[index].parsed
        let rest = streams[index].filled &- parsed
        let mine = chunks.isOnlyPin(chunk)
        if mine && rest <= Self.smallRest {
            if parsed > 0 {
                let base = unsafe chunks.base(chunk)
                if rest > 0 { unsafe base.copyMemory(from: base + parsed, byteCount: rest) }
                streams[index].parsed = 0
                streams[index].filled = rest
            }
            return true
        }
        let needed = max(streams[index].needed, rest &+ Self.smallRest)
        if chunks.chunkBytes &- parsed >= needed { return true }
        let base = unsafe chunks.base(chunk) + parsed
        if mine {
            unsafe chunks.base(chunk).copyMemory(from: base, byteCount: rest)
        } else {
            guard let fresh = takeChunk(for: index) else { return false }
            unsafe chunks.base(fresh).copyMemory(from: base, byteCount: rest)
            chunks.unpin(chunk)
            streams[index].chunk = fresh
        }
        streams[index].parsed = 0
        streams[index].filled = rest
        return true
    }

    /// `count` bytes were put where `receiveSpace` said.
    public mutating func received(_ id: StreamID, count: Int, now: Instant) {
        guard isCurrent(id) else { return }
        self.now = now
        streams[id.index].filled &+= count
        let mayHaveMore = streams[id.index].filled == chunks.chunkBytes
        parse(id.index)
        if streams[id.index].unreadSince != .never && !mayHaveMore { hasCaughtUp(id) }
    }

    @inline(__always)
    mutating func parse(_ index: Int32) {
        switch streams[index].kind {
        case .iscsi: parseISCSI(index)
        case .nbd: parseNBD(index)
        case .negotiation: parseNegotiation(index)
        case .free: break
        }
    }

    // MARK: Sending

    @inline(__always)
    mutating func markDirty(_ index: Int32) {
        guard !streams[index].isDirty else { return }
        streams[index].isDirty = true
        streams[index].nextDirty = firstDirty
        firstDirty = index
    }

    private mutating func removeDirty(_ index: Int32) {
        var previous: Int32 = -1
        var at = firstDirty
        while at >= 0 && at != index {
            previous = at
            at = streams[at].nextDirty
        }
        guard at == index else { return }
        let next = streams[index].nextDirty
        if previous >= 0 { streams[previous].nextDirty = next } else { firstDirty = next }
        streams[index].isDirty = false
    }

    /// A stream with something new to send; nil when there is none.
    public mutating func takeDirty() -> StreamID? {
        let index = firstDirty
        guard index >= 0 else { return nil }
        firstDirty = streams[index].nextDirty
        streams[index].isDirty = false
        return streamID(index)
    }

    /// Describes the next bytes of a stream.
    public func sendVectors(
        _ id: StreamID, into vectors: UnsafeMutablePointer<IOVector>, capacity: Int
    ) -> SendBatch {
        guard isCurrent(id) else { return .nothing }
        return unsafe streams[id.index].send.fill(vectors, capacity: capacity)
    }

    /// `count` bytes of what `sendVectors` described are with the kernel. Returns whether there is more to
    /// send.
    public mutating func sent(_ id: StreamID, count: Int) -> Bool {
        guard isCurrent(id) else { return false }
        let index = id.index
        let stream = unsafe streams.mutableAddress(Int(index))
        unsafe stream.pointee.send.sent(count, chunks: &chunks)
        if streams[index].kind == .iscsi {
            let path = streams[index].owner
            if pathQueues[path].stream == index && pathQueues[path].firstTransfer >= 0 { sendTransfers(path) }
            if pathQueues[path].stream == index && sessionQueues[pathQueues[path].session].hasWaiting {
                pumpWaiting(path)
            }
            if hasPending && streams[index].send.isEmpty { pumpPending() }
        }
        if streams[index].closing != .not && hasSaidAll(index) {
            clientIsGone(index)
            return false
        }
        return !streams[index].send.isEmpty
    }

    // MARK: Closing

    /// Nothing more is read, and the stream closes once its last words are sent.
    @inline(never)
    mutating func beginClosing(_ index: Int32, _ closing: Stream.Closing) {
        streams[index].isDisconnecting = true
        streams[index].closing = closing
        if hasSaidAll(index) { return clientIsGone(index) }
        lingering[index] = now
        wake(at: now.adding(milliseconds: settings.lingerMilliseconds))
    }

    func hasSaidAll(_ index: Int32) -> Bool {
        streams[index].send.isEmpty && (streams[index].closing == .whenSent || streams[index].requests == 0)
    }

    /// A client that does not read its last answers is not waited for.
    mutating func closeLingering() {
        for (index, since) in lingering {
            if streams[index].closing == .whenAnswered && streams[index].requests > 0 {
                lingering[index] = now
                wake(at: now.adding(milliseconds: settings.lingerMilliseconds))
            } else {
                let end = since.adding(milliseconds: settings.lingerMilliseconds)
                if end <= now { clientIsGone(index) } else { wake(at: end) }
            }
        }
    }

    // MARK: Waiting for memory

    /// The stream stops being read until slots or memory come back.
    @inline(never)
    mutating func block(_ index: Int32) {
        guard !streams[index].isBlocked else { return }
        streams[index].isBlocked = true
        staysUnread(index)
        streams[index].nextBlocked = -1
        if lastBlocked >= 0 { streams[lastBlocked].nextBlocked = index } else { firstBlocked = index }
        lastBlocked = index
    }

    mutating func removeBlocked(_ index: Int32) {
        var previous: Int32 = -1
        var at = firstBlocked
        while at >= 0 && at != index {
            previous = at
            at = streams[at].nextBlocked
        }
        guard at == index else { return }
        let next = streams[index].nextBlocked
        if previous >= 0 { streams[previous].nextBlocked = next } else { firstBlocked = next }
        if lastBlocked == index { lastBlocked = previous }
        streams[index].isBlocked = false
    }

    /// To be called once after every batch of events, before sending: goes on with what waited for slots or
    /// memory.
    /// Returns whether a stream is to be read again that was blocked before.
    @discardableResult
    public mutating func settle() -> Bool {
        if firstStarved >= 0 {
            feedStarved()
            if hasPending { pumpPending() }
        }
        return firstBlocked >= 0 && unblock()
    }

    @inline(never)
    private mutating func unblock() -> Bool {
        var isAnyFree = false
        // One by one from the front, each once: going on with one may close another, or block it again.
        let end = lastBlocked
        var turns = 0
        while firstBlocked >= 0 && turns < streams.capacity {
            let index = firstBlocked
            firstBlocked = streams[index].nextBlocked
            if firstBlocked < 0 { lastBlocked = -1 }
            streams[index].isBlocked = false
            parse(index)
            if !streams[index].isBlocked { isAnyFree = true }
            turns &+= 1
            if index == end { break }
        }
        return isAnyFree
    }
}
