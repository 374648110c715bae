/// What happens between login and I/O: the barrier, the proof that no earlier copy of a write still runs, and
/// then the question which LUN it is.
extension Lane {
    /// Sends an ORDERED TEST UNIT READY to every disk of the path: answered GOOD, the target has finished
    /// what it held before. Only where something is owed, to this lane's own writes or to those of a
    /// predecessor that died: some targets stumble over ORDERED commands.
    mutating func beginBarriers(_ path: Path, isForeign: Bool) {
        path.isForeign = isForeign
        path.barriers = Set(targets[Int(path.target)].disks)
        let owes = owesFence(path) || path.owesPredecessor
        if !owes || settings.skipsBarrier || path.proof == .waitsForTasks { path.barriers = [] }
        if path.barriers.isEmpty { return barriersDone(path) }
        for disk in path.barriers.sorted() {
            guard issueInternal(.barrier, disk: disk, path: path) != nil else {
                return connectionLost(path, "no task is free for the barrier")
            }
        }
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
        guard status != 0 else {
            releaseTask(task)
            return barrierDone(path, disk)
        }
        let verdict = classify(status: SCSIStatus(rawValue: status), sense: sense)
        // The first command after a login is the one that hears of a restart.
        note(verdict.notices, path, disk)
        tasks[task].attempts &+= 1
        let owes = owesFence(path, disk)
        switch verdict.errorClass {
        case .retry where tasks[task].attempts < 16: sendInternal(task, path)
        case .retryAfterDelay:
            tasks[task].attempts = min(tasks[task].attempts, 64)
            delay(task, milliseconds: 200)
        case _ where owes:
            // Only GOOD proves anything: ask until it comes or the path is lost.
            tasks[task].attempts = min(tasks[task].attempts, 64)
            delay(task, milliseconds: 200)
        default:
            releaseTask(task)
            barrierDone(path, disk)
        }
    }

    private func owesFence(_ path: Path, _ disk: Int32) -> Bool {
        if path.debts.contains(disk) { return true }
        var task = pathQueues[path.index].held.first
        while task >= 0 {
            if tasks[task].disk == disk { return true }
            task = tasks[task].next
        }
        return false
    }

    private mutating func barrierDone(_ path: Path, _ disk: Int32) {
        path.barriers.remove(disk)
        if path.barriers.isEmpty, case .draining = path.state { barriersDone(path) }
    }

    /// The fence is complete: nothing of the lost session can reach the medium any more.
    private mutating func barriersDone(_ path: Path) {
        let index = path.index
        let count = pathQueues[index].held.count
        if count > 0 || !path.debts.isEmpty {
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
            path.lastFence = "\(proof), \(way), after \(took) ms, \(count) writes"
            log(
                .information,
                "\(targets[Int(path.target)].name) \(path.name): fence: \(proof) \(way) after \(took) ms; "
                    + "\(count) writes are sent again")
        }
        path.fenceBegan = nil
        path.owesPredecessor = false
        for disk in path.debts { diskQueues[disk].fenceDebts -= 1 }
        path.debts = []
        var released: [Int32] = []
        while !pathQueues[index].held.isEmpty {
            let task = pathQueues[index].held.first
            pathQueues[index].held.remove(task, tasks)
            released.append(task)
        }
        for task in released.reversed() { sendAgain(task, first: true) }
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

    // MARK: Which LUN is it?

    mutating func beginProbe(_ path: Path, _ disk: Int32) {
        guard path.isUp, !diskQueues[disk].isDetaching else { return }
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
        if status != 0 {
            note(classify(status: SCSIStatus(rawValue: status), sense: sense).notices, path, disk)
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
        guard path.isUp else { return }
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
