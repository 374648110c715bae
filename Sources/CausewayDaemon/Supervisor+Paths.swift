import CausewayControl
import CausewayCore
import LinuxSystem
import Logging
import Synchronization

/// Paths of a disk that lives: added, removed, switched off and on, and made when an interface appears.
extension Supervisor {
    func addPaths(_ request: AddPathsRequest) throws(ControlError) -> DiskReport {
        let disk = try find(request.name)
        let given = try resolve(request.portals)
        let wanted = disk.state.withLock { $0.wanted }
        let interfaces = request.interfaces.isEmpty ? wanted.interfaces : request.interfaces
        let portals = given.isEmpty ? wanted.portals : given
        // Planned with all there are: an interface is paired with the portals that none is nearer to.
        let all = wanted.adding(interfaces: interfaces, portals: portals)
        let plan = try PathPlan.make(
            interfaces: all.interfaces, portals: all.portals, disk.multipathing,
            queues: queues(ofTargetOf: disk).count)
        let asked = plan.paths.filter {
            portals.contains($0.portal) && ($0.interface.map(interfaces.contains) ?? interfaces.isEmpty)
        }
        guard !asked.isEmpty else {
            let reasons = plan.leftOut.filter { interfaces.contains($0.interface) }.map(\.description)
            throw .invalidArgument(
                "this makes no path" + (reasons.isEmpty ? "" : ": \(reasons.joined(separator: "; "))"),
                remedy: "see the interfaces and their subnets with: ip -brief address")
        }
        try addToLane(disk, asked)
        disk.state.withLock { $0.wanted = all }
        keepPaths(disk)
        let ways = asked.filter { $0.queue == 0 }
        disk.remember("added \(ways.map { "\($0.interface ?? "") \($0.portal)" }.joined(separator: ", "))")
        awaitOtherPaths(disk)
        return try report(disk)
    }

    func changePaths(_ request: ChangePathsRequest, _ change: PathChange) throws(ControlError) -> DiskReport {
        let disk = try find(request.name)
        guard disk.isInLanes else { throw .busy("\(request.name) is being attached or detached") }
        // An interface that is waited for has no path in the lane.
        let waiting = change == .remove ? disk.state.withLock { $0.wanted.waiting } : []
        let present = request.paths.filter { !waiting.contains($0) }
        if !present.isEmpty { try changeInLanes(disk, present, change, force: request.force) }
        if change == .remove {
            disk.state.withLock { $0.wanted.waiting.removeAll(where: request.paths.contains) }
        }
        disk.remember("\(change.past) \(request.paths.joined(separator: ", "))")
        if change == .enable { awaitOtherPaths(disk) } else { awaitRetirement(disk) }
        return try report(disk)
    }

    /// The queues that have sessions on the paths of a disk's target: its own, and where another disk of the
    /// target has more, those too. Disks of one target share its paths.
    func queues(ofTargetOf disk: AttachedDisk) -> [ServedQueue] {
        let siblings = state.withLock { $0.disks.values.filter { $0.target == disk.target } }
        let widest = siblings.filter(\.isInLanes).max { $0.shards.count < $1.shards.count }
        let own = disk.shards.map { ServedQueue(disk: disk, shard: $0) }
        guard let widest else { return own }
        return own + widest.shards.dropFirst(own.count).map { ServedQueue(disk: widest, shard: $0) }
    }

    /// In all queues that have the paths, or in none.
    private func changeInLanes(
        _ disk: AttachedDisk, _ paths: [String], _ change: PathChange, force: Bool
    ) throws(ControlError) {
        let names = paths.map { PathName($0) }
        let all = queues(ofTargetOf: disk)
        guard all.count > 1 else { return try changeInLane(all[0], names, change, force: force) }
        var before: [QueuePaths] = []
        for queue in all {
            guard let paths = queue.paths else { throw .internalFailure("the lane did not answer") }
            before.append(QueuePaths(queue, paths, names))
        }
        for name in names where !before.contains(where: { $0.known.contains(name) }) {
            let existing = Set(before.flatMap(\.existing)).sorted()
            throw ControlError(.noSuchPath(name.text, existing: existing), disk.name)
        }
        // The one with the fewest first: where that keeps a path, the others do.
        let queues = before.filter { !$0.known.isEmpty }.sorted { $0.others < $1.others }
        guard change != .enable else {
            for each in queues { try changeInLane(each.queue, each.known, change, force: force) }
            return
        }
        // What a queue refuses is undone in the others, so a path is only disabled at first.
        do throws(ControlError) {
            for each in queues { try changeInLane(each.queue, each.known, .disable, force: force) }
            if change == .remove, let first = queues.first {
                try changeInLane(first.queue, first.known, .remove, force: true)
            }
        } catch {
            for each in queues where !each.enabled.isEmpty {
                try? changeInLane(each.queue, each.enabled, .enable, force: true)
            }
            throw error
        }
        guard change == .remove else { return }
        for each in queues.dropFirst() { try changeInLane(each.queue, each.known, .remove, force: true) }
    }

