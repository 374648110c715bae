/// The settings of a disk, and what follows from the policy among them.
extension Lane {
    /// The settings in force; nil if there is no such disk.
    public func settings(of id: DiskID) -> DiskSettings? {
        let index = id.rawValue
        guard index >= 0, Int(index) < disks.count, diskQueues[index].isInUse else { return nil }
        return disks[Int(index)].settings
    }

    /// Changes the settings of a disk while it lives; what is under way stays where it is. If one does not
    /// fit the disk, none is changed.
    public mutating func change(
        _ id: DiskID, settings: DiskSettings, now: Instant
    ) throws(DiskSettingError) {
        self.now = now
        guard let before = self.settings(of: id), before != settings else { return }
        let disk = disks[Int(id.rawValue)]
        guard before.multipathing == settings.multipathing else {
            throw .wrongValue(
                key: DiskSetting.multipathingKey, reason: "it is not changed while the disk is attached",
                allowed: "\(before.multipathing.rawValue) until the disk is detached")
        }
        try check(settings, paths: targets[Int(disk.target)].paths.map { paths[Int($0)].specification })
        disk.settings = settings
        apply(settings, to: disk.index)
        joinHealth(targets[Int(disk.target)])
        for setting in DiskSetting.all {
            let text = setting.text(settings)
            guard setting.text(before) != text else { continue }
            log(.information, "\(disk.name): \(setting.key) is \(text) now")
        }
        regroup(disk.index)
        wake(at: now)
        pumpPending()
    }

    /// A path that is preferred must be one.
    func check(_ settings: DiskSettings, paths: [PathSpecification]) throws(DiskSettingError) {
        guard case .fixed(let preferred?) = settings.policy,
            !paths.contains(where: { preferred.fits(interface: $0.interface, portal: $0.portal) })
        else { return }
        throw .wrongValue(
            key: "policy", reason: "no path is \"\(preferred.text)\"",
            allowed: "preferred may be one of \(paths.map(\.name).joined(separator: ", "))")
    }

    /// Brings settings to where requests meet them.
    mutating func apply(_ settings: DiskSettings, to disk: Int32) {
        diskQueues[disk].choice.rule =
            switch settings.policy {
            case .roundRobin, .fixed, .mostRecentlyUsed: .turns
            case .leastQueueDepth: .leastQueueDepth
            case .serviceTime: .serviceTime
            }
        diskQueues[disk].turn =
            if case .roundRobin(let turn) = settings.policy { PathTurn(turn) } else {
                PathTurn(.init(commands: 1))
            }
        switch settings.policy {
        case .fixed, .mostRecentlyUsed: diskQueues[disk].choice.isSingle = true
        case .roundRobin, .leastQueueDepth, .serviceTime: diskQueues[disk].choice.isSingle = false
        }
        disks[Int(disk)].access.mode = settings.failure.access
        findFavourites(disk)
        diskQueues[disk].choice.settle()
        disks[Int(disk)].failBack = FailBack()
        disks[Int(disk)].failBackAt = nil
        measure(targets[Int(diskQueues[disk].target)])
    }

    /// The paths of a target have changed, or the disks that use them.
    mutating func pathsChanged(_ target: Target) {
        for disk in target.disks { findFavourites(disk) }
        measure(target)
    }

    private mutating func findFavourites(_ disk: Int32) {
        var mask: UInt32 = 0
        if case .fixed(let preferred) = disks[Int(disk)].settings.policy {
            for index in targets[Int(diskQueues[disk].target)].paths {
                let path = paths[Int(index)]
                let fits = preferred?.fits(
                    interface: path.specification.interface, portal: path.specification.portal)
                if fits ?? (mask == 0) { mask |= 1 << UInt32(path.ordinal) }
            }
        }
        if diskQueues[disk].choice.favourites != mask { diskQueues[disk].choice.favourites = mask }
    }

    /// Loads are only measured where a policy asks for them.
    private mutating func measure(_ target: Target) {
        let isWanted = target.disks.contains { diskQueues[$0].choice.rule == .serviceTime }
        for path in target.paths where pathQueues[path].load.isMeasured != isWanted {
            guard isWanted else {
                pathQueues[path].load.end()
                continue
            }
            var task = pathQueues[path].inFlight.first
            while task >= 0 {
                tasks[task].mark = PathLoad.noMark
                task = tasks[task].next
            }
            pathQueues[path].load.begin(underWay: unitsUnderWay(path))
        }
    }

    // MARK: Failing back

    /// A path may carry a disk from now on.
    mutating func pathJoined(_ ordinal: Int32, _ disk: Int32) {
        guard diskQueues[disk].choice.joined(ordinal) else { return }
        let cold = disks[Int(disk)]
        guard cold.failBackAt == nil else { return }
        let at = cold.failBack.found(now: now)
        cold.failBackAt = at
        wake(at: at)
    }

    /// The hold-off is over: the preferred path takes over, if it still works.
    mutating func failBack(_ disk: Disk) {
        disk.failBackAt = nil
        let before = diskQueues[disk.index].choice.candidates
        diskQueues[disk.index].choice.settle()
        guard diskQueues[disk.index].choice.candidates != before else { return }
        log(.information, "\(disk.name): I/O goes to the preferred path again")
        pumpPending()
    }
}
