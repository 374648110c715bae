import CausewayControl
import CausewayCore
import LinuxSystem
import NBDDevice
import Synchronization

/// What `list` and `status` show.
extension Supervisor {
    func list() throws(ControlError) -> [DiskSummary] {
        let disks = state.withLock { Array($0.disks.values) }.sorted { $0.name.text < $1.name.text }
        var summaries: [DiskSummary] = []
        for disk in disks {
            let report = try report(disk)
            summaries.append(
                DiskSummary(
                    name: disk.name, device: report.device, socket: report.socket, state: report.state,
                    target: report.target, lun: report.lun, sizeBytes: report.sizeBytes,
                    readOnly: report.readOnly,
                    pathsActive: UInt32(report.paths.count { $0.state == .active || $0.state == .standby }),
                    pathsTotal: UInt32(report.paths.count), notes: report.notes))
        }
        return summaries
    }

    func status(_ name: DiskName) throws(ControlError) -> DiskReport {
        try report(find(name))
    }

    func report(_ disk: AttachedDisk) throws(ControlError) -> DiskReport {
        let known = disk.state.withLock { ($0.description, $0.device, $0.events) }
        let snapshots = try snapshots(disk)
        let snapshot = DiskSnapshot(combining: snapshots)
        let report = known.0?.report
        let wanted = disk.state.withLock { $0.wanted }
        let paths = (snapshot?.paths ?? []).map(path) + waitingPaths(wanted, snapshot)
        let settings = snapshot?.settings.texts ?? [:]
        return DiskReport(
            name: disk.name, device: known.1?.node, socket: disk.request.socket,
            state: diskState(disk, snapshot, paths), target: disk.request.target, lun: disk.request.lun,
            sizeBytes: snapshot?.sizeBytes ?? 0, blockLength: report?.limits.logicalBlockLength ?? 0,
            wwid: report?.identity.wwid, vendor: report.map { "\($0.inquiry.vendor)" } ?? "",
            model: report.map { "\($0.inquiry.product)" } ?? "",
            readOnly: known.0?.isReadOnly ?? disk.request.readOnly, policy: settings["policy"] ?? "",
            settings: settings, paths: paths,
            queues: disk.shards.count > 1
                ? snapshots.map { QueueReport(paths: $0.paths.map(path)) } : nil,
            counters: counters(snapshot),
            notes: (snapshot?.notes ?? []) + NetworkAdvice.warnings(wanted) + portalNotes(disk)
                + configurationNotes(),
            events: known.2)
    }

    /// Queue by queue; none while a lane has not got its part.
    private func snapshots(_ disk: AttachedDisk) throws(ControlError) -> [DiskSnapshot] {
        guard disk.isInLanes else { return [] }
        if let snapshots = disk.snapshots(isFresh: true) { return snapshots }
        // It may have left them just now.
        guard disk.isInLanes else { return [] }
        throw .internalFailure("the lane did not answer")
    }

    private func configurationNotes() -> [String] {
        configured.withLock { $0.mistakes }.map {
            "served as before the daemon's start: \($0); after mending it: causeway reload"
        }
    }

    private func portalNotes(_ disk: AttachedDisk) -> [String] {
        let others = disk.state.withLock { $0.otherPortals }
        guard !others.isEmpty else { return [] }
        return ["the target has other portals: \(others.map { "\($0)" }.joined(separator: ", "))"]
    }

    /// What will become of interfaces that are not there yet.
    private func waitingPaths(_ wanted: WantedPaths, _ snapshot: DiskSnapshot?) -> [PathReport] {
        let taken = Set((snapshot?.paths ?? []).map(\.portal))
        let free = wanted.portals.filter { !taken.contains("\($0)") }
        return wanted.waiting.flatMap { interface in
            (free.isEmpty ? wanted.portals : free).map { portal in
                PathReport(
                    interface: interface,
                    portal: (try? PortalAddress(parsing: "\(portal)")) ?? PortalAddress(host: "\(portal)"),
                    state: .waiting, reason: "waits for the interface \(interface)")
            }
        }
    }

