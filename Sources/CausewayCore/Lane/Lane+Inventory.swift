/// Which LUNs a target has (REPORT LUNS, SPC-4 §6.33): new ones are reported, and so are those that went.
extension Lane {
    /// Enough for 1024 LUNs.
    private static var inventoryBytes: Int32 { 8 + 8 * 1024 }

    /// Asks once for what there is, and again when the target says that it has changed (6/3F/0E).
    mutating func askInventory(_ target: Target, soon: Bool) {
        guard soon || target.inventory.luns == nil, target.inventory.task < 0 else {
            if soon { target.inventory.isStale = true }
            return
        }
        target.inventory.isStale = false
        guard let disk = target.disks.first else { return }
        let up = target.paths.map { paths[Int($0)] }.first { $0.isUp }
        guard let path = up else { return target.inventory.isStale = true }
        let task = issueCommand(
            .inventory, .reportLUNs(allocationLength: UInt32(Self.inventoryBytes)), disk: disk, path: path,
            byteCount: Self.inventoryBytes)
        guard let task else { return target.inventory.isStale = true }
        target.inventory.task = task
        sendInternal(task, path)
    }

    mutating func inventoryAnswered(_ task: Int32, _ index: Int32, status: UInt8, sense: SenseData?) {
        let path = paths[Int(index)]
        let disk = tasks[task].disk
        let data = internalData.removeValue(forKey: task) ?? []
        releaseTask(task)
        let target = targets[Int(path.target)]
        guard target.inventory.task == task else { return }
        target.inventory.task = -1
        guard status == 0 else {
            let verdict = classify(status: SCSIStatus(rawValue: status), sense: sense)
            note(verdict.notices.subtracting([.lunListChanged, .inquiryChanged]), path, disk)
            target.inventory.failures += 1
            // Who has no list to give is not asked for ever.
            if target.inventory.failures < 8 { target.inventory.isStale = true }
            return askLater(target)
        }
        target.inventory.failures = 0
        if let list = unsafe try? ReportLUNsData(data.span.bytes) { take(list, target) }
        if target.inventory.isStale { askLater(target) }
    }

    private mutating func askLater(_ target: Target) {
        target.inventory.askAt = now.adding(milliseconds: 500)
        wake(at: target.inventory.askAt ?? .never)
    }

    private mutating func take(_ list: ReportLUNsData, _ target: Target) {
        let luns = Set(list.logicalUnits)
        guard let known = target.inventory.luns else { return target.inventory.luns = luns }
        for lun in luns.subtracting(known).sorted(by: { $0.rawValue < $1.rawValue }) {
            tellTarget(.information, target, "LUN \(lun) is new; attach it to use it")
            target.inventory.fresh.insert(lun)
        }
        for lun in known.subtracting(luns).sorted(by: { $0.rawValue < $1.rawValue }) {
            target.inventory.fresh.remove(lun)
            let user = target.disks.map { disks[Int($0)] }.first { $0.lun == lun }
            tellTarget(
                user == nil ? .information : .error, target,
                "LUN \(lun) is gone" + (user.map { ", which is the disk \($0.name)" } ?? ""))
        }
        target.inventory.luns = luns
    }

    private mutating func tellTarget(_ severity: LaneNotice.Severity, _ target: Target, _ text: String) {
        for disk in target.disks { tell(severity, disks[Int(disk)], "\(target.name): \(text)") }
    }

    mutating func tickInventory(_ target: Target) {
        guard let askAt = target.inventory.askAt, !target.disks.isEmpty else { return }
        guard askAt <= now else { return wake(at: askAt) }
        target.inventory.askAt = nil
        askInventory(target, soon: target.inventory.isStale)
    }
}

/// The LUNs of a target as it last reported them.
struct LogicalUnitInventory {
    /// Nil until it has been asked.
    var luns: Set<LogicalUnitNumber>?
    /// Those that came since, and that nobody attached.
    var fresh: Set<LogicalUnitNumber> = []
    var task: Int32 = -1
    /// Changed again while it was asked.
    var isStale = false
    var askAt: Instant?
    var failures = 0
}
