/// Health of paths: when to ask, whom to trust, what to give up. It belongs to the session: nothing here is
/// done once for each disk but the choice of who carries it.
extension Lane {
    // MARK: Who carries a disk

    /// The disks of a target hear which paths to keep away from.
    mutating func tellCarriers(_ target: Target) {
        for disk in target.disks {
            diskQueues[disk].choice.suspects = target.suspects
            diskQueues[disk].choice.quarantined = target.quarantined
        }
        if hasPending { pumpPending() }
    }

    /// A path is removed; its ordinal will be another's.
    mutating func leaveHealth(_ path: Path) {
        let target = targets[Int(path.target)]
        target.suspects &= ~(1 &<< UInt32(path.ordinal))
        target.quarantined &= ~(1 &<< UInt32(path.ordinal))
        tellCarriers(target)
    }

    private mutating func suspect(_ path: Path) {
        guard !path.isSuspect else { return }
        path.isSuspect = true
        pathQueues[path.index].counters.suspicions &+= 1
        let target = targets[Int(path.target)]
        target.suspects |= 1 &<< UInt32(path.ordinal)
        tellCarriers(target)
    }

    /// It was heard, or there is no session any more to be suspicious of.
    mutating func trust(_ path: Path) {
        guard path.isSuspect else { return }
        path.isSuspect = false
        let target = targets[Int(path.target)]
        target.suspects &= ~(1 &<< UInt32(path.ordinal))
        tellCarriers(target)
    }

    /// The sessions of a target are shared by its disks: of each timer the shortest holds.
    mutating func joinHealth(_ target: Target) {
        tellCarriers(target)
        guard let first = target.disks.first else { return }
        target.timers = target.disks.dropFirst().reduce(disks[Int(first)].settings.timers) {
            $0.shortest(disks[Int($1)].settings.timers)
        }
        for path in target.paths where pathQueues[path].isFullFeature { wake(at: now) }
    }

    // MARK: Asking

    mutating func checkHealth(_ path: Path) {
        let timers = targets[Int(path.target)].timers
        let signs = signs(path, timers)
        switch PathHealth.judge(signs, timers) {
        case .healthy(let checkAt):
            trust(path)
            if now.nanoseconds(since: path.transportRead) >= timers.noopInterval { inspect(path) }
            compareAnswers(path)
            wake(at: max(checkAt, now.adding(milliseconds: 10)))
        case .look:
            trust(path)
            inspect(path)
            wake(at: Instant(nanoseconds: now.nanoseconds &+ PathHealth.lookInterval))
        case .ask:
            let oldest = signs.oldest ?? now
            path.asks = path.askedFor == oldest ? path.asks + 1 : 1
            path.askedFor = oldest
            sendPing(path)
            askSiblings(path)
            inspect(path)
            wake(at: now.adding(milliseconds: 10))
        case .askIdle:
            trust(path)
            let maySpare = path.segments.failures == 0 || hasGoodSibling(path)
            if path.segments.isTurn(), maySpare, path.transport != nil {
                sendFullSizePing(path)
            } else {
                sendPing(path)
            }
            inspect(path)
            wake(at: now.adding(milliseconds: 50))
        case .suspect(let checkAt):
            isSilent(path, signs)
            wake(at: checkAt)
        case .dead(let silence):
            giveUp(path, signs, silence)
        }
    }

    private func signs(_ path: Path, _ timers: SessionTimers) -> PathSigns {
        let index = path.index
        var signs = PathSigns(
            now: now, lastReceived: pathQueues[index].lastReceived, patience: PathHealth.firstPatience)
        let oldest = pathQueues[index].inFlight.first
        if oldest >= 0 {
            signs.oldest = tasks[oldest].issuedAt
            let row = tasks[oldest].kind.historyRow(byteCount: tasks[oldest].byteCount)
            let usual = pathQueues[index].history.bound(row: row, oneOf: 512)
            let patience = PathHealth.patience(usual: usual, timers: timers)
            // Asked and answered while this very command was out: it is the command that takes long.
            let asks = path.askedFor == tasks[oldest].issuedAt ? min(path.asks, 6) : 0
            signs.patience = min(patience &<< asks, max(patience, timers.noopInterval))
        }
        signs.pingSent = path.ping.sentAt
        signs.isOnTrial = path.ping.isFullSize && !showsAny(path)
        signs.transport = path.transport
        signs.transportRead = path.transportRead
        signs.siblingHeard = lastHeard(path.target) { isSibling($0, of: path) }
        return signs
    }

