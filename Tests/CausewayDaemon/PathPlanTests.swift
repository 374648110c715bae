import CausewayControl
import CausewayCore
import Testing

@testable import CausewayDaemon
@testable import LinuxSystem

/// Which interface is paired with which portal.
@Suite struct PathPlanTests {
    /// An interface with addresses such as `10.0.1.2/24`.
    static func interface(
        _ name: String, _ index: UInt32, _ addresses: [String], isUp: Bool = true, isTentative: Bool = false
    ) throws -> NetworkInterface {
        let flags: UInt32 = isUp ? 0x1_0041 : 0
        return NetworkInterface(
            link: NetworkLink(index: index, name: name, flags: flags, mtu: 1500),
            addresses: try addresses.map { text in
                let parts = text.split(separator: "/")
                let address = try #require(IPAddress(parsing: parts[0]))
                return InterfaceAddress(
                    interfaceIndex: index, address: address, prefixLength: try #require(Int(parts[1])),
                    scope: address.isLinkLocal ? .link : .global, isTentative: isTentative,
                    isDuplicate: false, isDeprecated: false)
            })
    }

    static func plan(
        _ interfaces: [String], _ portals: [String], _ present: [NetworkInterface]
    ) throws -> PathPlan {
        let identity = SessionIdentity(machineID: "0123", networkNamespace: 7)
        return PathPlan(
            interfaces: interfaces,
            portals: try portals.map { try #require(SocketAddress(parsing: $0, defaultPort: 3260)) },
            present: present
        ) { identity.isid(interface: $0, portal: $1, lane: 0) }
    }

    static func lines(_ plan: PathPlan) -> [String] {
        plan.paths.map { path in
            "\(path.interface ?? "-") \(path.source.map { "\($0)" } ?? "-") \(path.portal)"
        }
    }

    struct Row: Sendable {
        var name: String
        var interfaces: [String]
        var portals: [String]
        var paths: [String]
        var leftOut: [String] = []
        var unusable: [String] = []
    }

    static let rows = [
        Row(
            name: "no interface: one unbound path a portal, each portal once", interfaces: [],
            portals: ["10.0.1.1", "10.0.2.1:3261", "10.0.1.1"],
            paths: ["- - 10.0.1.1:3260", "- - 10.0.2.1:3261"]),
        Row(
            name: "two subnets: two paths, not four", interfaces: ["eth1", "eth2"],
            portals: ["10.0.1.1", "10.0.2.1"],
            paths: ["eth1 10.0.1.2 10.0.1.1:3260", "eth2 10.0.2.2 10.0.2.1:3260"],
            leftOut: [
                "10.0.2.1:3260 is in the subnet of eth2, so no path leads there through eth1",
                "10.0.1.1:3260 is in the subnet of eth1, so no path leads there through eth2",
            ]),
        Row(
            name: "two interfaces in one subnet: each with each", interfaces: ["eth1", "eth3"],
            portals: ["10.0.1.1", "10.0.1.9"],
            paths: [
                "eth1 10.0.1.2 10.0.1.1:3260", "eth1 10.0.1.2 10.0.1.9:3260", "eth3 10.0.1.3 10.0.1.1:3260",
                "eth3 10.0.1.3 10.0.1.9:3260",
            ]),
        Row(
            name: "a routed portal: with every interface", interfaces: ["eth2", "eth1"],
            portals: ["192.0.2.1"],
            paths: ["eth2 10.0.2.2 192.0.2.1:3260", "eth1 10.0.1.2 192.0.2.1:3260"]),
        Row(
            name: "near one interface that was not asked for: routed for those that were",
            interfaces: ["eth1"], portals: ["10.0.2.1"], paths: ["eth1 10.0.1.2 10.0.2.1:3260"]),
        Row(
            name: "the second address of an interface, when the portal is in its subnet",
            interfaces: ["multi"], portals: ["172.16.0.1", "10.9.0.1"],
            paths: ["multi 172.16.0.2 172.16.0.1:3260", "multi 10.9.0.2 10.9.0.1:3260"]),
        Row(
            name: "families are not mixed", interfaces: ["eth1", "dual"],
            portals: ["[2001:db8::1]", "10.0.1.1"],
            paths: ["eth1 10.0.1.2 10.0.1.1:3260", "dual 2001:db8::2 [2001:db8::1]:3260"],
            leftOut: [
                "[2001:db8::1]:3260 is in the subnet of dual, so no path leads there through eth1",
                "10.0.1.1:3260 is in the subnet of eth1, so no path leads there through dual",
            ]),
        Row(
            name: "an interface without an address of one family, for a routed portal",
            interfaces: ["eth1", "dual"], portals: ["[2001:db8:1::1]", "192.0.2.1"],
            paths: [
                "eth1 10.0.1.2 192.0.2.1:3260", "dual 2001:db8::2 [2001:db8:1::1]:3260",
                "dual 10.5.0.2 192.0.2.1:3260",
            ],
            leftOut: [
                "eth1 has no IPv6 address, so no path leads through it to [2001:db8:1::1]:3260"
            ]),
        Row(
            name: "no such interface", interfaces: ["eth1", "eth7"], portals: ["10.0.1.1"],
            paths: ["eth1 10.0.1.2 10.0.1.1:3260"],
            unusable: ["NoSuchInterface: there is no network interface \"eth7\""]),
        Row(
            name: "an interface that is down", interfaces: ["off"], portals: ["10.0.4.1"], paths: [],
            unusable: ["InterfaceWithoutAddress: the interface off is down"]),
        Row(
            name: "an interface that is down does not keep its subnet's portals",
            interfaces: ["off", "eth1"],
            portals: ["10.0.4.1"], paths: ["eth1 10.0.1.2 10.0.4.1:3260"],
            unusable: ["InterfaceWithoutAddress: the interface off is down"]),
        Row(
            name: "an interface without any address", interfaces: ["bare"], portals: ["10.0.1.1"], paths: [],
            unusable: ["InterfaceWithoutAddress: the interface bare has no IPv4 address"]),
        Row(
            name: "an address that is not usable yet is none", interfaces: ["new"],
            portals: ["[2001:db8:5::1]"], paths: [],
            unusable: ["InterfaceWithoutAddress: the interface new has no IPv6 address"]),
        Row(
            name: "a link-local portal without a zone, with every interface that has such an address",
            interfaces: ["dual", "eth1"], portals: ["[fe80::1]"], paths: ["dual fe80::2 [fe80::1]:3260"],
            unusable: ["InterfaceWithoutAddress: the interface eth1 has no IPv6 address"]),
    ]

    static func present() throws -> [NetworkInterface] {
        [
            try interface("eth1", 901, ["10.0.1.2/24"]), try interface("eth2", 902, ["10.0.2.2/24"]),
            try interface("eth3", 903, ["10.0.1.3/24"]),
            try interface("multi", 904, ["10.9.0.2/16", "172.16.0.2/12"]),
            try interface("dual", 905, ["10.5.0.2/24", "fe80::2/64", "2001:db8::2/64"]),
            try interface("off", 906, ["10.0.4.2/24"], isUp: false), try interface("bare", 907, []),
            try interface("new", 908, ["2001:db8:5::2/64"], isTentative: true),
        ]
    }

    @Test(arguments: rows)
    func `Interfaces and portals are paired`(row: Row) throws {
        let plan = try Self.plan(row.interfaces, row.portals, Self.present())
        #expect(Self.lines(plan) == row.paths, "\(row.name)")
        let unusable = plan.unusable.map { "\($0.error.kind.rawValue): \($0.error.message)" }
        #expect(unusable == row.unusable, "\(row.name)")
        // A portal that only an unusable interface is near to is left out by nobody.
        #expect(plan.leftOut.map(\.description) == row.leftOut, "\(row.name)")
    }

    @Test func `A link-local portal with a zone belongs to its interface alone`() throws {
        let present = try [
            Self.interface("a", 901, ["fe80::2/64"]), Self.interface("b", 902, ["fe80::3/64"]),
        ]
        var portal = try #require(IPAddress(parsing: "fe80::1"))
        portal.scope = 902
        let plan = PathPlan(
            interfaces: ["a", "b"], portals: [SocketAddress(portal, port: 3260)], present: present
        ) { _, _ in InitiatorSessionID(value: 1) }
        #expect(plan.paths.map(\.interface) == ["b"])
        #expect(plan.leftOut.map(\.reason) == [.nearer(["b"])])
    }

    @Test func `Every path has an ISID of its own, and the same one next time`() throws {
        let names = ["eth1", "eth3"]
        let portals = ["10.0.1.1", "10.0.1.9", "10.0.1.1:3261"]
        let plan = try Self.plan(names, portals, Self.present())
        #expect(plan.paths.count == 6)
        #expect(Set(plan.paths.map(\.isid)).count == 6)
        #expect(try Self.plan(names, portals, Self.present()) == plan)
        // The order of the request changes no ISID.
        let reversed = try Self.plan(names.reversed(), portals.reversed(), Self.present())
        #expect(Set(reversed.paths) == Set(plan.paths))
    }

    @Test func `Lane, machine, namespace, interface, portal and purpose make the ISID`() throws {
        let portal = try #require(SocketAddress(parsing: "10.0.1.1", defaultPort: 3260))
        let other = try #require(SocketAddress(parsing: "10.0.1.1", defaultPort: 860))
        let here = SessionIdentity(machineID: "0123", networkNamespace: 7)
        let isids = [
            here.isid(interface: "eth1", portal: portal, lane: 0),
            here.isid(interface: "eth1", portal: portal, lane: 1),
            here.isid(interface: "eth2", portal: portal, lane: 0),
            here.isid(interface: nil, portal: portal, lane: 0),
            here.isid(interface: "eth1", portal: other, lane: 0),
            here.isid(lane: 0),
            here.isid(lane: 1),
            here.discoveryISID(interface: "eth1", portal: portal, slot: 0),
            here.discoveryISID(interface: "eth1", portal: portal, slot: 1),
            SessionIdentity(machineID: "0124", networkNamespace: 7)
                .isid(interface: "eth1", portal: portal, lane: 0),
            SessionIdentity(machineID: "0123", networkNamespace: 8)
                .isid(interface: "eth1", portal: portal, lane: 0),
        ]
        #expect(Set(isids).count == isids.count)
        // RFC 7143 §10.1.1: type 10b, random, in the top bits of the first byte.
        #expect(isids.allSatisfy { $0.value >> 46 == 0b10 })
        #expect(isids.first == here.isid(interface: "eth1", portal: portal, lane: 0))
    }

    @Test func `Paths that are connections share an ISID`() throws {
        let here = SessionIdentity(machineID: "0123", networkNamespace: 7)
        let portals = try ["10.0.1.1", "10.0.2.1"].map {
            try #require(SocketAddress(parsing: $0, defaultPort: 3260))
        }
        let isids = portals.flatMap { portal in
            ["eth1", "eth2", nil].map { here.isid(.connections, interface: $0, portal: portal, lane: 0) }
        }
        #expect(Set(isids) == [here.isid(lane: 0)])
        let own = portals.map { here.isid(.sessions, interface: "eth1", portal: $0, lane: 0) }
        #expect(own == portals.map { here.isid(interface: "eth1", portal: $0, lane: 0) })
    }

    @Test func `Every queue has sessions of its own`() throws {
        let here = SessionIdentity(machineID: "0123", networkNamespace: 7)
        let portal = try #require(SocketAddress(parsing: "10.0.1.1", defaultPort: 3260))
        var plan = PathPlan(interfaces: [], portals: [portal], present: []) {
            here.isid(interface: $0, portal: $1, lane: 0)
        }
        let first = plan.paths
        plan.multiply(1, .sessions, here)
        #expect(plan.paths == first)
        plan.multiply(3, .sessions, here)
        #expect(plan.paths.map(\.queue) == [0, 1, 2])
        #expect(plan.paths.map(\.isid) == (0..<3).map { here.isid(interface: nil, portal: portal, lane: $0) })
        #expect(plan.paths[0] == first[0])
        #expect(!plan.paths[0].isSamePath(as: plan.paths[1]))
    }

    @Test func `This machine's loopback makes a path, and a missing interface an error`() throws {
        let portal = try #require(SocketAddress(parsing: "127.0.0.1", defaultPort: 3260))
        let plan = try PathPlan.make(interfaces: ["lo"], portals: [portal], .sessions, queues: 1)
        #expect(Self.lines(plan) == ["lo 127.0.0.1 127.0.0.1:3260"])
        #expect(throws: ControlError.noSuchInterface("nosuch0")) {
            try PathPlan.make(interfaces: ["lo", "nosuch0"], portals: [portal], .sessions, queues: 1)
        }
    }
}
