/// Why paths are not changed.
public enum PathChangeError: Error, Equatable, Sendable {
    case noSuchDisk
    /// No path has this name; the names of those there are.
    case noSuchPath(String, existing: [String])
    /// A disk would be left without a path that works; its name.
    case lastPath(disk: String)
    /// A table of the lane is full; its name.
    case full(String)
}

/// Paths that come and go while their disks live. Disks of one target share its paths, so what is done to a
/// path is done to all of them.
extension Lane {
    /// A path that leaves may finish its commands so long, milliseconds.
    private static var drainMilliseconds: UInt64 { 30_000 }

    /// Adds paths to the target of a disk. Those that it has already are taken into use again.
    public mutating func addPaths(
        _ id: DiskID, _ specifications: [PathSpecification], now: Instant
    ) throws(PathChangeError) {
        self.now = now
        let target = try target(of: id)
        do throws(AttachError) {
            try checkRoom(for: specifications, target)
            for specification in specifications { try addPath(specification, target) }
        } catch {
            guard case .full(let table) = error else { return }
            throw .full(table)
        }
        oweFences(target)
        pathsChanged(target)
        wake(at: now)
    }

    /// Takes paths out of use: no new I/O goes there, what is under way ends, sessions are logged out. Writes
    /// that a path lost meanwhile still wait for their fence, and a path that owes one stays until it is had.
    ///
    /// - Parameters:
    ///   - isRemoval: the path goes for ever; otherwise it waits for `enablePaths`.
    ///   - force: also when a disk has no other path that works. Some path always stays.
    public mutating func retirePaths(
        _ id: DiskID, named names: [PathName], isRemoval: Bool, force: Bool, now: Instant
    ) throws(PathChangeError) {
        self.now = now
        let target = try target(of: id)
        let leaving = try find(names, target)
        let mask = leaving.reduce(0 as UInt32) { $0 | 1 << UInt32($1.ordinal) }
        for disk in target.disks {
            let shown = diskQueues[disk].shown
            guard force || shown == 0 || shown & ~mask != 0 else {
                throw .lastPath(disk: disks[Int(disk)].name)
            }
        }
        let isLast = target.paths.allSatisfy { index in
            let path = paths[Int(index)]
            return path.intent == .removed || mask & 1 << UInt32(path.ordinal) != 0
        }
        guard !(isRemoval && isLast) else { throw .lastPath(disk: disks[Int(id.rawValue)].name) }
        for path in leaving where path.intent != .removed {
            path.intent = isRemoval ? .removed : .disabled
            path.leavesBy = now.adding(milliseconds: Self.drainMilliseconds)
            for disk in target.disks {
                diskQueues[disk].shown &= ~(1 &<< UInt32(path.ordinal))
                regroup(disk)
            }
            log(.information, "\(target.name) \(path.name): \(isRemoval ? "to be removed" : "disabled")")
            leave(path)
        }
        checkAllPathsDown(target.index)
        if hasPending { pumpPending() }
    }

    /// Takes disabled and quarantined paths into use again.
    public mutating func enablePaths(
        _ id: DiskID, named names: [PathName], now: Instant
    ) throws(PathChangeError) {
        self.now = now
        let target = try target(of: id)
        for path in try find(names, target) where path.intent != .removed {
            if path.intent == .inUse { release(path) } else { enable(path) }
        }
    }

    mutating func enable(_ path: Path) {
        guard path.intent != .inUse else { return }
        path.intent = .inUse
        pardon(path)
        log(.information, "\(targets[Int(path.target)].name) \(path.name): enabled")
        switch path.state {
        case .down:
            guard path.attempt == nil else { return }
            path.retries.reset()
            path.retryAt = now
        // It stands on its own route already.
        case .standIn where path.session != nil:
            path.state = .draining
            beginUse(path)
        case .standIn: path.retryAt = now
        case .up: path.reprobeAt = now
        // Comes back when it has ended.
        case .draining, .leaving, .loggingOut, .removed: return
        }
        wake(at: now)
    }

