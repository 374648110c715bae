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
    /// For how long all paths have been down, milliseconds; nil while one is up.
    public var allPathsDownMilliseconds: UInt64?
    /// What is wrong or new, for people: worst first.
    public var notes: [String]
    /// The target has declared the device lost.
    public var isLost: Bool
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
    /// Could carry I/O, and others are better: by access state, or as the policy has it.
    case standby
    /// The LUN behind it does not do.
    case unusable
    case loggingOut
    /// Out of use until it is enabled.
    case disabled
    /// Out of use for good, and not gone yet.
    case removing
}

/// What `status` shows of a path, copied out of the lane.
public struct PathSnapshot: Sendable {
    public var interface: String
    public var sourceAddress: String
    public var portal: String
    public var portalGroupTag: UInt16?
    public var standing: PathStanding
    /// A session stands, or is on its way out: also of a path that is out of use.
    public var hasSession: Bool
    public var reason: String?
    public var inFlight: Int
    /// Commands that may be under way at once.
    public var depth: Int
    /// Sent writes that wait for the fence.
    public var held: Int
    public var counters: PathCounters
    public var lastFence: String?
    /// The target port group that it leads to, with its state; nil without asymmetric access.
    public var accessGroup: UInt16?
    public var accessState: String?
    public var isPreferred: Bool
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

    /// - Parameter moment: for what has lasted until now; the lane's last wake-up unless given.
    public func snapshot(_ id: DiskID, at moment: Instant? = nil) -> DiskSnapshot? {
        let now = max(moment ?? now, now)
        let index = id.rawValue
        guard index >= 0, Int(index) < disks.count, diskQueues[index].isInUse else { return nil }
        let disk = disks[Int(index)]
        return DiskSnapshot(
            name: disk.name, isReady: disk.wasReady, isHeld: disk.allPathsDownSince != nil,
            isFailing: diskQueues[index].isFailing, isDetaching: diskQueues[index].isDetaching,
            sizeBytes: diskQueues[index].sizeBytes, requests: Int(diskQueues[index].requests),
            pending: Int(diskQueues[index].pending.count), counters: diskQueues[index].counters,
            allPathsDownMilliseconds: disk.allPathsDownSince.map { now.nanoseconds(since: $0) / 1_000_000 },
            notes: notes(disk, now), isLost: disk.loss != nil,
            settings: disk.settings,
            paths: targets[Int(disk.target)].paths.map { snapshot(paths[Int($0)], index) })
    }

    /// What people should know of a disk beside its paths.
    private func notes(_ disk: Disk, _ now: Instant) -> [String] {
        var notes: [String] = []
        func seconds(_ since: Instant) -> String { "\(now.nanoseconds(since: since) / 1_000_000_000) s" }
        if let loss = disk.loss {
            notes.append(
                "permanent device loss for \(seconds(loss.since)): every path says: \(loss.reason); I/O "
                    + "fails until the same LUN is back")
        } else if let since = disk.allPathsDownSince {
            let isFailing = diskQueues[disk.index].isFailing
            notes.append(
                "all paths down for \(seconds(since)): I/O "
                    + (isFailing
                        ? "fails until a path is back" : "is held for \(disk.failure.allPathsDownTimeout)"))
        }
        if diskQueues[disk.index].fenceDebts > (diskQueues[disk.index].isEvicted ? 1 : 0) {
            notes.append(
                "writes wait: earlier ones, failed or of a client that went, may still reach the medium")
        }
        if let registration = disk.reservations.registration { notes.append(registration.text(disk.name)) }
        if let full = disk.spaceFull {
            notes.append("no space on the LUN for \(seconds(full.since)): writes are held (space = hold)")
        }
        if let blocks = disk.blockCount, let report = disk.report {
            let bytes = blocks * UInt64(report.limits.logicalBlockLength)
            if bytes != diskQueues[disk.index].sizeBytes {
                notes.append(
                    "the LUN has \(bytes) bytes now, and the disk \(diskQueues[disk.index].sizeBytes): see "
                        + "causeway rescan")
            }
        }
        let inventory = targets[Int(disk.target)].inventory
        if let luns = inventory.luns, !luns.contains(where: { $0.number == disk.lun.number }) {
            notes.append("the target does not list this LUN any more")
        }
        let attached = targets[Int(disk.target)].disks.map { disks[Int($0)].lun.number }
        let fresh = inventory.fresh.filter { !attached.contains($0.number) }
        if !fresh.isEmpty {
            let names = fresh.sorted { $0.rawValue < $1.rawValue }.map { "\($0)" }
            notes.append("new on the target: LUN \(names.joined(separator: ", "))")
        }
        return notes
    }

    private func snapshot(_ path: Path, _ disk: Int32) -> PathSnapshot {
        let queue = pathQueues[path.index]
        let access = disks[Int(disk)].access.standing(path: path.ordinal)
        let bit: UInt32 = 1 << UInt32(path.ordinal)
        let carries = diskQueues[disk].usable & bit != 0
        let isChosen = diskQueues[disk].choice.candidates & bit != 0
        return PathSnapshot(
            interface: path.specification.interface, sourceAddress: path.specification.sourceAddress,
            portal: path.specification.portal, portalGroupTag: path.portalGroupTag,
            standing: carries && !isChosen ? passedOver(path) : standing(path, disk, carries: carries),
            hasSession: !path.stateIsDown,
            reason: reason(path, disk, carries: carries),
            inFlight: Int(queue.inFlight.count), depth: Int(queue.depth),
            held: Int(queue.held.count),
            counters: queue.counters, lastFence: path.lastFence, accessGroup: access?.number,
            accessState: access?.group.map { "\($0.state)" },
            isPreferred: access?.group?.isPreferred ?? false,
            headerDigest: path.negotiated?.headerDigest ?? .none,
            dataDigest: path.negotiated?.dataDigest ?? .none,
            quarantineLeft: path.quarantine.until?.nanoseconds(since: now),
            transport: queue.isFullFeature ? path.transport : nil,
            percentile99: queue.history.percentile99, pingRoundTrip: path.ping.roundTrip)
    }

    private func reason(_ path: Path, _ disk: Int32, carries: Bool) -> String? {
        if path.quarantine.isActive { return path.quarantine.text(way: path.name) }
        return carries
            ? nil
            : fenceWait(path, for: disk) ?? (path.diskProblems[disk] ?? path.problem)?.text
                ?? accessReason(path, disk)
    }

    /// It could carry I/O, and others do.
    private func passedOver(_ path: Path) -> PathStanding {
        path.quarantine.isActive ? .quarantined : path.isSuspect ? .suspect : .standby
    }

    private func standing(_ path: Path, _ disk: Int32, carries: Bool) -> PathStanding {
        switch path.intent {
        case .inUse: break
        case .disabled: return .disabled
        case .removed: return .removing
        }
        return switch path.state {
        case .up where path.barriers[disk] != nil: .fencing
        case .up where carries: .active
        case .up where diskQueues[disk].shown & (1 << UInt32(path.ordinal)) != 0: .standby
        case .up:
            // Known by identity: it is merely not to be used now.
            switch path.diskProblems[disk]?.kind {
            case nil: .verifying
            case .notReady: .standby
            default: .unusable
            }
        case .draining, .standIn: .fencing
        case .leaving, .loggingOut, .removed: .loggingOut
        case .down:
            switch path.attempt?.phase {
            case .connecting: owesFence(path) ? .fencing : .connecting
            case .loggingIn: owesFence(path) ? .fencing : .loggingIn
            case nil: owesFence(path) ? .fencing : path.standsBy ? .standby : .down
            }
        }
    }
}
