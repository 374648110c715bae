/// What happens between login and I/O: the barrier, the proof that no earlier copy of a write still runs, and
/// then the question which LUN it is.
extension Lane {
    /// Sends an ORDERED TEST UNIT READY to every disk of the path that owes a fence: answered GOOD, the
    /// target has finished what it held before. Only there: some targets stumble over ORDERED commands.
    mutating func beginBarriers(_ path: Path, _ attempt: Path.Attempt) {
        path.isForeign = attempt.isForeign
        path.barriers = [:]
        let isProved = settings.skipsBarrier || path.proof == .waitsForTasks
        // Who joins a session that stands proves nothing by that.
        let begins = path.session == nil || attempt.leads
        if isProved && !begins && owesFence(path) {
            return connectionLost(path, "earlier writes must end first", endsSession: true)
        }
        for disk in targets[Int(path.target)].disks
        where begins ? sessionOwesFence(path, disk) : owesFence(path, disk) && !isFencing(path, disk) {
            if isProved {
                fenceDone(path, disk)
            } else if !sendBarrier(path, disk) {
                return connectionLost(path, "no task is free for the barrier", endsSession: true)
            }
        }
        if isProved && begins { for member in members(with: path) { member.unfenced = [] } }
        tellFence(path)
        beginUse(path)
    }

    /// False when no task is free.
    mutating func sendBarrier(_ path: Path, _ disk: Int32) -> Bool {
        guard let task = issueInternal(.barrier, disk: disk, path: path) else { return false }
        path.barriers[disk] = Barrier(task: task)
        return true
    }

    func proof(of attempt: Path.Attempt, target: Int32) -> ReinstatementProof {
        guard case .loggingIn(let login) = attempt.phase else { return .needsBarrier }
        let vendors = targets[Int(target)].disks.compactMap {
            disks[Int($0)].report?.inquiry.vendor.description
        }
        return ReinstatementProof(targetAlias: login.targetAlias, vendor: vendors.first)
    }

    /// A command of the lane's own on a path; it waits for the window if it must.
    mutating func issueInternal(_ kind: TaskKind, disk: Int32, path: Path, byteCount: Int32 = 0) -> Int32? {
        guard let task = freeTasks.take() else { return nil }
        fillTask(task, kind, request: -1, disk: disk, lba: 0, blocks: 0, byteCount: byteCount)
        tasks[task].path = path.index
        if byteCount > 0 { internalData[task] = [] }
        sendInternal(task, path)
        return task
    }

    mutating func sendInternal(_ task: Int32, _ path: Path) {
        if hasRoomForInternal(path.index) && path.waiting.isEmpty {
            issue(task, on: path.index)
        } else {
            tasks[task].state = .pending
            path.waiting.append(task)
            sessionQueues[pathQueues[path.index].session].hasWaiting = true
        }
    }

    private func hasRoomForInternal(_ path: Int32) -> Bool {
        sessionQueues[pathQueues[path].session].hasWindow && streams[pathQueues[path].stream].send.room > 0
            && !hasLoggedOut(paths[Int(path)])
    }

    /// The window opened: internal commands first, of all connections of the session.
    @inline(never)
    mutating func pumpWaiting(_ index: Int32) {
        var hasMore = false
        for path in members(with: paths[Int(index)]) where !path.waiting.isEmpty {
            while let task = path.waiting.first, hasRoomForInternal(path.index) {
                path.waiting.removeFirst()
                issue(task, on: path.index)
            }
            if !path.waiting.isEmpty { hasMore = true }
        }
        sessionQueues[pathQueues[index].session].hasWaiting = hasMore
    }

    /// A task that goes out again on the same path after a while.
    mutating func delay(_ task: Int32, milliseconds: UInt64) {
        tasks[task].state = .delayed
        tasks[task].dueAt = now.adding(milliseconds: milliseconds)
        delayed.append(task, tasks)
        wake(at: tasks[task].dueAt)
    }