    private func changeInLane(
        _ queue: ServedQueue, _ names: [PathName], _ change: PathChange, force: Bool
    ) throws(ControlError) {
        let answer = queue.shard.ask { runner, id -> PathChangeError? in
            do throws(PathChangeError) {
                switch change {
                case .enable: try runner.lane.enablePaths(id, named: names, now: runner.time)
                case .disable, .remove:
                    try runner.lane.retirePaths(
                        id, named: names, isRemoval: change == .remove, force: force, now: runner.time)
                }
                return nil
            } catch {
                return error
            }
        }
        guard let answer else { throw .internalFailure("the lane did not answer") }
        if let error = answer { throw ControlError(error, queue.disk.name) }
    }

    /// For the table that the command prints: most paths have drained in a moment.
    private func awaitRetirement(_ disk: AttachedDisk) {
        for _ in 0..<50 {
            guard let snapshot = disk.snapshot(milliseconds: 1000),
                snapshot.paths.contains(where: { $0.standing == .removing })
            else { return }
            Pause.milliseconds(20)
        }
    }

    /// Has the lanes make paths to a disk's target that are planned and that they have not got, all or none.
    func addToLane(_ disk: AttachedDisk, _ plan: [PlannedPath]) throws(ControlError) {
        var done: [(queue: ServedQueue, names: [PathName])] = []
        for queue in queues(ofTargetOf: disk) where plan.contains(where: { $0.queue == queue.shard.index }) {
            do throws(ControlError) {
                done.append((queue, try add(plan, to: queue)))
            } catch {
                for (other, names) in done where !names.isEmpty {
                    try? changeInLane(other, names, .remove, force: true)
                }
                throw error
            }
        }
        if let other = done.last?.queue.disk, other !== disk { keepPaths(other) }
    }

    /// Returns the names of those that its disk had not before.
    private func add(_ plan: [PlannedPath], to queue: ServedQueue) throws(ControlError) -> [PathName] {
        let made = try specify(plan, queue.disk, queue.shard)
        let answer = queue.shard.lane.ask { runner -> PathChangeError? in
            guard let id = queue.shard.id else { return .noSuchDisk }
            for (id, route) in made.routes { runner.addRoute(id, route) }
            do throws(PathChangeError) {
                try runner.lane.addPaths(id, made.paths, now: runner.time)
                return nil
            } catch {
                return error
            }
        }
        if let answer, answer == nil {
            return made.new.map { PathName("\($0.interface ?? "")/\($0.portal)") }
        }
        withdraw(made, of: queue.disk)
        guard let error = answer ?? nil else { throw .internalFailure("the lane did not answer") }
        throw ControlError(error, queue.disk.name)
    }

    /// A path is gone from the lane.
    func pathRemoved(_ disk: AttachedDisk, _ name: SessionName, path: String) {
        // Fenced for a predecessor of another name, it never was the disk's.
        guard name.initiator == initiatorName else { return }
        let isShared = disk.multipathing == .connections
        let hasOthers = disk.state.withLock { state in
            state.plan.removeAll { $0.isid == name.isid && (!isShared || $0.name == path) }
            return state.plan.contains { $0.isid == name.isid }
        }
        if !hasOthers { forgetOldLogin(name) }
        keepPaths(disk)
    }

    /// Puts the paths that a disk has now into its record, and their portals into its links.
    func keepPaths(_ disk: AttachedDisk) {
        defer { refreshLinks(ofTarget: disk.target) }
        do throws(ControlError) {
            try changeRecord(disk.name) { record in
                let (plan, wanted) = disk.state.withLock { ($0.plan, $0.wanted) }
                record.paths = plan.map(DiskRecord.Path.init)
                record.wanted = DiskRecord.Wanted(wanted)
            }
        } catch {
            logger.error("\(disk.name): \(error.message)")
        }
    }

    // MARK: Interfaces that appear

    /// An interface is there, or has an address that it had not: disks that wait for it get their paths, and
    /// paths that it has already connect from its address of now. Runs on the watch thread.
    func interfaceAppeared(_ name: String) {
        let disks = state.withLock { Array($0.disks.values) }
        let concerned = disks.filter { disk in
            disk.isInLanes && disk.state.withLock { $0.wanted.interfaces.contains(name) }
        }
        guard !concerned.isEmpty, let present = try? PathPlan.presentInterfaces() else { return }
        let identity = SessionIdentity.ofThisMachine()
        for disk in concerned {
            let wanted = disk.state.withLock { $0.wanted }
            var plan = PathPlan(interfaces: wanted.interfaces, portals: wanted.portals, present: present) {
                identity.isid(disk.multipathing, interface: $0, portal: $1, lane: 0)
            }
            plan.multiply(disk.shards.count, disk.multipathing, identity)
            let own = plan.paths.filter { $0.interface == name }
            refreshRoutes(disk, own)
            guard wanted.waiting.contains(name), !own.isEmpty else { continue }
            do throws(ControlError) {
                for shard in disk.shards { try addInBackground(disk, shard, own) }
                disk.state.withLock { state in state.wanted.waiting.removeAll { $0 == name } }
                keepPaths(disk)
                let count = own.count { $0.queue == 0 }
                logger.info("\(disk.name): \(name) has appeared: \(count) paths more")
                disk.remember("\(name) has appeared")
            } catch {
                logger.error("\(disk.name): \(name) has appeared, but makes no path: \(error.message)")
            }
        }
    }

