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
            paths: targets[Int(disk.target)].paths.map { snapshot(paths[Int($0)], index) })
    }

    private func snapshot(_ path: Path, _ disk: Int32) -> PathSnapshot {
        let queue = pathQueues[path.index]
        let carries = diskQueues[disk].usable & (1 << UInt32(path.ordinal)) != 0
        let problem = path.diskProblems[disk] ?? path.problem
        return PathSnapshot(
            interface: path.specification.interface, sourceAddress: path.specification.sourceAddress,
            portal: path.specification.portal, portalGroupTag: path.portalGroupTag,
            standing: standing(path, disk, carries: carries),
            reason: carries ? nil : problem?.text, inFlight: Int(queue.inFlight.count),
            held: Int(queue.held.count),
            counters: queue.counters, lastFence: path.lastFence)
    }

    private func standing(_ path: Path, _ disk: Int32, carries: Bool) -> PathStanding {
        switch path.state {
        case .up: carries ? .active : path.diskProblems[disk] == nil ? .verifying : .unusable
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
