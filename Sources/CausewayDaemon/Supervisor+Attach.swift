import CausewayConfiguration
import CausewayControl
import CausewayCore
import LinuxSystem
import Logging
import NBDDevice
import Synchronization

/// Attaching: from a request to a device with its first path up.
extension Supervisor {
    /// How long a first path may take: longer than a login may, so that the reason of a failure is known.
    private static let firstPathMilliseconds = 25_000

    /// Attaches a disk whose settings are all in force: what it does not say itself is inherited already.
    func open(
        _ request: AttachRequest, _ login: DiskLogin, _ configuration: DiskConfiguration
    ) throws(ControlError) -> DiskReport {
        let settings = try changed(DiskSettings(), request.allSettings)
        try QueueRules.check(settings, queues: request.queues ?? 1)
        guard let lun = LogicalUnitNumber(Int(clamping: request.lun)) else {
            throw .invalidArgument("LUN \(request.lun) is out of range", remedy: "use a LUN from 0 to 16383")
        }
        let target = try targetName(request)
        if request.socket == nil { try checkModule() }
        let portals = try resolveAny(request.portals, for: request.name)
        let plan = try PathPlan.make(
            interfaces: request.interfaces, portals: portals, settings.multipathing,
            queues: request.queueCount,
            mayWait: request.waitForInterfaces)
        for pair in plan.leftOut { logger.info("\(request.name): \(pair)") }
        for missing in plan.unusable {
            logger.warning("\(request.name): waits for \(missing.interface): \(missing.error.message)")
        }
        let wanted = WantedPaths(
            interfaces: request.interfaces, portals: portals, waiting: plan.unusable.map(\.interface))
        for warning in NetworkAdvice.warnings(wanted) { logger.warning("\(request.name): \(warning)") }
        let disk = AttachedDisk(
            request: request, target: target, lanes: try lanes(of: target, queues: request.queueCount),
            kernelTimeoutSeconds: QueueRules.kernelTimeoutSeconds(settings))
        disk.state.withLock {
            $0.wanted = wanted
            $0.seenPortals = portals
            $0.configuration = configuration
            $0.configured = request.allSettings
            $0.login = login
        }
        try reserve(disk)
        do throws(ControlError) {
            for shard in disk.shards {
                try attachToLane(
                    disk, shard, try makeSpecification(disk, shard, plan.paths, lun, settings, login))
            }
            let description = try awaitFirstPath(disk)
            try checkIdentity(disk, description)
            try keep(DiskRecord(disk, plan.paths, description))
            try export(disk, description)
            try changeRecord(disk.name) { $0.isAttached = true }
            if disk.isDetaching { throw .detachedMeanwhile(disk.name) }
        } catch {
            abandon(disk)
            throw error
        }
        // One that appeared in between will not do so again.
        for interface in disk.state.withLock({ $0.wanted.waiting }) { interfaceAppeared(interface) }
        awaitOtherPaths(disk)
        tellManager()
        let report = try report(disk)
        let queues = disk.shards.count > 1 ? ", \(disk.shards.count) queues" : ""
        logger.info("\(disk.name): attached as \(disk.place), \(report.paths.count) paths\(queues)")
        return report
    }

    /// The lanes of a target's queues: its disks share its sessions.
    private func lanes(of target: ISCSIName, queues: Int) throws(ControlError) -> [LaneHandle] {
        let living = Set(state.withLock { $0.disks.values.map(\.target) })
        if let found = lanes.lanes(of: target, queues: queues, living: living) { return found }
        throw .invalidArgument(
            "\(queues) queues need as many lanes, and this daemon has \(lanes.most)",
            remedy: "set lanes = \(queues) in causeway.toml and restart causewayd, or use fewer queues")
    }

    func targetName(_ request: AttachRequest) throws(ControlError) -> ISCSIName {
        do throws(ISCSINameError) {
            return try ISCSIName(request.target)
        } catch {
            throw .invalidArgument(
                "\"\(request.target.escapedForTerminal)\" is not the name of a target: \(error)",
                remedy: "see the names with: causeway discover PORTAL")
        }
    }

    private func checkModule() throws(ControlError) {
        guard !NBDModule.isLoaded() else { return }
        do throws(NBDDeviceError) {
            try NBDModule.load()
        } catch {
            throw ControlError(error)
        }
    }

