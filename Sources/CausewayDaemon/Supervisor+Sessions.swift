import CausewayControl
import CausewayCore
import LinuxSystem
import Logging
import Synchronization

/// Sessions and their records: whatever may be open at a target when a path is made is handed to the lane
/// with it, and the lane fences what is not its own.
extension Supervisor {
    /// What the lane of a queue and its runner have to know of the queue's planned paths. Their sessions are
    /// on record afterwards.
    func specify(
        _ plan: [PlannedPath], _ disk: AttachedDisk, _ shard: DiskShard
    ) throws(ControlError) -> SpecifiedPaths {
        let plan = plan.filter { $0.queue == shard.index }
        var made = SpecifiedPaths()
        let login = disk.state.withLock { $0.login }
        let depth = login?.depth ?? Int32(clamping: disk.request.queueDepth ?? 0)
        do throws(SystemError) {
            // One disk of a target at a time: whichever comes last puts all LUNs on record of all sessions.
            try recording.withLock { _ throws(SystemError) in
                let units = units(of: disk.target, on: shard.lane)
                for path in plan {
                    let name = SessionName(
                        initiator: initiatorName, target: disk.target, isid: path.isid)
                    let id = state.withLock {
                        $0.route(of: SessionWay(name, path, disk.multipathing), in: shard.lane)
                    }
                    var specification = PathSpecification(
                        route: id, interface: path.interface ?? "",
                        sourceAddress: path.source?.description ?? "", portal: path.portal.description,
                        isid: path.isid)
                    specification.depth = depth
                    let record = SessionRecord(
                        name: name, portal: "\(path.portal)", disk: disk.name.text, units: units)
                    try begin(record, &specification)
                    made.paths.append(specification)
                    made.routes.append((id, path.route))
                }
                // Every disk of the target that is on the lane is carried by all of its paths there.
                let ways = state.withLock { $0.routes[disk.target, default: [:]] }
                let names = Set(ways.filter { $0.value.lane === shard.lane }.keys.map(\.session))
                for name in names { try records.note(units: units, of: name) }
            }
        } catch {
            throw .internalFailure("a session cannot be put on record: \(error)")
        }
        disk.state.withLock { state in
            for path in plan where !state.plan.contains(where: { $0.isSamePath(as: path) }) {
                made.new.append(path)
                state.plan.append(path)
            }
        }
        return made
    }

    /// LUN fields of the disks of a target that have a queue on a lane.
    private func units(of target: ISCSIName, on lane: LaneHandle) -> Set<UInt64> {
        let disks = state.withLock { $0.disks.values.filter { $0.target == target } }.filter { disk in
            disk.shards.contains { $0.lane === lane }
        }
        return Set(disks.compactMap { LogicalUnitNumber(Int(clamping: $0.request.lun))?.rawValue })
    }

    /// Puts a session on record before its login is sent. What stood there of it is a predecessor's, unless
    /// the lane has the session itself: then it takes no notice.
    private func begin(
        _ record: SessionRecord, _ specification: inout PathSpecification
    ) throws(SystemError) {
        let (number, hasStood, earlier) = try records.begin(record)
        specification.recordNumber = number
        specification.awaitsRecord = !hasStood
        guard let earlier else { return }
        // A record that names no LUN stands for all of them.
        specification.predecessorUnits = earlier.units.isEmpty ? record.units : earlier.units
        specification.predecessorGroupTag = earlier.portalGroupTag
    }

    /// A fence for every other session on record that may be writing to the disk's LUN.
    func specifyFences(
        _ disk: AttachedDisk, _ lun: LogicalUnitNumber, besides planned: Set<InitiatorSessionID>
    ) throws(ControlError) -> [PathSpecification] {
        try checkOtherLanes(disk, lun)
        return try recording.withLock { _ throws(ControlError) in
            var fences: [PathSpecification] = []
            for record in try sessionsOnRecord(with: disk.target)
            where record.name.initiator != initiatorName || !planned.contains(record.name.isid) {
                // Another disk's, of this very daemon.
                if records.isOwn(record.name) { continue }
                // A lane fences what its own sessions owe; those of lanes without the disk owe it nothing.
                if let lane = lane(of: record.name), lane !== disk.shards[0].lane { continue }
                guard record.hasStood else {
                    records.forget(record.name)
                    continue
                }
                guard record.units.isEmpty || record.units.contains(lun.rawValue) else { continue }
                fences.append(try specifyFence(record, disk, lun))
            }
            return fences
        }
    }

    /// The lane that has a session.
    private func lane(of session: SessionName) -> LaneHandle? {
        state.withLock { state in
            state.routes[session.target, default: [:]].first { $0.key.session == session }?.value.lane
        }
    }

