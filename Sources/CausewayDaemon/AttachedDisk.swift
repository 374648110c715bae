import CausewayConfiguration
import CausewayControl
import CausewayCore
import LinuxSystem
import NBDDevice
import Synchronization

/// A disk as the supervisor knows it, from the first word of `attach` to the last of `detach`.
final class AttachedDisk: Sendable {
    let request: AttachRequest
    let target: ISCSIName
    /// Its queues, each in a lane of its own.
    let shards: [DiskShard]
    /// What they have in common; nil for a disk of one queue.
    let shares: DiskShares?
    /// How long the kernel waits for an answer; nil for a disk of one queue, for which it waits for ever.
    let kernelTimeoutSeconds: UInt64?
    /// Held while settings of all queues are changed.
    let changing = Mutex(())

    struct AttachFailure: Error {
        var problems: [PathProblem]
        /// Somebody detached it meanwhile.
        var isCancelled = false
    }

    /// How it came to be.
    enum Origin {
        case attached
        /// It is a predecessor's, and not served yet.
        case adopting
        case adopted
    }

    /// What changes while it lives.
    struct State {
        /// What it was attached with, or what the newest reload made of it; nil before the lane has it.
        var configuration: DiskConfiguration?
        /// Its settings as the configuration had them last; nil where nobody has put that on record.
        var configured: [String: String]?
        /// What its paths log in with, as it said last.
        var login: DiskLogin?
        /// Its paths as they were planned.
        var plan: [PlannedPath] = []
        var wanted = WantedPaths()
        /// Portals that the target lists and that no path leads to.
        var otherPortals: [SocketAddress] = []
        /// Each was told of, or taken, once: a path that somebody removed does not come back.
        var seenPortals: [SocketAddress] = []
        /// When the target is asked for its portals next.
        var nextDiscovery: Instant?
        var description: DiskDescription?
        var device: KernelDevice?
        var listener: ExportListener?
        var isDetaching = false
        /// A polite detach waits in the kernel for what lies in the page cache.
        var isSynchronizing = false
        /// The command of reservations that is under way.
        var reservation: (ticket: UInt64, promise: Promise<Result<ReservationReport, ReservationError>>)?
        var reservationTickets: UInt64 = 0
        var origin = Origin.attached
        /// What keeps it from being served, as it was said last.
        var complaint: String?
        /// The kernel is given new sockets.
        var isReconnecting = false
        /// A resize is under way.
        var isResizing = false
        /// What its size is to be, until somebody takes it up.
        var newSizeBytes: UInt64?
        var events: [EventReport] = []
    }
    let state: Mutex<State>

    /// The newest events that `status` shows.
    private static let eventsMax = 64

    /// - Parameter lanes: one for each queue.
    init(
        request: AttachRequest, target: ISCSIName, lanes: [LaneHandle], kernelTimeoutSeconds: UInt64
    ) {
        self.request = request
        self.target = target
        shards = lanes.enumerated().map { DiskShard(index: $0.offset, lane: $0.element) }
        let isDivided = lanes.count > 1
        self.kernelTimeoutSeconds = isDivided ? kernelTimeoutSeconds : nil
        shares =
            isDivided
            ? DiskShares(count: lanes.count, kernelTimeoutMilliseconds: kernelTimeoutSeconds * 1000) : nil
        state = Mutex(State())
    }

    var name: DiskName { request.name }

    /// How its target's paths are used, for as long as it lives.
    var multipathing: Multipathing {
        request.allSettings[DiskSetting.multipathingKey].flatMap { Multipathing(rawValue: $0) } ?? .sessions
    }

    /// Whether there is something to detach.
    var isExported: Bool { state.withLock { $0.device != nil || $0.listener != nil } }

    var isDetaching: Bool { state.withLock { $0.isDetaching } }

    /// Where it is exported, for people.
    var place: String {
        state.withLock { $0.device?.node ?? request.socket ?? "no device yet" }
    }

    /// Something that a lane says of one of the queues, for people.
    func text(_ text: String, of shard: DiskShard) -> String {
        shards.count > 1 ? "queue \(shard.index): \(text)" : text
    }

    func remember(_ text: String) {
        let event = EventReport(timeMicroseconds: WallClock.microseconds(), message: text)
        state.withLock { state in
            if state.events.count == Self.eventsMax { state.events.removeFirst() }
            state.events.append(event)
        }
    }
}

/// How a disk left its lane.
struct DetachOutcome: Sendable {
    var isFlushed: Bool
}

/// The export socket of a disk: made at attach, removed at detach.
final class ExportListener: Sendable {
    private let listener: Mutex<UnixListener?>
    let descriptor: Int32

    init(path: String) throws(SystemError) {
        let made = try UnixListener(path: path)
        descriptor = made.rawValue
        listener = Mutex(made)
    }

    func closeAndRemove() {
        let taken = listener.withLock { $0.take() }
        taken?.closeAndRemove()
    }
}
