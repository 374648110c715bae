/// How a disk is. An open set: a client prints what a newer daemon says.
public struct DiskState: RawRepresentable, Hashable, Codable, Sendable {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }

    /// No path has been up yet.
    public static let attaching = DiskState(rawValue: "attaching")
    /// Every configured path is active.
    public static let optimal = DiskState(rawValue: "optimal")
    /// It serves, with fewer paths than configured.
    public static let degraded = DiskState(rawValue: "degraded")
    /// APD: no path is active, I/O is held until the timer ends.
    public static let allPathsDown = DiskState(rawValue: "all-paths-down")
    /// PDL: every path says that the LUN is gone.
    public static let permanentDeviceLoss = DiskState(rawValue: "permanent-device-loss")
    public static let detaching = DiskState(rawValue: "detaching")
}

/// How a path is. An open set: a client prints what a newer daemon says.
public struct PathState: RawRepresentable, Hashable, Codable, Sendable {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }

    /// The TCP connection is being made.
    public static let connecting = PathState(rawValue: "connecting")
    /// The iSCSI login is under way.
    public static let login = PathState(rawValue: "login")
    /// Logged in; the LUN's identity and capacity are being compared.
    public static let verifying = PathState(rawValue: "verifying")
    /// It carries I/O.
    public static let active = PathState(rawValue: "active")
    /// Usable, and not chosen by the policy.
    public static let standby = PathState(rawValue: "standby")
    /// Silent for longer than its history explains; new I/O avoids it.
    public static let suspect = PathState(rawValue: "suspect")
    /// Slow, or lost again and again: it carries no I/O while another path does.
    public static let quarantined = PathState(rawValue: "quarantined")
    /// Lost, with sent writes that wait for their fence.
    public static let fencing = PathState(rawValue: "fencing")
    /// Lost; it is tried again after a hold-off.
    public static let down = PathState(rawValue: "down")
    /// Not the same LUN: it never carries I/O.
    public static let mismatch = PathState(rawValue: "mismatch")
    /// Out of use until it is enabled.
    public static let disabled = PathState(rawValue: "disabled")
    /// Out of use for good; what it owes is being settled.
    public static let removing = PathState(rawValue: "removing")
    /// Its interface is not there yet.
    public static let waiting = PathState(rawValue: "waiting")
}

/// A disk in one line, for `io.causeway.List`.
public struct DiskSummary: Codable, Equatable, Sendable {
    public var name: DiskName
    /// `/dev/nbdX`; nil when the disk is exported on a socket.
    public var device: String?
    /// The export socket's path; nil when the disk is a kernel device.
    public var socket: String?
    public var state: DiskState
    public var target: String
    public var lun: UInt64
    public var sizeBytes: UInt64
    public var readOnly: Bool
    public var pathsActive: UInt32
    public var pathsTotal: UInt32
    /// What people should know of it, such as since when all paths are down.
    public var notes: [String]

    public init(
        name: DiskName, device: String? = nil, socket: String? = nil, state: DiskState, target: String,
        lun: UInt64,
        sizeBytes: UInt64, readOnly: Bool = false, pathsActive: UInt32, pathsTotal: UInt32,
        notes: [String] = []
    ) {
        self.name = name
        self.device = device
        self.socket = socket
        self.state = state
        self.target = target
        self.lun = lun
        self.sizeBytes = sizeBytes
        self.readOnly = readOnly
        self.pathsActive = pathsActive
        self.pathsTotal = pathsTotal
        self.notes = notes
    }
}

/// All that is known of a disk: the result of `io.causeway.Status` and `io.causeway.Attach`.
public struct DiskReport: Codable, Equatable, Sendable {
    public var name: DiskName
    /// `/dev/nbdX`; nil when the disk is exported on a socket.
    public var device: String?
    /// The export socket's path; nil when the disk is a kernel device.
    public var socket: String?
    public var state: DiskState
    public var target: String
    public var lun: UInt64
    public var sizeBytes: UInt64
    /// Bytes of a logical block.
    public var blockLength: UInt32
    /// The identity from VPD page 0x83; nil when the LUN has none.
    public var wwid: String?
    public var vendor: String
    public var model: String
    public var readOnly: Bool
    public var policy: String
    /// The settings in force by key, the policy among them.
    public var settings: [String: String]
    /// Each once, whatever the number of queues: its traffic is that of all, its state that of the worst.
    public var paths: [PathReport]
    /// The paths' sessions queue by queue; nil for a disk of one queue, where they are the paths.
    public var queues: [QueueReport]?
    public var counters: DiskCounters
    /// What people should know of it, such as since when all paths are down.
    public var notes: [String]
    /// The newest events, oldest first.
    public var events: [EventReport]

