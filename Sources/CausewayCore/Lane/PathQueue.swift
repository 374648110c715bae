/// What moves with every command on a path: the negotiated limits, and the tasks on it.
struct PathQueue: BitwiseCopyable {
    /// -1 while there is no connection.
    var stream: Int32 = -1
    var target: Int32 = -1
    /// Which of its target's paths it is: its bit in the masks of disks.
    var ordinal: Int32 = 0
    /// In full-feature phase, for I/O and for the lane's own commands.
    var isFullFeature = false

    /// The session's numbers and window, in `sessionQueues`.
    var session: Int32 = -1
    var expStatSN = StatSN(0)

    // Negotiated.
    var immediateData = true
    var initialR2T = true
    var firstBurstLength: Int32 = 65536
    var maxBurstLength: Int32 = 262_144
    var targetMaxRecvDataSegmentLength: Int32 = 8192
    var initiatorMaxRecvDataSegmentLength: Int32 = 8192
    var maxOutstandingR2T: UInt8 = 1

    /// Commands on this path, at most.
    var depth: Int32 = 128
    var inFlight = TaskList()
    /// Sent writes of a lost connection, until the fence.
    var held = TaskList()
    /// Tasks with Data-Out to send, first in first out.
    var firstTransfer: Int32 = -1
    var lastTransfer: Int32 = -1

    var busy = BusyTime()
    /// For the policy service-time.
    var load = PathLoad()
    /// When bytes last came from the target.
    var lastReceived = Instant(nanoseconds: 0)
    /// How long answers took lately.
    var history = LatencyHistory()

    var counters = PathCounters()

    /// Begins a connection's full-feature phase.
    mutating func take(_ parameters: NegotiatedParameters) {
        expStatSN = parameters.expStatSN
        immediateData = parameters.immediateData
        initialR2T = parameters.initialR2T
        firstBurstLength = Int32(clamping: parameters.firstBurstLength)
        maxBurstLength = Int32(clamping: parameters.maxBurstLength)
        targetMaxRecvDataSegmentLength = Int32(clamping: parameters.targetMaxRecvDataSegmentLength)
        initiatorMaxRecvDataSegmentLength = Int32(clamping: parameters.initiatorMaxRecvDataSegmentLength)
    }
}

/// What `status` shows of a path.
public struct PathCounters: BitwiseCopyable, Sendable {
    public var commands: UInt64 = 0
    public var readBytes: UInt64 = 0
    public var writtenBytes: UInt64 = 0
    /// Commands that ended with an error that a caller or another path had to deal with.
    public var errors: UInt64 = 0
    /// Times the connection was lost.
    public var losses: UInt64 = 0
    /// Sum over answered commands, from the moment they were queued to the socket.
    public var latencyNanoseconds: UInt64 = 0
    /// The same as a moving average, weight 1/64.
    public var smoothedLatencyNanoseconds: UInt64 = 0
    /// Fences taken, and by which proof: a barrier behind the login, or a login that itself waits for tasks.
    public var fences: UInt64 = 0
    public var fencesByBarrier: UInt64 = 0
    public var fencesByLogin: UInt64 = 0
    /// From the loss to the proof, for the newest fence.
    public var lastFenceNanoseconds: UInt64 = 0
    /// Sent writes that waited for a fence.
    public var heldWrites: UInt64 = 0
    /// Commands of its lost connections that the target went on with over another (TASK REASSIGN).
    public var reassigned: UInt64 = 0
    /// NOP-Outs sent.
    public var pings: UInt64 = 0
    /// Times it was silent for longer than its past explains.
    public var suspicions: UInt64 = 0
    public var quarantines: UInt64 = 0
    /// Slow reads of this path that were sent a second time elsewhere, and how many of those came first.
    public var hedgedReads: UInt64 = 0
    public var hedgesWon: UInt64 = 0
    /// PDUs that came damaged, and ended the connection.
    public var headerDigestErrors: UInt64 = 0
    public var dataDigestErrors: UInt64 = 0
    /// PDUs whose data the target says came damaged (Reject, reason 0x02).
    public var rejectedDigests: UInt64 = 0
    /// Commands that were without an answer for too long.
    public var aborts: UInt64 = 0

    public init() {}

    @inline(__always)
    mutating func answered(after nanoseconds: UInt64) {
        commands &+= 1
        latencyNanoseconds &+= nanoseconds
        let smoothed = Int64(bitPattern: smoothedLatencyNanoseconds)
        let delta = Int64(bitPattern: nanoseconds) &- smoothed
        smoothedLatencyNanoseconds = UInt64(bitPattern: smoothed &+ delta / 64)
        if smoothed == 0 { smoothedLatencyNanoseconds = nanoseconds }
    }
}
