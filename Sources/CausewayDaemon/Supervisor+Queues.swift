import CausewayControl
import CausewayCore
import Glibc
import LinuxSystem
import Logging
import Synchronization

/// What the queues of a disk have to agree on, and to wait for, together.
extension Supervisor {
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
