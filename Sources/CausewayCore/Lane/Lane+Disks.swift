/// What a disk is attached with.
public struct DiskSpecification: Sendable {
    public var name: String
    public var target: ISCSIName
    public var initiatorName: ISCSIName
    public var lun: LogicalUnitNumber
    public var paths: [PathSpecification]
    public var isReadOnly: Bool

    public init(
        name: String, target: ISCSIName, initiatorName: ISCSIName, lun: LogicalUnitNumber,
        paths: [PathSpecification],
        isReadOnly: Bool = false
    ) {
        self.name = name
        self.target = target
        self.initiatorName = initiatorName
        self.lun = lun
        self.paths = paths
        self.isReadOnly = isReadOnly
    }
}

/// What a disk shows to the world once it is ready.
public struct DiskDescription: Sendable {
    public var export: ExportDescription
    public var report: LogicalUnitReport
    public var isReadOnly: Bool
    public var maxTransferBytes: Int
}

/// Why a lane does not take a disk.
public enum AttachError: Error, Equatable, Sendable {
    /// A table of the lane is full; its name.
    case full(String)
}

/// Disks coming, going, and without paths.
extension Lane {
    /// Attaches a disk. Its target's sessions are shared with other disks; `ready` or `notReady` tells how it
    /// went.
    public mutating func attach(_ specification: DiskSpecification, now: Instant) throws(AttachError)
        -> DiskID
    {
        self.now = now
        let target = try findTarget(specification)
        guard
            let slot = freeSlot(
                disks.map { $0.isRemoved && diskQueues[$0.index].requests == 0 },
                capacity: diskQueues.capacity)
        else {
            throw .full("disks")
        }
        let index = Int32(slot)
        let disk = Disk(
            index: index, name: specification.name, target: target.index, lun: specification.lun,
            wantsReadOnly: specification.isReadOnly)
        if slot == disks.count { disks.append(disk) } else { disks[slot] = disk }
        var queue = DiskQueue()
        queue.isInUse = true
        queue.target = target.index
        queue.lun = specification.lun.rawValue
        diskQueues[index] = queue
        target.disks.append(index)
        do throws(AttachError) {
            for path in specification.paths { try addPath(path, target) }
        } catch {
            removeDisk(index)
            throw error
        }
        // Writes of a predecessor, or of a disk that went by force, may still come: none of ours before their
        // fence, on whichever path.
        for path in target.paths
        where paths[Int(path)].owesPredecessor || !paths[Int(path)].debts.isEmpty {
            if paths[Int(path)].debts.insert(index).inserted { diskQueues[index].fenceDebts += 1 }
        }
        for path in target.paths where paths[Int(path)].isUp { beginProbe(paths[Int(path)], index) }
        wake(at: now)
        return DiskID(rawValue: index)
    }

    private func freeSlot(_ removed: [Bool], capacity: Int) -> Int? {
        if let slot = removed.firstIndex(of: true) { return slot }
        return removed.count < capacity ? removed.count : nil
    }

    private mutating func findTarget(_ specification: DiskSpecification) throws(AttachError) -> Target {
        for target in targets
        where target.name == specification.target && target.initiatorName == specification.initiatorName
            && !target.isRemoved && target.lastDisk == nil
        {
            return target
        }
        guard let slot = freeSlot(targets.map { $0.isRemoved }, capacity: targetPaths.capacity) else {
            throw .full("targets")
        }
        let target = Target(
            index: Int32(slot), name: specification.target, initiatorName: specification.initiatorName)
        if slot == targets.count { targets.append(target) } else { targets[slot] = target }
        targetPaths[slot] = TargetPaths()
        return target
    }

    private mutating func addPath(_ specification: PathSpecification, _ target: Target) throws(AttachError) {
        for path in target.paths where paths[Int(path)].specification.isid == specification.isid { return }
        var ordinal: Int32 = 0
        while ordinal < TargetPaths.capacity && targetPaths[target.index].indices[Int(ordinal)] >= 0 {
            ordinal += 1
        }
        guard ordinal < TargetPaths.capacity else { throw .full("paths of one target") }
        let removed = paths.map { path in
            if case .removed = path.state { true } else { false }
        }
        guard let slot = freeSlot(removed, capacity: pathQueues.capacity) else { throw .full("paths") }
        let index = Int32(slot)
        let path = Path(index: index, target: target.index, ordinal: ordinal, specification: specification)
        path.retryAt = now
        path.downSince = now
        if slot == paths.count { paths.append(path) } else { paths[slot] = path }
        var queue = PathQueue()
        queue.target = target.index
        queue.ordinal = ordinal
        pathQueues[index] = queue
        targetPaths[target.index].indices[Int(ordinal)] = index
        target.paths.append(index)
    }

    // MARK: Ready