    mutating func barrierAnswered(_ task: Int32, _ index: Int32, status: UInt8, sense: SenseData?) {
        let disk = tasks[task].disk
        let path = barrierOwner(task) ?? paths[Int(index)]
        if path.abortBarriers[disk]?.task == task {
            return abortBarrierAnswered(task, path, disk, status: status, sense: sense)
        }
        // For a session that is lost again, or was made anew since, it proves nothing.
        guard var barrier = path.barriers[disk], barrier.task == task else { return releaseTask(task) }
        let verdict = classify(status: SCSIStatus(rawValue: status), sense: sense)
        // The first command after a login is the one that hears of a restart.
        if status != 0 { note(tidings(verdict), paths[Int(index)], disk) }
        switch verdict.errorClass {
        case .good:
            paths[Int(index)].lateBarriers = 0
            guard !needsWitness(index, disk) else { return askWitness(task, index) }
            return barrierHolds(task, path, disk)
        case .retry where tasks[task].attempts < 16:
            tasks[task].attempts += 1
            return sendInternal(task, paths[Int(index)])
        default:
            if cleanUpFailed(path, "the barrier of a lost connection is answered: \(describe(status, sense))")
            {
                return releaseTask(task)
            }
        }
        let isRefused = verdict.notices.contains(.accessStateChanged) && sense?.key != .unitAttention
        if isRefused, rerouteBarrier(task, path, disk) { return }
        if isRefused || verdict.errorClass != .retryAfterDelay {
            // Only GOOD proves anything. The disk's writes wait on, bounded by the APD time-out, and the
            // target's other disks need not wait with them.
            barrier.isAside = true
        }
        postpone(barrier, path, disk, answer: describe(status, sense))
        guard barrier.isAside else { return }
        problem(
            path, disk, verdict.errorClass == .pathError(.logicalUnitGone) ? .lunGone : .notReady,
            fenceWait(path, for: disk) ?? "")
        tellFence(path)
        beginUse(path)
    }

    /// What an answer of the lane's own command says besides. That the LUN is not there is the answer itself,
    /// and no reason to ask anew at once.
    func tidings(_ verdict: ErrorClassification) -> TargetNotices {
        if case .pathError(.logicalUnitGone) = verdict.errorClass {
            verdict.notices.subtracting(.lunListChanged)
        } else {
            verdict.notices
        }
    }

    func barrierOwner(_ task: Int32) -> Path? {
        tasks[task].lba > 0 ? paths[Int(tasks[task].lba) - 1] : nil
    }

    /// The target port's access state forbids TEST UNIT READY (SPC-4 §5.15.2.5), or leads to another LUN by
    /// now. The task set is the LUN's, not the session's, so that an ORDERED command of another session waits
    /// for the same commands. False if there is none, or if it was tried just now.
    mutating func rerouteBarrier(_ task: Int32, _ path: Path, _ disk: Int32) -> Bool {
        let isShared = disks[Int(disk)].report?.limits.sharesTaskSet ?? false
        let carrying =
            path.session == nil
            ? targets[Int(path.target)].paths.first {
                $0 != path.index && diskQueues[disk].usable & (1 &<< UInt32(paths[Int($0)].ordinal)) != 0
            } : connection(after: tasks[task].path, path)
        let isFirst = tasks[task].path == path.index
        guard path.session != nil || isShared && isFirst, let via = carrying else { return false }
        tasks[task].attempts = 0
        tasks[task].lba = UInt64(path.index) + 1
        tasks[task].path = via
        path.barriers[disk]?.via = via
        sendInternal(task, paths[Int(via)])
        return true
    }

    /// A barrier's path was lost, or it did not go out: the path that owes it sends another.
    mutating func barrierLost(owner: Int32, via: Int32, _ disk: Int32) {
        let path = paths[Int(owner)]
        guard var barrier = path.barriers[disk], barrier.via == via, pathQueues[owner].isFullFeature else {
            return
        }
        guard let task = issueInternal(.barrier, disk: disk, path: path) else {
            return connectionLost(path, "no task is free for the barrier")
        }
        barrier.task = task
        barrier.via = -1
        path.barriers[disk] = barrier
    }

    /// Whether a disk's earlier writes over this path may still reach the medium.
    func owesFence(_ path: Path, _ disk: Int32) -> Bool {
        if path.debts.contains(disk) || path.accessDebts.contains(disk) { return true }
        var task = pathQueues[path.index].held.first
        while task >= 0 {
            if tasks[task].disk == disk { return true }
            task = tasks[task].next
        }
        return false
    }

