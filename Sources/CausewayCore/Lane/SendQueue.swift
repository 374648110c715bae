/// A piece of memory to send; the layout of `struct iovec`, so that the shell can hand an array of them to
/// the kernel.
@safe
public struct IOVector: BitwiseCopyable {
    public var base: UnsafeRawPointer?
    public var count: Int

    public init() {
        unsafe base = nil
        count = 0
    }

    init(base: UnsafeRawPointer, count: Int) {
        unsafe self.base = base
        self.count = count
    }
}

/// One PDU or reply on its way out: a header kept here, a payload that lies elsewhere, and up to eight bytes
/// behind it (padding, data digest).
@safe
struct SendEntry: BitwiseCopyable {
    static let headerCapacity = 64

    /// Up to 64 bytes of header in wire order; the first field, so that the entry's address is the header's.
    var header = [8 of UInt64](repeating: 0)
    var trailer: UInt64 = 0
    var payload: UnsafeRawPointer? = nil
    var payloadCount: Int32 = 0
    /// The task whose command this entry carries, or -1: what is still here when a connection dies was never
    /// sent.
    var task: Int32 = -1
    /// Unpinned once the entry is sent.
    var chunk = ChunkID.none
    var headerCount: UInt8 = 0
    var trailerCount: UInt8 = 0
    /// The payload is on the heap and freed once the entry is sent.
    var ownsPayload = false

    @inline(__always)
    var byteCount: Int { Int(headerCount) &+ Int(payloadCount) &+ Int(trailerCount) }

    /// Makes a used entry fit for a header without payload.
    @inline(__always)
    mutating func reset(headerCount: Int) {
        unsafe payload = nil
        payloadCount = 0
        task = -1
        chunk = .none
        self.headerCount = UInt8(truncatingIfNeeded: headerCount)
        trailerCount = 0
        ownsPayload = false
    }

    @inline(__always)
    mutating func release(_ chunks: inout ChunkPool) {
        if chunk.isSome { chunks.unpin(chunk) }
        if ownsPayload {
            chunks.heapBytes &-= Int(payloadCount)
            freePayload()
        }
    }

    @inline(never)
    private func freePayload() { unsafe payload?.deallocate() }
}

/// What one gathered write is to carry.
public struct SendBatch: BitwiseCopyable, Sendable {
    /// Vectors filled in; 0 when there is nothing to send.
    public var count: Int
    public var byteCount: Int
    /// More follows at once: the array was too short.
    public var hasMore: Bool

    static let nothing = SendBatch(count: 0, byteCount: 0, hasMore: false)
}

/// What a stream has still to send, in order. A ring that restarts at its front whenever it runs empty, so
/// that a lane which keeps up touches the same few cache lines again and again.
///
/// Safe because `allocate` and `deallocate` are paired by the stream that owns the queue, entries are reached
/// by masked index only, and payloads are pinned by their entry or by a task that outlives it.
@safe
struct SendQueue: BitwiseCopyable {
    private var entries: UnsafeMutablePointer<SendEntry>?
    private var mask = 0
    private var head = 0
    private var tail = 0
    /// Bytes of the first entry that are already with the kernel.
    private var headSent = 0

    init() {
        unsafe entries = nil
    }

    /// - Parameter capacity: entries, a power of two.
    static func allocate(capacity: Int) -> SendQueue {
        precondition(capacity > 0 && capacity & (capacity - 1) == 0)
        var queue = SendQueue()
        let entries = UnsafeMutablePointer<SendEntry>.allocate(capacity: capacity)
        unsafe entries.initialize(repeating: SendEntry(), count: capacity)
        unsafe queue.entries = entries
        queue.mask = capacity - 1
        return queue
    }

    mutating func deallocate() {
        unsafe entries?.deallocate()
        self = SendQueue()
    }

    @inline(__always) var isEmpty: Bool { head == tail }
    @inline(__always) var count: Int { tail &- head }
    @inline(__always) var room: Int { mask &+ 1 &- count }

    @inline(__always)
    private func entry(_ position: Int) -> UnsafeMutablePointer<SendEntry> {
        guard let entries = unsafe entries else {
            preconditionFailure("a send queue is used before it is allocated")
        }
        return unsafe entries + (position & mask)
    }

    /// A fresh entry at the end, to be filled in place by the caller; there must be room.
    @inline(__always)
    mutating func append() -> UnsafeMutablePointer<SendEntry> {
        precondition(room > 0)
        let fresh = unsafe entry(tail)
        tail &+= 1
        return unsafe fresh
    }

    /// Describes what is to be sent next, from the first unsent byte on.
    func fill(_ vectors: UnsafeMutablePointer<IOVector>, capacity: Int) -> SendBatch {
        guard head != tail else { return .nothing }
        var filled = 0
        var bytes = -headSent
        var skip = headSent
        var position = head
        while position != tail && filled &+ 3 <= capacity {
            let entry = unsafe entry(position)
            position &+= 1
            bytes &+= unsafe entry.pointee.byteCount
            unsafe Self.push(entry, Int(entry.pointee.headerCount), &skip, vectors, &filled)
            if let payload = unsafe entry.pointee.payload {
                unsafe Self.push(payload, Int(entry.pointee.payloadCount), &skip, vectors, &filled)
            }
            let trailer = unsafe UnsafeRawPointer(entry) + Self.trailerOffset
            unsafe Self.push(trailer, Int(entry.pointee.trailerCount), &skip, vectors, &filled)
        }
        return SendBatch(count: filled, byteCount: bytes, hasMore: position != tail)
    }

    static let trailerOffset = 64

    @inline(__always)
    private static func push(
        _ bytes: UnsafeRawPointer, _ count: Int, _ skip: inout Int,
        _ vectors: UnsafeMutablePointer<IOVector>, _ filled: inout Int
    ) {
        guard count > skip else {
            skip &-= count
            return
        }
        unsafe vectors[filled] = IOVector(base: bytes + skip, count: count &- skip)
        filled &+= 1
        skip = 0
    }

    /// `count` more bytes are with the kernel; what finished entries held is let go.
    @inline(__always)
    mutating func sent(_ count: Int, chunks: inout ChunkPool) {
        headSent &+= count
        while head != tail {
            let entry = unsafe entry(head)
            let size = unsafe entry.pointee.byteCount
            guard headSent >= size else { break }
            headSent &-= size
            unsafe entry.pointee.release(&chunks)
            head &+= 1
        }
        if head == tail {
            head = 0
            tail = 0
        }
    }

    /// Whether the PDU with an Initiator Task Tag, or a part of it, is still to be sent.
    func holds(initiatorTaskTag tag: UInt32) -> Bool {
        var position = head
        while position != tail {
            let words = unsafe entry(position).pointee.header[2]
            if UInt32(bigEndian: UInt32(truncatingIfNeeded: words)) == tag { return true }
            position &+= 1
        }
        return false
    }

    /// Takes the first entry away without sending it, for when the stream is lost.
    /// Returns the task whose command it carried and whether any of it was given to the kernel.
    mutating func dropFirst(chunks: inout ChunkPool) -> (task: Int32, touched: Bool)? {
        guard head != tail else { return nil }
        let entry = unsafe entry(head)
        let result = unsafe (task: entry.pointee.task, touched: headSent > 0)
        unsafe entry.pointee.release(&chunks)
        headSent = 0
        head &+= 1
        return result
    }
}