    func resolve(_ portals: [CausewayControl.PortalAddress]) throws(ControlError) -> [SocketAddress] {
        let (addresses, failures) = find(portals)
        if let failure = failures.first { throw failure }
        return addresses
    }

    /// One name that nobody knows keeps no disk from its other portals.
    private func resolveAny(
        _ portals: [CausewayControl.PortalAddress], for name: DiskName
    ) throws(ControlError) -> [SocketAddress] {
        let (addresses, failures) = find(portals)
        if addresses.isEmpty, let failure = failures.first { throw failure }
        for failure in failures {
            logger.warning("\(name): \(failure.message); it has no path there until it is reloaded")
        }
        return addresses
    }

    private func find(
        _ portals: [CausewayControl.PortalAddress]
    ) -> (addresses: [SocketAddress], failures: [ControlError]) {
        var addresses: [SocketAddress] = []
        var failures: [ControlError] = []
        for portal in portals {
            do throws(NameError) {
                let host = portal.host.contains(":") ? "[\(portal.host)]" : portal.host
                let found = try NameResolver.resolve("\(host):\(portal.port)", defaultPort: portal.port)
                for address in found where !addresses.contains(address) { addresses.append(address) }
            } catch {
                failures.append(.portalUnreachable(portal, reason: "\(error)"))
            }
        }
        return (addresses, failures)
    }

    /// Takes the name, so that two attaches at once cannot both have it.
    func reserve(_ disk: AttachedDisk) throws(ControlError) {
        let other = state.withLock { state -> AttachedDisk? in
            if let other = state.disks[disk.name.text] { return other }
            state.disks[disk.name.text] = disk
            return nil
        }
        if let other, other.state.withLock({ $0.origin == .adopting }) {
            throw .busy("\(disk.name) is being taken back from the daemon before")
        }
        if let other { throw .alreadyAttached(disk.name, at: other.place) }
    }

    /// Changes a disk's record, if it has one.
    func changeRecord(_ name: DiskName, _ change: (inout DiskRecord) -> Void) throws(ControlError) {
        do throws(SystemError) {
            try diskRecords.change(name, change)
        } catch {
            throw .internalFailure("the disk's record cannot be changed: \(error)")
        }
    }

    /// Writes a disk's record.
    func keep(_ record: DiskRecord) throws(ControlError) {
        do throws(SystemError) {
            try diskRecords.write(record)
        } catch {
            throw .internalFailure("the disk cannot be put on record: \(error)")
        }
    }

    /// What the lane of a queue is told: the queue's paths of the plan, and in the first one a fence for
    /// every session on record beside those of all queues that may be writing to the disk's LUN. Their routes
    /// are made known to the lane.
    func makeSpecification(
        _ disk: AttachedDisk, _ shard: DiskShard, _ plan: [PlannedPath], _ lun: LogicalUnitNumber,
        _ settings: DiskSettings, _ login: DiskLogin
    ) throws(ControlError) -> DiskSpecification {
        let made = try specify(plan, disk, shard)
        shard.lane.perform { runner in
            for (id, route) in made.routes { runner.addRoute(id, route) }
        }
        let fences =
            shard.index == 0 ? try specifyFences(disk, lun, besides: Set(plan.map(\.isid))) : []
        var specification = DiskSpecification(
            name: disk.name.text, target: disk.target, initiatorName: initiatorName, lun: lun,
            paths: made.paths + fences, isReadOnly: disk.request.readOnly, settings: settings)
        specification.authentication = login.authentication
        specification.parameters = login.parameters
        specification.share = disk.shares.map { DiskShare(shares: $0, index: shard.index) }
        specification.mayLackPreferred = disk.state.withLock {
            !$0.wanted.waiting.isEmpty || $0.origin == .adopting
        }
        return specification
    }

