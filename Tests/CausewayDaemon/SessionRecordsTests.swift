import CausewayCore
import Glibc
import Testing

@testable import CausewayDaemon

@Suite struct SessionRecordsTests {
    private let initiator = try? ISCSIName("iqn.2026-01.io.causeway:a")
    private let target = try? ISCSIName("iqn.2026-01.io.causeway:t")

    @Test func aSessionStandsOnRecordUntilItHasEnded() throws {
        var template = Array("/tmp/causeway-records-XXXXXX".utf8CString)
        let folder = String(cString: try #require(mkdtemp(&template)))
        defer {
            rmdir(folder + "/sessions")
            rmdir(folder)
        }
        let records = SessionRecords(stateDirectory: folder)
        let initiator = try #require(initiator)
        let target = try #require(target)
        let isid = InitiatorSessionID(hash: 7)
        func begin(_ isid: InitiatorSessionID, _ unit: UInt64 = 1) throws -> SessionRecord? {
            try records.begin(
                SessionRecord(
                    initiator: initiator, target: target, isid: isid, portal: "10.0.0.1:3260", disk: "d",
                    units: [unit]))
        }
        #expect(try begin(isid) == nil)
        // A second start of the same session finds the first one's record: nobody ended it.
        let first = try #require(try begin(isid, 0x0002_0000_0000_0000))
        #expect(first.units == [1] && first.portalGroupTag == nil && first.disk == "d")
        // A third one finds what both may have written to, and the group that the second was in.
        records.note(portalGroupTag: 7, initiator: initiator, target: target, isid: isid)
        let second = try #require(try begin(isid, 3))
        #expect(second.units == [1, 0x0002_0000_0000_0000])
        #expect(second.portalGroupTag == 7)
        #expect(try begin(isid)?.units == [1, 3, 0x0002_0000_0000_0000])
        #expect(try begin(InitiatorSessionID(hash: 8)) == nil)
        records.end(initiator: initiator, target: target, isid: isid)
        // What is no longer on record is not put there again by late news.
        records.note(portalGroupTag: 7, initiator: initiator, target: target, isid: isid)
        #expect(try begin(isid) == nil)
        records.end(initiator: initiator, target: target, isid: isid)
        records.end(initiator: initiator, target: target, isid: InitiatorSessionID(hash: 8))
    }
    @Test func aRecordThatSaysNothingStandsForTheWhole() throws {
        let initiator = try #require(initiator)
        let target = try #require(target)
        var record = SessionRecord(
            initiator: initiator, target: target, isid: InitiatorSessionID(hash: 7), portal: "p", disk: "d",
            units: [5], portalGroupTag: 9)
        var copy = record
        copy.units = []
        copy.portalGroupTag = nil
        copy.take(record.text)
        #expect(copy == record)
        record.take("unit=nonsense\ngroup=70000\nrubbish\n=\n")
        #expect(record.units == [5] && record.portalGroupTag == nil)
    }
}
