/// One bound interface x one portal of a target, as the lane keeps it: who it is, and where it stands.
/// What moves with requests is in the `PathQueue` of the same index.
final class Path {
    enum State {
        /// No session. An attempt may be under way. Can move to: draining (login done), removed.
        case down
        /// In full-feature phase; the barrier is out on LUNs where earlier writes may still run.
        /// Can move to: up, standIn (fence through another path's route), down.
        case draining
        /// Carries I/O of the disks that it showed. Can move to: down, leaving, loggingOut.
        case up
        /// A fence session over another path's route: it holds the place and carries no I/O.
        /// Can move to: draining (its own route works again), down, loggingOut.
        case standIn
        /// The target asked for a logout: nothing new goes out, then the session is made anew.
        /// Can move to: down, loggingOut.
        case leaving(Departure)
        /// Can move to: removed.
        case loggingOut(deadline: Instant)
        case removed
    }

    /// A connection being made or logged in.
    struct Attempt {
        enum Phase {
            case connecting
            case loggingIn(LoginStateMachine)
        }
        var stream: Int32
        var route: RouteID
        /// The path whose route it takes.
        var via: Int32
        var isForeign: Bool
        var began: Instant
        var phase: Phase
        var deadline: Instant
        /// Where the target has sent it.
        var visited: [PortalAddress] = []
        /// The last of these is where the target has moved to for good.
        var movesForGood = false
        /// It went to where the target had moved, not to the path's portal.
        var beganElsewhere = false
        /// Its login begins the session that other paths join.
        var leads = false
        /// When the login began, or the target last had a word in it.
        var heard = Instant(nanoseconds: 0)
    }

    /// A loss that is told once its fence is had, or after a moment: one line for both.
    struct LossNote {
        var reason: String
        var moved: Int
        var held: Int
        var isRecovered: Bool
        var tellAt: Instant
    }

    /// What the disks' fences of a session come to, until it is told.
    struct Fenced {
        var writes = 0
        var wasOwed = false
        var took: UInt64 = 0
    }

    let index: Int32
    let target: Int32
    let ordinal: Int32
    var specification: PathSpecification
    /// The session whose connection it is, where paths share one.
    var session: Session?
    /// Its connection's CID (RFC 7143 §11.12.4) in that session.
    var cid: UInt16 = 0
    /// The session has as many connections as the target allows.
    var standsBy = false
    /// It has led the login since the session stood last, and nothing came of it.
    var hasLedInVain = false

    /// What the administrator wants of it.
    enum Intent { case inUse, disabled, removed }
    var intent = Intent.inUse
    /// When what still runs on a path that leaves is given up.
    var leavesBy = Instant.never

    var state = State.down
    var attempt: Attempt?
    /// When the next attempt begins, if none is under way.
    var retryAt: Instant? = Instant(nanoseconds: 0)
    /// As its back-off and the target's Time2Wait have it, whatever else becomes of the session.
    var notBefore = Instant(nanoseconds: 0)
    var retries = RetryDelay()
    var sessionBegan = Instant(nanoseconds: 0)
    /// Attempts since the path was lost, so that a fence tries one route after the other.
    var attemptsSinceLoss = 0
    /// The first attempt has ended, one way or the other.
    var wasTried = false
    var problem: PathProblem?
    var downSince = Instant(nanoseconds: 0)
    /// When I/O left it that has not come back yet.
    var lostSince: Instant?
    /// It has carried I/O before.
    var wasUp = false

    var negotiated: NegotiatedParameters?
    /// The portal group that the session was made in; a fence through another does not count.
    var portalGroupTag: UInt16?

