/// One NBD request while the lane works on it. It becomes one SCSI task or several (a LUN has its limits),
/// and is answered once all of them are.
@safe
struct Request: BitwiseCopyable {
    /// Command types as NBD numbers them, which is also what the kernel sends.
    var type: UInt16 = 0
    var flags: UInt16 = 0
    var isFree = true
    /// Every task has been made; the request ends with the last of them.
    var isFullyIssued = false
    /// FUA on a LUN without it: SYNCHRONIZE CACHE follows the data.
    var mustSynchronize = false
    var bufferIsOnHeap = false
    /// A write of it has ended and may lie in the LUN's volatile cache; a restart of the target takes it
    /// away.
    var isInCache = false
    /// In the lane's list of requests that wait for a free task, and not over before it has left it.
    var isStarved = false
    /// The stream was closed; the answer is not wanted any more.
    var isOrphan = false
    /// An orphan that writes, on a path that lives: the next client's writes wait for its end.
    var isAwaited = false
    /// It writes, and counts as open for the other shards of its disk.
    var isOpenWrite = false
    /// NBD errno to answer with, 0 for success. The first error stands.
    var error: UInt32 = 0

    /// As it came, opaque.
    var cookie: UInt64 = 0
    /// When it came; only set where `isOpenWrite`.
    var beganAt = Instant(nanoseconds: 0)
    var offset: UInt64 = 0
    var length: UInt32 = 0
    /// Bytes from the start for which tasks were made.
    var issued: UInt32 = 0
    var tasks: Int32 = 0
    var stream: Int32 = -1
    var disk: Int32 = -1
    /// Link in the lane's list of requests that wait for a free task.
    var next: Int32 = -1
    /// Where the data of a read gathers that did not arrive in one piece.
    var buffer: UnsafeMutableRawPointer? = nil
    var bufferChunk = ChunkID.none
}