    func attachToLane(
        _ disk: AttachedDisk, _ shard: DiskShard, _ specification: DiskSpecification
    ) throws(ControlError) {
        let answer = shard.lane.ask { runner -> Result<DiskID, AttachError> in
            do throws(AttachError) {
                let id = try runner.lane.attach(specification, now: runner.time)
                // On the lane's thread, so that no notice of the disk can be heard before it is known.
                shard.state.withLock { state in
                    state.id = id
                    state.wasInLane = true
                }
                self.news.send(
                    .attached(
                        LaneDisk(lane: shard.lane.number, id: id), ServedQueue(disk: disk, shard: shard)))
                return .success(id)
            } catch {
                return .failure(error)
            }
        }
        if case .failure? = answer { withdraw(specification.paths, of: disk.target) }
        switch answer {
        case .success: break
        case .failure(.full(let table)):
            throw .busy("the daemon has no room for more \(table)")
        case .failure(.setting(let error)): throw ControlError(error)
        case .failure(.multipathing(let present)):
            throw .invalidArgument(
                "other disks of \(disk.target) use its paths as \(present.rawValue)",
                remedy: "set multipathing to \(present.rawValue), or detach these disks first")
        case nil:
            throw .internalFailure("the lane did not answer")
        }
    }

    /// Waits until every queue has a path.
    private func awaitFirstPath(_ disk: AttachedDisk) throws(ControlError) -> DiskDescription {
        let deadline = LinuxSystem.MonotonicClock.now().adding(
            milliseconds: UInt64(Self.firstPathMilliseconds))
        var descriptions: [DiskDescription] = []
        for shard in disk.shards {
            let left = deadline.nanoseconds(since: LinuxSystem.MonotonicClock.now()) / 1_000_000
            switch shard.outcome.wait(milliseconds: Int(left)) {
            case .success(let description): descriptions.append(description)
            case .failure(let failure) where failure.isCancelled: throw .detachedMeanwhile(disk.name)
            case .failure(let failure): throw explain(failure.problems, disk)
            case nil:
                let reasons = (try? report(disk))?.paths.compactMap(\.reason) ?? []
                throw .portalUnreachable(
                    disk.request.portals[0],
                    reason: "no path came up within \(Self.firstPathMilliseconds / 1000) s"
                        + (reasons.first.map { ": \($0.escapedForTerminal)" } ?? ""))
            }
        }
        let description = try DiskDescription(agreeing: descriptions)
        disk.state.withLock { $0.description = description }
        return description
    }

    /// The most telling of the paths' problems, as what it is: a target that spoke knows more than silence.
    private func explain(_ problems: [PathProblem], _ disk: AttachedDisk) -> ControlError {
        let target = disk.target
        func rank(_ kind: PathProblem.Kind) -> Int {
            switch kind {
            case .noSuchLUN, .lunGone: 0
            case .otherLUN: 1
            case .notReady: 2
            case .targetNotFound: 3
            case .loginRefused: 4
            case .authentication: 5
            case .protocolViolation: 6
            case .timedOut: 7
            case .unreachable: 8
            }
        }
        guard let problem = problems.min(by: { rank($0.kind) < rank($1.kind) }) else {
            return .internalFailure("no path was tried")
        }
        let portal = (try? CausewayControl.PortalAddress(parsing: problem.portal)) ?? disk.request.portals[0]
        switch problem.kind {
        case .unreachable, .timedOut:
            return .portalUnreachable(
                portal, interface: problem.interface.isEmpty ? nil : problem.interface, reason: problem.text)
        case .authentication:
            return .authenticationFailed(target.text, place: problem.portal, reason: problem.text)
        case .targetNotFound: return .targetNotFound(target.text, portal: portal)
        case .loginRefused(let statusClass, let detail):
            return .loginRefused(
                target.text, portal: portal, interface: problem.interface.isEmpty ? nil : problem.interface,
                initiator: initiatorName.text, statusClass: statusClass, statusDetail: detail,
                reason: LoginStatus(rawValue: UInt16(statusClass) << 8 | UInt16(detail)).words)
        case .noSuchLUN, .lunGone:
            var error = ControlError.noSuchLUN(disk.request.lun, target: target.text, existing: [])
            error.message += ": \(problem.text)"
            error.remedy = "see the LUNs with: causeway discover \(portal) --luns"
            return error
        case .otherLUN, .notReady, .protocolViolation:
            return .internalFailure("\(target.text) at \(portal): \(problem.text)")
        }
    }

