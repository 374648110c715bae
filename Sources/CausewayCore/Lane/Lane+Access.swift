/// Asymmetric access (SPC-4 §5.15): which of a disk's paths carry its I/O, and asking and setting the states
/// of target port groups.
extension Lane {
    /// What a report of target port groups may take, bytes: several hundred groups.
    private static var reportBytes: Int32 { 4096 }

    // MARK: Which paths carry I/O

    /// A path no longer shows the disk's LUN, or has not been asked again yet.
    mutating func hide(_ disk: Int32, on path: Path) {
        let bit: UInt32 = 1 &<< UInt32(path.ordinal)
        guard diskQueues[disk].shown & bit != 0 else { return }
        diskQueues[disk].shown &= ~bit
        regroup(disk)
    }

    /// Chooses among the paths that show the LUN those whose group is in the best state.
    @inline(never)
    mutating func regroup(_ disk: Int32) {
        let cold = disks[Int(disk)]
        guard !cold.isRemoved else { return }
        let before = diskQueues[disk].usable
        let usable = cold.access.best(of: diskQueues[disk].shown)
        diskQueues[disk].usable = usable
        tellGained(usable & ~before, disk)
        cold.access.reached(usable != 0, now: now)
        if usable != 0 {
            pathsAreBack(cold)
            if before != usable { pumpPending() }
        } else if before != 0 {
            wake(at: now)
        }
        if usable == 0 && diskQueues[disk].shown != 0 && cold.access.isManaged {
            // What a probe was told may be older than the last report.
            cold.access.askSoon(now: now)
            wake(at: cold.access.askAt ?? now)
        }
    }

    private mutating func pathsAreBack(_ cold: Disk) {
        let disk = cold.index
        if cold.allPathsDownSince != nil {
            cold.allPathsDownSince = nil
            log(.information, "\(cold.name): a path is back, I/O goes on")
        }
        if cold.loss == nil { diskQueues[disk].isFailing = cold.isForced }
        if !cold.wasReady, let description = describe(disk) {
            cold.wasReady = true
            effects.append(.notice(.ready(DiskID(rawValue: disk), description)))
        }
    }

    private mutating func tellGained(_ gained: UInt32, _ disk: Int32) {
        var rest = gained
        while rest != 0 {
            let ordinal = rest.trailingZeroBitCount
            rest &= rest &- 1
            let index = targetPaths[diskQueues[disk].target].indices[ordinal]
            guard index >= 0 else { continue }
            let path = paths[Int(index)]
            pathJoined(path.ordinal, disk)
            effects.append(
                .notice(
                    .pathChanged(
                        DiskID(rawValue: disk), interface: path.specification.interface,
                        portal: path.specification.portal, isUp: true, reason: "")))
        }
    }

    /// Why a path that shows the LUN carries no I/O; nil for one that does, or whose group is merely second
    /// best.
    func accessReason(_ path: Path, _ disk: Int32) -> String? {
        guard let standing = disks[Int(disk)].access.standing(path: path.ordinal), let group = standing.group
        else { return nil }
        switch group.state {
        case .activeOptimized, .activeNonOptimized, .lbaDependent: return nil
        default:
            let name = standing.number.map { "target port group \($0)" } ?? "its target port"
            return "\(name) is \(group.state)"
        }
    }

    // MARK: Sense data

    /// A command was refused because of its target port's state: it goes to another path, or waits for one.
    mutating func accessRefused(_ path: Path, _ disk: Int32, _ additional: AdditionalSense) {
        let cold = disks[Int(disk)]
        guard cold.access.mode != .off else { return }
        if cold.access.refused(path: path.ordinal, additional, now: now) {
            let reason = accessReason(path, disk) ?? "refused"
            tell(.warning, cold, "\(path.name): \(reason)")
        }
        regroup(disk)
        wake(at: now)
    }

    // MARK: Asking

