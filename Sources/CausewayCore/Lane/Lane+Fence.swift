/// What happens between login and I/O: the barrier, the proof that no earlier copy of a write still runs, and
/// then the question which LUN it is.
extension Lane {
    /// Sends an ORDERED TEST UNIT READY to every disk of the path that owes a fence: answered GOOD, the
    /// target has finished what it held before. Only there: some targets stumble over ORDERED commands.
    mutating func beginBarriers(_ path: Path, isForeign: Bool) {
        path.isForeign = isForeign
        path.barriers = [:]
        for disk in targets[Int(path.target)].disks where owesFence(path, disk) {
            if settings.skipsBarrier || path.proof == .waitsForTasks {
                fenceDone(path, disk)
            } else if !sendBarrier(path, disk) {
                return connectionLost(path, "no task is free for the barrier")
            }
        }
        if settings.skipsBarrier || path.proof == .waitsForTasks { path.unfenced = [] }
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
            pathQueues[path.index].hasWaiting = true
        }
    }

    private func hasRoomForInternal(_ path: Int32) -> Bool {
        pathQueues[path].hasWindow && streams[pathQueues[path].stream].send.room > 0
    }

    /// The window opened: internal commands first.
    @inline(never)
    mutating func pumpWaiting(_ index: Int32) {
        let path = paths[Int(index)]
        while let task = path.waiting.first, hasRoomForInternal(index) {
            path.waiting.removeFirst()
            issue(task, on: index)
        }
        pathQueues[index].hasWaiting = !path.waiting.isEmpty
    }

    /// A task that goes out again on the same path after a while.
    mutating func delay(_ task: Int32, milliseconds: UInt64) {
        tasks[task].state = .delayed
        tasks[task].dueAt = now.adding(milliseconds: milliseconds)
        delayed.append(task, tasks)
        wake(at: tasks[task].dueAt)
    }

    mutating func barrierAnswered(_ task: Int32, _ index: Int32, status: UInt8, sense: SenseData?) {
        let path = paths[Int(index)]
        let disk = tasks[task].disk
        guard var barrier = path.barriers[disk], barrier.task == task else { return releaseTask(task) }
        let verdict = classify(status: SCSIStatus(rawValue: status), sense: sense)
        // The first command after a login is the one that hears of a restart.
        if status != 0, case .retry = verdict.errorClass { note(verdict.notices, path, disk) }
        switch verdict.errorClass {
        case .good:
            releaseTask(task)
            fenceDone(path, disk)
            if path.isUp { beginProbe(path, disk) }
            return beginUse(path)
        case .retry where tasks[task].attempts < 16:
            tasks[task].attempts += 1
            return sendInternal(task, path)
        case .retryAfterDelay: break
        default:
            // Only GOOD proves anything. The disk's writes wait on, bounded by the APD time-out, and the
            // target's other disks need not wait with them.
            barrier.isAside = true
        }
        barrier.refusals += 1
        barrier.answer = describe(status, sense)
        path.barriers[disk] = barrier
        delay(task, milliseconds: barrier.delay)
        guard barrier.isAside else { return }
        path.diskProblems[disk] = PathProblem(
            kind: verdict.errorClass == .pathError(.logicalUnitGone) ? .noSuchLUN : .notReady,
            interface: path.specification.interface, portal: path.specification.portal,
            text: fenceWait(path, for: disk) ?? "")
        beginUse(path)
        tellProblems(path.target)
    }

    /// Whether a disk's earlier writes over this path may still reach the medium.
    func owesFence(_ path: Path, _ disk: Int32) -> Bool {
        if path.debts.contains(disk) { return true }
        var task = pathQueues[path.index].held.first
        while task >= 0 {
            if tasks[task].disk == disk { return true }
            task = tasks[task].next
        }
        return false
    }

    /// The fence of a disk is complete: nothing that lost sessions of this path had sent to it can reach the
    /// medium any more.
    private mutating func fenceDone(_ path: Path, _ disk: Int32) {
        let index = path.index
        path.barriers[disk] = nil
        path.unfenced.remove(diskQueues[disk].lun)
        path.diskProblems[disk] = nil
        if path.debts.remove(disk) != nil { diskQueues[disk].fenceDebts -= 1 }
        var released: [Int32] = []
        var task = pathQueues[index].held.first
        while task >= 0 {
            let next = tasks[task].next
            if tasks[task].disk == disk {
                pathQueues[index].held.remove(task, tasks)
                released.append(task)
            }
            task = next
        }
        pathQueues[index].counters.fences &+= 1
        let took = now.nanoseconds(since: path.fenceBegan ?? now) / 1_000_000
        let proof =
            if settings.skipsBarrier {
                "session reinstated, barrier left out"
            } else if path.proof == .waitsForTasks {
                "session reinstated, for which this target finishes earlier commands"
            } else {
                "session reinstated and barrier"
            }
        let way = path.isForeign ? "through another path" : "on its own route"
        path.lastFence = "\(proof), \(way), after \(took) ms, \(released.count) writes"
        log(
            .information,
            "\(disks[Int(disk)].name) \(path.name): fence: \(proof) \(way) after \(took) ms; "
                + "\(released.count) writes are sent again")
        if !owesFence(path) { path.fenceBegan = nil }
        for task in released.reversed() { sendAgain(task, first: true) }
        pumpPending()
    }

    /// A path that was logged in begins its work once no barrier keeps it.
    mutating func beginUse(_ path: Path) {
        guard case .draining = path.state, path.barriers.values.allSatisfy({ $0.isAside }) else { return }
        path.wasTried = true
        if path.isForeign {
            path.state = .standIn
            path.retryAt = now.adding(milliseconds: settings.ownRouteRetryMilliseconds)
            wake(at: path.retryAt ?? .never)
        } else {
            path.state = .up
            path.attemptsSinceLoss = 0
            for disk in targets[Int(path.target)].disks { beginProbe(path, disk) }
        }
        pumpPending()
        tellProblems(path.target)
    }

    // MARK: Fences that take long

    /// What a path's fence waits for; nil if it owes none, to `disk` if one is given.
    func fenceWait(_ path: Path, for disk: Int32? = nil) -> String? {
        if let disk {
            guard owesFence(path, disk) || path.barriers[disk] != nil else { return nil }
        } else {
            guard owesFence(path) || !path.barriers.isEmpty else { return nil }
        }
        guard pathQueues[path.index].isFullFeature else {
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
                "\(targets[Int(path.target)].name) \(path.name): \(wait), for \(seconds) s now; "
                    + "\(pathQueues[path.index].held.count) writes are held")
        }
        path.fencePatience = patience
        wake(at: patience.dueAt)
    }

    // MARK: Which LUN is it?

    mutating func beginProbe(_ path: Path, _ disk: Int32) {
        guard path.isUp, !diskQueues[disk].isDetaching, path.barriers[disk] == nil else { return }
        let probe = LogicalUnitProbe(maxTransferBytes: UInt32(settings.pieceBytes))
        path.diskProblems[disk] = nil
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
        let verdict = classify(status: SCSIStatus(rawValue: status), sense: sense)
        // That the LUN is not there is the answer itself, and no reason to ask anew at once.
        if status != 0, case .retry = verdict.errorClass { note(verdict.notices, path, disk) }
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
        case .failed(let text, let kind):
            releaseTask(task)
            path.probes[disk] = nil
            problem(path, disk, kind, text)
        }
    }

    /// A path's LUN does not do. The path goes on for other disks.
    mutating func problem(_ path: Path, _ disk: Int32, _ kind: PathProblem.Kind, _ text: String) {
        diskQueues[disk].usable &= ~(1 &<< UInt32(path.ordinal))
        let isNews = path.diskProblems[disk]?.text != text
        path.diskProblems[disk] = PathProblem(
            kind: kind, interface: path.specification.interface, portal: path.specification.portal, text: text
        )
        path.reprobeAt = now.adding(milliseconds: settings.reprobeMilliseconds)
        wake(at: path.reprobeAt ?? .never)
        if isNews { log(.warning, "\(disks[Int(disk)].name) \(path.name): \(text)") }
        checkAllPathsDown(path.target)
        tellProblems(path.target)
    }

    /// A path has shown its LUN: it joins if it is the disk's own (VPD 0x83 identity and capacity).
    private mutating func showed(_ report: LogicalUnitReport, _ path: Path, _ disk: Int32) {
        let cold = disks[Int(disk)]
        if let known = cold.report {
            if let difference = known.difference(from: report) {
                return problem(path, disk, .otherLUN, "this is not the disk's LUN: \(difference)")
            }
            if report.limits.blockCount > known.limits.blockCount {
                log(
                    .warning,
                    "\(cold.name) \(path.name): the LUN has grown to \(report.limits.byteCount) bytes; "
                        + "the disk keeps its size until it is attached anew")
            }
            // Mode page 8 can change under a disk; what was promised to its clients is kept by other means.
            diskQueues[disk].writeCacheEnabled = report.limits.writeCacheEnabled
            diskQueues[disk].supportsFUA = diskQueues[disk].supportsFUA && report.limits.supportsFUA
        } else {
            do throws(ExportDescriptionError) {
                try adopt(report, disk)
            } catch {
                return problem(path, disk, .noSuchLUN, "the LUN cannot be exported: \(error)")
            }
        }
        guard path.isUp, path.barriers[disk] == nil else { return }
        diskQueues[disk].usable |= 1 &<< UInt32(path.ordinal)
        if cold.allPathsDownSince != nil {
            cold.allPathsDownSince = nil
            log(.information, "\(cold.name): a path is back, I/O goes on")
        }
        diskQueues[disk].isFailing = cold.isForced
        effects.append(
            .notice(
                .pathChanged(
                    DiskID(rawValue: disk), interface: path.specification.interface,
                    portal: path.specification.portal, isUp: true, reason: "")))
        if !cold.wasReady, let description = describe(disk) {
            cold.wasReady = true
            effects.append(.notice(.ready(DiskID(rawValue: disk), description)))
        }
        pumpPending()
    }
}
