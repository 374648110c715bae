/// What another daemon left behind or is to take over: sessions that it had open, and clients of its disks.
extension Lane {
    // MARK: Fences for a predecessor's sessions

    /// Writes of a predecessor, or of a disk that went by force, may still come: none of these disks' goes
    /// out before their fence, on whichever path.
    mutating func oweFences(_ target: Target) {
        for path in target.paths {
            for disk in target.disks { oweFence(disk, paths[Int(path)]) }
        }
    }

    /// Whether writes of a session of a target may still come to a LUN: for a disk without a queue on this
    /// lane.
    public func mayStillWrite(to lun: LogicalUnitNumber, of name: ISCSIName) -> Bool {
        targets.contains { target in
            target.name == name
                && target.paths.contains { index in
                    let path = paths[Int(index)]
                    return path.unfenced.contains(lun.rawValue)
                        || path.debts.contains { diskQueues[$0].lun == lun.rawValue }
                }
        }
    }

    private mutating func oweFence(_ disk: Int32, _ path: Path) {
        let lun = diskQueues[disk].lun
        guard path.unfenced.contains(lun) || path.debts.contains(where: { diskQueues[$0].lun == lun }),
            path.debts.insert(disk).inserted
        else { return }
        diskQueues[disk].fenceDebts += 1
        switch path.state {
        // The next login asks for itself; a path that rests has none.
        case .down:
            if path.attempt == nil && path.retryAt == nil { path.retryAt = now }
            return wake(at: now)
        case .leaving, .loggingOut, .removed: return
        case .draining, .up, .standIn: break
        }
        if path.proof == .waitsForTasks {
            connectionLost(
                path, "earlier writes to the LUN of \(disks[Int(disk)].name) must end first",
                endsSession: true)
        } else if path.session == nil || !isFencing(path, disk), !sendBarrier(path, disk) {
            connectionLost(path, "no task is free for the barrier", endsSession: true)
        }
    }

    /// The paths of the same target that are up and lead to the session that is to be reinstated, as a mask
    /// of ordinals.
    func siblingsForFence(_ path: Path) -> UInt32 {
        var mask: UInt32 = 0
        for index in targets[Int(path.target)].paths where index != path.index {
            let sibling = paths[Int(index)]
            guard sibling.isUp else { continue }
            let leadsThere =
                if let tag = path.portalGroupTag {
                    sibling.portalGroupTag == nil || sibling.portalGroupTag == tag
                } else {
                    sibling.specification.portal == path.specification.portal
                }
            if leadsThere { mask |= 1 << UInt32(sibling.ordinal) }
        }
        let trusted = mask & ~targets[Int(path.target)].suspects
        return trusted != 0 ? trusted : mask
    }

    /// Whether a disk that comes has its path already, because disks of one target share them: it is taken
    /// into use. A path that was there for a fence alone becomes one like the others.
    mutating func sharePath(_ specification: PathSpecification, _ target: Target) -> Bool {
        for index in target.paths where paths[Int(index)].isMeant(by: specification) {
            let path = paths[Int(index)]
            // Beginnings may come in another order than they were put on record.
            path.specification.recordNumber = max(
                path.specification.recordNumber, specification.recordNumber)
            if let session = path.session {
                session.recordNumber = max(session.recordNumber, specification.recordNumber)
            }
            guard !specification.isFenceOnly else { return true }
            if path.isFenceOnly { path.specification = specification }
            enable(path)
            return true
        }
        return false
    }

    /// `sessionBegan` was put on record, so that a successor fences what the session will write.
    public mutating func sessionRecorded(_ name: SessionName, now: Instant) {
        self.now = now
        for path in paths where path.specification.awaitsRecord && sessionName(path) == name {
            path.specification.awaitsRecord = false
            beginUse(path)
        }
    }

    func sessionName(_ path: Path) -> SessionName {
        let target = targets[Int(path.target)]
        return SessionName(
            initiator: path.specification.initiatorName ?? target.initiatorName, target: target.name,
            isid: path.specification.isid)
    }

    // MARK: Handing clients over

    /// Room for the rest of the request that is arriving, so that what comes after it stays with the kernel.
    @inline(never)
    mutating func spaceToBoundary(_ index: Int32) -> ReceiveSpace? {
        let available = streams[index].filled - streams[index].parsed
        let missing: Int
        if streams[index].skipping > 0 {
            missing = streams[index].skipping
        } else if streams[index].writing >= 0 {
            let request = streams[index].writing
            missing = Int(requests[request].length - requests[request].issued) - available
        } else {
            missing = available > 0 ? NBDRequest.byteCount - available : 0
        }
        guard missing > 0, makeRoom(index) else { return nil }
        let stream = streams[index]
        let base = unsafe chunks.base(stream.chunk)
        return unsafe ReceiveSpace(
            base: base + stream.filled, count: min(chunks.chunkBytes - stream.filled, missing))
    }

    /// Takes no further request of a disk's clients. What is under way comes to its end, and then `isQuiet`.
    public mutating func quiesce(_ id: DiskID) {
        for client in clients(of: id) where streams[client.index].kind == .nbd {
            streams[client.index].stopsAtBoundary = true
            staysUnread(client.index)
        }
    }

    /// Takes requests again.
    public mutating func resume(_ id: DiskID) {
        for client in clients(of: id) { streams[client.index].stopsAtBoundary = false }
    }

    /// Whether every request that the disk has taken is answered and every answer sent.
    public func isQuiet(_ id: DiskID) -> Bool {
        guard id.rawValue >= 0, Int(id.rawValue) < disks.count, diskQueues[id.rawValue].requests == 0 else {
            return false
        }
        return clients(of: id).allSatisfy { client in
            let stream = streams[client.index]
            return stream.kind == .nbd && stream.parsed == stream.filled && stream.writing < 0
                && stream.skipping == 0 && !stream.isBlocked && stream.send.isEmpty
        }
    }

