/// The end of a session that nobody asked for, and what becomes of the commands that were on it.
extension Lane {
    /// A session that stood so long was a good one.
    private static var lastingNanoseconds: UInt64 { 2_000_000_000 }

    /// A peer that breaks the protocol loses its connection: nothing on it can be trusted any more.
    @inline(never)
    mutating func violation(_ path: Int32, _ index: Int32, _ violation: ProtocolViolation) {
        let path = paths[Int(path)]
        if path.attempt?.stream == index {
            attemptFailed(path, .protocolViolation, violation.description, wasRefused: true)
        } else if pathQueues[path.index].stream == index {
            connectionLost(path, violation.description)
        }
    }

    /// The session's connection is gone. Reads and what was never sent move at once; sent writes wait for the
    /// fence.
    ///
    /// - Parameters:
    ///   - isCulprit: it is not lost because its session was.
    ///   - keepsCommands: they are to go on over another connection of the session.
    mutating func loseConnection(
        _ path: Path, _ reason: String, isCulprit: Bool, keepsCommands: Bool = false
    ) {
        let index = path.index
        // What goes on from here on must not come to it: its numbers have been taken down.
        pathQueues[index].depth = 0
        // A stand-in was lost while its own route was tried: the next attempt begins anew, with the fence in
        // mind.
        if let attempt = path.attempt {
            closeStream(attempt.stream)
            path.attempt = nil
        }
        let wasUp = path.isUp
        path.state = .down
        path.downSince = now
        path.problem = PathProblem(
            kind: .unreachable, interface: path.specification.interface, portal: path.specification.portal,
            text: reason)
        pathQueues[index].counters.losses &+= 1
        path.gone = [:]
        for disk in targets[Int(path.target)].disks {
            disks[Int(disk)].access.forget(path: path.ordinal)
            hide(disk, on: path)
        }
        let heldBefore = !pathQueues[index].held.isEmpty
        let moved = emptyPath(path, keepsCommands: keepsCommands)
        // A session that does not last is not asked for again and again without a pause: another machine may
        // use this initiator name.
        let began = isCulprit ? path.sessionBegan : path.session?.began ?? path.sessionBegan
        let isShort = now.nanoseconds(since: began) < Self.lastingNanoseconds
        if !isShort { path.retries.reset() }
        path.attemptsSinceLoss = 0
        path.fenceBegan =
            pathQueues[index].held.isEmpty ? nil : heldBefore ? (path.fenceBegan ?? now) : now
        let delay = isShort ? path.retries.nextAfterShortSession() : 0
        path.notBefore = now.adding(milliseconds: delay)
        path.retryAt = path.notBefore
        wake(at: path.notBefore)
        let held = pathQueues[index].held.count
        if !keepsCommands { pathQueues[index].counters.heldWrites &+= UInt64(held) }
        tellLoss(path)
        if wasUp {
            path.lostSince = path.lostSince ?? now
            path.loss = Path.LossNote(
                reason: reason, moved: moved, held: Int(held), isRecovered: keepsCommands,
                tellAt: now.adding(milliseconds: 1000))
            if held == 0 { tellLoss(path) } else { wake(at: now.adding(milliseconds: 1000)) }
            tellDisks(path, isUp: false, reason)
            if isCulprit { markLoss(path) }
        }
        checkAllPathsDown(path.target)
    }

    /// The one line in the log that a lost path is worth. A fence that is had at once is in it.
    mutating func tellLoss(_ path: Path) {
        guard let loss = path.loss else { return }
        path.loss = nil
        let what = loss.isRecovered ? "commands are to be reassigned" : "sent writes wait for the fence"
        log(
            .warning,
            "\(label(path)): path lost: \(loss.reason); \(loss.moved) commands moved at once"
                + (loss.held > 0 ? ", \(loss.held) \(what)" : ""))
    }

    /// Takes all tasks off a path whose connection is gone. Returns how many go elsewhere at once.
    ///
    /// - Parameter keepsCommands: sent writes are to go on over another connection.
    mutating func emptyPath(_ path: Path, keepsCommands: Bool = false) -> Int {
        let index = path.index
        let stream = pathQueues[index].stream
        var unsent: Set<Int32> = []
        let leaving = unsafe streams.mutableAddress(Int(stream))
        while let dropped = unsafe leaving.pointee.send.dropFirst(chunks: &chunks) {
            if dropped.task >= 0 && !dropped.touched { unsent.insert(dropped.task) }
        }
        pathQueues[index].stream = -1
        pathQueues[index].isFullFeature = false
        leaveStream(stream, path)
        path.probes = [:]
        forgetReservations(path)
        path.barriers = [:]
        path.fenced = Path.Fenced()
        dropInternal(path)
        path.ping = PingState()
        path.management = nil
        path.abortBarriers = [:]
        path.unbarred = [:]
        path.mustReinstate = nil
        path.segments.isDue = false
        trust(path)
        var moved: [Int32] = []
        var abandoned: [Int32] = []
        while !pathQueues[index].inFlight.isEmpty {
            let task = pathQueues[index].inFlight.first
            pathQueues[index].inFlight.remove(task, tasks)
            if transfers[task].count > 0 { dropTransfers(task) }
            if keepsCommands {
                if let other = keep(task, path, wasSent: !unsent.contains(task)) { moved.append(other) }
                continue
            }
            switch tasks[task].kind {
            case .hedgedRead, .hedge, .discarded:
                if !copyIsLost(task) { moved.append(task) }
            case _ where tasks[task].request < 0:
                dropInternal(task, path, wasSent: !unsent.contains(task))
            case let kind where kind.isWrite && !unsent.contains(task) && !settings.skipsFence:
                if isWantedByNobody(task) {
                    abandoned.append(task)
                } else {
                    tasks[task].state = .held
                    pathQueues[index].held.append(task, tasks)
                }
            default:
                moved.append(task)
            }
        }
        pathQueues[index].firstTransfer = -1
        pathQueues[index].lastTransfer = -1
        pathQueues[index].load.empty()
        pathQueues[index].busy.end(now)
        for task in abandoned { abandonWrite(task, path) }
        for task in moved.reversed() { sendAgain(task, first: true) }
        loseResets(path)
        return moved.count
    }