    private func counters(_ snapshot: DiskSnapshot?) -> DiskCounters {
        guard let snapshot else { return DiskCounters() }
        let counters = snapshot.counters
        return DiskCounters(
            reads: counters.reads, writes: counters.writes, flushes: counters.flushes, trims: counters.trims,
            writeZeroes: counters.writeZeroes, readBytes: counters.readBytes,
            writtenBytes: counters.writtenBytes,
            errors: counters.errors, resent: counters.sentAgain,
            fences: snapshot.paths.reduce(0) { $0 + $1.counters.fences },
            fencedWrites: counters.fencedWrites, hedgedReads: counters.hedgedReads,
            held: UInt64(snapshot.pending + snapshot.paths.reduce(0) { $0 + $1.held }),
            activations: counters.activations, resets: counters.resets, unfenced: counters.unfenced)
    }

    private func diskState(
        _ disk: AttachedDisk, _ snapshot: DiskSnapshot?, _ paths: [PathReport]
    ) -> DiskState {
        if disk.state.withLock({ $0.origin == .adopting && $0.complaint != nil }) { return .allPathsDown }
        guard let snapshot, snapshot.isReady else { return .attaching }
        if snapshot.isDetaching { return .detaching }
        if snapshot.isLost { return .permanentDeviceLoss }
        if snapshot.isHeld || snapshot.isFailing { return .allPathsDown }
        // A path on standby does what it is there for.
        return paths.allSatisfy { $0.state == .active || $0.state == .standby } ? .optimal : .degraded
    }

    private func path(_ snapshot: PathSnapshot) -> PathReport {
        let counters = snapshot.counters
        let state: PathState =
            switch snapshot.standing {
            case .down: .down
            case .connecting: .connecting
            case .loggingIn: .login
            case .fencing: .fencing
            case .verifying: .verifying
            case .active: .active
            case .suspect: .suspect
            case .quarantined: .quarantined
            case .standby: .standby
            case .unusable: .mismatch
            case .loggingOut, .removing: .removing
            case .disabled: .disabled
            }
        return PathReport(
            interface: snapshot.interface.isEmpty ? nil : snapshot.interface,
            sourceAddress: snapshot.sourceAddress.isEmpty ? nil : snapshot.sourceAddress,
            portal: (try? PortalAddress(parsing: snapshot.portal)) ?? PortalAddress(host: snapshot.portal),
            portalGroupTag: snapshot.portalGroupTag, state: state, reason: snapshot.reason,
            inFlight: UInt32(snapshot.inFlight), ios: counters.commands, readBytes: counters.readBytes,
            writtenBytes: counters.writtenBytes,
            latencyMicroseconds: counters.commands == 0
                ? 0 : counters.latencyNanoseconds / counters.commands / 1000,
            latencyP99Microseconds: snapshot.percentile99.map { $0 / 1000 },
            errors: counters.errors,
            digestErrors: counters.headerDigestErrors + counters.dataDigestErrors + counters.rejectedDigests,
            fences: counters.fences, lastFence: snapshot.lastFence,
            accessGroup: snapshot.accessGroup, accessState: snapshot.accessState,
            preferred: snapshot.isPreferred,
            health: health(snapshot))
    }

    private func health(_ snapshot: PathSnapshot) -> PathHealthReport {
        let counters = snapshot.counters
        return PathHealthReport(
            rttMicroseconds: snapshot.transport.map { UInt64($0.roundTripMicroseconds) },
            retransmits: snapshot.transport.map { UInt64(clamping: $0.totalRetransmits) },
            losses: counters.losses, pings: counters.pings, suspicions: counters.suspicions,
            quarantines: counters.quarantines,
            quarantinedUntilMicroseconds: snapshot.quarantineLeft.map {
                WallClock.microseconds() + $0 / 1000
            },
            hedgedReads: counters.hedgedReads, hedgesWon: counters.hedgesWon,
            fencesByBarrier: counters.fencesByBarrier, fencesByLogin: counters.fencesByLogin,
            lastFenceMicroseconds: counters.fences > 0 ? counters.lastFenceNanoseconds / 1000 : nil,
            heldWrites: counters.heldWrites, reassigned: counters.reassigned)
    }
}
