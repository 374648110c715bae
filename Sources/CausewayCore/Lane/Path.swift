/// One bound interface x one portal of a target, as the lane keeps it: who it is, and where it stands.
/// What moves with requests is in the `PathQueue` of the same index.
final class Path {
    enum State {
        /// No session. An attempt may be under way. Can move to: draining (login done), removed.
        case down
        /// In full-feature phase; the barrier is out on LUNs where earlier writes may still run.
        /// Can move to: up, standIn (fence through another path's route), down.
        case draining
        /// Carries I/O of the disks that it showed. Can move to: down, loggingOut.
        case up
        /// A fence session over another path's route: it holds the place and carries no I/O.
        /// Can move to: draining (its own route works again), down, loggingOut.
        case standIn
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
        var phase: Phase
        var deadline: Instant
    }

    let index: Int32
    let target: Int32
    let ordinal: Int32
    let specification: PathSpecification

    var state = State.down
    var attempt: Attempt?
    /// When the next attempt begins, if none is under way.
    var retryAt: Instant? = Instant(nanoseconds: 0)
    var retries = RetryDelay()
    var sessionBegan = Instant(nanoseconds: 0)
    /// Attempts since the path was lost, so that a fence tries one route after the other.
    var attemptsSinceLoss = 0
    /// The first attempt has ended, one way or the other.
    var wasTried = false
    var problem: PathProblem?
    var downSince = Instant(nanoseconds: 0)

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
    var probes: [Int32: LogicalUnitProbe] = [:]
    /// Why a disk is not carried although the session stands.
    var diskProblems: [Int32: PathProblem] = [:]
    var reprobeAt: Instant?
    /// A predecessor's session was not fenced yet.
    var owesPredecessor = false
    /// Disks whose barrier is out.
    var barriers: Set<Int32> = []
    /// Disks of which sent writes were answered with an error before a fence was had.
    var debts: Set<Int32> = []
    var fenceBegan: Instant?
    var lastFence: String?
    var ping = PingState()

    init(index: Int32, target: Int32, ordinal: Int32, specification: PathSpecification) {
        self.index = index
        self.target = target
        self.ordinal = ordinal
        self.specification = specification
        owesPredecessor = specification.mayHavePredecessor
    }

    var name: String { "\(specification.interface)->\(specification.portal)" }
    var isUp: Bool { if case .up = state { true } else { false } }
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
    /// A session of this very name may be open from before, with writes under way that nobody waits for any
    /// more.
    public var mayHavePredecessor = false
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
    var paths: [Int32] = []
    var disks: [Int32] = []
    /// A path was removed with sent writes for which there was no fence.
    var leftWrites = false
    /// The disk with which the target goes.
    var lastDisk: Int32?
    var isRemoved = false

    init(index: Int32, name: ISCSIName, initiatorName: ISCSIName) {
        self.index = index
        self.name = name
        self.initiatorName = initiatorName
    }
}

/// A disk of the lane, its cold side.
final class Disk {
    let index: Int32
    let name: String
    let target: Int32
    let lun: LogicalUnitNumber
    let wantsReadOnly: Bool
    /// The LUN as the first path showed it; later paths must show the same.
    var report: LogicalUnitReport?
    var export: ExportDescription?
    var wasReady = false
    var isForced = false
    var wasFlushed = false
    var detachDeadline: Instant?
    /// Since when no path carries it, if I/O is held for that reason.
    var allPathsDownSince: Instant?
    var problemsWereTold = false
    var isRemoved = false

    init(index: Int32, name: String, target: Int32, lun: LogicalUnitNumber, wantsReadOnly: Bool) {
        self.index = index
        self.name = name
        self.target = target
        self.lun = lun
        self.wantsReadOnly = wantsReadOnly
    }
}