    /// Two ways to one LUN that know nothing of each other corrupt it. The WWID tells that it is one.
    private func checkIdentity(_ disk: AttachedDisk, _ description: DiskDescription) throws(ControlError) {
        disk.state.withLock { $0.description = description }
        guard !disk.request.force else { return }
        let identification = description.report.identification
        let identity = description.report.identity
        let wwids = Set(identification.identities.map(\.wwid) + [identity.wwid])
        if let present = PresentDisk.find(wwids: wwids) {
            throw .identityInUse(identity.wwid, device: present.node)
        }
        // Of two attaches at the same time at least one sees the other.
        for other in state.withLock({ Array($0.disks.values) }) where other !== disk {
            guard let known = other.state.withLock({ $0.description })?.report.identification else {
                continue
            }
            if known.identifies(sameLogicalUnitAs: identification) {
                throw .identityInUse(identity.wwid, device: "\(other.name) (\(other.place))")
            }
        }
    }

    /// Undoes an attach that failed half-way.
    private func abandon(_ disk: AttachedDisk) {
        disk.state.withLock { $0.isDetaching = true }
        leaveLane(disk, force: true, milliseconds: 5000)
        var isGone = true
        if let device = disk.state.withLock({ $0.device }) {
            do throws(NBDDeviceError) {
                _ = try call(.disconnect(index: device.index))
            } catch {
                // Its record stays: the next daemon clears it.
                isGone = false
                logger.error("\(disk.name): \(device.node) cannot be undone: \(error)")
            }
        }
        disk.state.withLock({ $0.listener })?.closeAndRemove()
        if isGone { end(disk) } else { forget(disk) }
    }

    /// Takes a disk off the books and leaves nothing of it to a successor. Its record stays where its name is
    /// another disk's by now.
    func end(_ disk: AttachedDisk) {
        state.withLock { state in
            if state.disks[disk.name.text] === disk { diskRecords.remove(disk.name) }
        }
        forget(disk)
    }

    /// Takes a disk off the books; with the last of its target go the routes.
    func forget(_ disk: AttachedDisk) {
        describing.withLock { _ in
            state.withLock { state in
                guard state.disks[disk.name.text] === disk else { return }
                devices.remove(disk.name)
                state.disks[disk.name.text] = nil
            }
        }
        let routes = state.withLock { state -> [SessionWay: LaneRoute] in
            guard !state.disks.values.contains(where: { $0.target == disk.target }) else { return [:] }
            state.oldLogins[disk.target] = nil
            return state.routes.removeValue(forKey: disk.target) ?? [:]
        }
        for route in routes.values { route.lane.perform { $0.removeRoute(route.id) } }
        tellManager()
    }

    /// The device is there; the table that attach prints is the better for waiting a moment for the other
    /// paths.
    func awaitOtherPaths(_ disk: AttachedDisk) {
        for _ in 0..<25 {
            guard let snapshots = disk.snapshots(milliseconds: 1000) else { return }
            let isBusy = snapshots.flatMap(\.paths).contains { path in
                switch path.standing {
                case .connecting, .loggingIn, .verifying, .fencing: true
                case .down, .active, .suspect, .quarantined, .standby, .unusable, .loggingOut, .disabled,
                    .removing:
                    false
                }
            }
            if !isBusy { return }
            Pause.milliseconds(20)
        }
    }
}

extension DiskRecord {
    init(_ disk: AttachedDisk, _ paths: [PlannedPath], _ description: DiskDescription) {
        self.init(
            request: disk.request, paths: paths.map(Path.init), wwid: description.report.identity.wwid,
            sizeBytes: description.export.sizeBytes, blockLength: description.export.minimumBlockSize)
        let state = disk.state.withLock { ($0.wanted, $0.configuration, $0.configured) }
        wanted = Wanted(state.0)
        own = state.1?.ownSettings
        configured = state.2
        kernelTimeoutSeconds = disk.kernelTimeoutSeconds
    }
}

extension DiskConfiguration {
    /// What it does not inherit.
    var ownSettings: DiskRecord.OwnSettings {
        let settings = AdapterConfiguration().settings(target: nil, disk: layer)
        return DiskRecord.OwnSettings(settings: settings.disk, queueDepth: settings.queueDepth)
    }
}

extension ControlError {
    static func detachedMeanwhile(_ name: DiskName) -> ControlError {
        .busy("\(name) was detached while it was being attached")
    }
}
