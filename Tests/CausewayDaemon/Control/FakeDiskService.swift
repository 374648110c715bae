import CausewayControl
import CausewayDaemon
import Synchronization

/// Disks in memory: what a client asked for, and answers made from it.
final class FakeDiskService: DiskService {
    private let disks = Mutex<[String: DiskReport]>([:])
    private let heldUp = Atomic(false)
    private let waiting = Atomic(0)

    /// While true, `status` does not return.
    func hold(_ held: Bool) { heldUp.store(held, ordering: .sequentiallyConsistent) }

    /// Calls of `status` that do not return yet.
    var waitingCount: Int { waiting.load(ordering: .sequentiallyConsistent) }

    func discover(_ request: DiscoverRequest) throws(ControlError) -> Discovery {
        guard request.portals[0].host != "10.0.0.99" else {
            throw .portalUnreachable(
                request.portals[0], interface: request.interfaces.first, reason: "timed out")
        }
        guard request.portals[0].host != "10.0.0.98" else {
            return Discovery(targets: [], problems: ["10.0.0.98:3260: connection refused"])
        }
        let portals = request.portals.map {
            PortalReport(address: $0.host, port: $0.port, groupTag: 1, interface: request.interfaces.first)
        }
        let lun = LUNReport(
            lun: 1, sizeBytes: 1 << 30, blockLength: 512, vendor: "FAKE", model: "\u{1b}[31mred", serial: "1",
            wwid: "naa.5")
        return Discovery(targets: [
            TargetReport(name: "iqn.2001-04.com.example:a", portals: portals, luns: request.luns ? [lun] : [])
        ])
    }

    func attach(_ request: AttachRequest) throws(ControlError) -> DiskReport {
        if request.interfaces.contains("eth9") { throw .noSuchInterface("eth9") }
        if request.target.hasSuffix(":absent") {
            throw .targetNotFound(request.target, portal: request.portals[0])
        }
        if request.lun == 2 {
            throw .loginRefused(
                request.target, portal: request.portals[0], initiator: "iqn.2001-04.com.example:host",
                statusClass: 2, statusDetail: 1, reason: "authentication failure")
        }
        if request.lun == 9 { throw .noSuchLUN(9, target: request.target, existing: [1, 2]) }
        let report = DiskReport(
            name: request.name, device: request.socket == nil ? "/dev/nbd0" : nil, socket: request.socket,
            state: .optimal, target: request.target, lun: request.lun, sizeBytes: 1 << 30, blockLength: 512,
            wwid: "naa.5", vendor: "FAKE", model: "disk", readOnly: request.readOnly,
            policy: request.allSettings["policy"] ?? "round-robin", settings: request.allSettings,
            paths: request.portals.flatMap { portal in
                request.interfaces.map { PathReport(interface: $0, portal: portal, state: .active) }
            })
        let error = disks.withLock { disks -> ControlError? in
            if let other = disks[request.name.text] {
                return .alreadyAttached(request.name, at: other.device ?? other.socket ?? "")
            }
            disks[request.name.text] = report
            return nil
        }
        if let error { throw error }
        return report
    }

    func parameters(_ name: DiskName) throws(ControlError) -> ParametersReport {
        throw .noSuchDisk(name)
    }

    func attachConfigured(_ name: DiskName) throws(ControlError) -> DiskReport {
        throw .notConfigured(name, path: "/etc/causeway/disks/\(name).toml")
    }

    func set(_ request: SetRequest) throws(ControlError) -> DiskReport {
        let report = disks.withLock { disks -> DiskReport? in
            disks[request.name.text]?.settings.merge(request.settings) { $1 }
            return disks[request.name.text]
        }
        guard let report else { throw .noSuchDisk(request.name) }
        return report
    }

    func addPaths(_ request: AddPathsRequest) throws(ControlError) -> DiskReport {
        try change(request.name) { disk in
            for interface in request.interfaces {
                disk.paths.append(
                    PathReport(
                        interface: interface, portal: request.portals.first ?? disk.paths[0].portal,
                        state: .active))
            }
        }
    }