    /// A write whose client, or whose disk, is gone. To send it again would only endanger what came after.
    func isWantedByNobody(_ task: Int32) -> Bool {
        let request = tasks[task].request
        return disks[Int(tasks[task].disk)].isRemoved || requests[request].isOrphan
    }

    /// Gives up a sent write that nobody wants any more. Its first copy may still reach the medium: the path
    /// owes a fence to whoever writes to the LUN next.
    mutating func abandonWrite(_ task: Int32, _ path: Path) {
        let disk = tasks[task].disk
        if disks[Int(disk)].isRemoved {
            path.unfenced.insert(diskQueues[disk].lun)
        } else if path.debts.insert(disk).inserted {
            diskQueues[disk].fenceDebts += 1
        }
        finishTask(task, error: NBDError.inputOutput.rawValue)
    }

    /// The lane's own commands that were not even sent, or wait to be sent again.
    private mutating func dropInternal(_ path: Path) {
        let waiting = path.waiting
        path.waiting = []
        for task in waiting { dropInternal(task, path, wasSent: false) }
        // Of a session with other connections, theirs may wait: `pumpWaiting` finds out.
        if path.session == nil { sessionQueues[pathQueues[path.index].session].hasWaiting = false }
        var task = delayed.first
        while task >= 0 {
            let next = tasks[task].next
            if tasks[task].path == path.index && tasks[task].request < 0 {
                delayed.remove(task, tasks)
                dropInternal(task, path, wasSent: false)
            }
            task = next
        }
    }

    /// Lets go of a command of the lane's own that gets no answer any more.
    ///
    /// - Parameter staysKnown: the target may still have it, so that its tag is not free.
    mutating func dropInternal(_ task: Int32, _ path: Path, wasSent: Bool, staysKnown: Bool = false) {
        internalData[task] = nil
        let disk = tasks[task].disk
        let kind = tasks[task].kind
        let owner = Int32(truncatingIfNeeded: tasks[task].lba) - 1
        let isOfAll = tasks[task].blocks != 0
        if staysKnown { becomeDiscarded(task) } else { releaseTask(task) }
        let cold = disks[Int(disk)]
        switch kind {
        case .accessReport, .accessSetting:
            if cold.access.task == task {
                cold.access.task = -1
                cold.access.askSoon(now: now)
                wake(at: cold.access.askAt ?? .never)
            }
            if kind == .accessSetting && wasSent && !cold.isRemoved { path.accessDebts.insert(disk) }
        case .reservationReport, .reservationOrder:
            if kind == .reservationOrder && wasSent && !cold.isRemoved {
                path.accessDebts.insert(disk)
                if isOfAll { path.orderDebts.insert(disk) } else { path.orderDebts.remove(disk) }
            }
            reservationLost(task, cold)
        case .inventory:
            let target = targets[Int(path.target)]
            if target.inventory.task == task {
                target.inventory.task = -1
                target.inventory.isStale = true
                target.inventory.askAt = now.adding(milliseconds: 500)
                wake(at: now.adding(milliseconds: 500))
            }
        case .signOfLife:
            if cold.resetCheck == .asked(task) { cold.resetCheck = .none }
            wake(at: now)
        case .barrier where owner >= 0, .witness where owner >= 0:
            barrierLost(owner: owner, via: path.index, disk)
        default: break
        }
    }

    /// Closes a lost session's stream; abruptly where a LOGICAL UNIT RESET may have to be its fence, which
    /// does not end the session: nothing that was not sent yet may follow later.
    private mutating func leaveStream(_ stream: Int32, _ path: Path) {
        let isAbrupt = targets[Int(path.target)].disks.contains {
            disks[Int($0)].failure.fence == .logicalUnitReset
        }
        if isAbrupt { effects.append(.abort(streamID(stream))) }
        closeStream(stream)
    }

    /// Puts a task back into its disk's queue.
    @inline(never)
    mutating func sendAgain(_ task: Int32, first: Bool) {
        let disk = tasks[task].disk
        tasks[task].path = -1
        diskQueues[disk].counters.sentAgain &+= 1
        if tasks[task].kind == .getLBAStatus { internalData[task] = [] }
        guard !isHopeless(task, disk) else { return finishTask(task, error: NBDError.inputOutput.rawValue) }
        tasks[task].state = .pending
        tasks[task].issuedAt = now
        if first {
            diskQueues[disk].pending.prepend(task, tasks)
        } else {
            diskQueues[disk].pending.append(task, tasks)
        }
        hasPending = true
    }

    /// Ends a session that carries nothing, without a word.
    mutating func abandonSession(_ path: Path) {
        _ = emptyPath(path)
        path.state = .down
    }

    func owesFence(_ path: Path) -> Bool {
        !pathQueues[path.index].held.isEmpty || !path.debts.isEmpty || !path.accessDebts.isEmpty
    }
}
