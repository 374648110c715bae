import CausewayControl
import CausewayCore
import Glibc
import LinuxSystem
import Logging
import NBDDevice
import Synchronization

/// What a disk is exported as: a kernel device, or a socket for NBD clients.
extension Supervisor {
    /// The kernel waits so long for a successor of this daemon before it fails I/O.
    private static let deadConnectionSeconds: UInt64 = 86_400
    /// How soon the kernel sends again what was in flight when a successor took the device.
    private static let ioTimeoutMilliseconds: UInt32 = 5000
    private static let callMilliseconds = 15_000
    /// What lies in the page cache of a device goes to the LUN before it is disconnected.
    private static let detachCallMilliseconds = 600_000
    private static let forcePatienceMilliseconds = 500
    /// How long a polite detach waits for the LUN's cache to reach the medium.
    private static let flushMilliseconds = 30_000
    /// How long a detach waits for another of the same disk.
    private static let otherDetachMilliseconds = 45_000

    func export(_ disk: AttachedDisk, _ description: DiskDescription) throws(ControlError) {
        if let path = disk.request.socket {
            try exportSocket(disk, path)
        } else {
            try exportDevice(disk, description)
        }
    }

    func exportSocket(_ disk: AttachedDisk, _ path: String) throws(ControlError) {
        guard disk.isInLanes else { return }
        let listener: ExportListener
        do throws(SystemError) {
            listener = try ExportListener(path: path)
        } catch {
            throw .invalidArgument(
                "the export socket \(path) cannot be made: \(error)",
                remedy: "choose another path, or remove what is there")
        }
        disk.state.withLock { $0.listener = listener }
        let descriptor = listener.descriptor
        var passOn: (@Sendable (Int32) -> Bool)?
        if disk.shards.count > 1 {
            let spread = ClientSpread(disk.shards)
            passOn = { spread.take($0) }
        }
        let failure = disk.shards[0].ask { [passOn] runner, id -> SystemError? in
            do throws(SystemError) {
                try runner.listen(descriptor, for: id, passOn: passOn)
                return nil
            } catch {
                return error
            }
        }
        guard let failure else { throw .internalFailure("the lane did not answer") }
        if let failure { throw .internalFailure("\(failure)") }
    }

    private func exportDevice(_ disk: AttachedDisk, _ description: DiskDescription) throws(ControlError) {
        guard disk.isInLanes else { return }
        // Before the kernel's first event of the device, which asks for it.
        describe(disk, description)
        adviseOnQueues(disk)
        do throws(NBDDeviceError) {
            var pairs = try KernelSocketPairs(count: disk.shards.count, bufferBytes: 1 << 20)
            let request = ConnectRequest(
                sizeBytes: description.export.sizeBytes, blockSizeBytes: description.export.minimumBlockSize,
                timeoutSeconds: disk.kernelTimeoutSeconds ?? 0,
                deadConnectionTimeoutSeconds: Self.deadConnectionSeconds,
                serverFlags: NBDServerFlags(
                    rawValue: UInt64(description.export.transmissionFlags.rawValue)
                        & NBDServerFlags.kernel.rawValue),
                backendIdentifier: DiskRecord(disk, [], description).backendIdentifier,
                sockets: pairs.kernelEnds)
            // Served before it is connected: the kernel reads the partition table at once.
            for shard in disk.shards {
                let daemonEnd = pairs.takeDaemonEnd(shard.index)
                guard let isServed = shard.ask({ $0.addClient($1, daemonEnd, negotiates: false) }) else {
                    _ = Glibc.close(daemonEnd)
                    throw .helperFailed(.unintelligible)
                }
                guard isServed else { throw .helperFailed(.unintelligible) }
            }
            let result = try call(.connect(request))
            pairs.closeKernelEnds()
            guard case .connected(let index) = result else { throw .helperFailed(.unintelligible) }
            let device = KernelDevice(index: index)
            disk.state.withLock { $0.device = device }
            _ = device.waitForNode(timeLimitMilliseconds: 5000)
            let tuned = QueueSettings(
                // With several sockets that is the time-out after which the kernel gives one up.
                ioTimeoutMilliseconds: disk.shards.count > 1 ? nil : Self.ioTimeoutMilliseconds,
                // What one command carries: a longer request would be cut, and a longer READ gathered by
                // copying.
                maxSectorsKilobytes: UInt32(max(description.maxTransferBytes / 1024, 64)),
                rotational: description.report.limits.isRotational)
            _ = try call(.tune(index: index, tuned))
            try? device.announceChange()
        } catch {
            throw ControlError(error)
        }
    }

    /// A netlink call in a process of its own. One that does not come back is left to itself: it cannot be
    /// killed, and nothing else may wait for it.
    func call(
        _ call: NBDCall, milliseconds: Int = callMilliseconds
    ) throws(NBDDeviceError) -> NBDCallResult {
        switch try calls.run(call, timeLimitMilliseconds: milliseconds) {
        case .finished(let result): return result
        case .timedOut(let running):
            logger.error("the kernel has not answered \(call.operation) (process \(running.pid))")
            throw .refused(call.operation, index: nil, errno: ETIMEDOUT)
        }
    }

