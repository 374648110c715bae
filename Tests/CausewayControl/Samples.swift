import CausewayControl

/// One value of every model, every optional field filled.
enum Samples {
    static let iqn = "iqn.2001-04.com.example:storage"

    static func name(_ text: String = "data1") -> DiskName {
        guard let name = try? DiskName(text) else { preconditionFailure("\(text) is no name") }
        return name
    }

    static let portal = PortalAddress(host: "10.0.1.1")
    static let portal6 = PortalAddress(host: "2001:db8::1", port: 3261)

    static let parameters = ParametersReport(
        keys: [.init(key: "InitialR2T", allowed: "Yes, No", standard: "Yes", rule: "Yes if either wants it")],
        paths: [
            .init(
                queue: 1, interface: "eth1", portal: PortalAddress(host: "10.0.1.1"),
                wanted: ["InitialR2T": "No"], negotiated: ["InitialR2T": "Yes"],
                authentication: "CHAP SHA-256, mutual")
        ])
    static var reload: ReloadReport {
        var disk = ReloadedDisk(name: name(), outcome: .changed)
        disk.applied = ["policy is fixed; it was round-robin"]
        disk.needsLogin = ["chap"]
        disk.oldLogins = ["eth1/10.0.1.1:3260"]
        disk.loggedIn = ["eth2/10.0.2.1:3260"]
        disk.needsAttach = ["lun is 2; it was 1"]
        disk.problems = ["x\u{1b}"]
        return ReloadReport(
            disks: [disk, ReloadedDisk(name: name("data2"), outcome: .attaching)], notes: ["a note"])
    }
    static let reserve = ReserveRequest(
        name: name(), action: .preempt, key: "0x1", type: "write-exclusive", victim: "0x2", aptpl: true)
    static var reservations: ReservationStatus {
        var status = ReservationStatus(
            name: name(), generation: 7, keys: ["0xabc", "0xdef", "0xabc"], paths: ["eth1->10.0.1.1:3260"])
        status.key = "0xabc"
        status.state = "standing"
        status.pinnedPath = "eth1->10.0.1.1:3260"
        status.type = "write-exclusive-registrants-only"
        status.holder = "0xdef"
        status.problems = ["x\u{1b}"]
        return status
    }
    static let attach = AttachRequest(
        name: name(), target: iqn, portals: [portal, portal6], discovery: portal,
        interfaces: ["eth1", "eth2"], lun: 1,
        socket: "/run/data1.sock", readOnly: true, force: true, policy: "round-robin",
        settings: ["fence": "barrier"], queueDepth: 64, waitForInterfaces: true, persist: true, queues: 2,
        chap: CHAPRequest(user: "host1", secretFile: "/etc/causeway/host1.secret"))

    static let discovery = Discovery(
        targets: [
            TargetReport(
                name: iqn,
                portals: [
                    PortalReport(address: "10.0.1.1", port: 3260, groupTag: 1, interface: "eth1"),
                    PortalReport(address: "2001:db8::1", port: 3261, groupTag: 1, interface: nil),
                ],
                luns: [
                    LUNReport(
                        lun: 1, sizeBytes: 10 << 30, blockLength: 512, vendor: "LIO-ORG", model: "disk0",
                        serial: "4f1b", wwid: "naa.6001405f1b"),
                    LUNReport(lun: 12, error: "not ready"),
                ]),
            TargetReport(name: "iqn.2001-04.com.example:\u{1b}[2J", portals: []),
        ],
        problems: ["10.0.9.9:3260 through eth2: connection refused"])

    static let summary = DiskSummary(
        name: name(), device: "/dev/nbd0", socket: "/run/data1.sock", state: .degraded, target: iqn, lun: 1,
        sizeBytes: 10 << 30, readOnly: true, pathsActive: 1, pathsTotal: 2, notes: ["something"])

    static let path = PathReport(
        interface: "eth1", sourceAddress: "10.0.1.2", portal: portal, portalGroupTag: 1, state: .active,
        reason: "slow", inFlight: 12, ios: 123_456, readBytes: 5 << 30, writtenBytes: 1536,
        latencyMicroseconds: 85,
        latencyP99Microseconds: 1234, errors: 2, digestErrors: 3, fences: 1,
        lastFence: "reinstated on eth2, then the barrier, 4 ms", accessGroup: 2,
        accessState: "active/optimized", preferred: true,
        health: PathHealthReport(
            rttMicroseconds: 120, retransmits: 3, losses: 2, pings: 40, suspicions: 5, quarantines: 1,
            quarantinedUntilMicroseconds: 1_767_225_600_000_000, hedgedReads: 9, hedgesWon: 8,
            fencesByBarrier: 1, fencesByLogin: 0, lastFenceMicroseconds: 4321, heldWrites: 6,
            reassigned: 5))

    static let report = DiskReport(
        name: name(), device: "/dev/nbd0", socket: "/run/data1.sock", state: .degraded, target: iqn, lun: 1,
        sizeBytes: 10 << 30, blockLength: 512, wwid: "naa.6001405f1b", vendor: "LIO-ORG", model: "disk0",
        readOnly: true, policy: "round-robin", settings: ["fence": "barrier", "policy": "round-robin"],
        paths: [
            path,
            PathReport(
                interface: "eth2", portal: PortalAddress(host: "10.0.2.1"), state: .down,
                reason: "connection reset by the target"),
        ],
        counters: DiskCounters(
            reads: 100, writes: 50, flushes: 3, trims: 2, writeZeroes: 1, readBytes: 5 << 30,
            writtenBytes: 1536,
            errors: 0, resent: 7, fences: 1, fencedWrites: 6, hedgedReads: 9, held: 4, unfenced: 2),
        notes: ["no space on the LUN for 7 s: writes are held (space = hold)"],
        events: [
            EventReport(timeMicroseconds: 1_767_225_599_999_999, message: "eth2 10.0.2.1:3260: link lost")
        ])

    /// The same disk with two queues, of which one has lost a session.
    static var reportOfQueues: DiskReport {
        var report = report
        var lost = path
        lost.state = .down
        report.queues = [
            QueueReport(paths: report.paths), QueueReport(paths: [lost, report.paths[1]]),
        ]
        return report
    }
}
