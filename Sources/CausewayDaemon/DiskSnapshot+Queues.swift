import CausewayCore

extension DiskSnapshot {
    /// A disk's queues as one: its traffic is that of all, and each path, of which every queue has a session,
    /// is there once. nil for none.
    init?(combining queues: [DiskSnapshot]) {
        guard var all = queues.first else { return nil }
        for other in queues.dropFirst() {
            all.isReady = all.isReady && other.isReady
            all.isHeld = all.isHeld || other.isHeld
            all.isFailing = all.isFailing || other.isFailing
            all.isDetaching = all.isDetaching || other.isDetaching
            all.isLost = all.isLost || other.isLost
            all.sizeBytes = min(all.sizeBytes, other.sizeBytes)
            all.requests += other.requests
            all.pending += other.pending
            all.counters.add(other.counters)
            if let time = other.allPathsDownMilliseconds {
                all.allPathsDownMilliseconds = max(all.allPathsDownMilliseconds ?? 0, time)
            }
            all.notes += other.notes.filter { !all.notes.contains($0) }
        }
        if queues.count > 1 { all.paths = PathSnapshot.combining(queues.map(\.paths)) }
        self = all
    }
}

extension PathSnapshot {
    /// The sessions of several queues by the ways that they lead, in the order in which those come first.
    static func combining(_ queues: [[PathSnapshot]]) -> [PathSnapshot] {
        var ways: [[PathSnapshot]] = []
        for session in queues.joined() {
            if let place = ways.firstIndex(where: { $0[0].leadsTheSameWay(as: session) }) {
                ways[place].append(session)
            } else {
                ways.append([session])
            }
        }
        return ways.map { PathSnapshot(combining: $0) }
    }

    private func leadsTheSameWay(as other: PathSnapshot) -> Bool {
        interface == other.interface && portal == other.portal
    }

    /// - Parameter sessions: one or more.
    private init(combining sessions: [PathSnapshot]) {
        // The worst speaks for all.
        var all = sessions.max { $0.standing.trouble < $1.standing.trouble } ?? sessions[0]
        let count = sessions.count { $0.standing == all.standing }
        if count < sessions.count {
            let words = "\(count) of its \(sessions.count) sessions"
            all.reason = all.reason.map { "\(words): \($0)" } ?? words
        }
        all.hasSession = sessions.contains(where: \.hasSession)
        all.inFlight = sessions.reduce(0) { $0 + $1.inFlight }
        all.depth = sessions.reduce(0) { $0 + $1.depth }
        all.held = sessions.reduce(0) { $0 + $1.held }
        all.percentile99 = sessions.compactMap(\.percentile99).max()
        all.quarantineLeft = sessions.compactMap(\.quarantineLeft).max()
        all.lastFence = sessions.max { $0.counters.fences < $1.counters.fences }?.lastFence
        var counters = PathCounters()
        for session in sessions { counters.add(session.counters) }
        all.counters = counters
        self = all
    }
}

extension PathStanding {
    /// The higher, the farther from carrying I/O.
    fileprivate var trouble: Int {
        switch self {
        case .active: 0
        case .standby: 1
        case .verifying: 2
        case .loggingIn: 3
        case .connecting: 4
        case .suspect: 5
        case .quarantined: 6
        case .fencing: 7
        case .down: 8
        case .loggingOut: 9
        case .unusable: 10
        case .disabled: 11
        case .removing: 12
        }
    }
}

extension RequestCounters {
    fileprivate mutating func add(_ other: RequestCounters) {
        reads += other.reads
        writes += other.writes
        flushes += other.flushes
        trims += other.trims
        writeZeroes += other.writeZeroes
        readBytes += other.readBytes
        writtenBytes += other.writtenBytes
        errors += other.errors
        sentAgain += other.sentAgain
        hedgedReads += other.hedgedReads
        fencedWrites += other.fencedWrites
        activations += other.activations
        resets += other.resets
        unfenced += other.unfenced
    }
}

extension PathCounters {
    fileprivate mutating func add(_ other: PathCounters) {
        commands += other.commands
        readBytes += other.readBytes
        writtenBytes += other.writtenBytes
        errors += other.errors
        losses += other.losses
        latencyNanoseconds += other.latencyNanoseconds
        smoothedLatencyNanoseconds = max(smoothedLatencyNanoseconds, other.smoothedLatencyNanoseconds)
        fences += other.fences
        fencesByBarrier += other.fencesByBarrier
        fencesByLogin += other.fencesByLogin
        lastFenceNanoseconds = max(lastFenceNanoseconds, other.lastFenceNanoseconds)
        heldWrites += other.heldWrites
        pings += other.pings
        suspicions += other.suspicions
        quarantines += other.quarantines
        hedgedReads += other.hedgedReads
        hedgesWon += other.hedgesWon
        headerDigestErrors += other.headerDigestErrors
        dataDigestErrors += other.dataDigestErrors
        rejectedDigests += other.rejectedDigests
        aborts += other.aborts
    }
}
