import CausewayCore
import LinuxSystem
import Logging
import NBDDevice
import Synchronization

/// The end of a daemon whose disks live on.
extension Supervisor {
    /// What is under way in a disk has so long to come to its end. After that the disk is left as after a
    /// crash, and the next daemon fences.
    private static let drainMilliseconds = 15_000
    /// The same where all paths are down.
    private static let patienceMilliseconds = 2000

    /// Answers and flushes everything, logs out, and leaves each disk's socket with the service manager for
    /// the next daemon: the kernel notices nothing. Without a manager that keeps it, the kernel's device
    /// waits for the next daemon with nothing of consequence under way.
    func handOver(_ disks: [AttachedDisk]) {
        let served = disks.filter { disk in
            disk.isInLanes && disk.state.withLock { !$0.isDetaching && $0.origin != .adopting }
        }
        // From now on nothing may change the device.
        for disk in served { disk.state.withLock { $0.isDetaching = true } }
        for disk in served {
            awaitResize(of: disk, milliseconds: Self.drainMilliseconds)
            disk.perform { $0.lane.quiesce($1) }
        }
        var left = Self.drainMilliseconds
        var waiting = served
        var drained: [(AttachedDisk, [Int32])] = []
        while !waiting.isEmpty && left > 0 {
            waiting = waiting.filter { disk in
                guard !isHeld(disk) else {
                    guard Self.drainMilliseconds - left > Self.patienceMilliseconds else { return true }
                    logger.warning("\(disk.name): all paths are down; the next daemon fences it")
                    return false
                }
                guard let sockets = takeSockets(of: disk) else { return true }
                drained.append((disk, sockets))
                beginToLeaveLane(disk, force: false)
                return false
            }
            if waiting.isEmpty { break }
            Pause.milliseconds(2)
            left -= 2
        }
        for disk in waiting {
            logger.warning(
                "\(disk.name): what is under way does not come to an end; the next daemon fences it")
        }
        for (disk, sockets) in drained { store(sockets, disk) }
        for disk in disks { announceStay(disk) }
        guard !drained.isEmpty, let manager else { return }
        do throws(SystemError) {
            try manager.barrier(milliseconds: 5000)
        } catch {
            logger.warning("the service manager does not say that it has the sockets: \(error)")
        }
    }

    /// Nothing ends now, and nothing could be flushed.
    private func isHeld(_ disk: AttachedDisk) -> Bool {
        disk.shards.contains { $0.ask { $0.lane.isHeld($1) } ?? false }
    }

    /// The daemon's ends of a quiet disk's sockets, queue by queue; nil while something is under way.
    private func takeSockets(of disk: AttachedDisk) -> [Int32]? {
        guard disk.isInAnyLane else { return [] }
        // What is quiet stays so: its clients are read no more.
        guard disk.shards.allSatisfy({ $0.ask { $0.lane.isQuiet($1) } == true }) else { return nil }
        var sockets: [Int32] = []
        for shard in disk.shards {
            let own = shard.ask { $0.lane.isQuiet($1) ? $0.handOverClients(of: $1) : [] }
            sockets += own ?? []
        }
        return sockets
    }

    private func store(_ sockets: [Int32], _ disk: AttachedDisk) {
        guard disk.waitUntilDetached(milliseconds: 35_000)?.isFlushed == true else {
            // The sockets close with this process, and the next daemon takes it for a crash.
            return logger.warning("\(disk.name): it was not flushed, or not all of it")
        }
        do throws(SystemError) {
            try diskRecords.change(disk.name) { $0.isDrained = true }
            // One of a queue that the kernel had hung up on is missing: the next daemon gives it new ones.
            guard let manager, sockets.count == disk.shards.count else { return }
            for (queue, socket) in sockets.enumerated() {
                try manager.store(socket, name: Self.storedName(disk.name, queue: queue))
            }
        } catch {
            logger.warning("\(disk.name): its sockets are not handed over: \(error)")
        }
    }

    private func announceStay(_ disk: AttachedDisk) {
        guard let device = disk.state.withLock({ $0.device }) else { return }
        logger.notice("\(disk.name): \(device.node) stays, and I/O to it waits for the next causewayd")
    }
}
