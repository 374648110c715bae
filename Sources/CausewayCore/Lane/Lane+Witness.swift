/// What becomes of a barrier that was answered, and whose it was. A LUN that took the number of the disk's
/// own has none of the disk's commands to wait for: its GOOD says nothing of those that still run inside the
/// other one. So where a path does not show the LUN, the LUN is asked who it is after its barrier, before
/// the fence counts.
extension Lane {
    private static var attemptsMax: UInt8 { 16 }

    /// The target has finished what it held before of the disk's commands.
    mutating func barrierHolds(_ task: Int32, _ path: Path, _ disk: Int32) {
        releaseTask(task)
        fenceDone(path, disk)
        tellFence(path)
        for member in members(with: path) { beginProbe(member, disk) }
        leave(path)
        if let session = path.session { goOn(after: session) }
        beginUse(path)
    }

    /// A barrier that proved nothing is sent once more after a while, by the path that owes it.
    mutating func postpone(_ barrier: Barrier, _ path: Path, _ disk: Int32, answer: String) {
        var barrier = barrier
        let task = barrier.task
        barrier.refusals += 1
        barrier.answer = answer
        barrier.via = -1
        path.barriers[disk] = barrier
        tasks[task].lba = 0
        tasks[task].path = path.index
        delay(task, milliseconds: barrier.delay)
    }

    /// Whether it must be asked who has answered a barrier on a path. Where nothing is known of the disk yet,
    /// there is nothing to compare with.
    func needsWitness(_ index: Int32, _ disk: Int32) -> Bool {
        let cold = disks[Int(disk)]
        let isShown = diskQueues[disk].shown & (1 &<< UInt32(paths[Int(index)].ordinal)) != 0
        return !isShown && (cold.report != nil || cold.expected != nil)
    }

    /// The barrier's task goes on as a question.
    mutating func askWitness(_ task: Int32, _ index: Int32, page: WitnessPage = .identification) {
        fillTask(
            task, .witness, request: -1, disk: tasks[task].disk, lba: tasks[task].lba, blocks: page.rawValue,
            byteCount: page.allocationLength)
        tasks[task].path = index
        commands[task] = .inquiry(page: page.page, allocationLength: UInt16(page.allocationLength))
        internalData[task] = []
        sendInternal(task, paths[Int(index)])
    }

    mutating func witnessAnswered(_ task: Int32, _ index: Int32, status: UInt8, sense: SenseData?) {
        let disk = tasks[task].disk
        let data = internalData.removeValue(forKey: task) ?? []
        let path = barrierOwner(task) ?? paths[Int(index)]
        guard path.barriers[disk]?.task == task else { return releaseTask(task) }
        let page = WitnessPage(rawValue: tasks[task].blocks) ?? .identification
        guard status == 0 else {
            let verdict = classify(status: SCSIStatus(rawValue: status), sense: sense)
            note(tidings(verdict), paths[Int(index)], disk)
            let isRetry = verdict.errorClass == .retry || verdict.errorClass == .retryAfterDelay
            guard isRetry, tasks[task].attempts < Self.attemptsMax else {
                return barrierIsStrange(task, path, .notReady, describe(status, sense))
            }
            tasks[task].attempts += 1
            internalData[task] = []
            if verdict.errorClass == .retry { return sendInternal(task, paths[Int(index)]) }
            return delay(task, milliseconds: 100)
        }
        switch page {
        case .identification:
            if let difference = difference(from: data, disk) {
                return barrierIsStrange(task, path, .otherLUN, difference)
            }
            if path.serials[disk] != nil { return askWitness(task, index, page: .serialNumber) }
        case .serialNumber:
            let serial = (try? UnitSerialNumber(unsafe data.span.bytes))?.text
            if let known = path.serials[disk], serial != known {
                return barrierIsStrange(
                    task, path, .otherLUN,
                    "serial number \(serial.map { "\($0)" } ?? "-") instead of \(known)")
            }
        }
        barrierHolds(task, path, disk)
    }

    /// Why a page 0x83 is not the disk's LUN's; nil if it is.
    private func difference(from data: [UInt8], _ disk: Int32) -> String? {
        guard let shown = try? DeviceIdentification(unsafe data.span.bytes) else {
            return "a LUN that does not say who it is"
        }
        let name = shown.identity.map { "\($0)" } ?? "a LUN without identity"
        if let known = disks[Int(disk)].report {
            return known.identification.identifies(sameLogicalUnitAs: shown)
                ? nil : "\(name) instead of \(known.identity)"
        }
        guard let expected = disks[Int(disk)].expected,
            !shown.identities.contains(where: { $0.wwid == expected.wwid })
        else { return nil }
        return "\(name) instead of \(expected.wwid)"
    }

    /// Another LUN has answered, or none that can be told: the fence is still owed, and the target's other
    /// disks need not wait for it.
    private mutating func barrierIsStrange(
        _ task: Int32, _ path: Path, _ kind: PathProblem.Kind, _ text: String
    ) {
        let disk = tasks[task].disk
        let text = kind == .otherLUN ? "this is not the disk's LUN, and gets no I/O: \(text)" : text
        guard var barrier = path.barriers[disk] else { return releaseTask(task) }
        if cleanUpFailed(path, "the barrier of a lost connection was another LUN's: \(text)") {
            return releaseTask(task)
        }
        let via = tasks[task].path
        fillTask(task, .barrier, request: -1, disk: disk, lba: 0, blocks: 0, byteCount: 0)
        tasks[task].path = via
        if rerouteBarrier(task, path, disk) { return problem(path, disk, kind, text) }
        barrier.isAside = true
        postpone(barrier, path, disk, answer: "GOOD, but \(text)")
        problem(path, disk, kind, text)
        tellFence(path)
        beginUse(path)
    }

    /// The question was taken away by a reset or an abort: the barrier goes out anew.
    mutating func witnessAborted(_ task: Int32, _ path: Path) {
        internalData[task] = nil
        let (disk, owner) = (tasks[task].disk, tasks[task].lba)
        fillTask(task, .barrier, request: -1, disk: disk, lba: owner, blocks: 0, byteCount: 0)
        tasks[task].path = path.index
        sendInternal(task, path)
    }
}

/// What a LUN is asked after a barrier.
enum WitnessPage: UInt32 {
    case identification, serialNumber

    var page: VitalProductDataPage {
        switch self {
        case .identification: .deviceIdentification
        case .serialNumber: .unitSerialNumber
        }
    }

    /// Bytes.
    var allocationLength: Int32 {
        switch self {
        case .identification: 2048
        case .serialNumber: 255
        }
    }
}
