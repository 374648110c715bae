import CausewayControl
import CausewayCore
import Testing

@testable import CausewayDaemon

/// Discovery against a real target.
@Suite(.enabled(if: TgtDaemon.isAvailable, "needs root and the Debian package tgt"))
struct TgtDiscoveryTests {
    @Test func `tgt's targets, portals and LUNs are found`() throws {
        let tgt = try TgtDaemon()
        defer { tgt.stop() }
        try tgt.addTarget(1, "iqn.2026-01.io.causeway.test:two", sizes: [64 << 20, 3 << 20])
        try tgt.addTarget(2, "iqn.2026-01.io.causeway.test:none")
        let portal = CausewayControl.PortalAddress(host: "127.0.0.1", port: tgt.portal.port)

        let plain = try TargetDiscoveryTests.discovery().discover(DiscoverRequest(portals: [portal]))
        #expect(plain.problems == [])
        let names = plain.targets.map(\.name)
        #expect(
            Set(names) == ["iqn.2026-01.io.causeway.test:two", "iqn.2026-01.io.causeway.test:none"])
        for target in plain.targets {
            #expect(
                target.portals == [PortalReport(address: "127.0.0.1", port: tgt.portal.port, groupTag: 1)])
            #expect(target.luns == [])
        }

        let full = try TargetDiscoveryTests.discovery().discover(
            DiscoverRequest(portals: [portal], interfaces: ["lo"], luns: true))
        #expect(full.problems == [])
        let two = try #require(full.targets.first { $0.name.hasSuffix(":two") })
        #expect(two.portals.map(\.interface) == ["lo"])
        #expect(two.luns.map(\.lun) == [0, 1, 2])
        #expect(two.luns.map(\.sizeBytes) == [nil, 64 << 20, 3 << 20])
        #expect(two.luns.map(\.blockLength) == [nil, 512, 512])
        #expect(two.luns.allSatisfy { $0.vendor == "IET" && $0.serial != nil && $0.wwid != nil })
        #expect(two.luns[0].error == "not a disk but a storage array controller")
        #expect(two.luns[1].model == "VIRTUAL-DISK")
        #expect(Set(two.luns.compactMap(\.wwid)).count == 3)
        // The controller alone.
        #expect(full.targets.first { $0.name.hasSuffix(":none") }?.luns.map(\.lun) == [0])

        // Again and again: no session is left behind that would be in the way.
        for _ in 0..<3 {
            let again = try TargetDiscoveryTests.discovery().discover(
                DiscoverRequest(portals: [portal], interfaces: ["lo"], luns: true))
            #expect(again == full)
        }
    }

    @Test func `tgt that hides its targets answers with an empty list`() throws {
        let tgt = try TgtDaemon()
        defer { tgt.stop() }
        try tgt.addTarget(1, "iqn.2026-01.io.causeway.test:hidden", initiators: "192.0.2.1")
        let portal = CausewayControl.PortalAddress(host: "127.0.0.1", port: tgt.portal.port)
        let found = try TargetDiscoveryTests.discovery().discover(
            DiscoverRequest(portals: [portal], luns: true))
        #expect(found == Discovery(targets: []))
    }

    @Test func `tgt without a target hangs up, and the remedy says so`() throws {
        let tgt = try TgtDaemon()
        defer { tgt.stop() }
        let portal = CausewayControl.PortalAddress(host: "127.0.0.1", port: tgt.portal.port)
        let error = try TargetDiscoveryTests.failure([portal])
        #expect(error.kind == .portalUnreachable)
        #expect(error.message.contains("closed the connection"))
        #expect(error.remedy.contains("has no target"))
    }

    @Test func `A data session is not disturbed by discovery`() throws {
        let tgt = try TgtDaemon()
        defer { tgt.stop() }
        let name = "iqn.2026-01.io.causeway.test:two"
        try tgt.addTarget(1, name, sizes: [1 << 20])
        let portal = CausewayControl.PortalAddress(host: "127.0.0.1", port: tgt.portal.port)
        let discovery = try TargetDiscoveryTests.discovery()
        // As a lane would, but for its ISID: another discovery client with another identity stands for it.
        var session = try TargetSession.open(
            TargetSession.Login(
                initiatorName: discovery.initiatorName, target: try ISCSIName(name),
                identity: SessionIdentity(machineID: "0124", networkNamespace: 7), slot: 0,
                timeouts: DiscoveryTimeouts()),
            over: .init(to: tgt.portal))
        _ = try discovery.discover(DiscoverRequest(portals: [portal], luns: true))
        var answers: [SCSIStatus] = []
        for _ in 0..<4 {
            answers.append(
                try session.command(
                    lun: LogicalUnitNumber(rawValue: 1 << 48), .testUnitReady, expectedLength: 0,
                    deadline: DiscoveryTimeouts.after(10_000)
                ).status)
        }
        #expect(answers.last == .good)
        session.close()
    }
}