    /// The fence of a disk is complete: nothing that lost sessions of this path had sent to it can reach the
    /// medium any more.
    mutating func fenceDone(_ path: Path, _ disk: Int32) {
        let isAlone = path.session?.cleanUp?.lost == path.index
        for member in isAlone ? [path] : members(with: path) {
            let took = now.nanoseconds(since: member.fenceBegan ?? member.fencePatience?.since ?? now)
            path.fenced.took = max(path.fenced.took, took)
            if member.debts.contains(disk) { path.fenced.wasOwed = true }
            member.barriers[disk] = nil
            member.lateBarriers = 0
            member.diskProblems[disk] = nil
            member.accessDebts.remove(disk)
            member.unfenced.remove(diskQueues[disk].lun)
            let count = release(member, disk)
            diskQueues[disk].counters.fencedWrites &+= UInt64(count)
            path.fenced.writes += count
        }
        pumpPending()
    }

    /// A path that was logged in begins its work once no barrier keeps it.
    mutating func beginUse(_ path: Path) {
        guard case .draining = path.state, path.barriers.values.allSatisfy({ $0.isAside }) else { return }
        path.wasTried = true
        if path.intent != .inUse {
            path.state = .standIn
            leave(path)
        } else if path.isForeign {
            path.state = .standIn
            path.retryAt = now.adding(milliseconds: settings.ownRouteRetryMilliseconds)
            wake(at: path.retryAt ?? .never)
        } else if path.specification.awaitsRecord {
            // A successor that finds no such record owes no fence.
            return
        } else {
            path.state = .up
            path.attemptsSinceLoss = 0
            path.reprobeAt = path.reprobeAt ?? now.adding(milliseconds: settings.capacityPollMilliseconds)
            wake(at: path.reprobeAt ?? .never)
            for disk in targets[Int(path.target)].disks { beginProbe(path, disk) }
        }
        pumpPending()
        tellProblems(path.target)
    }

    /// Counts a fence and tells of it once, for all disks that it was taken for, together with the loss if
    /// that was not told yet. A LUN that does not answer with GOOD is told of by itself.
    mutating func tellFence(_ path: Path) {
        guard path.barriers.values.allSatisfy({ $0.isAside }) else { return }
        let (took, count, wasOwed) = (path.fenced.took, path.fenced.writes, path.fenced.wasOwed)
        path.fenced = Path.Fenced()
        guard count > 0 || wasOwed else { return }
        let index = path.index
        pathQueues[index].counters.fences &+= 1
        pathQueues[index].counters.lastFenceNanoseconds = took
        let proof: String
        if path.session?.cleanUp?.lost == index {
            proof = "connection logged out and barrier"
            pathQueues[index].counters.fencesByBarrier &+= 1
        } else if settings.skipsBarrier {
            proof = "session reinstated, barrier left out"
        } else if path.proof == .waitsForTasks {
            proof = "session reinstated, for which this target finishes earlier commands"
            pathQueues[index].counters.fencesByLogin &+= 1
        } else {
            proof = "session reinstated and barrier"
            pathQueues[index].counters.fencesByBarrier &+= 1
        }
        let isElsewhere = path.isForeign || path.session?.cleanUp?.lost == index
        let way = isElsewhere ? "through another path" : "on its own route"
        path.lastFence = "\(proof), \(way), after \(took / 1_000_000) ms, \(count) writes"
        if let loss = path.loss {
            path.loss = nil
            log(
                .warning,
                "\(label(path)): path lost: \(loss.reason); \(loss.moved) commands moved at once, "
                    + "\(loss.held) sent writes after a fence of \(took / 1_000_000) ms (\(proof), \(way))")
        } else {
            log(
                .information,
                "\(label(path)): fence: \(proof), \(way), after \(took / 1_000_000) ms; "
                    + "\(count) writes are sent again")
        }
    }

    // MARK: Fences that take long

    /// What a path's fence waits for; nil if it owes none, to `disk` if one is given.
    func fenceWait(_ path: Path, for disk: Int32? = nil) -> String? {
        if let disk {
            guard owesFence(path, disk) || path.barriers[disk] != nil else { return nil }
        } else {
            guard owesFence(path) || !path.barriers.isEmpty else { return nil }
        }
        if let cleanUp = path.session?.cleanUp, cleanUp.lost == path.index, let wait = cleanUp.wait {
            return wait
        }
        guard pathQueues[path.index].isFullFeature || !path.barriers.isEmpty else {
            if case .loggingIn = path.attempt?.phase {
                return "the fence waits for the target to answer the login that ends the lost session"
            }
            return "the fence waits for a login in the lost session's portal group"
                + (path.problem.map { ": \($0.text)" } ?? "")
        }
        let barrier = disk.flatMap { path.barriers[$0] } ?? path.barriers.min { $0.key < $1.key }?.value
        guard let answer = barrier?.answer else {
            return "the fence waits for the LUN to finish earlier commands (ORDERED TEST UNIT READY)"
        }
        return "the fence waits for the LUN, which answers TEST UNIT READY with \(answer)"
    }

