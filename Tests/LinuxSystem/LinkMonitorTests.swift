import CLinux
import Glibc
import Testing

@testable import LinuxSystem

@Suite struct LinkMonitorTests {
    /// Reads events until one is what the test waits for, at most ten seconds.
    static func wait(_ monitor: inout LinkMonitor, _ isWanted: (LinkEvent) -> Bool) throws -> LinkEvent? {
        let begin = MonotonicClock.now()
        while MonotonicClock.now().nanoseconds(since: begin) < 10_000_000_000 {
            for event in try monitor.readEvents() where isWanted(event) { return event }
            _ = try ready(monitor.descriptor, for: [.readable])
        }
        return nil
    }

    @Test func loopbackIsAlwaysThere() throws {
        let interfaces = try NetworkInterfaces.list()
        let loopback = try #require(interfaces.first { $0.link.isLoopback })
        #expect(loopback.link.name == "lo" && loopback.link.index == 1)
        #expect(loopback.link.mtu > 0)
        #expect(try NetworkLink.index(of: "lo") == 1)
        #expect(loopback.addresses.contains { $0.address.description == "127.0.0.1" && $0.prefixLength == 8 })
    }

    @Test(.enabled(if: isRoot, needsRoot))
    func listsStateAndAddresses() throws {
        let interfaces = try inNewNetworkNamespace {
            try run(
                "ip", "link", "add", "a0", "mtu", "9000", "type", "veth", "peer", "name", "a1", "mtu", "9000")
            try run("ip", "address", "add", "10.0.0.1/24", "dev", "a0")
            try run("ip", "address", "add", "10.0.9.1", "peer", "10.0.9.2/32", "dev", "a0")
            try run("ip", "address", "add", "2001:db8::1/64", "dev", "a0", "nodad")
            try run("ip", "link", "set", "a0", "up")
            let before = try NetworkInterfaces.list()
            try run("ip", "link", "set", "a1", "up")
            // Its detection of duplicates begins now and lasts a second or two.
            try run("ip", "address", "add", "2001:db8::2/64", "dev", "a0")
            return (before, try NetworkInterfaces.list())
        }
        let before = try #require(interfaces.0.first { $0.link.name == "a0" }).link
        #expect(before.isUp && !before.hasCarrier && !before.isRunning)
        let after = try #require(interfaces.1.first { $0.link.name == "a0" })
        #expect(after.link.isUp && after.link.hasCarrier && after.link.mtu == 9000)
        func find(_ text: String) -> InterfaceAddress? {
            after.addresses.first { $0.address.description == text }
        }
        let v4 = try #require(find("10.0.0.1"))
        #expect(v4.prefixLength == 24 && v4.scope == .global && v4.isUsable)
        #expect(find("10.0.9.1")?.prefixLength == 32)
        #expect(find("10.0.9.2") == nil)
        #expect(find("2001:db8::1")?.isUsable == true)
        let tentative = try #require(find("2001:db8::2"))
        #expect(tentative.isTentative && !tentative.isUsable)
    }

