import CausewayConfiguration
import Glibc
import LinuxSystem
import Logging
import Testing

@testable import CausewayDaemon

/// What the daemon starts with.
@Suite struct StartConfigurationTests {
    /// A folder with a configuration and a state of its own.
    private final class Folder {
        let path: String
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        init() throws {
            var template = Array("/tmp/causeway-start.XXXXXX".utf8CString)
            path = String(cString: try #require(mkdtemp(&template)))
            try SmallFile.makeFolder("\(path)/disks")
            try SmallFile.replace(
                "\(path)/disks/a.toml",
                with: "target = \"iqn.2026-01.example:t\"\nportals = [\"192.0.2.1\"]\nlun = 1\n")
        }
        deinit {
            for name in ["disks/a.toml", "state/causeway.toml", "causeway.toml"] { unlink("\(path)/\(name)") }
            for folder in ["/disks", "/state", ""] { rmdir(path + folder) }
        }
        func start(_ text: String, mustStart: Bool) throws(DaemonError) -> StartConfiguration {
            let state = "\(path)/state"
            try? SmallFile.makeFolder(state)
            try? SmallFile.replace("\(path)/causeway.toml", with: text)
            let copy = AdapterCopy(stateDirectory: state)
            let start = try StartConfiguration(
                ConfigurationFiles(adapter: "\(path)/causeway.toml"), inForce: copy, mustStart: mustStart,
                logger: logger)
            if let text = start.text { copy.keep(text, logger) }
            return start
        }
        static func policy(_ start: StartConfiguration) -> String? {
            start.configured.adapter.settings(target: nil).disk["policy"]
        }
    }

    private static let right = "[disk]\npolicy = \"fixed\"\n"
    private static let wrong = "[disk]\npolicy = \"service-time\"\npolcy = 1\n"

    @Test func `What is right is taken, disks and all`() throws {
        let start = try Folder().start(Self.right, mustStart: false)
        #expect(Folder.policy(start) == "fixed")
        #expect(start.disks.map(\.name.text) == ["a"] && start.configured.disks == ["a"])
        #expect(start.configured.mistakes == [])
    }

    @Test func `A mistake keeps it from starting`() throws {
        let folder = try Folder()
        do throws(DaemonError) {
            _ = try folder.start(Self.wrong, mustStart: false)
            Issue.record("it starts")
        } catch {
            #expect("\(error)".contains("causeway.toml:3: there is no \"polcy\""))
        }
    }

    @Test func `With disks on record it starts as it was, and attaches nothing`() throws {
        let folder = try Folder()
        _ = try folder.start(Self.right, mustStart: false)
        for _ in 1...2 {
            let start = try folder.start(Self.wrong, mustStart: true)
            #expect(Folder.policy(start) == "fixed")
            #expect(start.disks.isEmpty && start.configured.disks.isEmpty)
            #expect(start.configured.mistakes.count == 1)
        }
        let worse = try folder.start(Self.wrong + "\n[chap", mustStart: true)
        #expect(Folder.policy(worse) == "fixed")
        let mended = try folder.start("", mustStart: true)
        #expect(Folder.policy(mended) == nil && mended.configured.mistakes == [])
    }

    @Test func `Without a copy, what can be read is taken`() throws {
        let start = try Folder().start(Self.wrong, mustStart: true)
        #expect(Folder.policy(start) == "service-time")
    }
}