    /// What is due of a disk's access states.
    mutating func tickAccess(_ cold: Disk) {
        let disk = cold.index
        guard cold.access.isManaged, cold.access.task < 0, !diskQueues[disk].isDetaching else { return }
        if diskQueues[disk].usable == 0 {
            // Seen anew now and then, for a transition that takes too long is no excuse for ever.
            if diskQueues[disk].shown != 0 {
                if let end = cold.access.transitionEnd(of: diskQueues[disk].shown, now: now) {
                    wake(at: end)
                } else {
                    checkAllPathsDown(cold.target)
                }
            }
            if activate(cold) { return }
        }
        guard let askAt = cold.access.askAt else { return }
        guard askAt <= now else { return wake(at: askAt) }
        askAccess(cold)
    }

    /// Sends REPORT TARGET PORT GROUPS on a path that leads to the LUN, one that carries I/O first: every
    /// port answers for all groups.
    private mutating func askAccess(_ cold: Disk) {
        let disk = cold.index
        let leading = pathsTo(disk)
        let mask = diskQueues[disk].usable
        let best = leading.first { mask & (1 &<< UInt32($0.ordinal)) != 0 }
        guard let path = best ?? leading.element(atTurn: cold.accessTurn) else {
            cold.access.answered(isUrgent: true, now: now)
            return wake(at: cold.access.askAt ?? .never)
        }
        cold.accessTurn &+= 1
        let command = CommandDescriptorBlock.reportTargetPortGroups(
            extendedHeader: !cold.access.isExtendedHeaderRefused, allocationLength: UInt32(Self.reportBytes))
        let task = issueCommand(.accessReport, command, disk: disk, path: path, byteCount: Self.reportBytes)
        guard let task else { return wake(at: now.adding(milliseconds: 100)) }
        cold.access.task = task
        cold.access.asked(now: now)
        sendInternal(task, path)
    }

    /// Paths whose session stands and behind which the disk's LUN was seen, in whichever access state.
    func pathsTo(_ disk: Int32) -> [Path] {
        targets[Int(diskQueues[disk].target)].paths.map { paths[Int($0)] }.filter { path in
            guard path.isUp, disks[Int(disk)].access.groupOfPath[path.ordinal] != nil else { return false }
            return path.diskProblems[disk].map { $0.kind == .notReady } ?? true
        }
    }

    /// A command of the lane's own, not one of its probes.
    mutating func issueCommand(
        _ kind: TaskKind, _ command: CommandDescriptorBlock, disk: Int32, path: Path, byteCount: Int32
    ) -> Int32? {
        guard let task = freeTasks.take() else { return nil }
        fillTask(task, kind, request: -1, disk: disk, lba: 0, blocks: 0, byteCount: byteCount)
        tasks[task].path = path.index
        commands[task] = command
        if byteCount > 0 && !kind.isWrite { internalData[task] = [] }
        return task
    }

    mutating func accessAnswered(_ task: Int32, _ index: Int32, status: UInt8, sense: SenseData?) {
        let path = paths[Int(index)]
        let disk = tasks[task].disk
        let cold = disks[Int(disk)]
        let data = internalData.removeValue(forKey: task) ?? []
        guard cold.access.task == task else { return releaseTask(task) }
        let verdict = classify(status: SCSIStatus(rawValue: status), sense: sense)
        if verdict.errorClass == .retry && tasks[task].attempts < 16 {
            // The first command after a change is the one that hears of it.
            note(verdict.notices.subtracting(.accessStateChanged), path, disk)
            tasks[task].attempts += 1
            internalData[task] = []
            return sendInternal(task, path)
        }
        releaseTask(task)
        cold.access.task = -1
        if status == 0 {
            takeReport(data, path, cold)
        } else {
            note(verdict.notices.subtracting(.accessStateChanged), path, disk)
            if let sense, sense.key == .illegalRequest { cold.access.reportRefused(sense.additional) }
            if case .pathError(.accessState) = verdict.errorClass, let sense {
                accessRefused(path, disk, sense.additional)
            }
            regroup(disk)
            cold.access.answered(isUrgent: true, now: now)
        }
        wake(at: cold.access.askAt ?? .never)
    }

