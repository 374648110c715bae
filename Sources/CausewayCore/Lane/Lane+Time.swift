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
        sendHagglersAway()
    }

    /// A client that does not come to the point holds a descriptor.
    private mutating func sendHagglersAway() {
        for index in Array(negotiations.keys) {
            if streams[index].negotiatesUntil <= now {
                log(
                    .information,
                    "\(disks[Int(streams[index].owner)].name): an NBD client haggled for too long")
                negotiations[index] = nil
                clientIsGone(index, requested: false)
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
        case .down, .standIn, .up, .draining: break
        }
        if let retryAt = path.retryAt {
            if retryAt <= now { beginAttempt(path) } else { wake(at: retryAt) }
        }
        if let reprobeAt = path.reprobeAt {
            if reprobeAt <= now { reprobe(path) } else { wake(at: reprobeAt) }
        }
        if let began = path.fenceBegan, owesFence(path) {
            let end = began.adding(milliseconds: settings.allPathsDownTimeoutMilliseconds)
            if end <= now { giveUpHeld(path) } else { wake(at: end) }
        }
        if pathQueues[path.index].isFullFeature { checkHealth(path) }
    }

    /// No fence was had in time: the writes that waited for it fail, and the disks owe it on.
    private mutating func giveUpHeld(_ path: Path) {
        path.fenceBegan = nil
        var failed: [Int32] = []
        while !pathQueues[path.index].held.isEmpty {
            let task = pathQueues[path.index].held.first
            pathQueues[path.index].held.remove(task, tasks)
            let disk = tasks[task].disk
            if path.debts.insert(disk).inserted { diskQueues[disk].fenceDebts += 1 }
            failed.append(task)
        }
        guard !failed.isEmpty else { return }
        log(
            .error,
            "\(targets[Int(path.target)].name) \(path.name): no fence within "
                + "\(settings.allPathsDownTimeoutMilliseconds / 1000) s: \(failed.count) writes fail")
        for task in failed { finishTask(task, error: NBDError.inputOutput.rawValue) }
    }

    private mutating func reprobe(_ path: Path) {
        path.reprobeAt = nil
        guard path.isUp else { return }
        for disk in targets[Int(path.target)].disks where path.probes[disk] == nil { beginProbe(path, disk) }
    }

    private mutating func checkHealth(_ path: Path) {
        let index = path.index
        let oldest = pathQueues[index].inFlight.first
        let verdict = PathHealth.judge(
            now: now, times: settings.health, oldest: oldest >= 0 ? tasks[oldest].issuedAt : nil,
            lastReceived: pathQueues[index].lastReceived, pingSent: path.ping.sentAt,
            smoothedLatency: pathQueues[index].counters.smoothedLatencyNanoseconds,
            siblingHeard: siblingHeard(path))
        switch verdict {
        case .healthy(let checkAt), .suspect(let checkAt):
            wake(at: max(checkAt, now.adding(milliseconds: 20)))
        case .ask:
            sendPing(path)
            askSiblings(path)
            wake(at: now.adding(milliseconds: 50))
        case .dead(let silence):
            connectionLost(path, "silent for \(silence / 1_000_000) ms")
        }
    }

    private func siblingHeard(_ path: Path) -> Instant {
        var heard = Instant(nanoseconds: 0)
        for index in targets[Int(path.target)].paths
        where index != path.index && pathQueues[index].isFullFeature {
            heard = max(heard, pathQueues[index].lastReceived)
        }
        return heard
    }

    /// A sibling that answers is what tells a dead path from a target that pauses.
    private mutating func askSiblings(_ path: Path) {
        for index in targets[Int(path.target)].paths
        where index != path.index && pathQueues[index].isFullFeature {
            if paths[Int(index)].ping.sentAt == nil { sendPing(paths[Int(index)]) }
        }
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
        if let since = disk.allPathsDownSince {
            let deadline = since.adding(milliseconds: settings.allPathsDownTimeoutMilliseconds)
            if deadline <= now {
                if !diskQueues[disk.index].isFailing { failHeld(disk.index, "all paths down for too long") }
            } else {
                wake(at: deadline)
            }
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
        for path in paths
        where path.specification.interface == interface && path.specification.sourceAddress == address
            && path.isUp
        {
            connectionLost(path, "\(interface) lost the address \(address)")
        }
    }

    /// An interface is there again: its paths need not wait for their next turn.
    public mutating func interfaceFound(_ interface: String, now: Instant) {
        self.now = now
        for path in paths where path.specification.interface == interface {
            guard path.attempt == nil, path.retryAt != nil else { continue }
            path.retries.reset()
            path.retryAt = now
            wake(at: now)
        }
    }
}
