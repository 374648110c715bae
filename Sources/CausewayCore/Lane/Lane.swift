/// One lane: the whole data path of its disks, without a system call, a clock or a thread.
///
/// Whoever drives it (the event loop of `LinuxSystem`, or a simulator) tells it what arrived and what time it
/// is, and asks it what to send, what to connect and when to wake it:
/// ```
///  receiveSpace → recv(2) → received        bytes came
///  connected / connectFailed / closed       a stream changed
///  tick                                     nextDeadline has passed
///  settle                                   once after all of these, then
///  takeDirty → sendVectors → sendmsg(2) → sent
///  takeEffect                               streams to open and close, news for the supervisor
/// ```
/// In steady state none of it allocates or touches a reference count. What is cold (login, probes, fail-over,
/// status) lives in `Path`, `Target` and `Disk` objects that a request never meets.
public struct Lane: ~Copyable {
    let settings: LaneSettings

    // What moves with requests.
    let tasks: Slots<Task>
    let transfers: Slots<TransferQueue>
    /// Parameter lists of UNMAP, one a task.
    let parameters: Slots<ParameterList>
    /// What internal tasks are to send.
    let commands: Slots<CommandDescriptorBlock>
    let requests: Slots<Request>
    let streams: Slots<Stream>
    let pathQueues: Slots<PathQueue>
    /// First those of each path, then one for each target whose paths are connections of one session.
    let sessionQueues: Slots<SessionQueue>
    let diskQueues: Slots<DiskQueue>
    let targetPaths: Slots<TargetPaths>
    let zeros: Slots<UInt64>
    var freeTasks: FreeIndices
    var freeRequests: FreeIndices
    var freeStreams: FreeIndices
    var chunks: ChunkPool

    /// The time of the present wake-up, as its driver told it.
    var now = Instant(nanoseconds: 0)
    /// The earliest moment at which `tick` has something to do.
    public internal(set) var nextDeadline = Instant.never

    var firstDirty: Int32 = -1
    var firstBlocked: Int32 = -1
    var lastBlocked: Int32 = -1
    /// Requests that have more to issue and wait for a free task.
    var firstStarved: Int32 = -1
    var lastStarved: Int32 = -1
    /// Disks may have pending tasks that found no room.
    var hasPending = false
    /// When memory of idle clients was last looked for.
    var idleChunksSought = Instant.never
    var delayed = TaskList()

    // What is cold.
    var targets: [Target] = []
    var paths: [Path] = []
    var disks: [Disk] = []
    var negotiations: [Int32: ExportNegotiation] = [:]
    /// Streams of clients that close once their last words are sent, and since when nothing else keeps them.
    var lingering: [Int32: Instant] = [:]
    /// Data that internal commands gather, by task.
    var internalData: [Int32: [UInt8]] = [:]
    /// The other copy of a READ that was sent twice, by task.
    var twins: [Int32: Int32] = [:]
    var effects: [LaneEffect] = []
    var takenEffects = 0

    public init(settings: LaneSettings = LaneSettings()) {
        self.settings = settings
        tasks = Slots(capacity: settings.taskCapacity, repeating: Task())
        transfers = Slots(capacity: settings.taskCapacity, repeating: TransferQueue())
        parameters = Slots(capacity: settings.taskCapacity, repeating: ParameterList())
        commands = Slots(capacity: settings.taskCapacity, repeating: .testUnitReady)
        requests = Slots(capacity: settings.requestCapacity, repeating: Request())
        streams = Slots(capacity: settings.streamCapacity, repeating: Stream())
        pathQueues = Slots(capacity: settings.pathCapacity, repeating: PathQueue())
        sessionQueues = Slots(
            capacity: settings.pathCapacity + settings.targetCapacity, repeating: SessionQueue())
        diskQueues = Slots(capacity: settings.diskCapacity, repeating: DiskQueue())
        targetPaths = Slots(capacity: settings.targetCapacity, repeating: TargetPaths())
        zeros = Slots(capacity: settings.pieceBytes / 8, repeating: 0)
        freeTasks = FreeIndices(capacity: settings.taskCapacity)
        freeRequests = FreeIndices(capacity: settings.requestCapacity)
        freeStreams = FreeIndices(capacity: settings.streamCapacity)
        chunks = ChunkPool(
            count: settings.chunkCount, chunkBytes: settings.chunkBytes)
        chunks.makeResident(settings.residentChunkCount)
    }

    deinit {
        for index in 0..<requests.capacity where requests[index].bufferIsOnHeap {
            unsafe requests[index].buffer?.deallocate()
        }
        for index in 0..<streams.capacity { streams[index].send.deallocate() }
    }

