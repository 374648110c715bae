import CausewayControl
import Glibc
import Testing

/// `causewayd` as a process: from its arguments to its end by a signal.
@Suite struct DaemonProcessTests {
    private static let isRoot = geteuid() == 0

    /// Nothing of the machine is touched: without a name given, the daemon makes one and keeps it in /etc.
    private func options(_ folder: String) -> [String] {
        ["--state-dir", folder, "--initiator-name", "iqn.2026-01.io.causeway:test"]
    }

    @Test(.enabled(if: isRoot, "causewayd runs as root only"), arguments: [SIGTERM, SIGINT])
    func servesUntilItIsTold(signal: Int32) throws {
        let folder = try #require(temporaryFolder())
        let path = folder + "/io.causeway"
        let daemon = try StartedCommand("causewayd", options(folder) + ["--log-level", "info"])
        let client = { try ControlClient(path: path) }
        let up = eventually {
            (try? {
                var client = try client(); return try client.list()
            }()) != nil
        }
        #expect(up)
        let second = try CommandRun("causewayd", options(folder) + ["--control", path])
        #expect(second.status == 1)
        #expect(second.errors.contains("another causewayd serves \(path) already\n"))
        kill(daemon.processID, signal)
        let end = daemon.finish()
        #expect(end.status == 0)
        #expect(end.output == "")
        #expect(access(path, F_OK) != 0)
        for name in ["io.causeway.lock", "causeway.toml"] { unlink(folder + "/" + name) }
        rmdir(folder + "/sessions")
        rmdir(folder)
    }

    /// What systemd hears of a service of Type=notify.
    @Test(.enabled(if: isRoot, "causewayd runs as root only"))
    func tellsTheServiceManager() throws {
        let folder = try #require(temporaryFolder())
        let place = folder + "/notify"
        let ear = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        try #require(ear >= 0)
        defer { close(ear) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: place.utf8) }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(ear, $0, length) }
        }
        try #require(bound == 0)
        var patience = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(ear, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        func heard() -> String {
            var bytes = [UInt8](repeating: 0, count: 4096)
            let count = recv(ear, &bytes, bytes.count, 0)
            return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
        }

        let daemon = try StartedCommand(
            "causewayd", options(folder), environment: ["NOTIFY_SOCKET=\(place)"])
        #expect(heard() == "READY=1\nSTATUS=serves \(folder)/io.causeway")
        kill(daemon.processID, SIGTERM)
        // The status line may change once more before.
        var last = heard()
        while last.hasPrefix("STATUS=") { last = heard() }
        #expect(last == "STOPPING=1")
        #expect(daemon.finish().status == 0)
        for name in ["notify", "io.causeway.lock", "causeway.toml"] { unlink(folder + "/" + name) }
        rmdir(folder + "/sessions")
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
