import CausewayConfiguration
import CausewayControl
import CausewayCore
import LinuxSystem
import Logging
import Synchronization
import Testing

@testable import CausewayDaemon

/// What a reload finds changed, before anything is touched.
@Suite struct DiskChangesTests {
    private static let iqn = "iqn.2026-01.example:t"

    private static func request(_ name: String = "d", lun: UInt64 = 1) throws -> AttachRequest {
        AttachRequest(
            name: try DiskName(name), target: iqn, portals: [.init(host: "192.0.2.1")], interfaces: ["eth1"],
            lun: lun)
    }

    private static func disk(_ name: String = "d") throws -> DiskConfiguration {
        DiskConfiguration(try request(name), target: try ISCSIName(iqn))
    }

    @Test func `What takes a detach and an attach is named with both values`() throws {
        let request = try Self.request()
        var file = try Self.disk()
        #expect(DiskChanges.needingAttach(request, file) == [])
        file.portals = [.init(host: "192.0.2.9")]
        file.interfaces = []
        #expect(DiskChanges.needingAttach(request, file) == [], "paths come and go while the disk lives")
        file.target = try ISCSIName("iqn.2026-01.example:u")
        file.lun = 2
        file.socket = "/run/d.sock"
        file.isReadOnly = true
        file.queues = 4
        #expect(
            DiskChanges.needingAttach(request, file) == [
                "target is iqn.2026-01.example:u; it was iqn.2026-01.example:t", "lun is 2; it was 1",
                "socket is /run/d.sock; it was a kernel device", "read-only is true; it was false",
                "queues is 4; it was 1",
            ])
    }

    private static func settings(_ changes: [String: String]) throws -> DiskSettings {
        var settings = DiskSettings()
        for (key, text) in changes { try settings.set(key, to: text) }
        return settings
    }

    @Test func `A disk's file goes before what was set by hand`() throws {
        let inForce = try Self.settings(["policy": "fixed", "fence": "none"])
        let wanted = try Self.settings(["fence": "none", "space": "hold"])
        let changes = DiskChanges.settings(wanted: wanted, before: nil, inForce: inForce)
        #expect(changes == ["policy": DiskSettings().texts["policy"], "space": "hold"])
        #expect(
            DiskChanges.sentences(["space": "hold", "policy": "fixed"], inForce: inForce) == [
                "policy is fixed; it was fixed", "space is hold; it was error",
            ])
    }

    @Test func `Without a file only what the configuration has changed is taken`() throws {
        let before = try Self.settings(["noop-interval": "10s"])
        let wanted = try Self.settings(["noop-interval": "20s", "space": "hold"])
        let inForce = try Self.settings(["noop-interval": "10s", "policy": "fixed", "space": "hold"])
        let changes = DiskChanges.settings(wanted: wanted, before: before, inForce: inForce)
        #expect(changes == ["noop-interval": "20s"])
    }

    @Test func `How paths are used is changed by an attach alone`() throws {
        let wanted = try Self.settings(["multipathing": "connections"])
        #expect(DiskChanges.settings(wanted: wanted, before: nil, inForce: DiskSettings()) == [:])
        #expect(
            DiskChanges.needingAttach(["multipathing": "connections"], .sessions)
                == ["multipathing is connections; it was sessions"])
        #expect(
            DiskChanges.needingAttach([:], .connections) == ["multipathing is sessions; it was connections"])
        #expect(DiskChanges.needingAttach([:], .sessions) == [])
    }

    @Test func `Digests wait for logins, other settings do not`() {
        #expect(DiskChanges.ofLogins(["policy": "fixed", "noop-interval": "5s"]) == [])
        #expect(
            DiskChanges.ofLogins(["header-digest": "crc32c", "data-digest": "none", "policy": "x"])
                == ["data-digest", "header-digest"])
    }

    @Test func `Login settings are compared by name`() throws {
        var settings = InheritedSettings()
        let before = try DiskLogin(settings)
        #expect(try DiskLogin(settings).differences(from: before) == [])
        settings.queueDepth = 9
        settings.parameters.maxBurstLength = 65_536
        settings.parameters.immediateData = false
        let names = try DiskLogin(settings).differences(from: before)
        #expect(names == ["ImmediateData", "MaxBurstLength", "queue-depth"])
        settings.chap.level = .required
        #expect(throws: ControlError.self) { try DiskLogin(settings) }
    }

    @Test func `Sessions are old until each was made anew`() throws {
        func session(_ number: UInt64) throws -> SessionName {
            SessionName(
                initiator: try ISCSIName("iqn.2026-01.example:i"), target: try ISCSIName(Self.iqn),
                isid: InitiatorSessionID(hash: number))
        }
        var old = OldLogins()
        old.add(["chap"], [])
        #expect(old == OldLogins(), "nothing waits where no session stands")
        old.add(["chap"], [try session(1)])
        old.add(["MaxBurstLength", "chap"], [try session(1), try session(2)])
        #expect(old.reasons == ["chap", "MaxBurstLength"])
        #expect(old.sessions.count == 2)
    }

    @Test func `A file's paths replace its earlier ones, and what was added by hand stays`() throws {
        func address(_ text: String) throws -> SocketAddress {
            try #require(SocketAddress(parsing: text, defaultPort: 3260))
        }
        let (a, b, c) = (try address("192.0.2.1"), try address("192.0.2.2"), try address("192.0.2.3"))
        let old = WantedPaths(interfaces: ["eth1", "eth2"], portals: [a, b])
        let new = WantedPaths(interfaces: ["eth2", "eth4"], portals: [b])
        let present = WantedPaths(
            interfaces: ["eth1", "eth2", "eth3"], portals: [a, b, c], waiting: ["eth1", "eth3"])
        let after = present.replacing(old, with: new)
        #expect(after.interfaces == ["eth2", "eth4", "eth3"])
        #expect(after.portals == [b, c])
        #expect(after.waiting == ["eth3"])
        #expect(after.covers(interface: "eth3", portal: "192.0.2.3:3260"))
        #expect(!after.covers(interface: "eth1", portal: "192.0.2.2:3260"))
        #expect(!after.covers(interface: "", portal: "192.0.2.2:3260"))
        let unbound = WantedPaths(portals: [a])
        #expect(unbound.covers(interface: "", portal: "192.0.2.1:3260"))
        #expect(!unbound.covers(interface: "eth1", portal: "192.0.2.1:3260"))
    }

    /// Attaches, with what each was attached as.
    private final class Attached: Sendable {
        let all = Mutex<[String: Int]>([:])
        let isThere = Atomic(false)

        func attach(_ disk: DiskConfiguration) throws(ControlError) {
            guard isThere.load(ordering: .sequentiallyConsistent) else { throw .busy("not yet") }
            all.withLock { $0[disk.name.text] = disk.portals.count }
        }
        var disks: [String: Int] { all.withLock { $0 } }
    }

    @Test func `Disks that come later are attached too, as their newest file says`() throws {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let disks = ConfiguredDisks([], logger: logger)
        defer { disks.stop() }
        let attached = Attached()
        disks.start { disk throws(ControlError) in try attached.attach(disk) }
        disks.add([try Self.disk("a"), try Self.disk("b"), try Self.disk("c")])
        #expect(disks.names == ["a", "b", "c"])
        let name = try DiskName("b")
        #expect(eventually { disks.explanation(of: name)?.message.contains("not yet") == true })
        var changed = try Self.disk("b")
        changed.portals.append(.init(host: "192.0.2.7"))
        disks.add([changed])
        #expect(disks.drop(try DiskName("c")))
        attached.isThere.store(true, ordering: .sequentiallyConsistent)
        #expect(eventually { attached.disks.count == 2 })
        #expect(attached.disks == ["a": 1, "b": 2])
        #expect(eventually { disks.names.isEmpty })
        // Its threads have ended by now, or are about to.
        disks.add([try Self.disk("e")])
        #expect(eventually { attached.disks["e"] == 1 })
    }
}
