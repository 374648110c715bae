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
                    pathsActive: UInt32(report.paths.count { $0.state == .active }),
                    pathsTotal: UInt32(report.paths.count)))
        }
        return summaries
    }

    func status(_ name: DiskName) throws(ControlError) -> DiskReport {
        try report(find(name))
    }

    func report(_ disk: AttachedDisk) throws(ControlError) -> DiskReport {
        let known = disk.state.withLock { ($0.id, $0.description, $0.device, $0.events) }
        var snapshot: DiskSnapshot?
        if let id = known.0 {
            guard let answer = lane.ask({ $0.lane.snapshot(id) }) else {
                throw .internalFailure("the lane did not answer")
            }
            snapshot = answer
        }
        let report = known.1?.report
        let paths = (snapshot?.paths ?? []).map(path)
        return DiskReport(
            name: disk.name, device: known.2?.node, socket: disk.request.socket,
            state: diskState(snapshot, paths), target: disk.request.target, lun: disk.request.lun,
            sizeBytes: snapshot?.sizeBytes ?? 0, blockLength: report?.limits.logicalBlockLength ?? 0,
            wwid: report?.identity.wwid, vendor: report.map { "\($0.inquiry.vendor)" } ?? "",
            model: report.map { "\($0.inquiry.product)" } ?? "",
            readOnly: known.1?.isReadOnly ?? disk.request.readOnly, policy: "round-robin", paths: paths,
            counters: counters(snapshot), events: known.3)
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
            held: UInt64(snapshot.pending + snapshot.paths.reduce(0) { $0 + $1.held }))
    }

    private func diskState(_ snapshot: DiskSnapshot?, _ paths: [PathReport]) -> DiskState {
        guard let snapshot, snapshot.isReady else { return .attaching }
        if snapshot.isDetaching { return .detaching }
        if snapshot.isHeld || snapshot.isFailing { return .allPathsDown }
        return paths.allSatisfy { $0.state == .active } ? .optimal : .degraded
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
            case .unusable: .mismatch
            case .loggingOut: .disabled
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
            errors: counters.errors, fences: counters.fences, lastFence: snapshot.lastFence)
    }
}