    /// Sessions of further queues of the target's other disks may owe the disk a fence: it was detached by
    /// force. A disk without a queue on their lane cannot have them fenced, for a session logs in on one
    /// lane.
    private func checkOtherLanes(_ disk: AttachedDisk, _ lun: LogicalUnitNumber) throws(ControlError) {
        let target = disk.target
        let lanes = state.withLock { $0.routes[target, default: [:]].values.map(\.lane) }
        for lane in lanes where !disk.shards.contains(where: { $0.lane === lane }) {
            guard let mayWrite = lane.ask({ $0.lane.mayStillWrite(to: lun, of: target) }) else {
                throw .internalFailure("a lane did not answer")
            }
            guard !mayWrite else {
                throw .busy(
                    "writes of an earlier attachment may still come to LUN \(disk.request.lun) over a "
                        + "further queue of another disk of the target: attach it with as many queues as "
                        + "that one, or detach that one first")
            }
        }
    }

    private func sessionsOnRecord(with target: ISCSIName) throws(ControlError) -> [SessionRecord] {
        do throws(SystemError) {
            let (found, unreadable) = try records.sessions(with: target)
            for file in unreadable {
                logger.error("\(file) cannot be read: the session that it stands for is not fenced")
            }
            return found
        } catch {
            throw .internalFailure("sessions on record cannot be read: \(error)")
        }
    }

    /// In the lane of the disk's first queue.
    private func specifyFence(
        _ record: SessionRecord, _ disk: AttachedDisk, _ lun: LogicalUnitNumber
    ) throws(ControlError) -> PathSpecification {
        let lane = disk.shards[0].lane
        let living = self.lane(of: record.name)
        let id = state.withLock { $0.route(of: SessionWay(record.name), in: lane) }
        if living == nil {
            logger.notice(
                """
                \(disk.name): a predecessor's session \(record.name.isid) at \(record.portal) is on record: \
                nothing is written before its fence
                """)
            // Through whichever interface: there may be no such path any more.
            if let portal = SocketAddress(parsing: record.portal, defaultPort: 3260) {
                lane.perform { runner in runner.addRoute(id, Route(to: portal)) }
            }
        }
        var specification = PathSpecification(
            route: id, interface: "", sourceAddress: "", portal: record.portal, isid: record.name.isid)
        specification.isFenceOnly = true
        if record.name.initiator != initiatorName { specification.initiatorName = record.name.initiator }
        var known = record
        known.units.insert(lun.rawValue)
        do throws(SystemError) {
            try begin(known, &specification)
        } catch {
            throw .internalFailure("a session cannot be put on record: \(error)")
        }
        return specification
    }

    /// The lane has refused these paths: the disk has not got them.
    func withdraw(_ made: SpecifiedPaths, of disk: AttachedDisk) {
        withdraw(made.paths, of: disk.target)
        disk.state.withLock { state in
            state.plan.removeAll { path in made.new.contains { $0.isSamePath(as: path) } }
        }
    }

    /// The lane has refused these paths: their sessions are not begun.
    func withdraw(_ paths: [PathSpecification], of target: ISCSIName) {
        // The newest beginning of a session first.
        for path in paths.reversed() {
            records.withdraw(
                SessionName(
                    initiator: path.initiatorName ?? initiatorName, target: target, isid: path.isid),
                number: path.recordNumber)
        }
    }

    // MARK: News

    /// - Parameter lane: its number.
    func sessionBegan(_ name: SessionName, _ portalGroupTag: UInt16?, _ lane: Int) {
        do throws(SystemError) {
            guard try records.noteLogin(portalGroupTag: portalGroupTag, of: name) else { return }
        } catch {
            logger.error("a session cannot be put on record, its path waits for that: \(error)")
            return inBackground("record") { [self] in
                Pause.milliseconds(1000)
                sessionBegan(name, portalGroupTag, lane)
            }
        }
        lanes.all[lane].perform { $0.lane.sessionRecorded(name, now: $0.time) }
    }

    /// A session goes off the record, and its route goes, unless somebody has begun it anew.
    func sessionEnded(_ name: SessionName, _ number: UInt64, _ unfenced: Set<UInt64>) {
        recording.withLock { _ in
            do throws(SystemError) {
                guard try records.end(name, number: number, unfenced: unfenced) else { return }
            } catch {
                logger.error("what a session left behind cannot be put on record: \(error)")
            }
            let routes = state.withLock { state -> [LaneRoute] in
                let ways = state.routes[name.target, default: [:]].keys.filter { $0.session == name }
                return ways.compactMap { state.routes[name.target]?.removeValue(forKey: $0) }
            }
            for route in routes { route.lane.perform { $0.removeRoute(route.id) } }
        }
    }
}

/// Planned paths as the lane and its runner take them.
struct SpecifiedPaths: Sendable {
    var paths: [PathSpecification] = []
    var routes: [(RouteID, Route)] = []
    /// Paths that the disk had not before.
    var new: [PlannedPath] = []
}

/// A session, and where several paths share it, the way of one of them.
struct SessionWay: Hashable, Sendable {
    var session: SessionName
    /// Empty where the session has only one.
    var path = ""

    init(_ session: SessionName) { self.session = session }

    init(_ session: SessionName, _ path: PlannedPath, _ multipathing: Multipathing) {
        self.session = session
        if multipathing == .connections { self.path = path.name }
    }
}
