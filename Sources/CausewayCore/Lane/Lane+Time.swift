/// What happens because time has passed.
extension Lane {
    /// To be called when `nextDeadline` has passed; earlier calls do no harm.
    public mutating func tick(now: Instant) {
        self.now = now
        guard nextDeadline <= now else { return }
        nextDeadline = .never
        releaseDelayed()
        for index in paths.indices { tick(paths[index]) }
        for index in disks.indices where diskQueues[index].isInUse { tick(disks[index]) }
        for target in targets where !target.isRemoved {
            tickSession(target)
            tickInventory(target)
        }
        sendHagglersAway()
        if !lingering.isEmpty { closeLingering() }
    }

    /// A client that does not come to the point holds a descriptor.
    private mutating func sendHagglersAway() {
        for index in Array(negotiations.keys) {
            if streams[index].negotiatesUntil <= now && chunks.freeCount <= reservedChunks {
                // It is not the client that keeps the other waiting, but the lane, for want of memory.
                streams[index].negotiatesUntil = now.adding(milliseconds: settings.negotiationMilliseconds)
            }
            if streams[index].negotiatesUntil <= now {
                log(
                    .information,
                    "\(disks[Int(streams[index].owner)].name): an NBD client haggled for too long")
                clientIsGone(index)
            } else {
                wake(at: streams[index].negotiatesUntil)
            }
        }
    }

    private mutating func releaseDelayed() {
        var task = delayed.first
        var isReleased = false
        while task >= 0 {
            let next = tasks[task].next
            if tasks[task].dueAt <= now {
                delayed.remove(task, tasks)
                if tasks[task].request < 0 {
                    sendInternal(task, paths[Int(tasks[task].path)])
                } else {
                    sendAgain(task, first: true)
                    isReleased = true
                }
            } else {
                wake(at: tasks[task].dueAt)
            }
            task = next
        }
        if isReleased { pumpPending() }
    }

    private mutating func tick(_ path: Path) {
        if let attempt = path.attempt {
            if attempt.deadline <= now {
                let isConnecting = if case .connecting = attempt.phase { true } else { false }
                attemptFailed(
                    path, isConnecting ? .unreachable : .timedOut,
                    isConnecting
                        ? "no answer to the connection attempt" : "the login was not answered in time",
                    wasRefused: false)
            } else {
                wake(at: attempt.deadline)
            }
        }
        switch path.state {
        case .removed: return
        case .loggingOut(let deadline):
            if deadline <= now { sessionEnded(path) } else { wake(at: deadline) }
            return
        case .leaving(let departure):
            tickDeparture(path, departure)
            if pathQueues[path.index].isFullFeature { checkHealth(path) }
            return
        case .down, .standIn, .up, .draining: break
        }
        if let reason = path.mustReinstate {
            path.mustReinstate = nil
            if pathQueues[path.index].isFullFeature { connectionLost(path, reason, endsSession: true) }
        }
        // An attempt beside a living session is of use only while that one is silent.
        if path.isUp && !path.isSuspect { path.retryAt = nil }
        if path.specification.awaitsRecord && path.intent != .inUse { beginUse(path) }
        leave(path)
        if let retryAt = path.retryAt {
            if retryAt <= now { beginAttempt(path) } else { wake(at: retryAt) }
        }
        if let reprobeAt = path.reprobeAt {
            if reprobeAt <= now { reprobe(path) } else { wake(at: reprobeAt) }
        }
        warnOfFence(path)
        if let began = path.fenceBegan, !pathQueues[path.index].held.isEmpty { giveUpHeld(path, began) }
        tickLastFence(path)
        tickSweeps(path)
        if let loss = path.loss {
            if loss.tellAt <= now { tellLoss(path) } else { wake(at: loss.tellAt) }
        }
        checkQuarantine(path)
        if pathQueues[path.index].isFullFeature { checkHealth(path) }
        if pathQueues[path.index].isFullFeature { checkCommandAges(path) }
        if pathQueues[path.index].isFullFeature { checkWindow(path) }
        growDepth(path)
    }

