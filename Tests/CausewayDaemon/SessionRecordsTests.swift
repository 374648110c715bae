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
        func begin(_ isid: InitiatorSessionID) throws -> Bool {
            try records.begin(
                initiator: initiator, target: target, isid: isid, portal: "10.0.0.1:3260", disk: "d")
        }
        #expect(try begin(isid) == false)
        // A second start of the same session finds the first one's record: nobody ended it.
        #expect(try begin(isid) == true)
        #expect(try begin(InitiatorSessionID(hash: 8)) == false)
        records.end(initiator: initiator, target: target, isid: isid)
        #expect(try begin(isid) == false)
        records.end(initiator: initiator, target: target, isid: isid)
        records.end(initiator: initiator, target: target, isid: InitiatorSessionID(hash: 8))
    }
}
