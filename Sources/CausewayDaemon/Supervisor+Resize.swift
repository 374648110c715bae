import CausewayControl
import CausewayCore
import Glibc
import LinuxSystem
import Logging
import NBDDevice
import Synchronization

/// The size of a disk while it is in use.
extension Supervisor {
    /// Requests have so long to come to their end before a resize is put off.
    private static let drainMilliseconds = 5000
    /// How long the kernel may take for a call that has run into its time limit.
    private static let lateResizeSeconds = 300

    func rescan(_ request: RescanRequest) throws(ControlError) -> DiskReport {
        let disk = try find(request.name)
        guard disk.isInLanes else { throw .busy("\(request.name) is not attached yet") }
        disk.perform { $0.lane.rescan($1, allowsShrink: request.allowShrink, now: $0.time) }
        if disk.settings()?.portalDiscovery != .ignore { lookForPortals([disk]) }
        // A moment for the answers, so that the report shows what came of it.
        Pause.milliseconds(300)
        for _ in 0..<200 where disk.state.withLock({ $0.isResizing }) { Pause.milliseconds(50) }
        return try report(disk)
    }

    /// All paths of a queue that carry the disk agree on another size. The disk follows once those of all
    /// queues do.
    func sizeChanged(_ queue: ServedQueue, _ sizeBytes: UInt64) {
        let disk = queue.disk
        queue.shard.state.withLock { $0.newSizeBytes = sizeBytes }
        let isAgreed = disk.shards.allSatisfy { $0.state.withLock { $0.newSizeBytes } == sizeBytes }
        guard isAgreed else { return }
        for shard in disk.shards { shard.state.withLock { $0.newSizeBytes = nil } }
        let isFirst = disk.state.withLock { state in
            state.newSizeBytes = sizeBytes
            guard !state.isResizing else { return false }
            state.isResizing = true
            return true
        }
        guard isFirst else { return }
        inBackground("resize \(disk.name)") { [self] in
            while let next = disk.state.withLock({ state -> UInt64? in
                let next = state.newSizeBytes
                state.newSizeBytes = nil
                if next == nil || state.isDetaching { state.isResizing = false }
                return state.isDetaching ? nil : next
            }) {
                // A size is never given to a device whose socket is dead: from Linux 6.12 on that waits for
                // requests which wait for the socket.
                guard awaitAdoption(disk) else {
                    forgetToldSize(of: disk)
                    continue
                }
                do throws(ControlError) {
                    try resize(disk, next)
                } catch {
                    complain(disk, "it cannot be given its new size of \(next) bytes: \(error.message)")
                }
            }
        }
    }

    /// The lane will say it again.
    private func forgetToldSize(of disk: AttachedDisk) {
        for shard in disk.shards { shard.state.withLock { $0.newSizeBytes = nil } }
        disk.perform { $0.lane.forgetToldSize($1) }
    }

    /// False when it is being detached.
    private func awaitAdoption(_ disk: AttachedDisk) -> Bool {
        while disk.state.withLock({ $0.origin == .adopting && !$0.isDetaching }) { Pause.milliseconds(100) }
        return !disk.isDetaching
    }

    /// Larger: first the lane, then the kernel, so that no request comes that the lane does not know yet.
    /// Smaller: the other way round.
    private func resize(_ disk: AttachedDisk, _ sizeBytes: UInt64) throws(ControlError) {
        guard let old = disk.snapshot()?.sizeBytes else { return }
        let isLarger = sizeBytes > old
        if let device = disk.state.withLock({ $0.device }), let record = diskRecords.read(disk.name) {
            do throws(ControlError) {
                guard disk.ask({ !$0.lane.clients(of: $1).isEmpty })?.allSatisfy({ $0 }) == true else {
                    throw .busy("the kernel is not connected")
                }
                try awaitQuiet(disk)
                if isLarger { setSize(of: disk, sizeBytes) }
                try resize(device, record, sizeBytes)
            } catch {
                // The next answer to the poll brings it up again.
                if isLarger { setSize(of: disk, old) }
                forgetToldSize(of: disk)
                throw error
            }
            try changeRecord(disk.name) { $0.sizeBytes = sizeBytes }
        }
        setSize(of: disk, sizeBytes)
        let text = "the disk has \(sizeBytes) bytes now, \(isLarger ? "more" : "less") than \(old)"
        disk.remember(text)
        logger.notice("\(disk.name): \(text)")
    }

    private func resize(
        _ device: KernelDevice, _ record: DiskRecord, _ sizeBytes: UInt64
    ) throws(ControlError) {
        do throws(NBDDeviceError) {
            // Never with sockets in the same call. The lane reads on: since Linux 6.12 the kernel waits for
            // what is in flight.
            _ = try call(
                .resize(
                    ResizeRequest(
                        index: device.index, backendIdentifier: record.backendIdentifier,
                        sizeBytes: sizeBytes)))
        } catch {
            // A call that is late is still under way, and the lane keeps the size that it may bring.
            if case .refused(_, _, errno: ETIMEDOUT) = error {
                for _ in 0..<Self.lateResizeSeconds * 10 where (try? device.sizeBytes) != sizeBytes {
                    Pause.milliseconds(100)
                }
            }
            if (try? device.sizeBytes) == sizeBytes { return }
            throw ControlError(error)
        }
    }

    /// A change of size that has begun ends first: the kernel waits meanwhile for requests, and they for the
    /// lane.
    func awaitResize(of disk: AttachedDisk, milliseconds: Int) {
        for _ in 0..<milliseconds / 10 where disk.state.withLock({ $0.isResizing }) { Pause.milliseconds(10) }
    }

    private func setSize(of disk: AttachedDisk, _ sizeBytes: UInt64) {
        disk.perform { $0.lane.resize($1, sizeBytes: sizeBytes, now: $0.time) }
    }

    /// Waits until the lanes have answered everything once: the proof that requests come to their end now.
    /// Then they go on.
    private func awaitQuiet(_ disk: AttachedDisk) throws(ControlError) {
        defer { disk.perform { $0.resumeClients(of: $1) } }
        disk.perform { $0.lane.quiesce($1) }
        var waited = 0
        while disk.ask({ $0.lane.isQuiet($1) })?.allSatisfy({ $0 }) != true {
            if disk.isDetaching { throw .busy("\(disk.name) is being detached") }
            if waited >= Self.drainMilliseconds {
                // Paths are being recovered, say.
                throw .busy("its requests do not come to an end")
            }
            Pause.milliseconds(2)
            waited += 2
        }
    }
}
