/// Slow reads on a suspect path are sent a second time on another; the first answer wins.
///
/// Each copy keeps to memory of its own: the first gathers in its request's buffer, the second in
/// `internalData`. The copy that loses becomes `discarded`: it has no request any more, its late data is
/// thrown away where it arrives, and its slot lives until it is answered or its path is torn down.
extension Lane {
    /// Beside the first few, so many reads of a target may be hedged: one in `hedgeShare`.
    private static var hedgeShare: UInt64 { 8 }
    private static var firstHedges: UInt64 { 256 }

    /// Sends reads of a suspect path again, whose siblings answer. Bounded: a share of all reads, a number at
    /// a time, and never so many that requests starve.
    mutating func hedgeReads(_ path: Path) {
        var task = pathQueues[path.index].inFlight.first
        while task >= 0 {
            let next = tasks[task].next
            if tasks[task].kind == .read {
                guard twins.count < 2 * settings.hedgesAtOnce, hasTask else { return }
                if !hedge(task, path) { return }
            }
            task = next
        }
    }

    /// False when there is no other path with room, or too much was hedged already.
    private mutating func hedge(_ task: Int32, _ path: Path) -> Bool {
        let disk = tasks[task].disk
        guard diskQueues[disk].isInUse else { return true }
        let counters = diskQueues[disk].counters
        guard counters.hedgedReads < Self.firstHedges + counters.reads / Self.hedgeShare else { return false }
        guard diskQueues[disk].choice.candidates & (1 &<< UInt32(path.ordinal)) == 0,
            let other = choosePath(disk, task), let copy = takeTask()
        else { return false }
        fillTask(
            copy, .hedge, request: tasks[task].request, disk: disk, lba: tasks[task].lba,
            blocks: tasks[task].blocks, byteCount: tasks[task].byteCount)
        // Two copies, one answer: the request waits for one task.
        requests[tasks[task].request].tasks &-= 1
        tasks[copy].offset = tasks[task].offset
        tasks[task].kind = .hedgedRead
        internalData[copy] = []
        twins[task] = copy
        twins[copy] = task
        diskQueues[disk].counters.hedgedReads &+= 1
        pathQueues[path.index].counters.hedgedReads &+= 1
        issue(copy, on: other)
        return true
    }

    /// One copy of a read has its answer, good or bad; its path has room again.
    @inline(never)
    mutating func hedgeAnswered(_ task: Int32, _ path: Int32, status: UInt8, sense: SenseData?) {
        let twin = twins[task]
        let isGood = status == 0 && tasks[task].received == tasks[task].byteCount
        guard isGood || twin == nil else {
            // The other copy may do better.
            noteSense(task, path, status: status, sense: sense)
            return dropCopy(task)
        }
        if let twin { discard(twin) }
        if isGood {
            pathQueues[path].counters.readBytes &+= UInt64(UInt32(bitPattern: tasks[task].byteCount))
            let isDelivered = tasks[task].kind != .hedge || deliverCopy(task, lost: twin)
            return finishTask(task, error: isDelivered ? 0 : NBDError.inputOutput.rawValue)
        }
        // The only copy that is left: an ordinary read from now on.
        becomePlain(task)
        if status == 0 { return shortTransfer(task, path) }
        commandFailed(task, path, status: status, sense: sense)
    }

    /// What sense data says of the target holds also where nobody waits for the command.
    mutating func noteSense(_ task: Int32, _ path: Int32, status: UInt8, sense: SenseData?) {
        guard status != 0, diskQueues[tasks[task].disk].isInUse else { return }
        let verdict = classify(status: SCSIStatus(rawValue: status), sense: sense)
        note(verdict.notices, paths[Int(path)], tasks[task].disk)
    }

    /// The second copy came first: its data goes where the first would have put it.
    private mutating func deliverCopy(_ task: Int32, lost: Int32?) -> Bool {
        let data = internalData.removeValue(forKey: task) ?? []
        if let lost, tasks[lost].path >= 0 { pathQueues[tasks[lost].path].counters.hedgesWon &+= 1 }
        let request = tasks[task].request
        if unsafe requests[request].buffer == nil { giveBuffer(request) }
        guard let buffer = unsafe requests[request].buffer, data.count == Int(tasks[task].byteCount) else {
            return false
        }
        unsafe data.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            unsafe (buffer + Int(tasks[task].offset)).copyMemory(from: base, byteCount: bytes.count)
        }
        return true
    }

    /// The other copy was answered first. This one is in flight: nobody waits for it any more.
    private mutating func discard(_ task: Int32) {
        untwin(task)
        internalData[task] = nil
        tasks[task].kind = .discarded
        tasks[task].request = -1
    }

    /// One of two copies ends without a result; the other goes on alone.
    ///
    /// - Parameter staysKnown: the target may still have it, so that its tag is not free.
    private mutating func dropCopy(_ task: Int32, staysKnown: Bool = false) {
        let twin = twins[task]
        untwin(task)
        internalData[task] = nil
        if staysKnown { becomeDiscarded(task) } else { releaseTask(task) }
        // The second copy keeps its own memory; the first is an ordinary read again.
        if let twin, tasks[twin].kind == .hedgedRead { tasks[twin].kind = .read }
    }

    private mutating func untwin(_ task: Int32) {
        if let twin = twins.removeValue(forKey: task) { twins[twin] = nil }
    }

    /// Nobody waits any more for a command of which the target may not have heard so.
    mutating func becomeDiscarded(_ task: Int32) {
        tasks[task].kind = .discarded
        tasks[task].request = -1
        tasks[task].state = .held
    }

    /// A copy without a twin is a read like any other, before it is sent again.
    private mutating func becomePlain(_ task: Int32) {
        internalData[task] = nil
        tasks[task].kind = .read
    }

    /// The path of a copy is lost; true if the copy is gone with it, false if it is the read's last one and
    /// has to be sent again.
    ///
    /// - Parameter staysKnown: the target may still have it, so that its tag is not free.
    mutating func copyIsLost(_ task: Int32, staysKnown: Bool = false) -> Bool {
        if tasks[task].kind == .discarded {
            if staysKnown { becomeDiscarded(task) } else { releaseTask(task) }
            return true
        }
        if twins[task] != nil {
            dropCopy(task, staysKnown: staysKnown)
            return true
        }
        becomePlain(task)
        return false
    }
}
