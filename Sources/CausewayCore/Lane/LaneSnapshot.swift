/// What `status` and `list` show of a disk, copied out of the lane.
public struct DiskSnapshot: Sendable {
    public var name: String
    public var isReady: Bool
    public var isHeld: Bool
    public var isFailing: Bool
    public var isDetaching: Bool
    public var sizeBytes: UInt64
    public var requests: Int
    public var pending: Int
    public var counters: RequestCounters
    public var settings: DiskSettings
    public var paths: [PathSnapshot]
}

/// Where a path stands, for one disk.
public enum PathStanding: Sendable, Equatable {
    /// No session; the next attempt comes by itself.
    case down
    case connecting
    case loggingIn
    /// A fence is under way or holds the place of the path's session.
    case fencing
    /// Logged in; the LUN is being asked who it is.
    case verifying
    /// Carries I/O.
    case active
    /// Silent for longer than its past explains: it carries no new I/O while another path does.
    case suspect
    /// Slow, or lost again and again: it carries no I/O while another path does.
    case quarantined
    /// The LUN behind it does not do.
    case unusable
    case loggingOut
}

/// What `status` shows of a path, copied out of the lane.
public struct PathSnapshot: Sendable {
    public var interface: String
    public var sourceAddress: String
    public var portal: String
    public var portalGroupTag: UInt16?
    public var standing: PathStanding
    public var reason: String?
    public var inFlight: Int
    /// Sent writes that wait for the fence.
    public var held: Int
    public var counters: PathCounters
    public var lastFence: String?
    /// Of the present session, or of the last one.
    public var headerDigest: Digest
    public var dataDigest: Digest
    /// What is left of the quarantine, nanoseconds; nil without one.
    public var quarantineLeft: UInt64?
    /// What TCP knew of the connection when it was last asked.
    public var transport: TransportReport?
    /// The 99th percentile of answer times, nanoseconds, rounded up to a power of two.
    public var percentile99: UInt64?
    /// Of the newest ping, nanoseconds.
    public var pingRoundTrip: UInt64?
}

extension Lane {
    /// The streams of a disk's NBD clients.
    public func clients(of id: DiskID) -> [StreamID] {
        (0..<Int32(streams.capacity)).filter { index in
            (streams[index].kind == .nbd || streams[index].kind == .negotiation)
                && streams[index].owner == id.rawValue
        }.map { streamID($0) }
    }

    public func snapshot(_ id: DiskID) -> DiskSnapshot? {
        let index = id.rawValue
        guard index >= 0, Int(index) < disks.count, diskQueues[index].isInUse else { return nil }
        let disk = disks[Int(index)]
        return DiskSnapshot(
            name: disk.name, isReady: disk.wasReady, isHeld: disk.allPathsDownSince != nil,
            isFailing: diskQueues[index].isFailing, isDetaching: diskQueues[index].isDetaching,
            sizeBytes: diskQueues[index].sizeBytes, requests: Int(diskQueues[index].requests),
            pending: Int(diskQueues[index].pending.count), counters: diskQueues[index].counters,
            settings: disk.settings,
            paths: targets[Int(disk.target)].paths.map { snapshot(paths[Int($0)], index) })
    }

    private func snapshot(_ path: Path, _ disk: Int32) -> PathSnapshot {
        let queue = pathQueues[path.index]
        let carries = diskQueues[disk].usable & (1 << UInt32(path.ordinal)) != 0
        return PathSnapshot(
            interface: path.specification.interface, sourceAddress: path.specification.sourceAddress,
            portal: path.specification.portal, portalGroupTag: path.portalGroupTag,
            standing: standing(path, disk, carries: carries),
            reason: reason(path, disk, carries: carries), inFlight: Int(queue.inFlight.count),
            held: Int(queue.held.count),
            counters: queue.counters, lastFence: path.lastFence,
            headerDigest: path.negotiated?.headerDigest ?? .none,
            dataDigest: path.negotiated?.dataDigest ?? .none,
            quarantineLeft: path.quarantine.until?.nanoseconds(since: now),
            transport: queue.isFullFeature ? path.transport : nil,
            percentile99: queue.history.percentile99, pingRoundTrip: path.ping.roundTrip)
    }

    private func reason(_ path: Path, _ disk: Int32, carries: Bool) -> String? {
        if path.quarantine.isActive { return path.quarantine.text(way: path.name) }
        return carries ? nil : (path.diskProblems[disk] ?? path.problem)?.text
    }

    private func standing(_ path: Path, _ disk: Int32, carries: Bool) -> PathStanding {
        switch path.state {
        case .up:
            if !carries {
                path.diskProblems[disk] == nil ? .verifying : .unusable
            } else if diskQueues[disk].candidates & (1 << UInt32(path.ordinal)) != 0 {
                .active
            } else {
                path.quarantine.isActive ? .quarantined : path.isSuspect ? .suspect : .active
            }
        case .draining, .standIn: .fencing
        case .loggingOut, .removed: .loggingOut
        case .down:
            switch path.attempt?.phase {
            case .connecting: owesFence(path) ? .fencing : .connecting
            case .loggingIn: owesFence(path) ? .fencing : .loggingIn
            case nil: owesFence(path) ? .fencing : .down
            }
        }
    }
}
