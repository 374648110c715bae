/// What a disk is attached with.
public struct DiskSpecification: Sendable {
    public var name: String
    public var target: ISCSIName
    public var initiatorName: ISCSIName
    public var lun: LogicalUnitNumber
    public var paths: [PathSpecification]
    public var isReadOnly: Bool
    /// For a disk that the kernel holds from a predecessor: a path that shows something else does not join.
    public var expected: ExpectedUnit?
    /// A predecessor may have acknowledged writes that no FLUSH has covered yet.
    public var mayHaveUnflushedWrites = false
    /// A predecessor knew that acknowledged writes are gone, and had not told a client.
    public var hasLostWrites = false
    /// What a predecessor, or the disk's file, has it registered with.
    public var registration: DiskRegistration?
    /// The policy may name a path that comes later, or that a predecessor had.
    public var mayLackPreferred = false
    public var authentication = Authentication.none
    /// What its sessions ask for; the digests are among the settings.
    public var parameters = WantedParameters()
    public var settings: DiskSettings
    /// Where the disk is one of the shards of one with several queues.
    public var share: DiskShare?

    public init(
        name: String, target: ISCSIName, initiatorName: ISCSIName, lun: LogicalUnitNumber,
        paths: [PathSpecification],
        isReadOnly: Bool = false, settings: DiskSettings = DiskSettings()
    ) {
        self.name = name
        self.target = target
        self.initiatorName = initiatorName
        self.lun = lun
        self.paths = paths
        self.isReadOnly = isReadOnly
        self.settings = settings
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
    /// A setting does not fit the paths.
    case setting(DiskSettingError)
    /// Other disks use the target's paths otherwise.
    case multipathing(Multipathing)
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
        do throws(DiskSettingError) {
            let present = target.paths.map { paths[Int($0)].specification }
            if !specification.mayLackPreferred {
                try check(specification.settings, paths: specification.paths + present)
            }
        } catch {
            throw .setting(error)
        }
        // The newest word: that is how a changed secret reaches a target that has other disks.
        target.authentication = specification.authentication
        target.wanted = specification.parameters
        guard
            let slot = freeSlot(
                disks.map { disk in
                    disk.isRemoved && diskQueues[disk.index].requests == 0
                        && clients(of: DiskID(rawValue: disk.index)).isEmpty
                },
                capacity: diskQueues.capacity)
        else {
            throw .full("disks")
        }
        try checkRoom(for: specification.paths, target)
        let index = Int32(slot)
        let disk = Disk(
            index: index, name: specification.name, target: target.index, lun: specification.lun,
            wantsReadOnly: specification.isReadOnly, settings: specification.settings,
            expected: specification.expected, share: specification.share)
        if slot == disks.count { disks.append(disk) } else { disks[slot] = disk }
        var queue = DiskQueue()
        queue.isInUse = true
        queue.target = target.index
        queue.lun = specification.lun.rawValue
        queue.share = ShareLink(specification.share)
        if specification.mayHaveUnflushedWrites { queue.acknowledgeWrite() }
        if specification.hasLostWrites && !queue.hasUntoldLoss { queue.noteLoss() }
        disk.reservations.registration = specification.registration
        if specification.registration?.state == .evicted {
            queue.isEvicted = true
            queue.fenceDebts = 1
        }
        diskQueues[index] = queue
        target.disks.append(index)
        joinHealth(target)
        do throws(AttachError) {
            for path in specification.paths { try addPath(path, target) }
        } catch {
            removeDisk(index)
            throw error
        }
        apply(disk.settings, to: index)
        pathsChanged(target)
        oweFences(target)
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
            let multipathing: Multipathing = target.session == nil ? .sessions : .connections
            guard multipathing == specification.settings.multipathing else {
                throw .multipathing(multipathing)
            }
            return target
        }
        guard let slot = freeSlot(targets.map { $0.isRemoved }, capacity: targetPaths.capacity) else {
            throw .full("targets")
        }
        let session =
            specification.settings.multipathing == .connections
            ? Session(index: Int32(pathQueues.capacity + slot)) : nil
        if let session { sessionQueues[session.index] = SessionQueue() }
        let target = Target(
            index: Int32(slot), name: specification.target, initiatorName: specification.initiatorName,
            session: session)
        if slot == targets.count { targets.append(target) } else { targets[slot] = target }
        targetPaths[slot] = TargetPaths()
        return target
    }

    /// All paths are taken or none: whoever is refused takes all of their sessions off the record.
    func checkRoom(for specifications: [PathSpecification], _ target: Target) throws(AttachError) {
        let new = specifications.count { specification in
            !target.paths.contains { paths[Int($0)].isMeant(by: specification) }
        }
        guard target.paths.count + new <= TargetPaths.capacity else { throw .full("paths of one target") }
        let living = paths.count { path in
            if case .removed = path.state { false } else { true }
        }
        guard living + new <= pathQueues.capacity else { throw .full("paths") }
    }

    mutating func addPath(_ specification: PathSpecification, _ target: Target) throws(AttachError) {
        if sharePath(specification, target) { return }
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
        if specification.isFenceOnly { path.intent = .removed }
        if !specification.isFenceOnly, let session = target.session { join(session, path) }
        path.retryAt = now
        path.downSince = now
        if slot == paths.count { paths.append(path) } else { paths[slot] = path }
        var queue = PathQueue()
        queue.target = target.index
        queue.ordinal = ordinal
        queue.session = path.session?.index ?? index
        pathQueues[index] = queue
        if path.session == nil { sessionQueues[index] = SessionQueue() }
        targetPaths[target.index].indices[Int(ordinal)] = index
        target.paths.append(index)
    }

    // MARK: Ready

    /// Takes the first path's word for what the LUN is and can do.
    mutating func adopt(_ report: LogicalUnitReport, _ disk: Int32) throws(ExportDescriptionError) {
        let cold = disks[Int(disk)]
        let limits = report.limits
        diskQueues[disk].blockShift = UInt8(limits.logicalBlockShift)
        diskQueues[disk].sizeBytes = cold.expected?.sizeBytes ?? limits.byteCount
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
            .sendCache, .sendFastZero,
        ]
        if diskQueues[disk].isReadOnly { flags.insert(.readOnly) }
        if report.limits.isRotational { flags.insert(.rotational) }
        return try ExportDescription(
            name: cold.name, description: "\(report.inquiry.vendor) \(report.inquiry.product)",
            sizeBytes: diskQueues[disk].sizeBytes, transmissionFlags: flags,
            minimumBlockSize: report.limits.logicalBlockLength,
            preferredBlockSize: max(4096, report.limits.physicalBlockLength),
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
            let carriers = targets[Int(target)].paths.filter { !paths[Int($0)].isFenceOnly }
            for index in carriers {
                let path = paths[Int(index)]
                let problem = path.diskProblems[disk] ?? path.problem ?? accessProblem(path, cold)
                if let problem, path.wasTried { problems.append(problem) }
            }
            guard problems.count == carriers.count else { continue }
            cold.problemsWereTold = true
            effects.append(.notice(.notReady(DiskID(rawValue: disk), problems)))
        }
    }

    /// A path whose LUN is the disk's and takes no I/O there, unless that is about to be changed.
    private func accessProblem(_ path: Path, _ cold: Disk) -> PathProblem? {
        guard diskQueues[cold.index].shown & (1 &<< UInt32(path.ordinal)) != 0, !cold.access.maySet,
            cold.access.transitionEnd(of: diskQueues[cold.index].shown, now: now) == nil,
            let reason = accessReason(path, cold.index)
        else { return nil }
        return PathProblem(
            kind: .notReady, interface: path.specification.interface, portal: path.specification.portal,
            text: reason)
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
            streams[index].mayBeGivenUp = diskQueues[disk].share.isSome
        }
        return streamID(index)
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
        case .needMore: giveChunkBack(index)
        case .transmission(let transmission):
            negotiations[index] = nil
            guard let export = disks[Int(streams[index].owner)].export else { return }
            streams[index].kind = .nbd
            streams[index].structuredReplies = transmission.structuredReplies
            streams[index].allocationContext = transmission.baseAllocationContextID ?? 0
            streams[index].rules = RequestRules(export: export, transmission: transmission)
            parseNBD(index)
            if streams[index].kind == .nbd && streams[index].requests == 0 { giveChunkBack(index) }
        case .closed(let reason):
            negotiations[index] = nil
            log(.information, "\(disks[Int(streams[index].owner)].name): an NBD client left: \(reason)")
            beginClosing(index, .whenSent)
        }
    }
}
