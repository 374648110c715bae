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

    func attach(_ request: AttachRequest) throws(ControlError) -> DiskReport {
        if let policy = request.policy, policy != "round-robin" {
            throw .invalidArgument("there is no policy \"\(policy)\"", remedy: "use round-robin")
        }
        guard let lun = LogicalUnitNumber(Int(clamping: request.lun)) else {
            throw .invalidArgument("LUN \(request.lun) is out of range", remedy: "use a LUN from 0 to 16383")
        }
        let target: ISCSIName
        do throws(ISCSINameError) {
            target = try ISCSIName(request.target)
        } catch {
            throw .invalidArgument(
                "\"\(request.target.escapedForTerminal)\" is not the name of a target: \(error)",
                remedy: "see the names with: causeway discover PORTAL")
        }
        if request.socket == nil { try checkModule() }
        let plan = try PathPlan.make(
            interfaces: request.interfaces, portals: try resolve(request.portals), lane: 0)
        for pair in plan.leftOut { logger.info("\(request.name): \(pair)") }
        let disk = AttachedDisk(request: request, target: target, lane: lane)
        try reserve(disk)
        do throws(ControlError) {
            let description = try attachToLane(disk, plan.paths, lun)
            try checkIdentity(disk, description)
            try export(disk, description)
        } catch {
            abandon(disk)
            throw error
        }
        awaitOtherPaths(disk)
        tellManager()
        let report = try report(disk)
        logger.info("\(disk.name): attached as \(disk.place), \(report.paths.count) paths")
        return report
    }

    private func checkModule() throws(ControlError) {
        guard !NBDModule.isLoaded() else { return }
        do throws(NBDDeviceError) {
            try NBDModule.load()
        } catch {
            throw ControlError(error)
        }
    }

    private func resolve(_ portals: [CausewayControl.PortalAddress]) throws(ControlError) -> [SocketAddress] {
        var addresses: [SocketAddress] = []
        for portal in portals {
            do throws(NameError) {
                let host = portal.host.contains(":") ? "[\(portal.host)]" : portal.host
                let found = try NameResolver.resolve("\(host):\(portal.port)", defaultPort: portal.port)
                for address in found where !addresses.contains(address) { addresses.append(address) }
            } catch {
                throw .portalUnreachable(portal, reason: "\(error)")
            }
        }
        return addresses
    }

    /// Takes the name, so that two attaches at once cannot both have it.
    private func reserve(_ disk: AttachedDisk) throws(ControlError) {
        let other = state.withLock { state -> AttachedDisk? in
            if let other = state.disks[disk.name.text] { return other }
            state.disks[disk.name.text] = disk
            return nil
        }
        if let other { throw .alreadyAttached(disk.name, at: other.place) }
    }

    private func attachToLane(
        _ disk: AttachedDisk, _ plan: [PlannedPath], _ lun: LogicalUnitNumber
    ) throws(ControlError) -> DiskDescription {
        let target = disk.target
        let ids = state.withLock { state in plan.map { state.route(to: target, $0.isid) } }
        var paths: [PathSpecification] = []
        var routes: [(RouteID, Route)] = []
        for (id, path) in zip(ids, plan) {
            routes.append((id, Route(interface: path.interface, source: path.source, to: path.portal)))
            var specification = PathSpecification(
                route: id, interface: path.interface ?? "", sourceAddress: path.source?.description ?? "",
                portal: path.portal.description, isid: path.isid)
            specification.mayHavePredecessor = try record(path, disk)
            specification.depth = Int32(clamping: disk.request.queueDepth ?? 0)
            paths.append(specification)
        }
        disk.state.withLock { $0.sessions = plan.map(\.isid) }
        let specification = DiskSpecification(
            name: disk.name.text, target: target, initiatorName: initiatorName, lun: lun, paths: paths,
            isReadOnly: disk.request.readOnly)
        let answer = lane.ask { [routes] runner -> Result<DiskID, AttachError> in
            for (id, route) in routes { runner.addRoute(id, route) }
            do throws(AttachError) {
                let id = try runner.lane.attach(specification, now: runner.time)
                // On the lane's thread, so that no notice of the disk can be heard before it is known.
                disk.state.withLock { $0.id = id }
                self.news.send(.attached(id, disk))
                return .success(id)
            } catch {
                return .failure(error)
            }
        }
        switch answer {
        case .success: break
        case .failure(.full(let table)):
            throw .busy("the daemon has no room for more \(table)")
        case nil:
            throw .internalFailure("the lane did not answer")
        }
        switch disk.outcome.wait(milliseconds: Self.firstPathMilliseconds) {
        case .success(let description):
            disk.state.withLock { $0.description = description }
            return description
        case .failure(let failure): throw explain(failure.problems, disk)
        case nil:
            throw .portalUnreachable(
                disk.request.portals[0],
                reason: "no path came up within \(Self.firstPathMilliseconds / 1000) s")
        }
    }

    /// Puts a session on record before its login is sent. Returns whether one of the same name may be open
    /// already.
    private func record(_ path: PlannedPath, _ disk: AttachedDisk) throws(ControlError) -> Bool {
        let isShared = state.withLock { state in
            state.disks.values.contains { other in
                other !== disk && other.target == disk.target
                    && other.state.withLock { $0.sessions.contains(path.isid) }
            }
        }
        do throws(SystemError) {
            let existed = try records.begin(
                initiator: initiatorName, target: disk.target, isid: path.isid, portal: "\(path.portal)",
                disk: disk.name.text)
            return existed && !isShared
        } catch {
            throw .internalFailure("the session cannot be put on record: \(error)")
        }
    }

    /// The most telling of the paths' problems, as what it is: a target that spoke knows more than silence.
    private func explain(_ problems: [PathProblem], _ disk: AttachedDisk) -> ControlError {
        let target = disk.target
        func rank(_ kind: PathProblem.Kind) -> Int {
            switch kind {
            case .noSuchLUN: 0
            case .otherLUN: 1
            case .notReady: 2
            case .targetNotFound: 3
            case .loginRefused: 4
            case .protocolViolation: 5
            case .timedOut: 6
            case .unreachable: 7
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
        case .targetNotFound: return .targetNotFound(target.text, portal: portal)
        case .loginRefused(let statusClass, let detail):
            return .loginRefused(
                target.text, portal: portal, statusClass: statusClass, statusDetail: detail,
                reason: problem.text)
        case .noSuchLUN:
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
        leaveLane(disk, force: true, milliseconds: 5000)
        if let device = disk.state.withLock({ $0.device }) {
            do throws(NBDDeviceError) {
                _ = try call(.disconnect(index: device.index))
            } catch {
                logger.error("\(disk.name): \(device.node) cannot be undone: \(error)")
            }
        }
        disk.state.withLock({ $0.listener })?.closeAndRemove()
        forget(disk)
    }

    /// Takes a disk off the books; with the last of its target go the routes, and what was logged out in
    /// order goes off the record.
    func forget(_ disk: AttachedDisk) {
        let routes = state.withLock { state -> [InitiatorSessionID: RouteID] in
            if state.disks[disk.name.text] === disk { state.disks[disk.name.text] = nil }
            guard !state.disks.values.contains(where: { $0.target == disk.target }) else { return [:] }
            return state.routes.removeValue(forKey: disk.target) ?? [:]
        }
        lane.perform { runner in
            for route in routes.values { runner.removeRoute(route) }
        }
        if disk.detached.value == true {
            for isid in routes.keys {
                records.end(initiator: initiatorName, target: disk.target, isid: isid)
            }
        }
        tellManager()
    }

    /// The device is there; the table that attach prints is the better for waiting a moment for the other
    /// paths.
    private func awaitOtherPaths(_ disk: AttachedDisk) {
        for _ in 0..<25 {
            guard let id = disk.state.withLock({ $0.id }),
                let snapshot = lane.ask(milliseconds: 1000, { $0.lane.snapshot(id) }) ?? nil
            else { return }
            let isBusy = snapshot.paths.contains { path in
                switch path.standing {
                case .connecting, .loggingIn, .verifying, .fencing: true
                case .down, .active, .unusable, .loggingOut: false
                }
            }
            if !isBusy { return }
            Pause.milliseconds(20)
        }
    }
}