    /// The path whose route the session was made over.
    var via: Int32 = -1
    /// The session was made over a sibling's route.
    var isForeign = false
    /// What the session's login has proved.
    var proof = ReinstatementProof.needsBarrier
    /// Commands of the lane's own that wait for the window.
    var waiting: [Int32] = []
    /// Since when the target lets no command in although none is under way and some wait.
    var shutSince: Instant?
    var probes: [Int32: LogicalUnitProbe] = [:]
    /// Why a disk is not carried although the session stands.
    var diskProblems: [Int32: PathProblem] = [:]
    var reprobeAt: Instant?
    /// The LUN's size as this path showed it last, in blocks, by disk.
    var shownBlocks: [Int32: UInt64] = [:]
    /// The barriers that are out, by disk.
    var barriers: [Int32: Barrier] = [:]
    /// Disks of which earlier writes may still reach the medium though nobody waits for them any more.
    var debts: Set<Int32> = []
    /// LUN fields of such writes of disks that are not attached: of a predecessor, or of one that went by
    /// force.
    var unfenced: Set<UInt64>
    /// Disks whose SET TARGET PORT GROUPS or PERSISTENT RESERVE OUT was sent and not answered: a copy may
    /// still come.
    var accessDebts: Set<Int32> = []
    /// Those of them whose PERSISTENT RESERVE OUT concerns other nexuses too.
    var orderDebts: Set<Int32> = []
    /// Disks whose reservation key this session is registered with.
    var registered: Set<Int32> = []
    /// Commands that a reset may have ended, by disk.
    var sweeps: [Int32: Sweep] = [:]
    /// When the target last said on this path that a disk's LUN is gone.
    var gone: [Int32: Instant] = [:]
    /// The serial number of each disk's LUN as this path first showed it.
    var serials: [Int32: TargetText] = [:]
    /// Since when writes are held.
    var fenceBegan: Instant?
    var fenced = Fenced()
    var fencePatience: FencePatience?
    var lastFence: String?
    /// What is still to be said in the log of the newest loss.
    var loss: LossNote?

    // Health.
    var ping = PingState()
    var transport: TransportReport?
    var transportRead = Instant(nanoseconds: 0)
    /// Silent for longer than its past explains: new I/O avoids it.
    var isSuspect = false
    /// Pings that were answered while one and the same command was out, which lets the next one wait longer.
    var asks: UInt64 = 0
    var askedFor = Instant(nanoseconds: 0)
    var quarantine = Quarantine()
    var segments = SegmentCheck()
    var window = AnswerWindow()

    /// Where the target has moved for good, as it said.
    var movedTo: PortalAddress?
    /// What commands that are too old have led to.
    var management: TaskManagement?
    var managementNumber: UInt32 = 0
    /// Writes that were aborted, and the barrier behind them, by disk.
    var abortBarriers: [Int32: AbortBarrier] = [:]
    /// Writes that were aborted after that barrier was sent.
    var unbarred: [Int32: [TaskReference]] = [:]
    /// Barriers since the last that was answered for which a new session had to be made.
    var lateBarriers: UInt64 = 0
    /// Why the session is to end.
    var mustReinstate: String?
    var depthLimit: Int32 = 128
    /// After TASK SET FULL.
    var depthGrowsAt: Instant?
    private var lastNews: (text: String, time: Instant)?

    init(index: Int32, target: Int32, ordinal: Int32, specification: PathSpecification) {
        self.index = index
        self.target = target
        self.ordinal = ordinal
        self.specification = specification
        unfenced = specification.predecessorUnits
        portalGroupTag = specification.predecessorGroupTag
    }

    /// Made for the fence of a predecessor's session alone: it never carries I/O.
    var isFenceOnly: Bool { specification.isFenceOnly }

    var name: String { "\(specification.interface)->\(specification.portal)" }
    /// Of its session, which connections share.
    var nexusName: String { session == nil ? name : "\(specification.isid)" }
    var isUp: Bool { if case .up = state { true } else { false } }
    var stateIsDown: Bool { if case .down = state { true } else { false } }

    /// Whether a message of the target is worth a line in the log: the same one may come in thousands.
    func isNews(_ text: String, _ now: Instant) -> Bool {
        defer { lastNews = (text, now) }
        guard let lastNews, lastNews.text == text else { return true }
        return now.nanoseconds(since: lastNews.time) > 10_000_000_000
    }
}

/// What makes a path: given at attach.
public struct PathSpecification: Sendable {
    public var route: RouteID
    /// The bound interface, "default" where the kernel chooses.
    public var interface: String
    public var sourceAddress: String
    /// `address:port`
    public var portal: String
    public var isid: InitiatorSessionID
    /// LUN fields to which an earlier session of this very name may still be writing, and nobody waits for it
    /// any more.
    public var predecessorUnits: Set<UInt64> = []
    /// The portal group of that session, where it is on record. Without it only the session's own portal
    /// leads to a fence: through another group, the login would make another session (RFC 7143 §4.4.3).
    public var predecessorGroupTag: UInt16?
    /// Comes back when the session has ended, for whoever keeps the record.
    public var recordNumber: UInt64 = 0
    /// It is not on record yet that the session stood: the path carries no request before `sessionRecorded`.
    public var awaitsRecord = false
    /// There is no such path any more: log in as the predecessor's session over any route, take the barrier,
    /// log out.
    public var isFenceOnly = false
    /// The initiator name of that session; nil: the disk's.
    public var initiatorName: ISCSIName?
    /// Commands under way at most; 0: as the lane has it.
    public var depth: Int32 = 0