    /// Takes the first path's word for what the LUN is and can do.
    mutating func adopt(_ report: LogicalUnitReport, _ disk: Int32) throws(ExportDescriptionError) {
        let cold = disks[Int(disk)]
        let limits = report.limits
        diskQueues[disk].blockShift = UInt8(limits.logicalBlockShift)
        diskQueues[disk].sizeBytes = limits.byteCount
        diskQueues[disk].isReadOnly = cold.wantsReadOnly || limits.isWriteProtected
        diskQueues[disk].writeCacheEnabled = limits.writeCacheEnabled
        diskQueues[disk].supportsFUA = limits.supportsFUA
        diskQueues[disk].pieceBytes = Int32(limits.maxTransferBlocks << UInt32(limits.logicalBlockShift))
        diskQueues[disk].unmap = limits.unmap
        diskQueues[disk].writeSame = limits.writeSame
        diskQueues[disk].readsZerosAfterUnmap = limits.readsZerosAfterUnmap
        diskQueues[disk].supportsLBAStatus = report.supportsLBAStatus
        cold.export = try makeExport(disk, report)
        cold.report = report
    }

    private func makeExport(_ disk: Int32, _ report: LogicalUnitReport) throws(ExportDescriptionError)
        -> ExportDescription
    {
        let cold = disks[Int(disk)]
        var flags: TransmissionFlags = [
            .hasFlags, .sendFlush, .sendForceUnitAccess, .sendTrim, .sendWriteZeroes, .canMultiConnection,
            .sendCache,
        ]
        if diskQueues[disk].isReadOnly { flags.insert(.readOnly) }
        if report.limits.isRotational { flags.insert(.rotational) }
        return try ExportDescription(
            name: cold.name, description: "\(report.inquiry.vendor) \(report.inquiry.product)",
            sizeBytes: diskQueues[disk].sizeBytes, transmissionFlags: flags,
            minimumBlockSize: report.limits.logicalBlockLength, preferredBlockSize: 4096,
            baseAllocation: report.supportsLBAStatus)
    }

    func describe(_ disk: Int32) -> DiskDescription? {
        let cold = disks[Int(disk)]
        guard let report = cold.report, let export = cold.export else { return nil }
        return DiskDescription(
            export: export, report: report, isReadOnly: diskQueues[disk].isReadOnly,
            maxTransferBytes: Int(diskQueues[disk].pieceBytes))
    }

    /// Once every path was tried and none carries the disk, the supervisor hears why.
    mutating func tellProblems(_ target: Int32) {
        for disk in targets[Int(target)].disks {
            let cold = disks[Int(disk)]
            guard !cold.wasReady, !cold.problemsWereTold, !diskQueues[disk].isDetaching else { continue }
            var problems: [PathProblem] = []
            for index in targets[Int(target)].paths {
                let path = paths[Int(index)]
                if let problem = path.diskProblems[disk] ?? path.problem, path.wasTried {
                    problems.append(problem)
                }
            }
            guard problems.count == targets[Int(target)].paths.count else { continue }
            cold.problemsWereTold = true
            effects.append(.notice(.notReady(DiskID(rawValue: disk), problems)))
        }
    }

    /// News of a path for every disk that it carried.
    mutating func tellDisks(_ path: Path, isUp: Bool, _ reason: String) {
        for disk in targets[Int(path.target)].disks {
            effects.append(
                .notice(
                    .pathChanged(
                        DiskID(rawValue: disk), interface: path.specification.interface,
                        portal: path.specification.portal, isUp: isUp, reason: reason)))
        }
    }

    // MARK: Clients

    /// An NBD client of a disk. The kernel's driver negotiates nothing; others haggle first.
    public mutating func addClient(_ id: DiskID, negotiates: Bool, now: Instant) -> StreamID? {
        self.now = now
        let disk = id.rawValue
        guard disk >= 0, Int(disk) < disks.count, diskQueues[disk].isInUse,
            let export = disks[Int(disk)].export,
            !diskQueues[disk].isDetaching,
            clients(of: id).count < settings.clientsPerDisk,
            let index = openStream(negotiates ? .negotiation : .nbd, owner: disk)
        else { return nil }
        if negotiates {
            let machine = ExportNegotiation(export: export)
            let greeting = machine.start()
            negotiations[index] = machine
            streams[index].negotiatesUntil = now.adding(milliseconds: settings.negotiationMilliseconds)
            wake(at: streams[index].negotiatesUntil)
            sendPlain(greeting, index)
        } else {
            streams[index].rules = RequestRules(export: export)
        }
        return streamID(index)
    }