    /// Whether a path carries a disk, or would if it were chosen.
    private func carriesAny(_ path: Path) -> Bool {
        let bit: UInt32 = 1 &<< UInt32(path.ordinal)
        return targets[Int(path.target)].disks.contains { diskQueues[$0].usable & bit != 0 }
    }

    private func showsAny(_ path: Path) -> Bool {
        let bit: UInt32 = 1 &<< UInt32(path.ordinal)
        return targets[Int(path.target)].disks.contains { diskQueues[$0].shown & bit != 0 }
    }

    /// Has TCP asked what it knows of a path's connection.
    mutating func inspect(_ path: Path) {
        guard pathQueues[path.index].stream >= 0 else { return }
        effects.append(.inspect(streamID(pathQueues[path.index].stream)))
    }

    /// What TCP knows of a stream, as `LaneEffect.inspect` wanted it.
    @inline(never)
    public mutating func inspected(_ id: StreamID, _ report: TransportReport, now: Instant) {
        self.now = now
        guard isCurrent(id), streams[id.index].kind == .iscsi else { return }
        let path = paths[Int(streams[id.index].owner)]
        guard pathQueues[path.index].stream == id.index else { return }
        path.transport = report
        path.transportRead = now
        if path.segments.isDue {
            path.segments.isDue = false
            sendFullSizePing(path)
        }
        // Judged anew at once: the network may be what is silent.
        if report.showsNetworkFault && path.ping.sentAt == nil { wake(at: now) }
    }

    /// Asks the target for a sign of life.
    mutating func sendPing(_ path: Path, byteCount: Int = 0) {
        let index = path.index
        let tag = path.ping.send(now: now, byteCount: byteCount)
        pathQueues[index].counters.pings &+= 1
        let ping = NOPOut(
            initiatorTaskTag: tag, cmdSN: cmdSN(path), expStatSN: pathQueues[index].expStatSN,
            dataSegmentLength: byteCount)
        sendCold(ping.header, [UInt8](repeating: 0, count: byteCount), pathQueues[index].stream)
    }

    /// A ping that fills a segment on its way there and back.
    private mutating func sendFullSizePing(_ path: Path) {
        let count = SegmentCheck.byteCount(
            segmentBytes: path.transport?.segmentBytes ?? 0,
            // What goes there comes back.
            limit: min(
                pathQueues[path.index].targetMaxRecvDataSegmentLength,
                pathQueues[path.index].initiatorMaxRecvDataSegmentLength))
        sendPing(path, byteCount: count)
        wake(at: now.adding(milliseconds: 50))
    }

    /// The first thing in a new session on a path's own route. All that follows waits behind it, so that a
    /// path whose full-size segments are lost never carries I/O.
    mutating func checkSegments(_ path: Path) {
        inspect(path)
        if path.segments.isRefused || path.quarantine.isActive && path.quarantine.reason == .segments {
            return
        }
        if path.segments.isBroken {
            beginQuarantine(path, .segments)
        } else {
            // Better a path for small commands than none.
            path.segments.isDue = path.segments.failures == 0 || hasGoodSibling(path)
        }
    }

    /// The echo of a ping; the target may have shortened its data, which only means that the way back was not
    /// tried.
    mutating func pingAnswered(_ path: Path, tag: UInt32) {
        if path.ping.isFullSize && tag == path.ping.tag {
            path.segments.passed()
            if path.quarantine.isActive && path.quarantine.reason == .segments { endQuarantine(path) }
        }
        path.ping.answered(tag: tag, now: now)
    }

