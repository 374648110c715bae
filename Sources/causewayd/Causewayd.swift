import ArgumentParser
import CausewayConfiguration
import CausewayControl
import CausewayDaemon
import Glibc
import Logging

struct Causewayd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "causewayd",
        abstract: "Log in to iSCSI targets over several network interfaces and serve their LUNs as disks.",
        discussion:
            "Runs in the foreground until SIGTERM. Disks are attached with causeway(1); see causewayd(8).",
        version: "causewayd \(CausewayVersion.current)")

    @Option(
        help: ArgumentHelp(
            "The control socket (default: io.causeway in the state directory).", valueName: "path"),
        completion: .file())
    var control: String?

    @Option(
        name: .customLong("state-dir"),
        help: ArgumentHelp("Where run-time state is kept.", valueName: "directory"),
        completion: .directory)
    var stateDirectory = DaemonOptions.defaultStateDirectory

    @Option(
        name: .customLong("data-dir"),
        help: ArgumentHelp("Where is kept what discovery found.", valueName: "directory"),
        completion: .directory)
    var dataDirectory = DaemonOptions.defaultDataDirectory

    @Option(
        help: ArgumentHelp(
            "The configuration; the disks' files are in the folder disks beside it.", valueName: "file"),
        completion: .file(extensions: ["toml"]))
    var config = ConfigurationFiles().adapter

    @Option(
        help: ArgumentHelp(
            """
            The initiator's iSCSI name (default: as the configuration says, or /etc/iscsi/initiatorname.iscsi, \
            or /etc/causeway/initiatorname, which is made at the first start).
            """, valueName: "iqn"))
    var initiatorName: String?

    @Flag(
        help: ArgumentHelp(
            "Send writes again without the barrier: corrupts data, shows what the barrier is for.",
            visibility: .hidden))
    var unsafeSkipBarrier = false

    @Flag(help: "Stay in the foreground: the default, and the only way.")
    var foreground = false

    @Option(
        help: ArgumentHelp(
            "The least level logged: \(Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")).",
            valueName: "level"),
        completion: .list(Logger.Level.allCases.map(\.rawValue)),
        transform: Self.level)
    var logLevel = Logger.Level.info

    func run() throws {
        var options = DaemonOptions(
            control: control, stateDirectory: stateDirectory, initiatorName: initiatorName, logLevel: logLevel
        )
        options.configuration = ConfigurationFiles(adapter: config)
        options.dataDirectory = dataDirectory
        options.skipsBarrier = unsafeSkipBarrier
        do throws(DaemonError) {
            try Daemon.run(options)
        } catch {
            let line = Array("causewayd: \(error)\n".utf8)
            _ = unsafe line.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
            throw ExitCode.failure
        }
    }

    @Sendable private static func level(_ text: String) throws -> Logger.Level {
        guard let level = Logger.Level(rawValue: text) else {
            throw ValidationError("\"\(text)\" is none of the levels")
        }
        return level
    }
}
