import CausewayControl
import Glibc
import Testing

/// `causewayd` as a process: from its arguments to its end by a signal.
@Suite struct DaemonProcessTests {
    @Test(arguments: [SIGTERM, SIGINT])
    func servesUntilItIsTold(signal: Int32) throws {
        let folder = try #require(temporaryFolder())
        let path = folder + "/io.causeway"
        let daemon = try StartedCommand("causewayd", ["--state-dir", folder, "--log-level", "info"])
        let client = { try ControlClient(path: path) }
        let up = eventually {
            (try? {
                var client = try client(); return try client.list()
            }()) != nil
        }
        #expect(up)
        let second = try CommandRun("causewayd", ["--control", path])
        #expect(second.status == 1)
        #expect(second.errors.contains("another causewayd serves \(path) already\n"))
        kill(daemon.processID, signal)
        let end = daemon.finish()
        #expect(end.status == 0)
        #expect(end.output == "")
        #expect(access(path, F_OK) != 0)
        unlink(path + ".lock")
        rmdir(folder)
    }

    @Test(arguments: [["--log-level", "loud"], ["--nonsense"], ["argument"]])
    func wrongUsageIsStatus64(arguments: [String]) throws {
        #expect(try CommandRun("causewayd", arguments).status == 64)
    }

    @Test func version() throws {
        #expect(try CommandRun("causewayd", ["--version"]).output == "causewayd \(CausewayVersion.current)\n")
    }
}