    /// The target rejects a PDU; false unless it was a ping.
    mutating func pingRejected(_ path: Path) -> Bool {
        guard path.ping.sentAt != nil else { return false }
        if path.ping.isFullSize {
            path.segments.refused()
            log(.information, "\(targets[Int(path.target)].name) \(path.name): the target takes no ping data")
        }
        path.ping.forget()
        return true
    }

    // MARK: Silence

    /// Whether a session of the same portal group stands at `index`. Another group may be another controller:
    /// that one lives says nothing of the one that is silent.
    private func isSibling(_ index: Int32, of path: Path) -> Bool {
        isOther(index, than: path) && paths[Int(index)].portalGroupTag == path.portalGroupTag
    }

    /// Another session of the target, of whichever portal group.
    private func isOther(_ index: Int32, than path: Path) -> Bool {
        index != path.index && pathQueues[index].isFullFeature
    }

    /// When one of the target's sessions was heard last.
    private func lastHeard(_ target: Int32, where isMeant: (Int32) -> Bool) -> Instant {
        var heard = Instant(nanoseconds: 0)
        for index in targets[Int(target)].paths where isMeant(index) {
            heard = max(heard, pathQueues[index].lastReceived)
        }
        return heard
    }

    /// A sibling that answers is what tells a dead path from a target that pauses.
    private mutating func askSiblings(_ path: Path) {
        for index in targets[Int(path.target)].paths
        where isSibling(index, of: path) && paths[Int(index)].ping.sentAt == nil {
            sendPing(paths[Int(index)])
            wake(at: now.adding(milliseconds: 50))
        }
    }

    /// A ping is out, and nothing has come since.
    private mutating func isSilent(_ path: Path, _ signs: PathSigns) {
        guard let pingSent = signs.pingSent else { return }
        let silence = now.nanoseconds(since: pingSent)
        let usual = 2 * (path.ping.roundTrip ?? 0)
        guard silence >= max(usual, signs.oldest == nil ? 50_000_000 : 5_000_000) else { return }
        suspect(path)
        if signs.siblingHeard < pingSent { askSiblings(path) }
        if now.nanoseconds(since: path.transportRead) >= 100_000_000 { inspect(path) }
        // A read does no harm elsewhere, whoever that is.
        if pingSent < lastHeard(path.target, where: { isOther($0, than: path) }) { hedgeReads(path) }
        // Nobody answers. If the network is at fault, TCP may wait for long before it tries again; a
        // connection that can be made tells that the path is back.
        if silence >= 2_000_000_000, path.isUp, path.attempt == nil, path.retryAt == nil,
            signs.transportRead > pingSent, signs.transport?.showsNetworkFault == true
        {
            path.retryAt = now
            wake(at: now)
        }
    }

    private mutating func giveUp(_ path: Path, _ signs: PathSigns, _ silence: UInt64) {
        let isFullSize = path.ping.isFullSize
        if isFullSize { path.segments.failed() }
        let milliseconds = silence / 1_000_000
        let reason =
            if isFullSize {
                "a full-size ping was not answered for \(milliseconds) ms"
            } else if let transport = signs.transport, transport.showsLivingPeer {
                "silent for \(milliseconds) ms, although its TCP connection works"
            } else {
                "silent for \(milliseconds) ms"
            }
        // It ended for want of an answer, not because the target closed it.
        path.ping.forget()
        connectionLost(path, reason)
    }

    // MARK: Grey paths

    private func hasGoodSibling(_ path: Path) -> Bool {
        targets[Int(path.target)].paths.contains { index in
            let sibling = paths[Int(index)]
            return index != path.index && sibling.isUp && !sibling.isSuspect && !sibling.quarantine.isActive
                && carriesAny(sibling)
        }
    }

    /// A path was lost: if others were not, and it was not the first time, it is a grey one.
    mutating func markLoss(_ path: Path) {
        guard hasGoodSibling(path), let count = path.quarantine.mark(now) else { return }
        beginQuarantine(path, .losses(count))
    }