    /// The address that a route leaves from is another one now; the next connection uses it.
    public mutating func sourceChanged(_ route: RouteID, to address: String) {
        for path in paths where path.specification.route == route && path.intent != .removed {
            path.specification.sourceAddress = address
        }
    }

    private func target(of id: DiskID) throws(PathChangeError) -> Target {
        let index = id.rawValue
        guard index >= 0, Int(index) < disks.count, diskQueues[index].isInUse, !diskQueues[index].isDetaching
        else { throw .noSuchDisk }
        return targets[Int(disks[Int(index)].target)]
    }

    private func find(_ names: [PathName], _ target: Target) throws(PathChangeError) -> [Path] {
        let all = target.paths.map { paths[Int($0)] }
        var found: [Path] = []
        for name in names {
            let fitting = all.filter {
                name.fits(interface: $0.specification.interface, portal: $0.specification.portal)
            }
            guard !fitting.isEmpty else {
                throw .noSuchPath(name.text, existing: all.map(\.specification.name))
            }
            for path in fitting where !found.contains(where: { $0 === path }) { found.append(path) }
        }
        return found
    }

    // MARK: On the way out

    /// Goes on with a path that is to leave. What it owes comes first.
    mutating func leave(_ path: Path) {
        guard path.intent != .inUse else { return }
        switch path.state {
        case .removed, .loggingOut, .leaving, .draining: return
        // Its writes, or what became of them, wait for the LUN's answer.
        case .standIn where owesFence(path), .up where owesFence(path): return
        case .down:
            // What its lost connection left at the target is cleaned up first.
            guard path.session?.cleanUp?.lost != path.index else {
                return wake(at: now.adding(milliseconds: 50))
            }
            // The attempts go on until the fence is had.
            if !owesFence(path), path.attempt != nil || path.retryAt != nil || path.intent == .removed {
                logOut(path)
            }
        case .standIn: logOut(path)
        case .up:
            // A probe that the target has not taken up would leave a gap in the numbers of all connections.
            let isIdle =
                path.session == nil
                ? !carriesRequests(path.index) : pathQueues[path.index].inFlight.isEmpty
            if isIdle {
                logOut(path)
            } else if path.leavesBy <= now {
                connectionLost(path, "its commands did not end in time")
            } else {
                // Who ends commands does not look for this.
                wake(at: min(path.leavesBy, now.adding(milliseconds: 5)))
            }
        }
    }

    private func carriesRequests(_ path: Int32) -> Bool {
        var task = pathQueues[path].inFlight.first
        while task >= 0 {
            if tasks[task].request >= 0 { return true }
            task = tasks[task].next
        }
        return false
    }

    /// A path's session is logged out, and the target lives on without it: the path rests, or begins anew.
    mutating func rest(_ path: Path) {
        path.state = .down
        path.downSince = now
        path.attemptsSinceLoss = 0
        path.retries.reset()
        guard path.intent == .disabled, !owesFence(path) else {
            path.retryAt = now
            return wake(at: now)
        }
        path.wasTried = true
        path.problem = PathProblem(
            kind: .unreachable, interface: path.specification.interface, portal: path.specification.portal,
            text: "disabled by the administrator")
        tellProblems(path.target)
    }

    /// A path is gone for ever, and its target lives on.
    mutating func tellRemoved(_ path: Path, _ target: Target) {
        for disk in target.disks {
            diskQueues[disk].choice.forget(path.ordinal)
            effects.append(
                .notice(
                    .pathRemoved(
                        DiskID(rawValue: disk), sessionName(path), path: path.specification.name)))
        }
        // Who stands in over its route looks at its own interface from now on: the number may be reused.
        for sibling in target.paths where paths[Int(sibling)].via == path.index {
            paths[Int(sibling)].via = sibling
        }
        for sibling in target.paths where paths[Int(sibling)].attempt?.via == path.index {
            paths[Int(sibling)].attempt?.via = sibling
        }
        log(.information, "\(target.name) \(path.name): removed")
        pathsChanged(target)
        tellProblems(target.index)
    }
}

extension PathSpecification {
    /// As `PathName` takes it.
    public var name: String { interface.isEmpty ? portal : "\(interface)/\(portal)" }
}
