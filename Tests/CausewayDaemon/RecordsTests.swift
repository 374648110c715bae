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

    private func unlinkAll(_ folder: String) throws {
        for name in StateFile.names(in: folder) { unlink("\(folder)/\(name)") }
    }

    private static func session(
        _ number: UInt64, target: String = "iqn.2026-01.io.causeway:t"
    ) throws -> SessionName {
        SessionName(
            initiator: try ISCSIName("iqn.2026-01.io.causeway:a"), target: try ISCSIName(target),
            isid: InitiatorSessionID(hash: number))
    }

    private static func record(
        _ number: UInt64, _ units: Set<UInt64> = [1], target: String = "iqn.2026-01.io.causeway:t"
    ) throws -> SessionRecord {
        SessionRecord(
            name: try session(number, target: target), portal: "10.0.0.1:3260", disk: "d", units: units)
    }

    @Test func aSessionStandsOnRecordUntilItHasEnded() throws {
        try Self.inFolder { folder in
            let records = SessionRecords(stateDirectory: folder)
            try records.prepare()
            let second: UInt64 = 0x0002_0000_0000_0000
            var record = try Self.record(7)
            let name = record.name
            #expect(try records.begin(record).earlier == nil)
            // Another disk over the same session: what stands there is this process's own.
            #expect(try records.begin(try Self.record(7, [second])).earlier == nil)
            #expect(records.isOwn(name))
            // A successor finds what both may have written to, and the group that the session was in; and it
            // does so for each of its disks, in whichever order they come.
            #expect(try records.noteLogin(portalGroupTag: 3, of: name))
            record.portalGroupTag = 3
            record.hasStood = true
            record.units = [1, second]
            let successor = SessionRecords(stateDirectory: folder)
            #expect(!successor.isOwn(name))
            #expect(try successor.begin(try Self.record(7, [3])).earlier == record)
            #expect(try successor.begin(try Self.record(7)).earlier == record)
            #expect(!successor.isOwn(name))
            // A login that was never answered knows no portal group: the one before may still stand there.
            try successor.note(units: [4], of: name)
            record.units = [1, 3, 4, second]
            let another = SessionRecords(stateDirectory: folder)
            let last = try another.begin(try Self.record(7))
            #expect(last.earlier == record)
            #expect(try another.end(name, number: last.number, unfenced: []))
            // What is no longer on record is not put there again by late news.
            #expect(try !another.noteLogin(portalGroupTag: 7, of: name))
            #expect(try another.begin(try Self.record(7)).earlier == nil)
        }
    }

    @Test func sessionsOfATargetAreFound() throws {
        try Self.inFolder { folder in
            let records = SessionRecords(stateDirectory: folder)
            try records.prepare()
            let ours = [try Self.record(7), try Self.record(8, [2])]
            for record in ours { _ = try records.begin(record) }
            _ = try records.begin(try Self.record(8, target: "iqn.2026-01.io.causeway:u"))
            let stray = try #require(fopen("\(folder)/sessions/stray", "w"))
            fputs("unit=1\n", stray)
            fclose(stray)
            let found = try records.sessions(with: ours[0].name.target)
            #expect(Set(found.records.map(\.name)) == Set(ours.map(\.name)))
            #expect(found.unreadable == ["\(folder)/sessions/stray"])
        }
    }

    @Test func whatASessionLeftWithoutAFenceStaysOnRecord() throws {
        try Self.inFolder { folder in
            let records = SessionRecords(stateDirectory: folder)
            try records.prepare()
            let begun = try records.begin(try Self.record(7, [1, 2]))
            #expect(try records.end(try Self.session(7), number: begun.number, unfenced: [2]))
            #expect(try records.begin(try Self.record(7)).earlier?.units == [2])
        }
    }

    /// A path goes and comes again before its end was heard of: the new session stays on record.
    @Test func theEndOfAnEarlierSessionIsNotThatOfALaterOne() throws {
        try Self.inFolder { folder in
            let records = SessionRecords(stateDirectory: folder)
            try records.prepare()
            let earlier = try records.begin(try Self.record(7))
            let later = try records.begin(try Self.record(7))
            #expect(try !records.end(try Self.session(7), number: earlier.number, unfenced: []))
            #expect(try records.sessions(with: try Self.session(7).target).records.count == 1)
            #expect(try records.end(try Self.session(7), number: later.number, unfenced: []))
            #expect(try records.sessions(with: try Self.session(7).target).records.isEmpty)
        }
    }

    @Test func aRecordIsReadAsItWasWritten() throws {
        var record = try Self.record(7, [5, 1 << 48])
        #expect(SessionRecord(parsing: record.text) == record)
        record.portalGroupTag = 9
        #expect(SessionRecord(parsing: record.text) == record)
        record.portalGroupTag = nil
        #expect(SessionRecord(parsing: record.text + "unit=nonsense\ngroup=70000\nrubbish\n=\n") == record)
        #expect(SessionRecord(parsing: "unit=1\n") == nil)
    }

    /// A record of a version that did not say whether its session stood is one that did.
    @Test func whatSaysNothingHasStood() throws {
        let record = try Self.record(7)
        let old = record.text.split(separator: "\n").filter { !$0.hasPrefix("stood") }.joined(separator: "\n")
        #expect(SessionRecord(parsing: old)?.hasStood == true)
        #expect(SessionRecord(parsing: record.text)?.hasStood == false)
    }

    /// The end of an earlier beginning is heard of before the last one is refused.
    @Test func aRefusedBeginningBringsNothingBack() throws {
        try Self.inFolder { folder in
            let records = SessionRecords(stateDirectory: folder)
            try records.prepare()
            let first = try records.begin(try Self.record(7))
            let name = try Self.session(7)
            #expect(try records.noteLogin(portalGroupTag: 1, of: name))
            let second = try records.begin(try Self.record(7))
            #expect(try !records.end(name, number: first.number, unfenced: []))
            records.withdraw(name, number: second.number)
            #expect(try records.sessions(with: name.target).records.isEmpty)
            // The same, with something left to fence.
            let third = try records.begin(try Self.record(7, [1, 2]))
            let fourth = try records.begin(try Self.record(7, [1, 2]))
            #expect(try !records.end(name, number: third.number, unfenced: [2]))
            records.withdraw(name, number: fourth.number)
            #expect(try records.begin(try Self.record(7)).earlier?.units.contains(2) == true)
        }
    }

    /// A dead portal's session has written nothing: nobody waits for a fence through that portal.
    @Test func aSessionThatNeverStoodOwesNothing() throws {
        try Self.inFolder { folder in
            let records = SessionRecords(stateDirectory: folder)
            try records.prepare()
            let record = try Self.record(7)
            #expect(try records.begin(record).hasStood == false)
            let successor = SessionRecords(stateDirectory: folder)
            let begun = try successor.begin(record)
            #expect(begun.earlier == nil && !begun.hasStood)
            #expect(successor.isOwn(record.name))
            // Once it has stood, with or without a portal group, that stays on record through every begin,
            // and through the loss of its file.
            try unlinkAll(folder + "/sessions")
            #expect(try successor.noteLogin(portalGroupTag: nil, of: record.name))
            #expect(try successor.begin(record).hasStood)
            let third = SessionRecords(stateDirectory: folder)
            #expect(try third.begin(record).earlier?.hasStood == true)
            #expect(!third.isOwn(record.name))
            // Only what this process has not begun is forgotten.
            third.forget(record.name)
            #expect(try third.sessions(with: record.name.target).records.count == 1)
            SessionRecords(stateDirectory: folder).forget(record.name)
            #expect(try third.sessions(with: record.name.target).records.isEmpty)
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
            record.request.queues = 2
            record.kernelTimeoutSeconds = 275
            var second = try #require(record.paths[0].planned)
            second.queue = 1
            record.paths.append(DiskRecord.Path(second))
            try records.write(record)
            #expect(records.read(name)?.paths.map(\.planned?.queue) == [0, 1])
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

    @Test func aRecordIsChangedWhereItIs() throws {
        try Self.inFolder { folder in
            let records = DiskRecords(stateDirectory: folder)
            try records.prepare()
            let name = try DiskName("data1")
            try records.change(name) { $0.isDrained = true }
            #expect(records.read(name) == nil)
            let request = AttachRequest(
                name: name, target: "iqn.2026-01.io.causeway:t", portals: [], interfaces: [], lun: 1)
            try records.write(
                DiskRecord(request: request, paths: [], wwid: "w", sizeBytes: 1 << 20, blockLength: 512))
            try records.change(name) { $0.hasLostWrites = true }
            try records.change(name) { $0.isDrained = true }
            #expect(records.read(name)?.hasLostWrites == true && records.read(name)?.isDrained == true)
        }
    }

    @Test func whatWasAskedForADiskItselfOutlivesWhatItInherited() throws {
        var request = AttachRequest(
            name: try DiskName("data1"), target: "iqn.2026-01.io.causeway:t", portals: [], interfaces: [],
            lun: 1, policy: "fixed", settings: ["space": "hold"], queueDepth: 9)
        var record = DiskRecord(
            request: request, paths: [], wwid: "w", sizeBytes: 1 << 20, blockLength: 512)
        #expect(record.ownRequest == request, "a record of a daemon that did not tell them apart")
        record.own = DiskRecord.OwnSettings(settings: ["fence": "none"])
        request.policy = nil
        request.settings = ["fence": "none"]
        request.queueDepth = nil
        #expect(record.ownRequest == request)
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
