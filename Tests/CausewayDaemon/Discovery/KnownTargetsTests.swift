import CausewayControl
import CausewayCore
import Glibc
import Testing

@testable import CausewayDaemon

@Suite struct KnownTargetsTests {
    private static let address = CausewayControl.PortalAddress(host: "192.0.2.1", port: 3260)

    private static func target(_ name: String, _ portals: (String, String?)...) -> TargetReport {
        TargetReport(
            name: name,
            portals: portals.map {
                PortalReport(address: $0.0, port: 3260, groupTag: 1, interface: $0.1)
            })
    }

    private func hosts(_ known: KnownTargets, _ name: String = "iqn.2026-01.a:b") throws -> [String] {
        known.portals(of: try ISCSIName(name), at: Self.address)?.portals.map(\.host) ?? []
    }

    @Test func aNewListTakesThePlaceOfTheOld() throws {
        var known = KnownTargets()
        var isNew = false
        let first = [Self.target("iqn.2026-01.a:b", ("192.0.2.1", "eth1"), ("192.0.2.2", "eth1"))]
        isNew = known.learn(first, at: Self.address, through: ["eth1"], timeMicroseconds: 1)
        #expect(isNew)
        #expect(try hosts(known) == ["192.0.2.1", "192.0.2.2"])
        isNew = known.learn(first, at: Self.address, through: ["eth1"], timeMicroseconds: 2)
        #expect(!isNew)
        let second = [Self.target("iqn.2026-01.a:b", ("192.0.2.2", "eth1"), ("192.0.2.3", "eth1"))]
        isNew = known.learn(second, at: Self.address, through: ["eth1"], timeMicroseconds: 3)
        #expect(isNew)
        #expect(try hosts(known) == ["192.0.2.2", "192.0.2.3"])
        #expect(known.addresses.map(\.answeredMicroseconds) == [3])
    }

    @Test func whatASilentInterfaceToldStays() throws {
        var known = KnownTargets()
        _ = known.learn(
            [Self.target("iqn.2026-01.a:b", ("192.0.2.1", "eth1"), ("198.51.100.1", "eth2"))],
            at: Self.address, through: ["eth1", "eth2"], timeMicroseconds: 1)
        var isNew = false
        let half = [Self.target("iqn.2026-01.a:b", ("192.0.2.1", "eth1"))]
        isNew = known.learn(half, at: Self.address, through: ["eth1", "eth2"], timeMicroseconds: 2)
        #expect(!isNew)
        #expect(try hosts(known) == ["192.0.2.1", "198.51.100.1"])
        // One that is not used any more.
        isNew = known.learn(half, at: Self.address, through: ["eth1"], timeMicroseconds: 3)
        #expect(isNew)
        #expect(try hosts(known) == ["192.0.2.1"])
    }

    @Test func aTargetThatIsGoneIsForgotten() throws {
        var known = KnownTargets()
        var isNew = false
        let both = [
            Self.target("iqn.2026-01.a:b", ("192.0.2.1", nil)),
            Self.target("iqn.2026-01.a:c", ("192.0.2.1", nil)),
        ]
        isNew = known.learn(both, at: Self.address, through: [], timeMicroseconds: 1)
        #expect(isNew)
        isNew = known.learn([both[0]], at: Self.address, through: [], timeMicroseconds: 2)
        #expect(isNew)
        #expect(try hosts(known, "iqn.2026-01.a:c").isEmpty && hosts(known) == ["192.0.2.1"])
        let hasForgotten = [known.forgetOthers(than: []), known.forgetOthers(than: [])]
        #expect(hasForgotten == [true, false] && known.addresses.isEmpty)
    }

    @Test func namesOnlyWhereThereAreNoAddresses() {
        let mixed = Self.target(
            "iqn.2026-01.a:b", ("array.example", nil), ("192.0.2.1", nil), ("192.0.2.1", "e"))
        #expect(mixed.addresses == [Self.address])
        #expect(
            Self.target("iqn.2026-01.a:b", ("array.example", nil)).addresses.map(\.host) == ["array.example"])
    }

    @Test func theFileOutlivesTheDaemon() throws {
        var template = Array("/tmp/causeway-targets-XXXXXX".utf8CString)
        let folder = String(cString: try #require(mkdtemp(&template))) + "/data"
        defer {
            unlink(folder + "/targets.json")
            rmdir(folder)
            rmdir(String(folder.dropLast(5)))
        }
        let file = KnownTargetsFile(dataDirectory: folder)
        #expect(file.targets == KnownTargets())
        try file.change {
            $0.learn(
                [Self.target("iqn.2026-01.a:b", ("192.0.2.1", "eth1"))], at: Self.address,
                through: ["eth1"], timeMicroseconds: 7)
        }
        let next = KnownTargetsFile(dataDirectory: folder)
        #expect(next.targets == file.targets && next.targets.addresses.count == 1)
        try StateFile.replace(file.path, with: Array("{\"addresses\":".utf8))
        #expect(KnownTargetsFile(dataDirectory: folder).targets == KnownTargets())
    }
}
