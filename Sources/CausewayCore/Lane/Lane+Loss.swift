/// Disks without paths: all paths down (APD), which may pass, and permanent device loss (PDL), which the
/// target itself declares.
extension Lane {
    /// News of a disk, for the log and for `status`.
    mutating func tell(_ severity: LaneNotice.Severity, _ cold: Disk, _ text: String) {
        effects.append(.notice(.disk(DiskID(rawValue: cold.index), severity: severity, text: text)))
    }

    // MARK: All paths down

    /// Starts the clock of disks that no path carries.
    mutating func checkAllPathsDown(_ target: Int32) {
        for disk in targets[Int(target)].disks where diskQueues[disk].usable == 0 {
            let cold = disks[Int(disk)]
            guard cold.wasReady, cold.allPathsDownSince == nil, cold.loss == nil, !isBeingAsked(disk) else {
                continue
            }
            // A transition of access states ends by itself.
            if let end = cold.access.transitionEnd(of: diskQueues[disk].shown, now: now) {
                wake(at: end)
                continue
            }
            cold.allPathsDownSince = now
            wake(at: cold.failure.allPathsDownTimeout.end(since: now))
            tell(.error, cold, "all paths down; I/O is held for \(cold.failure.allPathsDownTimeout)")
        }
    }

    /// A path may show the LUN in a moment; its answer, or its end, leads back to `checkAllPathsDown`.
    private func isBeingAsked(_ disk: Int32) -> Bool {
        targets[Int(diskQueues[disk].target)].paths.contains { index in
            let path = paths[Int(index)]
            return path.isUp && path.diskProblems[disk] == nil
                && (path.probes[disk] != nil || path.reprobeAt.map { $0 <= now } ?? false)
        }
    }

    /// One path says that the LUN is gone or another: no other carries I/O before it has been asked who its
    /// LUN is. Not every target tells each session by itself (tgt does not, measured).
    mutating func doubtOthers(_ path: Path, _ disk: Int32) {
        for index in targets[Int(path.target)].paths where index != path.index {
            let other = paths[Int(index)]
            guard diskQueues[disk].shown & (1 &<< UInt32(other.ordinal)) != 0 else { continue }
            other.probes[disk] = nil
            other.reprobeAt = now
            wake(at: now)
            hide(disk, on: other)
        }
    }

    /// What time has brought to a disk without paths.
    mutating func tickLoss(_ cold: Disk) {
        checkLoss(cold)
        guard let since = cold.allPathsDownSince, cold.loss == nil else { return }
        let deadline = cold.failure.allPathsDownTimeout.end(since: since)
        if deadline <= now {
            if !diskQueues[cold.index].isFailing {
                failHeld(cold.index, "all paths down for \(cold.failure.allPathsDownTimeout)")
            }
        } else {
            wake(at: deadline)
        }
    }

    /// Answers everything that is held for a disk with an error, and what comes from now on as well.
    @inline(never)
    mutating func failHeld(_ disk: Int32, _ reason: String) {
        diskQueues[disk].isFailing = true
        var count = 0
        while !diskQueues[disk].pending.isEmpty {
            let task = diskQueues[disk].pending.first
            diskQueues[disk].pending.remove(task, tasks)
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
                    // A write that was aborted on a living path: its barrier may have long to go.
                    if pathQueues[index].isFullFeature && path.abortBarriers[disk] != nil {
                        reinstate(path, "an aborted write was given up before its barrier")
                    }
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
        guard count > 0 || !diskQueues[disk].isDetaching else { return }
        let cold = disks[Int(disk)]
        tell(.error, cold, "\(reason): \(count) held commands were answered with an error, as others will be")
    }

    // MARK: Permanent device loss

    /// So long every path has to stick to it: a target that is starting may show its LUNs late.
    private static var confirmationMilliseconds: UInt64 { 3000 }

    /// A path's LUN is gone, the target says (5/25/00, x/3E/01, x/3E/03, 4/4C/00, INQUIRY without device).
    mutating func lunIsGone(_ path: Path, _ disk: Int32) {
        path.gone[disk] = now
        wake(at: now)
    }

    /// PDL is declared once every path has said so and, asked again, says so still. A path without a session
    /// says nothing: then it is no more than all paths down.
    private mutating func checkLoss(_ cold: Disk) {
        let disk = cold.index
        guard cold.wasReady, cold.loss == nil else { return }
        // What the administrator has put to rest is not asked.
        let all = targets[Int(cold.target)].paths.map { paths[Int($0)] }.filter { $0.intent == .inUse }
        guard !all.isEmpty, all.allSatisfy({ $0.isUp && $0.gone[disk] != nil }) else {
            cold.goneSince = nil
            return
        }
        let since = cold.goneSince ?? now
        cold.goneSince = since
        let due = since.adding(milliseconds: Self.confirmationMilliseconds)
        let isConfirmed = all.allSatisfy { path in
            path.gone[disk].map { $0.nanoseconds(since: since) > 0 } ?? false
        }
        guard due <= now, isConfirmed else { return wake(at: max(due, now.adding(milliseconds: 500))) }
        let reason = all[0].diskProblems[disk]?.text ?? "the LUN is gone"
        cold.loss = DeviceLoss(since: now, reason: reason)
        cold.goneSince = nil
        failHeld(disk, "permanent device loss, every path says: \(reason)")
    }

    /// The LUN of a lost device is there again, by identity. What it held in a cache is not.
    mutating func lunIsBack(_ path: Path, _ disk: Int32) {
        let cold = disks[Int(disk)]
        path.gone[disk] = nil
        guard cold.loss != nil else { return }
        cold.loss = nil
        cold.allPathsDownSince = nil
        diskQueues[disk].isFailing = cold.isForced
        if diskQueues[disk].mayBeCached { cacheIsLost(disk) }
        tell(.warning, cold, "\(path.name): the lost LUN is back with the same identity, I/O goes on")
    }
}

/// A device that its target has declared lost.
struct DeviceLoss {
    var since: Instant
    var reason: String
}