    public init(
        route: RouteID, interface: String, sourceAddress: String, portal: String, isid: InitiatorSessionID
    ) {
        self.route = route
        self.interface = interface
        self.sourceAddress = sourceAddress
        self.portal = portal
        self.isid = isid
    }
}

/// A target of the lane: its paths, and the disks that share them.
final class Target {
    let index: Int32
    let name: ISCSIName
    let initiatorName: ISCSIName
    /// Of all of its paths, where they are connections of one.
    let session: Session?
    var paths: [Int32] = []
    var disks: [Int32] = []
    /// How to prove who we are, for logins from now on.
    var authentication = Authentication.none
    /// What logins ask for from now on, the disks' digests left out.
    var wanted = WantedParameters()
    /// The target failed with another algorithm than MD5.
    var offersMD5Alone = false
    /// The newest challenges of its logins, which none may use again.
    var challenges: [[UInt8]] = []
    static let challengesMax = 64
    /// The disk with which the target goes.
    var lastDisk: Int32?
    var timers = SessionTimers()
    /// Ordinals of paths that new I/O avoids while others are left: silent ones, and grey ones.
    var suspects: UInt32 = 0
    var quarantined: UInt32 = 0
    /// When answer times are compared next.
    var comparesAt = Instant(nanoseconds: 0)
    var comparisons: UInt64 = 0
    var inventory = LogicalUnitInventory()
    var isRemoved = false

    init(index: Int32, name: ISCSIName, initiatorName: ISCSIName, session: Session?) {
        self.index = index
        self.name = name
        self.initiatorName = initiatorName
        self.session = session
    }
}

/// A disk of the lane, its cold side.
final class Disk {
    let index: Int32
    let name: String
    let target: Int32
    let lun: LogicalUnitNumber
    let wantsReadOnly: Bool
    /// What the LUN must be, for a disk that exists already.
    let expected: ExpectedUnit?
    /// Keeps alive what the disk's row points to.
    let share: DiskShare?
    /// When the oldest open write was looked for last.
    var shareRefreshedAt = Instant(nanoseconds: 0)
    /// The disk may follow when its LUN shrinks.
    var allowsShrink = false
    /// The size in bytes that the supervisor was told of last.
    var toldBytes: UInt64?
    var settings: DiskSettings
    /// The LUN as the first path showed it; later paths must show the same.
    var report: LogicalUnitReport?
    var export: ExportDescription?
    var wasReady = false
    var isForced = false
    var wasFlushed = false
    /// The last flush of its own ended with an error.
    var flushFailed = false
    var detachDeadline: Instant?
    var failure: FailureSettings { settings.failure }
    /// Since when no path carries it, if I/O is held for that reason.
    var allPathsDownSince: Instant?
    /// Since when every path says that the LUN is gone, until that is confirmed.
    var goneSince: Instant?
    var loss: DeviceLoss?
    var access = LogicalUnitAccess()
    var reservations = ReservationDesk()
    /// Which path was asked for access states last.
    var accessTurn = 0
    var reset: LogicalUnitReset?
    var resetCheck = ResetCheck.none
    /// When a LOGICAL UNIT RESET may be tried again.
    var resetNotBefore = Instant(nanoseconds: 0)
    /// Held writes for which the LUN has no space: since when, and when one was last refused.
    var spaceFull: (since: Instant, refusedAt: Instant)?
    /// As the LUN last said; the disk follows when every path that works says so.
    var blockCount: UInt64?
    var problemsWereTold = false
    var failBack = FailBack()
    /// When a preferred path that came back takes over.
    var failBackAt: Instant?
    var isRemoved = false

    init(
        index: Int32, name: String, target: Int32, lun: LogicalUnitNumber, wantsReadOnly: Bool,
        settings: DiskSettings, expected: ExpectedUnit? = nil, share: DiskShare? = nil
    ) {
        self.index = index
        self.expected = expected
        self.share = share
        self.name = name
        self.target = target
        self.lun = lun
        self.wantsReadOnly = wantsReadOnly
        self.settings = settings
    }
}
