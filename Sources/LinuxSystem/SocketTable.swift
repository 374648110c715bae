import CausewayCore

/// A socket that carries a stream of a lane.
struct StreamSocket: BitwiseCopyable {
    var descriptor: Int32 = -1
    var id = StreamID(index: -1, generation: 0)
    var isConnecting = false
    /// The kernel has bytes; the socket stands in the list of readable ones.
    var isReadable = false
    var isWritable = true
    /// The other end has said that nothing follows: with edges, no event tells of the end itself any more.
    var hasEnded = false
    /// The poller reports writability. Only while a send waits for it: a Unix socket would report it each
    /// time that its reader takes something.
    var watchesWritable = false
}

/// The sockets of a lane by stream index, and which of them have bytes waiting. In memory of its own, so that
/// the data path meets no array and its reference count.
///
/// Safe because the memory lives as long as the table and every index is checked.
@safe
struct SocketTable: ~Copyable {
    private let sockets: UnsafeMutablePointer<StreamSocket>
    private let readable: UnsafeMutablePointer<StreamID>
    let capacity: Int
    private(set) var readableCount = 0

    init(capacity: Int) {
        self.capacity = capacity
        unsafe sockets = .allocate(capacity: capacity)
        unsafe sockets.initialize(repeating: StreamSocket(), count: capacity)
        // A closed stream and its successor may both stand in the list until it is next gone through.
        unsafe readable = .allocate(capacity: capacity * 2)
        unsafe readable.initialize(repeating: StreamID(index: -1, generation: 0), count: capacity * 2)
    }

    deinit {
        unsafe sockets.deallocate()
        unsafe readable.deallocate()
    }

    @inline(__always)
    subscript(slot: Int) -> StreamSocket {
        unsafeAddress {
            precondition(UInt(bitPattern: slot) < UInt(bitPattern: capacity))
            return unsafe UnsafePointer(sockets + slot)
        }
        nonmutating unsafeMutableAddress {
            precondition(UInt(bitPattern: slot) < UInt(bitPattern: capacity))
            return unsafe sockets + slot
        }
    }

    @inline(__always)
    mutating func appendReadable(_ id: StreamID) {
        precondition(readableCount < capacity * 2)
        unsafe readable[readableCount] = id
        readableCount &+= 1
    }

    @inline(__always)
    func readable(at index: Int) -> StreamID {
        precondition(index >= 0 && index < readableCount)
        return unsafe readable[index]
    }

    /// Keeps an entry while the list is gone through from the front: entry number `kept` becomes `id`.
    @inline(__always)
    func keepReadable(_ id: StreamID, at kept: Int) {
        precondition(kept >= 0 && kept < readableCount)
        unsafe readable[kept] = id
    }

    @inline(__always)
    mutating func truncateReadable(to count: Int) {
        precondition(count <= readableCount)
        readableCount = count
    }
}