    private mutating func takeReport(_ data: [UInt8], _ path: Path, _ cold: Disk) {
        let disk = cold.index
        // Asked again at once without the extended header.
        var isRefused = false
        do throws(SCSIDataError) {
            let report = try unsafe TargetPortGroups(data.span.bytes)
            for change in cold.access.take(report, now: now) {
                tell(.information, cold, change)
            }
        } catch {
            log(
                .information,
                "\(cold.name) \(path.name): the report of target port groups is nonsense: \(error)")
            // Linux's target counts it without the extended header, and cuts off as much at its end.
            isRefused = !cold.access.isExtendedHeaderRefused
            cold.access.reportRefused(.invalidFieldInCDB)
        }
        regroup(disk)
        let isUrgent =
            isRefused || diskQueues[disk].usable == 0
            || cold.access.groups.contains { $0.value.state == .transitioning }
        cold.access.answered(isUrgent: isUrgent, now: now)
        reprobeAwakened(cold)
    }

    /// Paths that could not be asked all their questions while their group was unavailable.
    private mutating func reprobeAwakened(_ cold: Disk) {
        for path in pathsTo(cold.index)
        where path.diskProblems[cold.index] != nil && accessReason(path, cold.index) == nil {
            path.reprobeAt = now
            wake(at: now)
        }
    }

    // MARK: Setting

    /// Activates a standby group where the target lets initiators do so, no active one is in reach, and the
    /// time for it has come. Returns whether the command is out.
    private mutating func activate(_ cold: Disk) -> Bool {
        let disk = cold.index
        guard let due = cold.access.activationAt(),
            cold.access.transitionEnd(of: diskQueues[disk].shown, now: now) == nil
        else { return false }
        let leading = pathsTo(disk)
        guard let (ordinal, group) = cold.access.candidate(among: leading.map(\.ordinal)),
            let path = leading.first(where: { $0.ordinal == ordinal })
        else { return false }
        // It changes state, so that a copy of it may not come late: none is sent while one may be under way.
        let target = targets[Int(cold.target)]
        guard !target.paths.contains(where: { paths[Int($0)].accessDebts.contains(disk) }) else {
            return false
        }
        guard due <= now else {
            wake(at: due)
            return false
        }
        let task = issueCommand(
            .accessSetting, .setTargetPortGroups(parameterListLength: 8), disk: disk, path: path, byteCount: 8
        )
        guard let task else { return false }
        // Header of four bytes; then state, reserved, group (SPC-4 §6.45).
        parameters[task].words[0] =
            (UInt64(AccessState.activeOptimized.rawValue) << 24 | UInt64(group)).bigEndian
        unsafe tasks[task].data = UnsafeRawPointer(parameters.address(Int(task)))
        cold.access.task = task
        cold.access.activationBegan(now: now)
        diskQueues[disk].counters.activations &+= 1
        let text = "no active target port group is in reach: group \(group) is activated"
        tell(.warning, cold, "\(path.name): \(text)")
        sendInternal(task, path)
        return true
    }

    mutating func activationAnswered(_ task: Int32, _ index: Int32, status: UInt8, sense: SenseData?) {
        let path = paths[Int(index)]
        let disk = tasks[task].disk
        let cold = disks[Int(disk)]
        releaseTask(task)
        guard cold.access.task == task else { return }
        cold.access.task = -1
        if status != 0 {
            let verdict = classify(status: SCSIStatus(rawValue: status), sense: sense)
            note(verdict.notices.subtracting(.accessStateChanged), path, disk)
            let text = "SET TARGET PORT GROUPS: \(sense.map { "\($0)" } ?? "status \(status)")"
            tell(.warning, cold, "\(path.name): \(text)")
        }
        cold.access.askAt = now
        wake(at: now)
    }
}

extension [Path] {
    /// One after the other, so that a path that does not answer well does not stand in the way.
    fileprivate func element(atTurn turn: Int) -> Path? {
        isEmpty ? nil : self[turn % count]
    }
}
