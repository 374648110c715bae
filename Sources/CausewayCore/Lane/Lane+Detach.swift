/// Disks that go: the last flush, the logout, and what they leave behind.
extension Lane {
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
        guard !cold.wasFlushed, !cold.isForced, owesFlush(disk) else { return removeDisk(disk) }
        // First, for the flush may end at once.
        cold.wasFlushed = true
        if !startOwnFlush(disk) {
            cold.flushFailed = true
            removeDisk(disk)
        }
    }

    /// Whether writes may be in the LUN's cache alone.
    private func owesFlush(_ disk: Int32) -> Bool {
        let isFlushed = !diskQueues[disk].hasUnflushedWrites
        // What another host has taken is not this one's to synchronise.
        return disks[Int(disk)].wasReady && !diskQueues[disk].isEvicted && diskQueues[disk].writeCacheEnabled
            && !diskQueues[disk].isReadOnly && (diskQueues[disk].usable != 0 || !isFlushed)
    }

    /// Has what lies in a LUN's cache written to its medium. The notice `flushed` tells how it went; while no
    /// path is left it waits as other requests do.
    public mutating func flush(_ id: DiskID, now: Instant) {
        self.now = now
        let disk = id.rawValue
        guard disk >= 0, Int(disk) < disks.count, diskQueues[disk].isInUse else { return }
        if owesFlush(disk) && startOwnFlush(disk) { return }
        effects.append(.notice(.flushed(id, error: diskQueues[disk].hasUntoldLoss ? .inputOutput : .none)))
    }

    /// A FLUSH that comes from no client. False when no request is free.
    private mutating func startOwnFlush(_ disk: Int32) -> Bool {
        guard let request = freeRequests.take() else { return false }
        requests[request] = Request()
        requests[request].isFree = false
        requests[request].isOrphan = true
        requests[request].type = NBDCommand.flush.rawValue
        requests[request].disk = disk
        diskQueues[disk].requests += 1
        startFlush(request)
        return true
    }

    /// Such a FLUSH has ended.
    @inline(never)
    mutating func ownFlushEnded(_ request: Int32) {
        let disk = requests[request].disk
        let error = NBDError(rawValue: requests[request].error)
        disks[Int(disk)].flushFailed = error != .none
        effects.append(.notice(.flushed(DiskID(rawValue: disk), error: error)))
    }

    /// The disk is no more; tasks of it that a target still holds end with their session.
    @inline(never)
    mutating func removeDisk(_ disk: Int32) {
        let cold = disks[Int(disk)]
        let target = targets[Int(cold.target)]
        // Ending its clients' requests comes back to here.
        guard !cold.isRemoved, target.disks.contains(disk) else { return }
        target.disks.removeAll { $0 == disk }
        dropReservationTask(cold)
        joinHealth(target)
        pathsChanged(target)
        for index in target.paths {
            let path = paths[Int(index)]
            path.probes[disk] = nil
            path.serials[disk] = nil
            path.gone[disk] = nil
            path.registered.remove(disk)
            path.sweeps[disk] = nil
            path.shownBlocks[disk] = nil
        }
        for index in 0..<Int32(streams.capacity)
        where (streams[index].kind == .nbd || streams[index].kind == .negotiation)
            && streams[index].owner == disk
        {
            if cold.isForced { answerAll(index) }
            streams[index].endIsRequested = true
            beginClosing(index, .whenSent)
        }
        if target.disks.isEmpty {
            target.lastDisk = disk
            for path in target.paths { logOut(paths[Int(path)]) }
            if target.paths.isEmpty { diskIsGone(disk, target) }
        } else {
            for path in target.paths {
                paths[Int(path)].barriers[disk] = nil
                paths[Int(path)].diskProblems[disk] = nil
            }
            diskIsGone(disk, target)
            // The barrier of a clean-up may have been this disk's.
            if let session = target.session { goOn(after: session) }
            for path in target.paths { beginUse(paths[Int(path)]) }
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
        // Only with all others does a path go before it is cleaned up.
        if let session = path.session, session.cleanUp?.lost == path.index { abandonCleanUp(session) }
        tellSessionEnd(path)
        failTasks(of: path)
        target.paths.removeAll { $0 == path.index }
        targetPaths[target.index].indices[Int(path.ordinal)] = -1
        leaveHealth(path)
        if path.session != nil && target.lastDisk == nil { oweFences(target) }
        if target.lastDisk == nil { tellRemoved(path, target) }
        if target.paths.isEmpty, let disk = target.lastDisk { diskIsGone(disk, target) }
    }

    /// A session that others share goes with the last of them.
    private mutating func tellSessionEnd(_ path: Path) {
        let unfenced = unfencedUnits(path)
        var number = path.specification.recordNumber
        if let session = path.session {
            // What it owes the others owe on: they are the same session.
            if let heir = members(with: path).first(where: { $0 !== path }) {
                heir.unfenced.formUnion(unfenced)
                return
            }
            number = session.recordNumber
        }
        effects.append(
            .notice(.sessionEnded(sessionName(path), recordNumber: number, unfenced: unfenced)))
    }

    /// LUN fields to which sent writes over this path may still be on their way.
    private func unfencedUnits(_ path: Path) -> Set<UInt64> {
        let disks = targets[Int(path.target)].disks + [targets[Int(path.target)].lastDisk].compactMap { $0 }
        return path.unfenced.union(disks.filter { owesFence(path, $0) }.map { diskQueues[$0].lun })
    }

    /// What a path that goes for ever still held. The fence it owes is written in the log.
    private mutating func failTasks(of path: Path) {
        let count = pathQueues[path.index].held.count
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

    /// Writes that still run on sessions that go on: whoever attaches the LUN anew must not be overtaken.
    ///
    /// - Returns: whether there are any.
    private func oweWrites(_ disk: Int32) -> Bool {
        var owes = false
        for task in 0..<Int32(tasks.capacity)
        where tasks[task].state == .inFlight && tasks[task].disk == disk && tasks[task].kind.isWrite {
            paths[Int(tasks[task].path)].unfenced.insert(diskQueues[disk].lun)
            owes = true
        }
        return owes
    }

    private mutating func diskIsGone(_ disk: Int32, _ target: Target) {
        let cold = disks[Int(disk)]
        cold.isRemoved = true
        diskQueues[disk].isFailing = true
        failHeld(disk, "detached")
        // What it owed, the path owes on: the disk's number may soon be another's.
        for index in target.paths where paths[Int(index)].accessDebts.remove(disk) != nil {
            paths[Int(index)].unfenced.insert(diskQueues[disk].lun)
        }
        var owes = oweWrites(disk)
        for index in target.paths where paths[Int(index)].debts.remove(disk) != nil {
            paths[Int(index)].unfenced.insert(diskQueues[disk].lun)
            diskQueues[disk].fenceDebts -= 1
            owes = true
        }
        // Other shards that have not left yet send no more writes.
        if owes && diskQueues[disk].share.isSome { diskQueues[disk].share.publish(debts: 1) }
        diskQueues[disk].isInUse = false
        if target.disks.isEmpty {
            target.isRemoved = true
            // Its secrets are wiped when nobody holds them any more.
            target.authentication = .none
        }
        effects.append(.notice(.detached(DiskID(rawValue: disk), isFlushed: !cold.flushFailed)))
    }
}