    func changePaths(_ request: ChangePathsRequest, _ change: PathChange) throws(ControlError) -> DiskReport {
        try self.change(request.name) { disk in
            for index in disk.paths.indices where request.paths.contains(disk.paths[index].interface ?? "") {
                disk.paths[index].state =
                    switch change {
                    case .remove: .removing
                    case .disable: request.force ? .down : .disabled
                    case .enable: .active
                    }
            }
        }
    }

    private func change(_ name: DiskName, _ body: (inout DiskReport) -> Void) throws(ControlError)
        -> DiskReport
    {
        let report = disks.withLock { disks -> DiskReport? in
            guard var disk = disks[name.text] else { return nil }
            body(&disk)
            disks[name.text] = disk
            return disk
        }
        guard let report else { throw .noSuchDisk(name) }
        return report
    }

    func detach(_ request: DetachRequest) throws(ControlError) {
        let error = disks.withLock { disks -> ControlError? in
            guard let disk = disks[request.name.text] else { return .noSuchDisk(request.name) }
            if disk.readOnly && !request.force {
                return .deviceInUse(
                    request.name, device: "/dev/nbd0", holders: ["mounted on /srv", "process 812 (fio)"])
            }
            disks[request.name.text] = nil
            return nil
        }
        if let error { throw error }
    }

    func rescan(_ request: RescanRequest) throws(ControlError) -> DiskReport {
        try status(request.name)
    }

    func reserve(_ request: ReserveRequest) throws(ControlError) -> ReservationStatus {
        _ = try status(request.name)
        if request.action == .reserve { throw .reservationConflict(request.name, "held by 0xdef") }
        var status = ReservationStatus(name: request.name, generation: 1, keys: ["0xabc"])
        status.key = request.key
        status.state = "standing"
        return status
    }

    func reload(_ request: ReloadRequest) throws(ControlError) -> ReloadReport {
        let names = disks.withLock { $0.values.map(\.name) }.sorted { $0.text < $1.text }
        guard !names.isEmpty else {
            throw .wrongConfiguration(["/etc/causeway/causeway.toml:3: there is no \"chop\"", "b.toml: x"])
        }
        return ReloadReport(
            disks: names.map { name in
                var disk = ReloadedDisk(name: name, outcome: .changed)
                disk.applied = ["policy is fixed; it was round-robin"]
                disk.needsLogin = ["chap", "MaxBurstLength"]
                disk.needsAttach = ["lun is 2; it was 1"]
                if request.relogin {
                    disk.loggedIn = ["eth1/10.0.1.1:3260"]
                    disk.problems = ["eth2/10.0.2.1:3260 did not log in again"]
                } else {
                    disk.oldLogins = ["eth1/10.0.1.1:3260", "eth2/10.0.2.1:3260"]
                }
                return disk
            }, notes: ["initiator-name holds from the next start on"])
    }

    func list() throws(ControlError) -> [DiskSummary] {
        disks.withLock { $0.values.sorted { $0.name.text < $1.name.text } }.map {
            DiskSummary(
                name: $0.name, device: $0.device, socket: $0.socket, state: $0.state, target: $0.target,
                lun: $0.lun,
                sizeBytes: $0.sizeBytes, readOnly: $0.readOnly, pathsActive: 2,
                pathsTotal: UInt32($0.paths.count))
        }
    }

    func status(_ name: DiskName) throws(ControlError) -> DiskReport {
        waiting.add(1, ordering: .sequentiallyConsistent)
        while heldUp.load(ordering: .sequentiallyConsistent) { pauseShortly() }
        waiting.subtract(1, ordering: .sequentiallyConsistent)
        guard let disk = disks.withLock({ $0[name.text] }) else { throw .noSuchDisk(name) }
        return disk
    }
}