    public init(
        name: DiskName, device: String? = nil, socket: String? = nil, state: DiskState, target: String,
        lun: UInt64,
        sizeBytes: UInt64, blockLength: UInt32, wwid: String?, vendor: String, model: String,
        readOnly: Bool = false, policy: String, settings: [String: String] = [:], paths: [PathReport],
        queues: [QueueReport]? = nil, counters: DiskCounters = DiskCounters(),
        notes: [String] = [], events: [EventReport] = []
    ) {
        self.name = name
        self.device = device
        self.socket = socket
        self.state = state
        self.target = target
        self.lun = lun
        self.sizeBytes = sizeBytes
        self.blockLength = blockLength
        self.wwid = wwid
        self.vendor = vendor
        self.model = model
        self.readOnly = readOnly
        self.policy = policy
        self.settings = settings
        self.paths = paths
        self.queues = queues
        self.counters = counters
        self.notes = notes
        self.events = events
    }
}

/// A queue of a disk that has several: a session on each of the disk's paths.
public struct QueueReport: Codable, Equatable, Sendable {
    public var paths: [PathReport]

    public init(paths: [PathReport]) {
        self.paths = paths
    }
}

/// NBD requests of a disk since it was attached.
public struct DiskCounters: Codable, Equatable, Sendable {
    public var reads: UInt64
    public var writes: UInt64
    public var flushes: UInt64
    public var trims: UInt64
    public var writeZeroes: UInt64
    public var readBytes: UInt64
    public var writtenBytes: UInt64
    /// Requests answered with an error.
    public var errors: UInt64
    /// Commands that were sent again on another path.
    public var resent: UInt64
    /// Fences taken before a sent write went out again, and how many writes that were.
    public var fences: UInt64
    public var fencedWrites: UInt64
    /// Reads that were sent a second time, for the first copy was slow on a suspect path.
    public var hedgedReads: UInt64
    /// Requests that wait for a path or a fence now.
    public var held: UInt64
    /// SET TARGET PORT GROUPS commands sent.
    public var activations: UInt64
    /// LOGICAL UNIT RESETs sent (`fence = lun-reset`).
    public var resets: UInt64
    /// Writes sent again without a fence (`fence = none`).
    public var unfenced: UInt64

    public init(
        reads: UInt64 = 0, writes: UInt64 = 0, flushes: UInt64 = 0, trims: UInt64 = 0,
        writeZeroes: UInt64 = 0,
        readBytes: UInt64 = 0, writtenBytes: UInt64 = 0, errors: UInt64 = 0, resent: UInt64 = 0,
        fences: UInt64 = 0, fencedWrites: UInt64 = 0, hedgedReads: UInt64 = 0,
        held: UInt64 = 0, activations: UInt64 = 0, resets: UInt64 = 0, unfenced: UInt64 = 0
    ) {
        self.reads = reads
        self.writes = writes
        self.flushes = flushes
        self.trims = trims
        self.writeZeroes = writeZeroes
        self.readBytes = readBytes
        self.writtenBytes = writtenBytes
        self.errors = errors
        self.resent = resent
        self.fences = fences
        self.fencedWrites = fencedWrites
        self.hedgedReads = hedgedReads
        self.held = held
        self.activations = activations
        self.resets = resets
        self.unfenced = unfenced
    }
}

/// Something that happened to a disk.
public struct EventReport: Codable, Equatable, Sendable {
    /// Microseconds since 1970-01-01 00:00 UTC.
    public var timeMicroseconds: UInt64
    /// One line, such as `eth1 10.0.1.1:3260: connection lost, 3 writes wait for a fence`.
    public var message: String

    public init(timeMicroseconds: UInt64, message: String) {
        self.timeMicroseconds = timeMicroseconds
        self.message = message
    }
}