    /// What is to be done outside the lane, in order; nil when that is all.
    public mutating func takeEffect() -> LaneEffect? {
        guard takenEffects < effects.count else {
            if takenEffects > 0 {
                effects.removeAll(keepingCapacity: true)
                takenEffects = 0
            }
            return nil
        }
        takenEffects += 1
        return effects[takenEffects - 1]
    }

    @inline(__always)
    mutating func wake(at moment: Instant) {
        if moment < nextDeadline { nextDeadline = moment }
    }
}

/// How large a lane's tables are, and its limits. All memory is taken once; what is never used is never
/// touched.
@safe
public struct LaneSettings: Sendable {
    /// For digests.
    public var checksum: Checksum = unsafe CRC32C.portable
    /// InitiatorAlias of every login (RFC 7143 §13.7), 1 to 255 bytes.
    public var initiatorAlias: String?
    public var taskCapacity = 8192
    /// Tasks that requests leave to the lane's own commands: one barrier or probe for each disk on each path.
    public var reservedTasks = 512
    public var requestCapacity = 4096
    public var streamCapacity = 1024
    public var pathCapacity = 512
    public var diskCapacity = 128
    public var targetCapacity = 128
    /// Chunks whose memory is taken from the beginning.
    public var residentChunkCount = 0
    /// The unit of receiving; larger than the largest PDU that a target may send.
    public var chunkBytes = 1 << 20
    public var chunkCount = 256
    /// Chunks that clients leave to the sessions: more than a session each, one for each attempt, and some in
    /// which replies wait.
    public var reservedChunks = 64
    /// Largest data of one SCSI command, bytes. MaxBurstLength of common targets: such a read comes as one
    /// PDU.
    public var pieceBytes = 262_144
    /// NBD clients of one disk.
    public var clientsPerDisk = 64
    /// How long a client may haggle.
    public var negotiationMilliseconds: UInt64 = 10_000
    /// How long a client that goes may take to read its last answers.
    public var lingerMilliseconds: UInt64 = 5000
    /// Requests of one NBD client that are worked on at once.
    public var requestsPerClient: Int32 = 512
    /// Tasks of one request that are under way at once.
    public var tasksPerRequest: Int32 = 32
    /// Entries of a stream's send queue.
    public var sendQueueCapacity = 2048
    /// How often a command that the target asked to send again goes out again. Each of up to 32 sessions may
    /// have several unit attentions to tell first.
    public var retryLimit: UInt8 = 64
    /// For reads that do not fit a chunk, bytes.
    public var heapLimitBytes = 256 << 20
    /// What one PDU from the target may carry, bytes.
    public var maxRecvDataSegmentLength = 262_144
    /// Commands under way on a path, at most.
    public var depthPerPath: Int32 = 128
    /// One SYN: what comes back within a second after it is gone is a path that the next attempt finds.
    public var connectTimeoutMilliseconds: UInt64 = 1000
    /// How long a task management function may take before the next harsher one.
    public var taskManagementTimeoutMilliseconds: UInt64 = 15_000
    /// How often the depth of a path grows again that TASK SET FULL has lowered.
    public var depthGrowthMilliseconds: UInt64 = 500
    /// For a login that must end an old session first.
    public var fenceLoginTimeoutMilliseconds: UInt64 = 90_000
    /// How often a fenced path's own route is tried.
    public var ownRouteRetryMilliseconds: UInt64 = 500
    /// How often a LUN that a path does not show is asked for again.
    public var reprobeMilliseconds: UInt64 = 2000
    /// How often a LUN that serves is asked again for what it is: it may have grown without saying so.
    public var capacityPollMilliseconds: UInt64 = 300_000
    /// So long the fences of a lost session are tried before a disk's `fence` setting is looked at. Longer
    /// than a packet lives in a network.
    public var lastFenceMilliseconds: UInt64 = 5000
    /// Reads that may be out twice at a time.
    public var hedgesAtOnce = 64
    /// Developer's switch: shows what the barrier is for by leaving it out.
    public var skipsBarrier = false
    /// For simulated worlds, which must notice: writes of a lost session are sent again at once.
    public var skipsFence = false

    public init() {}
}

/// The parameter list of an UNMAP with one descriptor (SBC-4 5.35.2), in wire order.
struct ParameterList: BitwiseCopyable {
    static let byteCount = 24
    var words = [3 of UInt64](repeating: 0)
}

/// The paths of a target by ordinal.
struct TargetPaths: BitwiseCopyable {
    static let capacity = 32
    var indices = [32 of Int32](repeating: -1)
    var count: Int32 = 0
}