    @Test(.enabled(if: isRoot, needsRoot))
    func announcesCarrierAddressesAndRemoval() throws {
        let events = try inNewNetworkNamespace {
            var events: [String: LinkEvent?] = [:]
            var monitor = try LinkMonitor()
            try run("ip", "link", "add", "a0", "type", "veth", "peer", "name", "a1")
            try run("ip", "link", "set", "a0", "up")
            try run("ip", "link", "set", "a1", "up")
            func a0(_ event: LinkEvent, _ isWanted: (NetworkLink) -> Bool) -> Bool {
                if case .linkChanged(let link) = event, link.name == "a0" { isWanted(link) } else { false }
            }
            events["carrier"] = try Self.wait(&monitor) { a0($0) { $0.hasCarrier && $0.isRunning } }
            try run("ip", "address", "add", "10.0.0.1/24", "dev", "a0")
            events["address"] = try Self.wait(&monitor) {
                if case .addressAdded(let address) = $0 { address.address.family == .v4 } else { false }
            }
            try run("ip", "link", "set", "a1", "down")
            events["no carrier"] = try Self.wait(&monitor) { a0($0) { $0.isUp && !$0.hasCarrier } }
            try run("ip", "address", "del", "10.0.0.1/24", "dev", "a0")
            events["address gone"] = try Self.wait(&monitor) {
                if case .addressRemoved(let address) = $0 { address.address.family == .v4 } else { false }
            }
            try run("ip", "link", "set", "a0", "down")
            events["down"] = try Self.wait(&monitor) { a0($0) { !$0.isUp } }
            try run("ip", "link", "delete", "a0")
            events["gone"] = try Self.wait(&monitor) {
                if case .linkRemoved(let link) = $0 { link.name == "a0" } else { false }
            }
            return events
        }
        for (name, event) in events { #expect(event != nil, "\(name)") }
        #expect(events.count == 6)
        guard case .addressAdded(let address)? = events["address"] ?? nil else {
            Issue.record("no address")
            return
        }
        #expect(address.address.description == "10.0.0.1" && address.prefixLength == 24)
    }

    static let hasBridges =
        isRoot
        && (try? inNewNetworkNamespace { try run("ip", "link", "add", "br0", "type", "bridge") }) != nil

    /// A bridge tells of a port that leaves it with the same message type as of an interface that disappears.
    @Test(.enabled(if: hasBridges, "needs root and the kernel's bridge module"))
    func aPortThatLeavesABridgeIsNotRemoved() throws {
        let removed = try inNewNetworkNamespace {
            try run("ip", "link", "add", "a0", "type", "veth", "peer", "name", "a1")
            try run("ip", "link", "add", "br0", "type", "bridge")
            try run("ip", "link", "set", "a0", "master", "br0")
            var monitor = try LinkMonitor()
            try run("ip", "link", "set", "a0", "nomaster")
            try run("ip", "link", "delete", "br0")
            var removed: [String] = []
            _ = try Self.wait(&monitor) {
                guard case .linkRemoved(let link) = $0 else { return false }
                removed.append(link.name)
                return link.name == "br0"
            }
            return removed
        }
        #expect(removed == ["br0"])
    }

    @Test(.enabled(if: isRoot, needsRoot))
    func lostEventsAskForAResync() throws {
        let events = try inNewNetworkNamespace {
            try run("ip", "link", "add", "a0", "type", "veth", "peer", "name", "a1")
            var monitor = try LinkMonitor()
            try check(
                linux_set_option(monitor.descriptor, linux_option_receive_buffer, 1), "setsockopt",
                "SO_RCVBUF")
            for number in 1...60 { try run("ip", "address", "add", "10.0.0.\(number)/24", "dev", "a0") }
            var events: [LinkEvent] = []
            while true {
                let more = try monitor.readEvents()
                if more.isEmpty { break }
                events += more
            }
            return events
        }
        #expect(events.contains(.resyncNeeded))
        #expect(events.count < 60)
    }

    @Test func choosesTheSourceByPrefixAndFamily() throws {
        func address(_ text: String, _ length: Int, tentative: Bool = false, deprecated: Bool = false) throws
            -> InterfaceAddress
        {
            InterfaceAddress(
                interfaceIndex: 7, address: try #require(IPAddress(parsing: text)), prefixLength: length,
                scope: .global,
                isTentative: tentative, isDuplicate: false, isDeprecated: deprecated)
        }
        let interface = NetworkInterface(
            link: NetworkLink(index: 7, name: "eth1", flags: 0x1),
            addresses: try [
                address("10.0.1.1", 24), address("10.0.2.1", 24), address("10.0.3.1", 24, tentative: true),
                address("fe80::1", 64), address("2001:db8::1", 64, deprecated: true),
                address("2001:db8::2", 64),
            ])
        func source(_ text: String) throws -> String? {
            interface.sourceAddress(toward: try #require(IPAddress(parsing: text)))?.address.description
        }
        #expect(try source("10.0.2.99") == "10.0.2.1")
        #expect(try source("10.0.3.99") == "10.0.1.1")
        #expect(try source("192.168.0.1") == "10.0.1.1")
        #expect(try source("2001:db8::9") == "2001:db8::2")
        #expect(try source("fe80::9") == "fe80::1")
        let bare = NetworkInterface(link: interface.link, addresses: try [address("fe80::1", 64)])
        #expect(bare.sourceAddress(toward: try #require(IPAddress(parsing: "2001:db8::9"))) == nil)
    }
}
