import CausewayConfiguration
import CausewayControl
import LinuxSystem
import Logging

/// What the daemon starts with.
///
/// A mistake in `causeway.toml` keeps it from starting, unless a predecessor left disks: those are in use,
/// and are served as they were. Nothing else is attached until the file is mended.
struct StartConfiguration {
    var configured: Supervisor.Configured
    /// The disks to attach.
    var disks: [DiskConfiguration] = []
    /// What is in force now, for `AdapterCopy`; nil where that is the copy itself.
    var text: String?

    /// - Parameter mustStart: there are disks on record.
    init(
        _ files: ConfigurationFiles, inForce: AdapterCopy, mustStart: Bool, logger: Logger
    ) throws(DaemonError) {
        let (configuration, problems) = files.load()
        let mistakes = problems.filter { $0.isError && $0.file == files.adapter }
        guard mistakes.isEmpty || mustStart else { throw .configuration(mistakes) }
        for problem in problems { logger.log(level: problem.isError ? .error : .warning, "\(problem)") }
        guard !mistakes.isEmpty else {
            text = configuration.adapterText
            disks = configuration.disks
            configured = Supervisor.Configured(
                adapter: configuration.adapter, disks: Set(configuration.disks.map(\.name.text)))
            return
        }
        logger.critical(
            """
            \(files.adapter) cannot be used. Disks of the daemon before are served as it did, and no other \
            is attached. Mend the file, then: causeway reload
            """)
        // Of a file that was never in force, what can be read is better than nothing: a login may need it.
        configured = Supervisor.Configured(
            adapter: inForce.read() ?? configuration.adapter, disks: [],
            mistakes: mistakes.map(\.description))
    }
}

/// `causeway.toml` as it was in force last, in the state directory: where the file itself cannot be used, a
/// successor logs in to the targets of its disks with that. No secret is in it.
struct AdapterCopy: Sendable {
    private let path: String

    init(stateDirectory: String) {
        path = stateDirectory + "/causeway.toml"
    }

    /// A daemon without a copy is better than none.
    func keep(_ text: String, _ logger: Logger) {
        do throws(SystemError) {
            try StateFile.replace(path, with: Array(text.utf8))
        } catch {
            logger.error("the configuration in force cannot be kept for the next daemon: \(error)")
        }
    }

    /// nil where there is none that this daemon can use.
    func read() -> AdapterConfiguration? {
        guard let text = try? SmallFile.read(path, limit: ConfigurationFiles.bytesMax) else { return nil }
        var problems: [ConfigurationProblem] = []
        let adapter = AdapterConfiguration(text, file: path, problems: &problems)
        return problems.contains(where: \.isError) ? nil : adapter
    }
}