    /// The watch thread waits for no lane.
    private func addInBackground(
        _ disk: AttachedDisk, _ shard: DiskShard, _ plan: [PlannedPath]
    ) throws(ControlError) {
        let made = try specify(plan, disk, shard)
        shard.lane.perform { [self] runner in
            guard let id = shard.id else {
                return inBackground("withdraw \(disk.name)") { [self] in withdraw(made, of: disk) }
            }
            for (id, route) in made.routes { runner.addRoute(id, route) }
            do throws(PathChangeError) {
                try runner.lane.addPaths(id, made.paths, now: runner.time)
            } catch {
                logger.error("\(disk.name): no path more: \(error)")
                inBackground("withdraw \(disk.name)") { [self] in
                    withdraw(made, of: disk)
                    disk.state.withLock { state in
                        for case let name? in plan.map(\.interface)
                        where !state.wanted.waiting.contains(name) {
                            state.wanted.waiting.append(name)
                        }
                    }
                    keepPaths(disk)
                }
            }
        }
    }

    private func refreshRoutes(_ disk: AttachedDisk, _ plan: [PlannedPath]) {
        let initiatorName = initiatorName
        let routes = state.withLock { state in
            plan.compactMap { path in
                let name = SessionName(initiator: initiatorName, target: disk.target, isid: path.isid)
                return state.routes[disk.target]?[SessionWay(name, path, disk.multipathing)].map {
                    ($0, path)
                }
            }
        }
        for (route, path) in routes {
            route.lane.perform { runner in
                runner.addRoute(route.id, path.route)
                runner.lane.sourceChanged(route.id, to: path.source?.description ?? "")
            }
        }
    }
}

/// The paths of a queue that are meant by some names.
private struct QueuePaths {
    var queue: ServedQueue
    /// Of the names those that mean a path of it.
    var known: [PathName] = []
    /// Those of the paths that are in use, as `PathName` takes them.
    var enabled: [PathName] = []
    /// The names of all its paths.
    var existing: [String] = []
    /// How many paths it has beside those that are meant.
    var others = 0

    init(_ queue: ServedQueue, _ paths: [PathSnapshot], _ names: [PathName]) {
        self.queue = queue
        for path in paths where path.standing != .removing {
            existing.append(path.interface.isEmpty ? path.portal : "\(path.interface)/\(path.portal)")
            let meant = names.filter { $0.fits(interface: path.interface, portal: path.portal) }
            known += meant.filter { !known.contains($0) }
            if meant.isEmpty {
                others += 1
            } else if path.standing != .disabled {
                enabled.append(PathName("\(path.interface)/\(path.portal)"))
            }
        }
    }
}

extension PathChange {
    fileprivate var past: String {
        switch self {
        case .remove: "removed"
        case .disable: "disabled"
        case .enable: "enabled"
        }
    }
}

/// Between what a disk's paths are to be made.
struct WantedPaths: Equatable, Sendable {
    /// Names of bound interfaces; none: as the routing table says.
    var interfaces: [String] = []
    var portals: [SocketAddress] = []
    /// Of the interfaces those that are not there yet, or cannot make a path.
    var waiting: [String] = []

    func adding(interfaces: [String], portals: [SocketAddress]) -> WantedPaths {
        var all = self
        all.interfaces += interfaces.filter { !self.interfaces.contains($0) }
        all.portals += portals.filter { !self.portals.contains($0) }
        return all
    }

    /// Whether a path belongs to it; an unbound one has no interface.
    func covers(interface: String, portal: String) -> Bool {
        (interfaces.isEmpty ? interface.isEmpty : interfaces.contains(interface))
            && portals.contains { "\($0)" == portal }
    }

    /// With `new` in the place of `old`; what neither of them has stays.
    func replacing(_ old: WantedPaths, with new: WantedPaths) -> WantedPaths {
        WantedPaths(
            interfaces: new.interfaces
                + interfaces.filter { !new.interfaces.contains($0) && !old.interfaces.contains($0) },
            portals: new.portals + portals.filter { !new.portals.contains($0) && !old.portals.contains($0) },
            waiting: waiting.filter { new.interfaces.contains($0) || !old.interfaces.contains($0) })
    }
}

extension ControlError {
    fileprivate init(_ error: PathChangeError, _ disk: DiskName) {
        switch error {
        case .noSuchDisk: self = .busy("\(disk) is being attached or detached")
        case .noSuchPath(let name, let existing):
            self = .invalidArgument(
                "\(disk) has no path \"\(name)\"",
                remedy: "its paths are \(existing.joined(separator: ", "))")
        case .lastPath(let name):
            self = .invalidArgument(
                "this would leave \(name) without a path that works",
                remedy: "add another path first; to end all, detach the disk; --force disables all the same")
        case .full(let table): self = .busy("the daemon has no room for more \(table)")
        }
    }
}