    /// No fence was had within their disks' time-outs: writes that waited for it fail, and the disks owe it
    /// on.
    private mutating func giveUpHeld(_ path: Path, _ began: Instant) {
        var failed: [Int32] = []
        var task = pathQueues[path.index].held.first
        while task >= 0 {
            let next = tasks[task].next
            let disk = tasks[task].disk
            let end = disks[Int(disk)].failure.allPathsDownTimeout.end(since: began)
            if end <= now {
                pathQueues[path.index].held.remove(task, tasks)
                if path.debts.insert(disk).inserted { diskQueues[disk].fenceDebts += 1 }
                if pathQueues[path.index].isFullFeature && path.abortBarriers[disk] != nil {
                    reinstate(path, "an aborted write was given up before its barrier")
                }
                failed.append(task)
            } else {
                wake(at: end)
            }
            task = next
        }
        guard !failed.isEmpty else { return }
        if pathQueues[path.index].held.isEmpty { path.fenceBegan = nil }
        for disk in Set(failed.map { tasks[$0].disk }).sorted() {
            let cold = disks[Int(disk)]
            tell(
                .error, cold,
                "\(path.name): no fence within \(cold.failure.allPathsDownTimeout): writes fail, and new "
                    + "ones wait for it")
        }
        for task in failed { finishTask(task, error: NBDError.inputOutput.rawValue) }
    }

    private mutating func reprobe(_ path: Path) {
        path.reprobeAt = now.adding(milliseconds: settings.capacityPollMilliseconds)
        wake(at: path.reprobeAt ?? .never)
        guard path.isUp else { return }
        for disk in targets[Int(path.target)].disks where path.probes[disk] == nil { beginProbe(path, disk) }
    }

    private mutating func tick(_ disk: Disk) {
        if let deadline = disk.detachDeadline, diskQueues[disk.index].isDetaching, !disk.isRemoved {
            if deadline <= now {
                disk.detachDeadline = nil
                if !disk.isForced { log(.error, "\(disk.name): detach took too long; it goes on by force") }
                disk.isForced = true
                failHeld(disk.index, "detached by force")
                removeDisk(disk.index)
            } else {
                wake(at: deadline)
            }
        }
        guard !disk.isRemoved else { return }
        if let failBackAt = disk.failBackAt {
            if failBackAt <= now { failBack(disk) } else { wake(at: failBackAt) }
        }
        tickAccess(disk)
        tickReservations(disk)
        tickReset(disk)
        tickSpace(disk)
        tickLoss(disk)
        tickShard(disk)
        tickDebts(disk)
    }

    /// Writes that wait for somebody else's fence fail in the end, as those did that owe it.
    private mutating func tickDebts(_ cold: Disk) {
        let disk = cold.index
        guard owesFences(disk), cold.allPathsDownSince == nil else { return }
        var late: [Int32] = []
        var task = diskQueues[disk].pending.first
        while task >= 0 {
            if tasks[task].kind.isWrite {
                let end = cold.failure.allPathsDownTimeout.end(since: tasks[task].issuedAt)
                if end <= now { late.append(task) } else { wake(at: end) }
            }
            task = tasks[task].next
        }
        guard !late.isEmpty else { return }
        tell(
            .error, cold,
            "no fence within \(cold.failure.allPathsDownTimeout): \(late.count) writes that waited for it "
                + "fail")
        for task in late where tasks[task].state == .pending {
            diskQueues[disk].pending.remove(task, tasks)
            finishTask(task, error: NBDError.inputOutput.rawValue)
        }
    }

    /// The kernel says that an interface lost its carrier or its address: every connection over it is gone.
    public mutating func interfaceLost(_ interface: String, reason: String, now: Instant) {
        self.now = now
        for path in paths {
            if let attempt = path.attempt, paths[Int(attempt.via)].specification.interface == interface {
                attemptFailed(path, .unreachable, reason, wasRefused: false)
                // Another route may do.
                if attempt.isForeign {
                    path.retryAt = now
                    wake(at: now)
                }
            }
            if pathQueues[path.index].stream >= 0, paths[Int(path.via)].specification.interface == interface {
                connectionLost(path, reason)
            }
        }
    }

    /// An address is gone: what was connected from it is gone with it.
    public mutating func addressLost(_ interface: String, address: String, now: Instant) {
        self.now = now
        for path in paths where pathQueues[path.index].stream >= 0 {
            let way = paths[Int(path.via)].specification
            guard way.interface == interface, way.sourceAddress == address else { continue }
            connectionLost(path, "\(interface) lost the address \(address)")
        }
    }

    /// An interface is there again: its paths need not wait for their next turn, nor for TCP to send a SYN
    /// again that was lost.
    public mutating func interfaceFound(_ interface: String, now: Instant) {
        self.now = now
        for path in paths where path.specification.interface == interface {
            if let attempt = path.attempt, case .connecting = attempt.phase, attempt.via == path.index {
                closeStream(attempt.stream)
                path.attempt = nil
            } else if path.attempt != nil || path.retryAt == nil {
                continue
            }
            path.retries.reset()
            path.retryAt = now
            wake(at: now)
        }
    }
}