    /// Says once, and then more and more seldom, that a fence is not had.
    mutating func warnOfFence(_ path: Path) {
        guard let wait = fenceWait(path) else {
            path.fencePatience = nil
            return
        }
        var patience = path.fencePatience ?? FencePatience(since: path.fenceBegan ?? now)
        if patience.isDue(now: now) {
            let seconds = now.nanoseconds(since: patience.since) / 1_000_000_000
            log(
                .warning,
                "\(label(path)): \(wait), for \(seconds) s now; "
                    + "\(pathQueues[path.index].held.count) writes are held")
        }
        path.fencePatience = patience
        wake(at: patience.dueAt)
    }

    // MARK: Which LUN is it?

    mutating func beginProbe(_ path: Path, _ disk: Int32) {
        guard path.isUp, path.intent == .inUse, !diskQueues[disk].isDetaching, !isFencing(path, disk)
        else { return }
        let probe = LogicalUnitProbe(maxTransferBytes: UInt32(settings.pieceBytes))
        issueProbe(probe, path, disk)
    }

    private mutating func issueProbe(_ probe: LogicalUnitProbe, _ path: Path, _ disk: Int32) {
        var probe = probe
        // Known before the command is built, for it is built from the probe.
        guard let task = freeTasks.take() else {
            path.probes[disk] = nil
            path.reprobeAt = now.adding(milliseconds: 100)
            return wake(at: path.reprobeAt ?? now)
        }
        probe.task = task
        path.probes[disk] = probe
        fillTask(
            task, .inquiry, request: -1, disk: disk, lba: 0, blocks: 0,
            byteCount: Int32(probe.allocationLength))
        tasks[task].path = path.index
        commands[task] = probe.command
        internalData[task] = []
        sendInternal(task, path)
    }

    mutating func probeAnswered(_ task: Int32, _ index: Int32, status: UInt8, sense: SenseData?) {
        let path = paths[Int(index)]
        let disk = tasks[task].disk
        let data = internalData.removeValue(forKey: task) ?? []
        if status != 0 {
            note(tidings(classify(status: SCSIStatus(rawValue: status), sense: sense)), path, disk)
        }
        guard var probe = path.probes[disk], probe.task == task else { return releaseTask(task) }
        switch probe.answered(status: SCSIStatus(rawValue: status), sense: sense, data: data) {
        case .next:
            releaseTask(task)
            issueProbe(probe, path, disk)
        case .again(let milliseconds):
            path.probes[disk] = probe
            internalData[task] = []
            if milliseconds == 0 { sendInternal(task, path) } else { delay(task, milliseconds: milliseconds) }
        case .done(let report):
            releaseTask(task)
            path.probes[disk] = nil
            showed(report, path, disk)
        case .inaccessible(let unit, let sense):
            releaseTask(task)
            path.probes[disk] = nil
            identified(unit, path, disk, sense)
        case .failed(let text, let kind):
            releaseTask(task)
            path.probes[disk] = nil
            problem(path, disk, kind, text)
        }
    }

    /// A path's LUN does not do. The path goes on for other disks.
    mutating func problem(_ path: Path, _ disk: Int32, _ kind: PathProblem.Kind, _ text: String) {
        hide(disk, on: path)
        if kind == .lunGone { lunIsGone(path, disk) } else { path.gone[disk] = nil }
        let isNews = path.diskProblems[disk]?.text != text
        path.diskProblems[disk] = PathProblem(
            kind: kind, interface: path.specification.interface, portal: path.specification.portal, text: text
        )
        path.reprobeAt = now.adding(milliseconds: settings.reprobeMilliseconds)
        wake(at: path.reprobeAt ?? .never)
        if isNews {
            tell(kind == .otherLUN ? .error : .warning, disks[Int(disk)], "\(path.name): \(text)")
            if kind == .otherLUN || kind == .lunGone { doubtOthers(path, disk) }
        }
        checkAllPathsDown(path.target)
        tellProblems(path.target)
    }