    /// Never the last good path.
    private mutating func beginQuarantine(_ path: Path, _ reason: Quarantine.Reason) {
        guard hasGoodSibling(path) else {
            if reason == .segments {
                log(.warning, "\(label(path)): \(Quarantine.segmentsText(way: path.name))")
            }
            return
        }
        path.quarantine.begin(reason, now: now)
        path.window.reset()
        pathQueues[path.index].counters.quarantines &+= 1
        let target = targets[Int(path.target)]
        target.quarantined |= 1 &<< UInt32(path.ordinal)
        tellCarriers(target)
        let seconds = now.nanoseconds(until: path.quarantine.until) / 1_000_000_000
        log(
            .warning,
            "\(label(path)): quarantined for \(seconds) s: \(path.quarantine.text(way: path.name))")
        wake(at: path.quarantine.until ?? .never)
    }

    private mutating func endQuarantine(_ path: Path) {
        path.quarantine.end(now)
        let target = targets[Int(path.target)]
        target.quarantined &= ~(1 &<< UInt32(path.ordinal))
        tellCarriers(target)
        log(.information, "\(label(path)): its quarantine is over")
    }

    /// Someone has looked after the path: what it did before counts no more.
    mutating func pardon(_ path: Path) {
        path.quarantine = Quarantine()
        let target = targets[Int(path.target)]
        target.quarantined &= ~(1 &<< UInt32(path.ordinal))
        tellCarriers(target)
    }

    /// Ends a quarantine before its time.
    mutating func release(_ path: Path) {
        guard path.quarantine.isActive else { return }
        if path.quarantine.reason == .segments {
            // Only its answer to a full-size ping lets it out: it is asked now.
            path.quarantine.prolong(now: now, milliseconds: 0)
            return wake(at: now)
        }
        pardon(path)
        log(.information, "\(label(path)): enabled; its quarantine is over")
    }

    /// The hold-off of a grey path has passed: back it comes, unless it is silent just now.
    mutating func checkQuarantine(_ path: Path) {
        guard let until = path.quarantine.until else { return }
        if until > now { return wake(at: until) }
        let isBroken = path.quarantine.reason == .segments
        if isBroken && pathQueues[path.index].isFullFeature && !path.isForeign {
            // The answer lets it out.
            path.quarantine.prolong(now: now, milliseconds: 10_000)
            sendFullSizePing(path)
        } else if path.isSuspect || isBroken {
            path.quarantine.prolong(now: now, milliseconds: 1000)
        } else {
            endQuarantine(path)
        }
        if let until = path.quarantine.until { wake(at: until) }
    }

    /// Once a second, and only where commands are under way: a path that is much slower than its siblings for
    /// a while is a grey one.
    private mutating func compareAnswers(_ path: Path) {
        let target = targets[Int(path.target)]
        guard target.comparesAt <= now else { return }
        target.comparesAt = now.adding(milliseconds: 1000)
        target.comparisons &+= 1
        var best: AnswerWindow.Showing?
        for index in target.paths {
            let counters = pathQueues[index].counters
            paths[Int(index)].window.close(
                AnswerWindow.Totals(
                    commands: counters.commands, bytes: counters.readBytes &+ counters.writtenBytes,
                    latency: counters.latencyNanoseconds, busy: pathQueues[index].busy.total(now)))
            if let showing = paths[Int(index)].window.showing, showing.mean < best?.mean ?? .max {
                best = showing
            }
            if target.comparisons % 32 == 0 { pathQueues[index].history.age() }
        }
        guard let best else { return }
        for index in target.paths {
            let slow = paths[Int(index)]
            guard slow.isUp, !slow.quarantine.isActive, let own = slow.window.showing else { continue }
            if slow.window.compare(best: best, isOnProbation: slow.quarantine.isOnProbation(now)) {
                beginQuarantine(slow, .slow(own: own.mean, best: best.mean))
            }
        }
    }

    func label(_ path: Path) -> String { "\(targets[Int(path.target)].name) \(path.name)" }
}

extension Instant {
    /// Nanoseconds from `self` to `later`; zero if that is past or nil.
    fileprivate func nanoseconds(until later: Instant?) -> UInt64 { later?.nanoseconds(since: self) ?? 0 }
}
