import CausewayControl
import CausewayCore
import Glibc
import LinuxSystem
import Logging
import Synchronization

/// What the queues of a disk have to agree on, and to wait for, together.
extension Supervisor {
    /// How long an attach waits for the fences of a predecessor's sessions.
    private static let fenceMilliseconds = 25_000
    private static let stepMilliseconds = 20
    /// After so long it is said what an adopted disk waits for.
    private static let quietMilliseconds = 5000

    /// A lane sends no write before the fences of its own sessions, and knows nothing of a predecessor's in
    /// the lanes of the other queues. So none gets a client before all have theirs.
    func awaitFences(_ disk: AttachedDisk) throws(ControlError) {
        guard disk.shards.count > 1 else { return }
        var waited = 0
        while true {
            let paths = unfencedPaths(disk)
            if paths?.isEmpty == true { return }
            if disk.isDetaching { throw .detachedMeanwhile(disk.name) }
            guard waited < Self.fenceMilliseconds else {
                guard let path = paths?.first else { throw .internalFailure("the lane did not answer") }
                throw .busy(
                    "an earlier session of this machine at \(path.portal) may still be writing, and it is "
                        + "not fenced within \(Self.fenceMilliseconds / 1000) s"
                        + (path.reason.map { ": \($0.escapedForTerminal)" } ?? ""))
            }
            Pause.milliseconds(Self.stepMilliseconds)
            waited += Self.stepMilliseconds
        }
    }

    /// The same for a disk that is taken back, for as long as it takes. False when it was detached meanwhile.
    func awaitFencesWithPatience(_ disk: AttachedDisk) -> Bool {
        guard disk.shards.count > 1 else { return true }
        var waited = 0
        while state.withLock({ $0.disks[disk.name.text] === disk }), disk.isInAnyLane {
            let paths = unfencedPaths(disk)
            if paths?.isEmpty == true { return true }
            if waited == Self.quietMilliseconds, let path = paths?.first {
                complain(
                    disk,
                    "the daemon before may still be writing through \(path.portal)"
                        + (path.reason.map { " (\($0))" } ?? "") + ". I/O waits for that session's fence")
            }
            Pause.milliseconds(Self.stepMilliseconds)
            waited += Self.stepMilliseconds
        }
        return false
    }

    /// The paths with a session, of whichever queue, that owes a fence or is there for one alone; nil where
    /// that is not known.
    private func unfencedPaths(_ disk: AttachedDisk) -> [PathSnapshot]? {
        disk.snapshots()?.flatMap(\.paths).filter { path in
            switch path.standing {
            case .fencing, .removing: true
            case .down, .connecting, .loggingIn, .verifying, .active, .suspect, .quarantined, .standby,
                .unusable, .loggingOut, .disabled:
                false
            }
        }
    }

    /// For the log: what several queues do not do here.
    func adviseOnQueues(_ disk: AttachedDisk) {
        let processors = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        guard disk.shards.count > 1, disk.request.socket == nil, disk.shards.count > processors else {
            return
        }
        logger.warning(
            """
            \(disk.name): it has \(disk.shards.count) queues, and the kernel uses no more than this \
            machine's \(processors) processors
            """)
    }
}

extension DiskDescription {
    /// What the queues of a disk show, each through paths of its own.
    /// - Parameter queues: one or more.
    init(agreeing queues: [DiskDescription]) throws(ControlError) {
        var all = queues[0]
        for other in queues.dropFirst() {
            if !all.report.identification.identifies(sameLogicalUnitAs: other.report.identification) {
                throw .internalFailure(
                    "one queue sees \(all.report.identity), another one \(other.report.identity)")
            }
            guard all.export.sizeBytes == other.export.sizeBytes,
                all.export.minimumBlockSize == other.export.minimumBlockSize,
                all.isReadOnly == other.isReadOnly
            else {
                throw .busy(
                    "the LUN is being changed: it has \(all.export.sizeBytes) bytes for one queue and "
                        + "\(other.export.sizeBytes) for another")
            }
            all.maxTransferBytes = min(all.maxTransferBytes, other.maxTransferBytes)
        }
        self = all
    }
}

/// A route, and the lane that knows it.
struct LaneRoute: Sendable {
    var id: RouteID
    var lane: LaneHandle
}