    /// Whether no path carries the disk.
    public func isHeld(_ id: DiskID) -> Bool {
        id.rawValue >= 0 && Int(id.rawValue) < disks.count && diskQueues[id.rawValue].isInUse
            && disks[Int(id.rawValue)].allPathsDownSince != nil
    }

    /// Lets go of a quiet client without closing its stream: its next byte begins a request, and whoever
    /// drives the lane owns it now.
    public mutating func handOver(_ id: StreamID) {
        guard isCurrent(id), streams[id.index].kind == .nbd else { return }
        releaseStream(id.index)
    }

    // MARK: Size

    /// A path has shown how large its LUN is. Its disk follows only when all paths agree.
    mutating func noteSize(_ blocks: UInt64, _ path: Path, _ disk: Int32) {
        disks[Int(disk)].blockCount = blocks
        let shown = path.shownBlocks.updateValue(blocks, forKey: disk)
        if let shown, shown != blocks {
            // One path has seen it; the others are to say so too.
            for index in targets[Int(path.target)].paths where index != path.index {
                let sibling = paths[Int(index)]
                guard sibling.isUp, sibling.shownBlocks[disk] != blocks else { continue }
                sibling.reprobeAt = now
                wake(at: now)
            }
        }
    }

    /// Why a path does not join while another one shows the disk in full: what lies beyond its end would fail
    /// there. A LUN that shrinks under paths which carry it is `checkSize`'s business.
    func shortfall(_ blocks: UInt64, _ path: Path, _ disk: Int32) -> String? {
        let shift = UInt64(diskQueues[disk].blockShift)
        let size = diskQueues[disk].sizeBytes
        guard blocks < size >> shift, diskQueues[disk].shown & (1 &<< UInt32(path.ordinal)) == 0 else {
            return nil
        }
        let isWhole = targets[Int(path.target)].paths.contains { index in
            let other = paths[Int(index)]
            return index != path.index && diskQueues[disk].shown & (1 &<< UInt32(other.ordinal)) != 0
                && (other.shownBlocks[disk] ?? 0) >= size >> shift
        }
        return isWhole ? "the LUN has \(blocks << shift) bytes here, and \(size) on another path" : nil
    }

    /// Tells the supervisor of a size on which all paths agree. Not while a path is being recovered: the
    /// kernel's side of a resize waits for requests, and those would wait for a fence.
    mutating func checkSize(_ disk: Int32) {
        let cold = disks[Int(disk)]
        guard cold.wasReady, !diskQueues[disk].isDetaching else { return }
        var agreed: UInt64?
        for index in targets[Int(cold.target)].paths {
            let path = paths[Int(index)]
            if case .draining = path.state { return }
            if owesFence(path) { return }
            guard diskQueues[disk].shown & (1 << UInt32(path.ordinal)) != 0 else { continue }
            guard let blocks = path.shownBlocks[disk], agreed == nil || agreed == blocks else { return }
            agreed = blocks
        }
        guard let agreed else { return }
        let bytes = agreed << UInt64(diskQueues[disk].blockShift)
        let isSmaller = bytes < diskQueues[disk].sizeBytes
        guard bytes != diskQueues[disk].sizeBytes, bytes != cold.toldBytes else { return }
        cold.toldBytes = bytes
        if isSmaller && !cold.allowsShrink {
            return tell(
                .error, cold,
                "the LUN has shrunk to \(bytes) bytes. The disk keeps its size, and I/O beyond the LUN's end "
                    + "fails. Only after its file system was made smaller: causeway rescan \(cold.name) "
                    + "--allow-shrink")
        }
        cold.allowsShrink = false
        effects.append(.notice(.sizeChanged(DiskID(rawValue: disk), sizeBytes: bytes)))
    }

    /// The disk has another size from now on.
    public mutating func resize(_ id: DiskID, sizeBytes: UInt64, now: Instant) {
        self.now = now
        let disk = id.rawValue
        guard disk >= 0, Int(disk) < disks.count, diskQueues[disk].isInUse else { return }
        let cold = disks[Int(disk)]
        diskQueues[disk].sizeBytes = sizeBytes
        cold.export?.sizeBytes = sizeBytes
        cold.report?.limits.blockCount = sizeBytes >> UInt64(diskQueues[disk].blockShift)
        for client in clients(of: id) { streams[client.index].rules?.sizeBytes = sizeBytes }
    }

    /// The supervisor could not follow: it is to be told again.
    public mutating func forgetToldSize(_ id: DiskID) {
        guard id.rawValue >= 0, Int(id.rawValue) < disks.count else { return }
        disks[Int(id.rawValue)].toldBytes = nil
    }

    /// Asks every path again what its LUN is and how large.
    public mutating func rescan(_ id: DiskID, allowsShrink: Bool, now: Instant) {
        self.now = now
        let disk = id.rawValue
        guard disk >= 0, Int(disk) < disks.count, diskQueues[disk].isInUse else { return }
        let cold = disks[Int(disk)]
        cold.allowsShrink = allowsShrink
        cold.toldBytes = nil
        for index in targets[Int(cold.target)].paths where paths[Int(index)].isUp {
            paths[Int(index)].reprobeAt = now
        }
        wake(at: now)
    }
}

extension Path {
    /// Whether the path is the one that is specified, by its session; where it shares that, by its way too.
    func isMeant(by other: PathSpecification) -> Bool {
        specification.isid == other.isid && specification.initiatorName == other.initiatorName
            && (session == nil || specification.name == other.name)
    }
}
