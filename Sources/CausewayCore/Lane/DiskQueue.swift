/// What moves with every request of a disk.
struct DiskQueue: BitwiseCopyable {
    var isInUse = false
    var target: Int32 = -1
    /// The LUN field of commands (SAM-5 4.7).
    var lun: UInt64 = 0
    /// Which paths there are to choose from.
    var choice = PathChoice()
    /// Bit n: path n of the target is up and showed this very LUN.
    var shown: UInt32 = 0
    /// Those of them that carry I/O: of the best access state (ALUA). Only `regroup` sets it.
    var usable: UInt32 {
        get { choice.usable }
        set { choice.usable = newValue }
    }
    /// Who takes the next command, where paths take turns or are equal.
    var turn = PathTurn()
    /// Tasks for which no path had room.
    var pending = TaskList()

    var sizeBytes: UInt64 = 0
    var blockShift: UInt8 = 9
    var isReadOnly = false
    var writeCacheEnabled = true { didSet { if share.isSome { share.publish(hasCache: writeCacheEnabled) } } }
    var supportsFUA = true
    /// New writes wait: earlier ones were answered with an error and may still reach the medium. Where the
    /// disk is evicted, that counts as one, so that the data path has one thing to look at.
    var fenceDebts: Int32 = 0 { didSet { if share.isSome { share.publish(debts: fenceDebts) } } }
    /// Where the disk is one of several shards.
    var share = ShareLink.none
    /// Requests that write and have not ended; only counted where others want to know.
    var openWrites: Int32 = 0
    /// Another host has taken the LUN away from this one: writes fail.
    var isEvicted = false
    /// Everything is answered with an error: the disk is being detached by force, or its time is up.
    var isFailing = false
    /// Goes once its last request has ended.
    var isDetaching = false

    /// Largest data of one command, bytes; a multiple of the block length.
    var pieceBytes: Int32 = 262_144
    var unmap: UnmapLimits? = nil
    var writeSame: WriteSameLimits? = nil
    /// WRITE SAME with the UNMAP bit leaves zeros behind.
    var readsZerosAfterUnmap = false
    var supportsLBAStatus = false

    var requests: Int32 = 0
    var counters = RequestCounters()

    /// The books on the LUN's volatile cache.
    private var cache = CacheLedger()
}

/// What lies in a LUN's volatile cache, and what of it was lost.
struct CacheLedger: BitwiseCopyable {
    /// Writes answered while the LUN had a volatile cache, and how many of them a FLUSH has covered.
    var acknowledged: UInt64 = 0
    var flushed: UInt64 = 0
    /// How often the target restarted and may have lost acknowledged writes, and of how many of these losses
    /// a FLUSH has told.
    var losses: UInt64 = 0
    var lossesTold: UInt64 = 0
}

/// The shards of a disk keep these books in common.
extension DiskQueue {
    @inline(__always)
    mutating func acknowledgeWrite() {
        if share.isSome { share.acknowledgeWrite() } else { cache.acknowledged &+= 1 }
    }

    /// What a FLUSH that begins now covers.
    var acknowledgedWrites: UInt64 { share.isSome ? share.acknowledgedWrites : cache.acknowledged }

    mutating func flushed(upTo mark: UInt64) {
        if share.isSome { share.flushed(upTo: mark) } else { cache.flushed = max(cache.flushed, mark) }
    }

    var hasUnflushedWrites: Bool {
        share.isSome
            ? share.acknowledgedWrites > share.flushedWrites : cache.acknowledged > cache.flushed
    }

    /// Whether the LUN has a volatile cache. Another shard may have been told of one that was switched on,
    /// and this one not yet.
    @inline(__always)
    var hasCache: Bool { writeCacheEnabled || share.isSome && share.othersHaveCache() }

    /// Whether the LUN's cache may hold what a FLUSH is for.
    var mayBeCached: Bool { hasCache || share.isSome && hasUnflushedWrites }

    /// Counts the losses. A FLUSH promises what was acknowledged before it only if none came meanwhile.
    var losses: UInt64 { share.isSome ? share.losses : cache.losses }

    /// The target restarted and may have lost acknowledged writes: the next FLUSH says so.
    var hasUntoldLoss: Bool {
        share.isSome ? share.losses > share.lossesTold : cache.losses > cache.lossesTold
    }

    mutating func noteLoss() {
        if share.isSome { share.noteLoss() } else { cache.losses &+= 1 }
    }

    mutating func lossesAreTold() {
        if share.isSome { share.lossesAreTold(upTo: share.losses) } else { cache.lossesTold = cache.losses }
    }
}

/// NBD requests of a disk since it was attached.
public struct RequestCounters: BitwiseCopyable, Sendable {
    public var reads: UInt64 = 0
    public var writes: UInt64 = 0
    public var flushes: UInt64 = 0
    public var trims: UInt64 = 0
    public var writeZeroes: UInt64 = 0
    public var readBytes: UInt64 = 0
    public var writtenBytes: UInt64 = 0
    /// Answered with an error.
    public var errors: UInt64 = 0
    /// Commands that went out again, for whatever reason.
    public var sentAgain: UInt64 = 0
    /// Reads that were sent a second time, for the first copy was slow on a suspect path.
    public var hedgedReads: UInt64 = 0
    /// Sent writes that went out again behind a fence.
    public var fencedWrites: UInt64 = 0
    /// SET TARGET PORT GROUPS commands sent.
    public var activations: UInt64 = 0
    /// LOGICAL UNIT RESETs sent for want of another fence.
    public var resets: UInt64 = 0
    /// Writes sent again without any fence (`fence = none`).
    public var unfenced: UInt64 = 0
}
