/// Names a byte stream between a lane and whoever moves its bytes; a generation tells a closed stream from
/// the next one in its slot.
public struct StreamID: BitwiseCopyable, Hashable, Sendable {
    public var index: Int32
    public var generation: UInt32

    public init(index: Int32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }

    /// One word, for epoll's user data.
    public var token: UInt64 { UInt64(generation) << 32 | UInt64(UInt32(bitPattern: index)) }
    public init(token: UInt64) {
        index = Int32(truncatingIfNeeded: token)
        generation = UInt32(token >> 32)
    }
}

/// A byte stream: an iSCSI connection of a path, or an NBD client of a disk.
struct Stream: BitwiseCopyable {
    enum Kind: UInt8, BitwiseCopyable {
        case free
        /// A TCP connection that carries login, then full-feature PDUs of a path.
        case iscsi
        /// An NBD client that still haggles about its export.
        case negotiation
        /// An NBD client in transmission.
        case nbd
    }

    var kind = Kind.free
    var generation: UInt32 = 0
    /// The path of an iSCSI stream, the disk of an NBD stream.
    var owner: Int32 = -1

    // Receiving: bytes parsed..<filled of the chunk wait to be understood.
    var chunk = ChunkID.none
    var parsed = 0
    var filled = 0
    /// Bytes, counted from `parsed`, that must lie together before the parser can go on.
    var needed = 0

    var send = SendQueue()
    /// From the end of a login on.
    var digests = StreamDigests()
    var isDirty = false
    var nextDirty: Int32 = -1

    // NBD
    /// When a client that still haggles is sent away.
    var negotiatesUntil = Instant.never
    /// What requests are held against, once in transmission.
    var rules: RequestRules? = nil
    var structuredReplies = false
    /// Context id of base:allocation, 0 when it was not asked for.
    var allocationContext: UInt32 = 0
    /// The WRITE whose payload is arriving, or -1.
    var writing: Int32 = -1
    /// Payload bytes of a refused WRITE that are thrown away.
    var skipping = 0
    var requests: Int32 = 0
    /// Stopped for want of slots or memory; the lane goes on with it when something is given back.
    var isBlocked = false
    var nextBlocked: Int32 = -1
    /// The kernel's socket of one of several queues: what waits too long, it sends again on another.
    var mayBeGivenUp = false
    /// The kernel has done so.
    var isGivenUp = false
    /// When it was no longer read, as long as what came since may still be unread.
    var unreadSince = Instant.never
    /// DISC came: no request follows.
    var isDisconnecting = false
    /// A FLUSH was failed because acknowledged writes are lost; the answer may still wait to be sent.
    var hasToldLoss = false
    /// Nothing is read beyond the request that is arriving: another is to take over the client.
    var stopsAtBoundary = false
    /// How it ends: first its last words go out.
    var closing = Closing.not
    /// The client itself said that it goes.
    var endIsRequested = false

    enum Closing: UInt8, BitwiseCopyable {
        case not
        /// Its requests are answered first, as NBD has it after DISC.
        case whenAnswered
        /// What is queued is sent first.
        case whenSent
    }
}
