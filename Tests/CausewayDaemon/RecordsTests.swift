import CausewayControl
import CausewayCore
import Glibc
import Testing

@testable import CausewayDaemon

@Suite struct RecordsTests {
    private static func inFolder(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/causeway-records-XXXXXX".utf8CString)
        let folder = String(cString: try #require(mkdtemp(&template)))
        defer {
            for part in ["/sessions", "/disks"] {
                for name in StateFile.names(in: folder + part) { unlink("\(folder)\(part)/\(name)") }
                rmdir(folder + part)
            }
            rmdir(folder)
        }
        try body(folder)
    }

    private static func session(
        _ number: UInt64, target: String = "iqn.2026-01.io.causeway:t"
    ) throws -> SessionName {
        SessionName(
            initiator: try ISCSIName("iqn.2026-01.io.causeway:a"), target: try ISCSIName(target),
            isid: InitiatorSessionID(hash: number))
    }

    @Test func aSessionStandsOnRecordUntilItHasEnded() throws {
        try Self.inFolder { folder in
            let records = SessionRecords(stateDirectory: folder)
            try records.prepare()
            let name = try Self.session(7)
            func begin(_ name: SessionName) throws -> SessionRecord? {
                try records.begin(name, portal: "10.0.0.1:3260", disk: "d")
            }
            #expect(try begin(name) == nil)
            // A second start of the same session finds the first one's record: nobody ended it.
            var expected = SessionRecord(
                name: name, portal: "10.0.0.1:3260", portalGroupTag: nil, disk: "d")
            #expect(try begin(name) == expected)
            try records.note(portalGroupTag: 3, of: name)
            expected.portalGroupTag = 3
            #expect(try begin(name) == expected)
            // A login that was never answered knows no portal group: the one before may still stand there.
            #expect(try begin(name) == expected)
            let other = try Self.session(8)
            #expect(try begin(other) == nil)
            let elsewhere = try Self.session(8, target: "iqn.2026-01.io.causeway:u")
            #expect(try begin(elsewhere) == nil)
            #expect(Set(records.sessions(with: name.target).map(\.name)) == [name, other])
            records.end(name)
            #expect(try begin(name) == nil)
        }
    }

    @Test(arguments: ["80:1a:2b:3c:4d:5e", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"])
    func anISIDIsReadAsItIsWritten(text: String) throws {
        #expect(try #require(InitiatorSessionID(parsing: text)).description == text)
    }

    @Test(arguments: ["", "80", "80:1a:2b:3c:4d", "80:1a:2b:3c:4d:5e:6f", "80:1a:2b:3c:4d:zz", "8:::::"])
    func whatIsNoISIDIsNotRead(text: String) {
        #expect(InitiatorSessionID(parsing: text) == nil)
    }

    @Test func aDiskIsReadAsItWasWritten() throws {
        try Self.inFolder { folder in
            let records = DiskRecords(stateDirectory: folder)
            try records.prepare()
            let name = try DiskName("data1")
            var record = DiskRecord(
                request: AttachRequest(
                    name: name, target: "iqn.2026-01.io.causeway:t",
                    portals: [try PortalAddress(parsing: "10.0.0.1")], interfaces: ["eth1"], lun: 1),
                paths: [
                    DiskRecord.Path(
                        PlannedPath(
                            interface: "eth1", source: .init(parsing: "10.0.0.2"),
                            portal: try #require(.init(parsing: "10.0.0.1:3260", defaultPort: 3260)),
                            isid: InitiatorSessionID(hash: 9)))
                ], wwid: "naa.6001405", sizeBytes: 1 << 30, blockLength: 4096)
            try records.write(record)
            record.isAttached = true
            try records.write(record)
            #expect(records.read(name) == record)
            #expect(records.all().records == [record])
            #expect(record.backendIdentifier == "causeway:data1:naa.6001405")
            let path = try #require(record.paths[0].planned)
            #expect(path.interface == "eth1" && "\(path.portal)" == "10.0.0.1:3260")
            #expect(path.source.map { "\($0)" } == "10.0.0.2")
            #expect(path.isid == InitiatorSessionID(hash: 9))
            records.remove(name)
            #expect(records.all().records.isEmpty)
        }
    }

    /// A daemon that died while it wrote leaves the old record; what is no record is named, not passed over.
    @Test func halfAFileIsNoRecord() throws {
        try Self.inFolder { folder in
            let records = DiskRecords(stateDirectory: folder)
            try records.prepare()
            for (file, text) in [("a.json.new", "{"), ("b.json", "{\"request\":")] {
                let stream = try #require(fopen("\(folder)/disks/\(file)", "w"))
                fputs(text, stream)
                fclose(stream)
            }
            let found = records.all()
            #expect(found.records.isEmpty)
            #expect(found.unreadable == ["\(folder)/disks/b.json"])
            unlink("\(folder)/disks/a.json.new")
        }
    }
}
