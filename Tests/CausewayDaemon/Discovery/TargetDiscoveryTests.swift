import CausewayControl
import CausewayCore
import Glibc
import LinuxSystem
import Synchronization
import Testing

@testable import CausewayDaemon

/// Discovery against a target that answers as a script says.
@Suite struct TargetDiscoveryTests {
    static let initiator = "iqn.2026-01.test:initiator"

    static func discovery(_ timeouts: DiscoveryTimeouts = DiscoveryTimeouts()) throws -> TargetDiscovery {
        TargetDiscovery(
            initiatorName: try ISCSIName(initiator),
            identity: SessionIdentity(machineID: "0123", networkNamespace: 7), timeouts: timeouts)
    }

    /// Time-outs for what is never answered.
    static let impatient = DiscoveryTimeouts(connect: 300, session: 300, command: 300, logout: 50)

    static func portal(_ target: ScriptedTarget) -> CausewayControl.PortalAddress {
        .init(host: "127.0.0.1", port: target.address.port)
    }

    /// A portal where nothing listens.
    static func deadPortal() throws -> CausewayControl.PortalAddress {
        let listener = try TCPConnection.listen(on: SocketAddress(IPAddress(v4: 0x7f00_0001), port: 0))
        let address = try #require(TCPConnection.localAddress(of: listener.rawValue))
        return .init(host: "127.0.0.1", port: address.port)
    }