    /// A path has shown who its LUN is, and that its target port is in a state in which it says no more.
    private mutating func identified(_ unit: IdentifiedUnit, _ path: Path, _ disk: Int32, _ sense: SenseData)
    {
        let cold = disks[Int(disk)]
        if let difference = mismatch(unit, path, cold) { return problem(path, disk, .otherLUN, difference) }
        noteAccess(unit, path, cold)
        accessRefused(path, disk, sense.additional)
        problem(path, disk, .notReady, accessReason(path, disk) ?? "\(sense)")
    }

    private func noteAccess(_ unit: IdentifiedUnit, _ path: Path, _ cold: Disk) {
        cold.access.mode = cold.failure.access
        cold.access.identified(
            path: path.ordinal, group: unit.identification.targetPortGroup,
            port: unit.identification.relativeTargetPort, support: unit.inquiry.targetPortGroupSupport,
            reported: unit.accessGroups, now: now)
    }

    /// Why this is not the disk's LUN; nil if it is. Beside its name (VPD page 83h) a LUN made anew in place
    /// of another may be told by its serial number, which is compared on each path by itself: some
    /// controllers show their own.
    private func mismatch(_ unit: IdentifiedUnit, _ path: Path, _ cold: Disk) -> String? {
        guard let known = cold.report else { return nil }
        if let difference = known.difference(from: unit) {
            return "this is not the disk's LUN, and gets no I/O: \(difference)"
        }
        guard let serial = unit.serial else { return nil }
        let first = path.serials[cold.index] ?? serial
        path.serials[cold.index] = first
        return first == serial
            ? nil : "this is not the disk's LUN, and gets no I/O: serial number \(serial) instead of \(first)"
    }

    /// A path has shown its LUN: it joins if it is the disk's own.
    private mutating func showed(_ report: LogicalUnitReport, _ path: Path, _ disk: Int32) {
        let cold = disks[Int(disk)]
        if let difference = mismatch(report.identified, path, cold) {
            return problem(path, disk, .otherLUN, difference)
        }
        if let known = cold.report {
            guard report.limits.logicalBlockLength == known.limits.logicalBlockLength else {
                return problem(
                    path, disk, .otherLUN,
                    "blocks of \(report.limits.logicalBlockLength) bytes instead of "
                        + "\(known.limits.logicalBlockLength)")
            }
            noteSize(report.limits.blockCount, path, disk)
            if let shortfall = shortfall(report.limits.blockCount, path, disk) {
                return problem(path, disk, .notReady, shortfall)
            }
            // Mode page 8 can change under a disk; what was promised to its clients is kept by other means.
            diskQueues[disk].writeCacheEnabled = report.limits.writeCacheEnabled
            diskQueues[disk].supportsFUA = diskQueues[disk].supportsFUA && report.limits.supportsFUA
        } else if let difference = cold.expected?.difference(from: report) {
            return problem(path, disk, .otherLUN, "this is not the disk's LUN: \(difference)")
        } else {
            do throws(ExportDescriptionError) {
                try adopt(report, disk)
            } catch {
                return problem(path, disk, .noSuchLUN, "the LUN cannot be exported: \(error)")
            }
            path.serials[disk] = report.serial
            noteSize(report.limits.blockCount, path, disk)
        }
        guard path.isUp, path.intent == .inUse, !isFencing(path, disk) else { return }
        noteAccess(report.identified, path, cold)
        guard isRegistered(path, disk) else { return }
        join(path, disk)
    }

    /// A path that has shown its LUN, and may use it, carries I/O from now on.
    mutating func join(_ path: Path, _ disk: Int32) {
        let cold = disks[Int(disk)]
        path.wasUp = true
        if let since = path.lostSince {
            path.lostSince = nil
            let tenths = now.nanoseconds(since: since) / 100_000_000
            log(.information, "\(label(path)): path is back after \(tenths / 10).\(tenths % 10) s")
        }
        lunIsBack(path, disk)
        path.diskProblems[disk] = nil
        diskQueues[disk].shown |= 1 &<< UInt32(path.ordinal)
        regroup(disk)
        wake(at: cold.access.askAt ?? .never)
        let target = targets[Int(path.target)]
        let isListed = target.inventory.luns?.contains(cold.lun) ?? true
        askInventory(target, soon: target.inventory.isStale || !isListed)
        checkAllPathsDown(path.target)
        tellProblems(path.target)
        checkSize(disk)
    }
}