    // MARK: Detach

    /// In every state of the disk: one that is being attached is given up, and who asks while it goes already
    /// waits for that to end.
    /// Its file is not touched.
    func close(_ request: DetachRequest) throws(ControlError) {
        var waited = 0
        while true {
            let disk = try find(request.name)
            let isFirst = disk.state.withLock { state in
                guard !state.isDetaching else { return false }
                state.isDetaching = true
                return true
            }
            if isFirst || request.force && disk.isExported { return try detach(disk, force: request.force) }
            guard waited < Self.otherDetachMilliseconds else {
                throw .busy("\(request.name) is being detached already")
            }
            Pause.milliseconds(20)
            waited += 20
            // Gone meanwhile: what was asked for is done.
            if state.withLock({ $0.disks[request.name.text] }) !== disk { return }
        }
    }

    private func detach(_ disk: AttachedDisk, force: Bool) throws(ControlError) {
        guard disk.isExported || disk.state.withLock({ $0.origin == .adopting }) else {
            // Whoever attaches it undoes what is done so far.
            for shard in disk.shards {
                shard.outcome.fulfil(.failure(AttachedDisk.AttachFailure(problems: [], isCancelled: true)))
            }
            for _ in 0..<Self.otherDetachMilliseconds / 20
            where state.withLock({ $0.disks[disk.name.text] === disk }) {
                Pause.milliseconds(20)
            }
            return
        }
        awaitResize(of: disk, milliseconds: force ? Self.forcePatienceMilliseconds : Self.callMilliseconds)
        do throws(ControlError) {
            if force || !isServed(disk) {
                // A device that nobody serves can be neither flushed nor claimed: that would wait for ever.
                if !force, let device = disk.state.withLock({ $0.device }) { try checkUsers(disk, device) }
                // First the lane, so that no one waits in the kernel for an answer that does not come.
                leaveLane(disk, force: true, milliseconds: 4000)
                try disconnectDevice(disk, force: true)
            } else {
                try checkClients(disk)
                if let device = disk.state.withLock({ $0.device }) { try checkUsers(disk, device) }
                try flush(disk)
                try disconnectDevice(disk, force: false)
                leaveLane(disk, force: false, milliseconds: 35_000)
            }
        } catch {
            disk.state.withLock { $0.isDetaching = false }
            throw error
        }
        disk.state.withLock({ $0.listener })?.closeAndRemove()
        end(disk)
        logger.info("\(disk.name): detached")
        // Between the first flush and the last, a client may have written.
        if !force, let outcome = disk.waitUntilDetached(milliseconds: 0), !outcome.isFlushed {
            throw .flushFailed(disk.name, reason: "the LUN answered with an error", isGone: true)
        }
    }

    /// What the LUN's cache holds goes to its medium while there is still a device to keep if that fails.
    private func flush(_ disk: AttachedDisk) throws(ControlError) {
        defer { for shard in disk.shards { shard.state.withLock { $0.flush = nil } } }
        var promises: [Promise<NBDError>] = []
        for shard in disk.shards {
            let promise = Promise<NBDError>()
            shard.state.withLock { $0.flush = promise }
            guard shard.id != nil else { continue }
            guard shard.ask({ $0.lane.flush($1, now: $0.time) }) != nil else {
                throw .internalFailure("the lane did not answer")
            }
            promises.append(promise)
        }
        for promise in promises {
            switch promise.wait(milliseconds: Self.flushMilliseconds) {
            case NBDError.none?: continue
            case let error?:
                // That is heard by who detaches it; the next time it may go.
                disk.perform { $0.lane.lossWasTold($1) }
                throw .flushFailed(disk.name, reason: "\(error)", isGone: false)
            case nil:
                let reasons = (try? report(disk))?.paths.compactMap(\.reason) ?? []
                throw .flushFailed(
                    disk.name,
                    reason: "no answer within \(Self.flushMilliseconds / 1000) s"
                        + (reasons.first.map { ": \($0.escapedForTerminal)" } ?? ""),
                    isGone: false)
            }
        }
    }

    /// The lane has the kernel's socket, or listens for clients.
    private func isServed(_ disk: AttachedDisk) -> Bool {
        disk.state.withLock { $0.origin != .adopting } && disk.isInLanes
    }

    /// Ends exports on sockets, all at once: no client is served any more, what was accepted is written and
    /// flushed, sessions are logged out.
    func endExports(of disks: [AttachedDisk]) {
        let leaving = disks.filter { disk in
            disk.state.withLock { $0.isDetaching = true }
            return beginToLeaveLane(disk, force: false)
        }
        for disk in leaving {
            if disk.waitUntilDetached(milliseconds: 35_000)?.isFlushed == false { warnOfLoss(disk) }
            disk.state.withLock({ $0.listener })?.closeAndRemove()
            forget(disk)
            logger.info("\(disk.name): drained; the next causewayd serves it again")
        }
    }