    @Test(arguments: [Int.max, 1, 47, 7])
    func `Targets and portals are listed, however the bytes arrive`(pieceLength: Int) throws {
        let parts = [
            "TargetName=iqn.2026-01.test:a\0TargetAddress=10.0.1.1:3260,1\0TargetAddress=10.0.",
            "2.1:3261,2\0TargetAddress=[2001:db8::1]:3260,2\0TargetName=iqn.2026-01.te", "st:b\0",
        ]
        let target = try ScriptedTarget { peer in
            var peer = peer
            peer.pieceLength = pieceLength
            try peer.discover(parts)
        }
        defer { target.stop() }
        let found = try Self.discovery().discover(DiscoverRequest(portals: [Self.portal(target)]))
        #expect(found.problems == [])
        #expect(
            found.targets == [
                TargetReport(
                    name: "iqn.2026-01.test:a",
                    portals: [
                        PortalReport(address: "10.0.1.1", port: 3260, groupTag: 1),
                        PortalReport(address: "10.0.2.1", port: 3261, groupTag: 2),
                        PortalReport(address: "2001:db8::1", port: 3260, groupTag: 2),
                    ]),
                // No address: the portal that was asked (RFC 7143 Appendix C).
                TargetReport(
                    name: "iqn.2026-01.test:b",
                    portals: [PortalReport(address: "127.0.0.1", port: target.address.port, groupTag: 1)]),
            ])
    }

    @Test func `What several portals list is one target, and the interface is told`() throws {
        let first = try ScriptedTarget { peer in
            var peer = peer
            try peer.discover([
                "TargetName=iqn.2026-01.test:a\0TargetAddress=10.0.1.1,1\0TargetAddress=0.0.0.0:3260,2\0"
            ])
        }
        defer { first.stop() }
        let second = try ScriptedTarget { peer in
            var peer = peer
            try peer.discover([
                "TargetName=IQN.2026-01.test:a\0TargetAddress=10.0.1.1:3260,1\0",
                "TargetAddress=10.0.2.1:3260,2\0",
            ])
        }
        defer { second.stop() }
        let request = DiscoverRequest(portals: [Self.portal(first), Self.portal(second)], interfaces: ["lo"])
        let found = try Self.discovery().discover(request)
        #expect(found.problems == [])
        #expect(
            found.targets == [
                TargetReport(
                    name: "iqn.2026-01.test:a",
                    portals: [
                        PortalReport(address: "10.0.1.1", port: 3260, groupTag: 1, interface: "lo"),
                        PortalReport(address: "127.0.0.1", port: 3260, groupTag: 2, interface: "lo"),
                        PortalReport(address: "10.0.2.1", port: 3260, groupTag: 2, interface: "lo"),
                    ])
            ])
    }

    @Test func `A discovery session says who it is and that it is one`() throws {
        let seen = Mutex<[String]>([])
        let target = try ScriptedTarget { peer in
            var peer = peer
            let lines = try peer.logIn(tsih: 0)
            seen.withLock { $0 = lines }
            throw ScriptedPeer.HungUp()
        }
        let portal = Self.portal(target)
        #expect(throws: ControlError.self) {
            try Self.discovery().discover(DiscoverRequest(portals: [portal]))
        }
        target.stop()
        let lines = seen.withLock { $0 }
        #expect(lines.contains("InitiatorName=\(Self.initiator)"))
        #expect(lines.contains("SessionType=Discovery"))
        #expect(!lines.contains { $0.hasPrefix("TargetName=") })
    }

    @Test func `One portal that gives no answer hides nothing of the others`() throws {
        let target = try ScriptedTarget { peer in
            var peer = peer
            try peer.discover(["TargetName=iqn.2026-01.test:a\0TargetAddress=10.0.1.1,1\0"])
        }
        defer { target.stop() }
        let mute = try ScriptedTarget { try $0.stayMute() }
        defer { mute.stop() }
        let dead = try Self.deadPortal()
        var timeouts = DiscoveryTimeouts()
        timeouts.session = 1_500
        let request = DiscoverRequest(
            portals: [dead, Self.portal(mute), Self.portal(target)], interfaces: ["nosuch0", "lo"])
        let found = try Self.discovery(timeouts).discover(request)
        #expect(found.targets.map(\.name) == ["iqn.2026-01.test:a"])
        #expect(
            found.problems == [
                "there is no network interface \"nosuch0\"",
                "the portal \(dead) cannot be reached through lo: Connection refused (ECONNREFUSED)",
                "the portal \(Self.portal(mute)) through lo gave no answer: "
                    + "it accepted the connection and gave no answer to the login in time",
            ])
    }

    @Test func `A list with entries that cannot be read says so`() throws {
        let target = try ScriptedTarget { peer in
            var peer = peer
            try peer.discover(["TargetName=disk\u{1b}[2J\0TargetName=iqn.2026-01.test:a\0TargetAddress=?\0"])
        }
        defer { target.stop() }
        let found = try Self.discovery().discover(DiscoverRequest(portals: [Self.portal(target)]))
        #expect(found.targets.map(\.name) == ["iqn.2026-01.test:a"])
        let problem = try #require(found.problems.first)
        #expect(problem.contains("lists what cannot be read"))
        #expect(!problem.utf8.contains(0x1b))
    }

    @Test func `A target that does not answer the logout has been discovered all the same`() throws {
        let target = try ScriptedTarget { peer in
            var peer = peer
            try? peer.discover(["TargetName=iqn.2026-01.test:a\0", ""])
        }
        defer { target.stop() }
        let mute = try ScriptedTarget { peer in
            var peer = peer
            _ = try peer.logIn(tsih: 0)
            let (request, _) = try peer.receive()
            var response = peer.answer(.textResponse, to: request)
            response[5] = reservedTag
            try peer.send(response, data: Array("TargetName=iqn.2026-01.test:b\0".utf8))
            try peer.stayMute()
        }
        defer { mute.stop() }
        var timeouts = DiscoveryTimeouts()
        timeouts.logout = 50
        let request = DiscoverRequest(portals: [Self.portal(target), Self.portal(mute)])
        let found = try Self.discovery(timeouts).discover(request)
        #expect(found.targets.map(\.name) == ["iqn.2026-01.test:a", "iqn.2026-01.test:b"])
        #expect(found.problems == [])
    }

    @Test func `Discoveries that run at the same time have ISIDs of their own`() {
        // Other tests hold slots too.
        let first = DiscoverySlot()
        let second = DiscoverySlot()
        #expect(first.number != second.number)
        let third = DiscoverySlot().number
        #expect(third != first.number && third != second.number)
    }

    // MARK: Nothing answers

    static func failure(
        _ portals: [CausewayControl.PortalAddress], interfaces: [String] = [],
        timeouts: DiscoveryTimeouts = DiscoveryTimeouts()
    ) throws -> ControlError {
        try #require(throws: ControlError.self) {
            try discovery(timeouts).discover(DiscoverRequest(portals: portals, interfaces: interfaces))
        }
    }

    @Test func `A portal where nothing listens`() throws {
        let dead = try Self.deadPortal()
        let error = try Self.failure([dead])
        #expect(error.kind == .portalUnreachable)
        #expect(error.message == "the portal \(dead) cannot be reached: Connection refused (ECONNREFUSED)")
        #expect(!error.remedy.isEmpty)
    }

    @Test func `An interface that does not exist goes before all else`() throws {
        let error = try Self.failure([Self.deadPortal()], interfaces: ["lo", "nosuch0"])
        #expect(error == .noSuchInterface("nosuch0"))
    }

    @Test func `A refused login tells the status`() throws {
        let target = try ScriptedTarget { peer in
            var peer = peer
            try peer.refuseLogin(0x0202)
        }
        defer { target.stop() }
        let error = try Self.failure([Self.deadPortal(), Self.portal(target)])
        #expect(error.kind == .loginRefused)
        #expect(error.statusClass == 2)
        #expect(error.statusDetail == 2)
        #expect(
            error.message
                == "the portal \(Self.portal(target)) refused the login of a discovery session: "
                + "not authorised: allow this initiator name in the target's access list (login status 0202)")
        #expect(error.remedy == "the initiator name to allow on the target is \(Self.initiator)")
    }

    @Test func `Silence ends with the time limit`() throws {
        let target = try ScriptedTarget { try $0.stayMute() }
        defer { target.stop() }
        let error = try Self.failure([Self.portal(target)], timeouts: Self.impatient)
        #expect(error.kind == .portalUnreachable)
        #expect(error.message.contains("gave no answer to the login in time"))
    }

    @Test func `Silence after the login, too`() throws {
        let target = try ScriptedTarget { peer in
            var peer = peer
            _ = try peer.logIn(tsih: 0)
            try peer.stayMute()
        }
        defer { target.stop() }
        var timeouts = Self.impatient
        timeouts.session = 2_000
        let error = try Self.failure([Self.portal(target)], timeouts: timeouts)
        #expect(error.message.contains("SendTargets"))
    }

    /// What comes instead of a Login Response.
    static let wrongAnswers: [(name: String, bytes: [UInt8])] = [
        // Not iSCSI: 0x48 is "H", opcode 0x08 with the I bit.
        (
            "a web server",
            Array("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".utf8)
        ),
        // Login Response that announces 16 MiB - 1 of data.
        ("a huge data segment", [0x23, 0x87, 0, 0, 0, 0xff, 0xff, 0xff] + [UInt8](repeating: 0, count: 40)),
        // Login Response with additional header segments.
        ("additional headers", [0x23, 0x87, 0, 0, 0x10, 0, 0, 0] + [UInt8](repeating: 0, count: 40)),
        // A Text Response during the login.
        ("another PDU", [0x24, 0x80, 0, 0] + [UInt8](repeating: 0, count: 44)),
        // Half a header, and the end.
        ("half a header", [0x23, 0x87, 0, 0, 0, 0, 0, 0]),
        ("nothing", []),
    ]

    @Test(arguments: wrongAnswers.indices)
    func `What answers wrongly is an error and no crash`(index: Int) throws {
        let (name, bytes) = Self.wrongAnswers[index]
        let target = try ScriptedTarget { peer in
            _ = try peer.receive()
            try peer.send(bytes: bytes)
        }
        defer { target.stop() }
        let error = try Self.failure([Self.portal(target)])
        #expect(error.kind == .portalUnreachable, "\(name): \(error)")
        #expect(error.message.contains("\(Self.portal(target))"))
    }

    @Test func `A redirection is followed, and a circle of them left`() throws {
        let target = try ScriptedTarget { peer in
            var peer = peer
            try peer.discover(["TargetName=iqn.2026-01.test:a\0TargetAddress=10.0.1.1,1\0"])
        }
        defer { target.stop() }
        let address = "\(target.address)"
        let moved = try ScriptedTarget { peer in
            var peer = peer
            try peer.refuseLogin(0x0101, "TargetAddress=\(address)\0")
        }
        defer { moved.stop() }
        let found = try Self.discovery().discover(
            DiscoverRequest(portals: [Self.portal(moved)], interfaces: ["lo"]))
        #expect(found.targets.map(\.name) == ["iqn.2026-01.test:a"])

        let own = Mutex("")
        let circle = try ScriptedTarget { peer in
            var peer = peer
            try peer.refuseLogin(0x0101, "TargetAddress=\(own.withLock { $0 })\0")
        }
        defer { circle.stop() }
        own.withLock { $0 = "\(circle.address)" }
        let error = try Self.failure([Self.portal(circle)])
        #expect(error.message.contains("redirects in a circle"))
    }
}