    /// Queues bytes that are no PDU.
    private mutating func sendPlain(_ bytes: [UInt8], _ index: Int32) {
        guard !bytes.isEmpty, streams[index].send.room > 0 else { return }
        let copy = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: 8)
        unsafe bytes.withUnsafeBytes { source in
            if let base = source.baseAddress { unsafe copy.copyMemory(from: base, byteCount: source.count) }
        }
        let entry = unsafe streams[index].send.append()
        unsafe entry.pointee.reset(headerCount: 0)
        unsafe entry.pointee.payload = UnsafeRawPointer(copy)
        unsafe entry.pointee.payloadCount = Int32(bytes.count)
        unsafe entry.pointee.ownsPayload = true
        chunks.heapBytes += bytes.count
        markDirty(index)
    }

    @inline(never)
    mutating func parseNegotiation(_ index: Int32) {
        guard var machine = negotiations[index] else { return }
        let parsed = streams[index].parsed
        let bytes = unsafe UnsafeRawBufferPointer(
            start: chunks.base(streams[index].chunk) + parsed, count: streams[index].filled - parsed)
        let step = unsafe machine.received(bytes)
        negotiations[index] = machine
        streams[index].parsed = parsed + step.consumed
        sendPlain(step.output, index)
        switch step.state {
        case .needMore: break
        case .transmission(let transmission):
            negotiations[index] = nil
            guard let export = disks[Int(streams[index].owner)].export else { return }
            streams[index].kind = .nbd
            streams[index].structuredReplies = transmission.structuredReplies
            streams[index].allocationContext = transmission.baseAllocationContextID ?? 0
            streams[index].rules = RequestRules(export: export, transmission: transmission)
            parseNBD(index)
        case .closed(let reason):
            negotiations[index] = nil
            streams[index].isDisconnecting = true
            streams[index].closesWhenSent = true
            log(.information, "\(disks[Int(streams[index].owner)].name): an NBD client left: \(reason)")
            if streams[index].send.isEmpty { clientIsGone(index, requested: false) }
        }
    }

    // MARK: All paths down

    /// Starts the clock of disks that no path carries.
    mutating func checkAllPathsDown(_ target: Int32) {
        for disk in targets[Int(target)].disks where diskQueues[disk].usable == 0 {
            let cold = disks[Int(disk)]
            guard cold.wasReady, cold.allPathsDownSince == nil else { continue }
            cold.allPathsDownSince = now
            wake(at: now.adding(milliseconds: settings.allPathsDownTimeoutMilliseconds))
            log(
                .error,
                "\(cold.name): all paths down; I/O is held for up to "
                    + "\(settings.allPathsDownTimeoutMilliseconds / 1000) s")
        }
    }

    /// Answers everything that is held for a disk with an error.
    @inline(never)
    mutating func failHeld(_ disk: Int32, _ reason: String) {
        diskQueues[disk].isFailing = true
        var count = 0
        while !diskQueues[disk].pending.isEmpty {
            let task = diskQueues[disk].pending.first
            diskQueues[disk].pending.remove(task, tasks)
            internalData[task] = nil
            finishTask(task, error: NBDError.inputOutput.rawValue)
            count += 1
        }
        for index in targets[Int(diskQueues[disk].target)].paths {
            let path = paths[Int(index)]
            var task = pathQueues[index].held.first
            while task >= 0 {
                let next = tasks[task].next
                if tasks[task].disk == disk {
                    pathQueues[index].held.remove(task, tasks)
                    if path.debts.insert(disk).inserted { diskQueues[disk].fenceDebts += 1 }
                    finishTask(task, error: NBDError.inputOutput.rawValue)
                    count += 1
                }
                task = next
            }
        }
        var task = delayed.first
        while task >= 0 {
            let next = tasks[task].next
            if tasks[task].disk == disk && tasks[task].request >= 0 {
                delayed.remove(task, tasks)
                finishTask(task, error: NBDError.inputOutput.rawValue)
                count += 1
            }
            task = next
        }
        guard count > 0 else { return }
        log(.error, "\(disks[Int(disk)].name): \(reason): \(count) commands were answered with an error")
    }

    // MARK: Detach

    /// Detaches a disk: waits for its requests, flushes, and logs out of a target that no other disk uses.
    /// By force nothing is waited for, and what is held is answered with an error.
    public mutating func detach(_ id: DiskID, force: Bool, now: Instant) {
        self.now = now
        let disk = id.rawValue
        guard disk >= 0, Int(disk) < disks.count, diskQueues[disk].isInUse else { return }
        let cold = disks[Int(disk)]
        diskQueues[disk].isDetaching = true
        cold.detachDeadline = now.adding(milliseconds: force ? 1000 : 30_000)
        wake(at: cold.detachDeadline ?? .never)
        if force {
            cold.isForced = true
            failHeld(disk, "detached by force")
        }
        // Nothing new is taken, so that what is under way comes to an end.
        for client in clients(of: id) where !force && streams[client.index].writing < 0 {
            streams[client.index].isDisconnecting = true
        }
        if diskQueues[disk].requests == 0 { diskIsIdle(disk) }
    }

    /// A detaching disk has no request left: one last flush, then it goes.
    @inline(never)
    mutating func diskIsIdle(_ disk: Int32) {
        let cold = disks[Int(disk)]
        guard diskQueues[disk].isDetaching, !cold.isRemoved else { return }
        let mustFlush =
            !cold.wasFlushed && !cold.isForced && cold.wasReady && diskQueues[disk].writeCacheEnabled
            && diskQueues[disk].usable != 0 && !diskQueues[disk].isReadOnly
        guard mustFlush, let request = freeRequests.take() else { return removeDisk(disk) }
        cold.wasFlushed = true
        requests[request] = Request()
        requests[request].isFree = false
        requests[request].isOrphan = true
        requests[request].isFullyIssued = true
        requests[request].type = NBDCommand.flush.rawValue
        requests[request].disk = disk
        diskQueues[disk].requests += 1
        synchronize(request, lba: 0, blocks: 0)
    }

    /// The disk is no more; tasks of it that a target still holds end with their session.
    @inline(never)
    mutating func removeDisk(_ disk: Int32) {
        let cold = disks[Int(disk)]
        let target = targets[Int(cold.target)]
        // Ending its clients' requests comes back to here.
        guard !cold.isRemoved, target.disks.contains(disk) else { return }
        target.disks.removeAll { $0 == disk }
        for path in target.paths { paths[Int(path)].probes[disk] = nil }
        for index in 0..<Int32(streams.capacity)
        where (streams[index].kind == .nbd || streams[index].kind == .negotiation)
            && streams[index].owner == disk
        {
            if cold.isForced { answerAll(index) }
            if streams[index].send.isEmpty {
                clientIsGone(index, requested: true)
            } else {
                // The last answers go out first.
                streams[index].isDisconnecting = true
                streams[index].closesWhenSent = true
            }
        }
        if target.disks.isEmpty {
            target.lastDisk = disk
            for path in target.paths { logOut(paths[Int(path)]) }
            if target.paths.isEmpty { diskIsGone(disk, target) }
        } else {
            for path in target.paths {
                paths[Int(path)].barriers.remove(disk)
                paths[Int(path)].diskProblems[disk] = nil
            }
            diskIsGone(disk, target)
        }
    }

    /// Answers what a client still waits for with an error; the commands run to their end, unheard.
    private mutating func answerAll(_ index: Int32) {
        for request in 0..<Int32(requests.capacity)
        where !requests[request].isFree && requests[request].stream == index && !requests[request].isOrphan
            && streams[index].writing != request
        {
            let isRead = requests[request].type == NBDCommand.read.rawValue
            writeReply(requests[request].cookie, isRead: isRead, .inputOutput, stream: index)
            requests[request].isOrphan = true
        }
    }

    /// The last path of a target has logged out.
    mutating func pathRemoved(_ path: Path) {
        let target = targets[Int(path.target)]
        failTasks(of: path)
        target.paths.removeAll { $0 == path.index }
        targetPaths[target.index].indices[Int(path.ordinal)] = -1
        if target.paths.isEmpty, let disk = target.lastDisk { diskIsGone(disk, target) }
    }

    /// What a path that goes for ever still held. The fence it owes is written in the log.
    private mutating func failTasks(of path: Path) {
        let count = pathQueues[path.index].held.count
        if count > 0 || !path.debts.isEmpty || path.owesPredecessor {
            targets[Int(path.target)].leftWrites = true
        }
        if count > 0 || !path.debts.isEmpty {
            log(
                .error,
                "\(targets[Int(path.target)].name) \(path.name): "
                    + "removed while \(count) sent writes had no fence: "
                    + "they may still reach the medium")
        }
        while !pathQueues[path.index].held.isEmpty {
            let task = pathQueues[path.index].held.first
            pathQueues[path.index].held.remove(task, tasks)
            finishTask(task, error: NBDError.inputOutput.rawValue)
        }
    }

    private mutating func diskIsGone(_ disk: Int32, _ target: Target) {
        let cold = disks[Int(disk)]
        cold.isRemoved = true
        diskQueues[disk].isFailing = true
        failHeld(disk, "detached")
        // What it owed, the path owes on: the disk's number may soon be another's.
        for index in target.paths where paths[Int(index)].debts.remove(disk) != nil {
            paths[Int(index)].owesPredecessor = true
            diskQueues[disk].fenceDebts -= 1
        }
        diskQueues[disk].isInUse = false
        if target.disks.isEmpty { target.isRemoved = true }
        effects.append(.notice(.detached(DiskID(rawValue: disk), isClean: !target.leftWrites)))
    }
}