    private func warnOfLoss(_ disk: AttachedDisk) {
        logger.error("\(disk.name): its last flush failed: what was written last may be lost")
    }

    /// Has the lane let go of a disk; without force it answers and flushes what it has accepted before.
    func leaveLane(_ disk: AttachedDisk, force: Bool, milliseconds: Int) {
        guard beginToLeaveLane(disk, force: force) else { return }
        if disk.waitUntilDetached(milliseconds: milliseconds) == nil {
            logger.error("\(disk.name): the lane has not let go of it within \(milliseconds / 1000) s")
        }
    }

    /// False when it has left already.
    @discardableResult
    func beginToLeaveLane(_ disk: AttachedDisk, force: Bool) -> Bool {
        guard disk.isInAnyLane else { return false }
        for shard in disk.shards {
            shard.perform { runner, id in
                // Asked again here: by now the number may be another disk's.
                guard shard.id == id else { return }
                runner.stopListening(for: id)
                runner.lane.detach(id, force: force, now: runner.time)
            }
        }
        return true
    }

    private func disconnectDevice(_ disk: AttachedDisk, force: Bool) throws(ControlError) {
        guard let device = disk.state.withLock({ $0.device }) else { return }
        // Its number may be another program's device by now.
        guard isOurs(device, disk) else {
            return logger.notice("\(disk.name): \(device.node) was disconnected already")
        }
        if !force { try checkUsers(disk, device) }
        do throws(NBDDeviceError) {
            if force {
                _ = try call(.disconnect(index: device.index))
            } else {
                // Meanwhile the kernel may need another socket.
                disk.state.withLock { $0.isSynchronizing = true }
                defer { disk.state.withLock { $0.isSynchronizing = false } }
                _ = try call(.detach(index: device.index), milliseconds: Self.detachCallMilliseconds)
            }
        } catch {
            if !isOurs(device, disk) { return }
            // Somebody was quicker than the check.
            if case .inUse = error { try checkUsers(disk, device) }
            throw ControlError(error)
        }
    }

    /// Whether the kernel's device of that number is still the disk's.
    func isOurs(_ device: KernelDevice, _ disk: AttachedDisk) -> Bool {
        guard device.isConfigured else { return false }
        guard let record = diskRecords.read(disk.name) else { return true }
        return device.backendIdentifier == record.backendIdentifier
    }

    /// Somebody else disconnected the device, or a detach came to its end after its time: the disk goes, and
    /// what it has acknowledged is flushed.
    func deviceIsGone(_ disk: AttachedDisk) {
        let device = disk.state.withLock { state -> KernelDevice? in
            guard !state.isDetaching, let device = state.device else { return nil }
            state.isDetaching = true
            return device
        }
        guard let device else { return }
        logger.error("\(disk.name): \(device.node) was disconnected by another program; the disk is detached")
        inBackground("end \(disk.name)") { [self] in
            leaveLane(disk, force: false, milliseconds: 35_000)
            if disk.waitUntilDetached(milliseconds: 0)?.isFlushed != true { warnOfLoss(disk) }
            end(disk)
        }
    }

    /// Who is connected to the export socket: cutting a running client off takes more than a plain detach.
    private func checkClients(_ disk: AttachedDisk) throws(ControlError) {
        guard let path = disk.request.socket else { return }
        var processes: [Int32] = []
        for process in (disk.ask { $0.clientProcesses(of: $1) } ?? []).joined()
        where !processes.contains(process) {
            processes.append(process)
        }
        guard !processes.isEmpty else { return }
        throw .deviceInUse(
            disk.name, device: path, holders: processes.map { "process \($0) is connected" })
    }

    private func checkUsers(_ disk: AttachedDisk, _ device: KernelDevice) throws(ControlError) {
        let users = DeviceUser.find(of: device)
        guard !users.isEmpty else { return }
        throw .deviceInUse(
            disk.name, device: device.node, holders: users.map { "\($0)".escapedForTerminal })
    }
}

/// Gives the clients of an export socket to the queues of its disk in turn. The lane of the first queue hears
/// them all.
private final class ClientSpread: Sendable {
    private let shards: [DiskShard]
    private let next = Atomic<Int>(0)

    init(_ shards: [DiskShard]) { self.shards = shards }

    /// Returns false if it is the first queue's.
    func take(_ descriptor: Int32) -> Bool {
        let turn = next.wrappingAdd(1, ordering: .relaxed).oldValue
        let shard = shards[turn % shards.count]
        guard shard.index > 0, let id = shard.id else { return false }
        shard.lane.perform { $0.addClient(id, descriptor, negotiates: true) }
        return true
    }
}
